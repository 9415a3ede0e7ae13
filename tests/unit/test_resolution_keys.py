"""Every key of config/resolution changes what resolution does, and a key without its test here fails."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import cast
from uuid import UUID

import pyarrow as pa
import pytest

from pay_ready.errors import ConfigError
from pay_ready.model.resolution import EntityType, ResolutionConfig
from pay_ready.resolve.engine import knowledge_of, resolve
from pay_ready.resolve.golden import company_sources, entity_version, person_sources
from pay_ready.resolve.hosts import business_domain
from pay_ready.resolve.linkage.contact import NOBODYS_USERS
from pay_ready.resolve.linkage.link import link
from pay_ready.resolve.linkage.mapping import ColumnKind
from pay_ready.resolve.linkage.tables import records_of
from pay_ready.resolve.staged import PERSON_COLUMNS
from pay_ready.resources import resource_path
from tests.mapping_support import CONTEXT, person_of
from tests.publish_support import config
from tests.resolution_support import RULES, Leaves, Pair, Seen, config_with, seen, shipped_leaves, table

LEAVES = shipped_leaves()
UNLISTED_SOURCE = "a source nobody listed"
# The rules whose blocks a cap holds for, of those that the records have blocks of.
RULES_OF: Mapping[str, set[str]] = {
    "person.max_block_sizes.contact": {"email"},
    "person.max_block_sizes.user": {"email_user"},
    "person.max_block_sizes.phone": {"phone"},
    "person.max_block_sizes.name": {"name"},
    "person.max_block_sizes.place_and_name": {"employer_and_family"},
    "person.max_block_sizes.place_and_given": {"employer_and_given"},
    "company.max_block_sizes.name": {"owner"},
    "company.max_block_sizes.contact": {"phone", "acronym"},
    "company.max_block_sizes.word": {"word"},
}


@cache
def shipped_config() -> ResolutionConfig:
    """The configuration as it ships."""
    return config()


@dataclass(frozen=True)
class Bench:
    """Runs with changed leaves, each in a folder of its own."""

    folder: Path

    def config(self, changes: Leaves, file: str = RULES) -> ResolutionConfig:
        """The shipped configuration with these leaves of a file changed."""
        return config_with(self.folder / str(len(list(self.folder.iterdir()))), changes, file) if changes else shipped_config()

    def seen(self, entity_type: EntityType, changes: Leaves) -> Seen:
        """What a run with these leaves changed shows."""
        return seen(entity_type, self.config(changes))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty bench."""
    return Bench(tmp_path)


def refused(bench: Bench, key: str) -> None:
    """A file of another form is not read as if it had this one."""
    with pytest.raises(ConfigError, match=key):
        bench.config({key: cast("int", LEAVES[key]) + 1})


def decides_matches(bench: Bench, key: str) -> None:
    """A higher threshold makes fewer matches and smaller clusters."""
    entity_type = type_of(key)
    shipped, changed = bench.seen(entity_type, {}), bench.seen(entity_type, {key: 12.0})
    assert matches(changed) < matches(shipped)
    assert len(set(changed.labels)) > len(set(shipped.labels))


def decides_edges(bench: Bench, key: str) -> None:
    """A wider review band keeps more edges and makes no match."""
    entity_type = type_of(key)
    narrow, wide = bench.seen(entity_type, {key: 0.0}), bench.seen(entity_type, {key: 42.0})
    assert narrow.links.keys() < wide.links.keys()
    assert matches(narrow) == matches(wide) == narrow.links.keys()


def leaves_blocks_out(bench: Bench, key: str) -> None:
    """With a cap of two the rules' blocks are reported, and what only they hold is not compared."""
    if key == "person.max_block_sizes.value":
        compares_fewer_by_date(bench, key)
        return
    beside: Leaves = {} if key.startswith("company") or key.endswith("weak") else {"person.max_block_sizes.weak": 2}
    shipped, changed = bench.seen(type_of(key), beside), bench.seen(type_of(key), {**beside, key: 2})
    assert shipped.capped_rules == []
    if key == "person.max_block_sizes.weak":  # only adds to the other rules: nothing is lost, and nothing said
        assert changed.capped_rules == []
    else:
        assert set(changed.capped_rules) == RULES_OF[key]
    assert changed.candidate_pairs < shipped.candidate_pairs or key in COVERED


# Pairs that other rules find too, or a window over the sorted block.
COVERED = ("person.max_block_sizes.contact", "company.max_block_sizes.name", "company.max_block_sizes.contact")


