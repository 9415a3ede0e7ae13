"""Tables of people and companies with known truth, made up here: nothing real, the same for the same seed."""

import random
from collections.abc import Sequence

import pyarrow as pa

from pay_ready.pipeline.resolution_config import load_resolution_config
from pay_ready.resolve.linkage.companies import Companies, companies_of
from pay_ready.resolve.linkage.people import People, people_of
from pay_ready.resolve.linkage.tables import Knowledge
from pay_ready.resolve.linkage.values import Values
from pay_ready.resources import resource_path

GIVEN = [
    "anna", "bela", "carla", "dora", "emil", "fritz", "gerda", "hugo", "irma", "jonas", "karla", "lukas", "mona", "nils", "olga",
    "pavel", "rosa", "sven", "tilda", "ulrich", "vera", "willi",
]  # fmt: skip
ROOTS = [
    "bar", "ber", "cor", "dal", "fen", "gil", "hal", "kor", "lin", "mar", "nor", "pel", "ros", "sal", "tor", "val", "wen", "zan",
]  # fmt: skip
ENDS = [
    "berg", "dahl", "mann", "ström", "owski", "escu", "ini", "ard", "ley", "kova",
]  # fmt: skip
FIRMS = [
    "copper", "lantern", "meadow", "orbit", "pebble", "quarry", "raven", "saddle", "timber", "umber", "violet", "walnut",
]  # fmt: skip
TRADES = [
    "works", "tools", "foods", "media", "freight", "glass",
]  # fmt: skip


def knowledge() -> Knowledge:
    """The shipped word lists."""
    config = load_resolution_config(resource_path("config", "resolution", "default.toml"))
    return Knowledge(nicknames=config.nicknames, role_local_parts=config.role_local_parts, free_mail=config.free_mail_domains)


def people_table(people: int, seed: int = 1, *, with_email: bool = True, families: int = 0) -> pa.Table:
    """One to four records a person with slips, initials and gaps; `true_id` tells who is who.

    `families` is how many family names there are; 0 for very many.
    """
    draw = random.Random(seed)
    rows: list[dict[str, str | None]] = []
    few = [draw.choice(ROOTS) + draw.choice(ENDS) for _ in range(families)]
    for number in range(people):
        given, family = draw.choice(GIVEN), draw.choice(few) if few else draw.choice(ROOTS) + draw.choice(ROOTS) + draw.choice(ENDS)
        firm = f"{draw.choice(FIRMS)} {draw.choice(FIRMS)} {draw.choice(TRADES)}"
        domain = firm.replace(" ", "") + ".com"
        phone = f"20{draw.randrange(10**7, 10**8)}"
        for _ in range(draw.choice((1, 1, 2, 3, 4))):
            shown, last = given, family
            if draw.random() < 0.1:
                shown = given[0] + "."
            if draw.random() < 0.08:
                at = draw.randrange(1, len(last) - 1)
                last = last[:at] + last[at + 1 :]
            email = f"{given}.{family}@{domain}" if with_email and draw.random() < 0.7 else None
            rows.append(
                {
                    "full_name": f"{shown} {last}".title(), "email": email, "phone": phone if draw.random() < 0.5 else None,
                    "company": firm.title() if draw.random() < 0.7 else None, "city": draw.choice(("Oslo", "Bern", "Graz", None)),
                    "birth_date": f"19{number % 90 + 10}-{number % 12 + 1:02d}-{number % 28 + 1:02d}" if not with_email else None,
                    "true_id": f"p{number}",
                }
            )  # fmt: skip
    draw.shuffle(rows)
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in rows[0]]))


def people(rows: Sequence[dict[str, str]], values: Sequence[Values] = ()) -> People:
    """Person records of a few rows; missing columns are empty."""
    known = knowledge()
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in PERSON_FIELDS}
    return people_of(
        size=len(rows), **columns, values=values, nicknames=known.nicknames, role_local_parts=known.role_local_parts,
        free_mail=known.free_mail,
    )  # fmt: skip


def companies(rows: Sequence[dict[str, str]], values: Sequence[Values] = ()) -> Companies:
    """Company records of a few rows; missing columns are empty."""
    known = knowledge()
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in ("name", "domain", "email", "phone")}
    return companies_of(
        size=len(rows), **columns, values=values, role_local_parts=known.role_local_parts, free_mail=known.free_mail, compare_email=True
    )  # fmt: skip


PERSON_FIELDS = ("full_name", "given_name", "family_name", "email", "phone", "company", "domain")