def compares_fewer_by_date(bench: Bench, key: str) -> None:
    """Three of one day and nothing else in common are compared, unless the cap is two."""
    rows = pa.table({"name": ["Ann Lee", "Bo Ray", "Cy Dow"], "dob": ["1971-06-24"] * 3})
    kinds = [ColumnKind(column="name", kind="full_name", reason="given"), ColumnKind(column="dob", kind="date", reason="given")]
    compared = []
    for used in (bench.config({}), bench.config({key: 2, "person.max_block_sizes.weak": 2})):
        records, _ = records_of(rows, kinds, "person", knowledge_of(used))
        compared.append(len(link(records).left))
    assert compared == [3, 0]


def decides_when_to_refresh(bench: Bench, key: str) -> None:
    """Drift is so many times more or fewer records; by hand is by hand (what the run makes of it: integration/test_models.py)."""
    if key == "refresh":
        assert bench.config({key: "by_hand"}).refresh == "by_hand" != bench.config({}).refresh
        return
    few, many = people_rows(1_000), people_rows(2_500)
    for growth, drifts in ((2.0, True), (3.0, False)):
        used = bench.config({key: growth})
        model = resolve("person", few, used).model
        assert bool(resolve("person", many, used, model=model).drift) == drifts


def people_rows(count: int) -> pa.Table:
    """People who have nothing in common."""
    return table([{"full_name": f"Given{number} Family{number}"} for number in range(count)], PERSON_COLUMNS)


def type_of(key: str) -> EntityType:
    """The entity type that a key is about."""
    return cast("EntityType", key.partition(".")[0])


def matches(found: Seen) -> set[Pair]:
    """The pairs that match."""
    return {pair for pair, is_match in found.links.items() if is_match}


# What a value of a golden field looks like: two of one length, and one that is not valid.
NAMES = ("Ann Lee", "Ida Roe", "IDA ROE")
LIKELY_VALUES: Mapping[str, tuple[str, str, str]] = {
    "name": NAMES,
    "first_name": ("Ann", "Ida", "IDA"),
    "last_name": ("Lee", "Roe", "ROE"),
    "email": ("ann.lee@globex.com", "ida.roe@globex.com", "info@globex.com"),
    "phone": ("+12065550100", "+12065550101", "2065550101"),
    "company": ("1", "2", ""),
}
ANY_VALUES = ("Bern", "Genf", "")
PUBLISHED_COMPANIES = {number: UUID(int=1_000 + number) for number in (1, 2)}


@dataclass(frozen=True)
class Holder:
    """A record that holds one value of one golden field; a company is the number of a company record."""

    value: str
    source: str = "zendesk"
    updated: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    kind: str = ""


def survivor(config: ResolutionConfig, entity_type: EntityType, field: str, holders: Sequence[Holder]) -> str | None:
    """The value that survives among the holders, through the columns that staging gives."""
    sources = {
        "source_name": pa.array([each.source for each in holders]),
        "source_kind": pa.array([each.kind or each.source for each in holders]),
        "source_updated_at": pa.array([each.updated for each in holders]),
    }
    texts = ("full_name", "first_name", "last_name", "email", "phone", "title", "city", "country", "name", "domain", "industry")
    column = "full_name" if (entity_type, field) == ("person", "name") else field
    rows = table([{} if field == "company" else {column: each.value} for each in holders], texts)
    for name, values in sources.items():
        rows = rows.append_column(name, values)
    if entity_type == "company":
        records = company_sources(rows, config)
    else:
        links = [UUID(int=int(each.value)).bytes if field == "company" else None for each in holders]
        rows = rows.append_column("company_record_id", pa.array(links, pa.binary(16)))
        records = person_sources(rows, config, {UUID(int=number): entity for number, entity in PUBLISHED_COMPANIES.items()})
    return entity_version(UUID(int=1), entity_type, list(records.values()), config).value(field)


def holders_of(field: str, first_strength: str, second_strength: str) -> tuple[list[Holder], list[Holder]]:
    """Two values, each held so that it is better by one criterion, worse by another, and equal by all others."""
    first, second, invalid = LIKELY_VALUES.get(field, ANY_VALUES)
    valid = {first_strength, second_strength} & {"valid"}
    values = (invalid, second) if valid and second_strength == "valid" else (first, invalid if valid else second)
    return _held(values[0], first_strength), _held(values[1], second_strength)


def _held(value: str, strength: str) -> list[Holder]:
    plain = Holder(value)
    strong: Mapping[str, Callable[[], Holder]] = {
        "valid": lambda: plain,
        "frequent": lambda: plain,
        "source_order": lambda: replace(plain, source="salesforce"),
        "recent": lambda: replace(plain, updated=plain.updated + timedelta(days=1)),
        "longest": lambda: replace(plain, value=f"{value}son"),
    }
    return [strong[strength]()] * (2 if strength == "frequent" else 1)


def orders_criteria(bench: Bench, key: str) -> None:
    """Of any two neighbours among a field's criteria the first decides, and the last still counts: another list, another survivor."""
    field, order = key.rpartition(".")[2], cast("list[str]", LEAVES[key])
    shipped = bench.config({})
    for position, (first_strength, second_strength) in enumerate(pairwise(order)):
        first, second = holders_of(field, first_strength, second_strength)
        swapped = bench.config({key: [*order[:position], second_strength, first_strength, *order[position + 2 :]]})
        survivors = [survivor(config, type_of(key), field, [*first, *second]) for config in (shipped, swapped)]
        assert survivors == [shown(field, first[0]), shown(field, second[0])], (first_strength, second_strength)
    # The last one decides against the value that sorts first.
    first_value, second_value, _ = LIKELY_VALUES.get(field, ANY_VALUES)
    best, rest = _held(second_value, order[-1]), [Holder(first_value)]
    shorter = bench.config({key: order[:-1]})
    survivors = [survivor(config, type_of(key), field, [*rest, *best]) for config in (shipped, shorter)]
    assert survivors == [shown(field, best[0]), shown(field, rest[0])], order[-1]


def shown(field: str, holder: Holder) -> str:
    """What is published of a holder's value."""
    return str(PUBLISHED_COMPANIES[int(holder.value)]) if field == "company" else holder.value


def orders_sources(bench: Bench, key: str) -> None:
    """Each listed source, by name or by kind, is trusted more than the next one and than any that is not listed."""
    order = cast("list[str]", LEAVES[key])
    shipped = bench.config({})
    for position, source in enumerate(order):
        without = bench.config({key: [each for each in order if each != source]})
        by_kind = Holder("Banks", source="our own", kind=source)
        for next_source in (*order[position + 1 : position + 2], UNLISTED_SOURCE):
            # The value of the less trusted source sorts first, so that it survives where neither is trusted more.
            other = Holder("Audit", source=next_source)
            for holder in (Holder("Banks", source=source), by_kind):
                survivors = [survivor(config, "company", "industry", [holder, other]) for config in (shipped, without)]
                assert survivors == ["Banks", "Audit"], (holder, other)


WATCHES: Mapping[str, Callable[[Bench, str], None]] = {
    "schema_version": refused,
    "source_order": orders_sources,
    "threshold_bits": decides_matches,
    "refresh": decides_when_to_refresh,
    "refresh_growth": decides_when_to_refresh,
    "review_bits": decides_edges,
    "max_block_sizes": leaves_blocks_out,
    "survivorship": orders_criteria,
}


@pytest.mark.parametrize("key", LEAVES)
def test_each_key_changes_what_resolution_does(key: str, bench: Bench) -> None:
    """The same records, one key of default.toml changed: something else is linked, kept, left out or published."""
    section = key if "." not in key else key.split(".")[1]
    assert section in WATCHES, f"{key}: say here what it changes"
    WATCHES[section](bench, key)


WORD_LISTS = {"free_mail_domains.toml": ["domains"], "role_addresses.toml": ["local_parts"], "nicknames.toml": ["groups"]}


def test_no_shipped_file_is_without_its_test(tmp_path: Path) -> None:
    """Whoever adds a file to config/resolution, or a key to a word list, says here what it changes; copies say what the files say."""
    assert [config_with(tmp_path / name, {}, name) for name in (RULES, *WORD_LISTS)] == [shipped_config()] * 4
    names = {path.name for path in resource_path("config", "resolution").iterdir()}
    assert names == {RULES, *WORD_LISTS}
    assert {name: list(shipped_leaves(name)) for name in WORD_LISTS} == WORD_LISTS


def without(bench: Bench, file: str, key: str, entry: str) -> ResolutionConfig:
    """The shipped configuration with one entry of a word list dropped."""
    listed = cast("list[str]", shipped_leaves(file)[key])
    assert entry in listed
    return bench.config({key: [each for each in listed if each != entry]}, file)


def people(config: ResolutionConfig, *rows: Mapping[str, str]) -> list[int]:
    """The cluster of each person, named by its first record."""
    labels: list[int] = resolve("person", table(rows, PERSON_COLUMNS), config).labels.tolist()
    return labels


@pytest.mark.parametrize("entry", ["gmail.com", "hotmail.co.uk", "t-online.de", "qq.com", "privaterelay.appleid.com"])
def test_each_free_mail_domain_changes_what_is_staged(entry: str, bench: Bench) -> None:
    """At a free-mail host nobody works: dropped from the list, the host is a company's domain."""
    record = {"id": "1", "properties": {"email": f"ann.lee@{entry}", "lastname": "Lee"}}
    companies = [
        person_of("hubspot", "contacts", record, replace(CONTEXT, free_mail=config.free_mail_domains)).company
        for config in (bench.config({}), without(bench, "free_mail_domains.toml", "domains", entry))
    ]
    assert companies[0] is None
    assert companies[1] is not None
    assert companies[1].domain is not None


def test_no_free_mail_domain_is_there_for_nothing(bench: Bench) -> None:
    """Every domain of the list, dropped alone, would stand for a company: none is a repetition or lies under another."""
    listed = cast("list[str]", shipped_leaves("free_mail_domains.toml")["domains"])
    free_mail = bench.config({}).free_mail_domains
    assert len(listed) == len(free_mail)
    assert [each for each in listed if business_domain(each, free_mail)] == []
    assert [each for each in listed if business_domain(each, free_mail - {each}) is None] == []


@pytest.mark.parametrize("entry", ["info", "hr", "no-reply", "buchhaltung", "do_not_reply"])
def test_each_role_address_changes_who_is_linked(entry: str, bench: Bench) -> None:
    """A function's address links nobody and is no person's best address; dropped from the list, it is one person's."""
    address = f"{entry}@globex.com"
    shipped, dropped = bench.config({}), without(bench, "role_addresses.toml", "local_parts", entry)
    rows: Sequence[Mapping[str, str]] = ({"email": address, "full_name": "Ann Lee"}, {"email": address})
    assert [people(config, *rows) for config in (shipped, dropped)] == [[0, 1], [0, 0]]
    newest = Holder(address, updated=datetime(2026, 4, 1, tzinfo=UTC))
    holders = [newest, Holder("ann.lee@globex.com")]
    assert [survivor(config, "person", "email", holders) for config in (shipped, dropped)] == ["ann.lee@globex.com", address]


def test_no_role_address_is_there_for_nothing(bench: Bench) -> None:
    """Every entry of the list, dropped alone, would link: no entry is a repetition or of a form that no address has."""
    shipped = bench.config({})
    listed = cast("list[str]", shipped_leaves("role_addresses.toml")["local_parts"])
    assert len(listed) == len(shipped.role_local_parts)
    rows: list[Mapping[str, str]] = []
    # What people write to try a form ("test@", "none@") links nobody, listed or not.
    for number, entry in enumerate(each for each in listed if each not in NOBODYS_USERS):
        email = f"{entry}@{chr(97 + number % 26)}{chr(97 + number // 26)}x.com"
        rows += [{"email": email, "full_name": f"Given{number} Family{number}"}, {"email": email}]
    nobody = replace(shipped, role_local_parts=frozenset())
    linked = [people(config, *rows)[1::2] for config in (shipped, nobody)]
    assert linked == [list(range(1, len(rows), 2)), list(range(0, len(rows), 2))]


@pytest.mark.parametrize(
    ("group", "left", "right", "linked"),
    [
        ("robert bob rob bobby robbie bert", "Robert", "Bob", True),
        ("richard rick dick rich ricky richie", "Richard", "Dick", True),
        ("johannes hannes hans johann", "Johannes", "Hans", True),
        ("mohammed mohamed muhammad mohammad mo", "Mohammed", "Mo", True),
        ("william will bill billy willy liam", "Billy", "Liam", True),
        # Two names that are both known are two, however alike they look.
        ("mario", "Mario", "Maria", False),
    ],
)
def test_each_group_of_nicknames_changes_who_is_linked(group: str, left: str, right: str, linked: bool, bench: Bench) -> None:
    """The forms of one name agree because they are listed, and listed names that only look alike do not."""
    shipped, dropped = bench.config({}), without(bench, "nicknames.toml", "groups", group)
    rows = [{"full_name": f"{given} Wendelstein", "company_domain": "globex.com"} for given in (left, right)]
    assert [people(config, *rows) == [0, 0] for config in (shipped, dropped)] == [linked, not linked]


def test_no_group_of_nicknames_is_there_for_nothing(bench: Bench) -> None:
    """A group joins two words that no other group joins, or says that its one word, found in no other group, is a name."""
    groups = bench.config({}).nicknames
    assert [sorted(group) for group in groups if not says_something(group, groups)] == []


def says_something(group: frozenset[str], groups: Sequence[frozenset[str]]) -> bool:
    """Whether the other groups say less than all of them."""
    others = [each for each in groups if each is not group]
    if len(group) == 1:
        return not any(group <= each for each in others)
    return any(not any({left, right} <= each for each in others) for left in group for right in group if left < right)
