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
from pay_ready.resolve.comparisons import COMPANY_LEVELS, PERSON_LEVELS
from pay_ready.resolve.engine import resolve_people
from pay_ready.resolve.features import PERSON_COLUMNS
from pay_ready.resolve.golden import company_sources, entity_version, person_sources
from pay_ready.resolve.hosts import business_domain
from pay_ready.resources import resource_path
from tests.mapping_support import CONTEXT, person_of
from tests.publish_support import config
from tests.resolution_support import RULES, Leaves, Pair, Seen, config_with, seen, shipped_leaves, table

LEAVES = shipped_leaves()
LEVELS: Mapping[EntityType, Mapping[str, tuple[str, ...]]] = {"person": PERSON_LEVELS, "company": COMPANY_LEVELS}
# No pair of the records has less: with these, every candidate pair is kept as an edge.
ALL_PAIRS: Leaves = {"person.review_bits": -60.0, "company.review_bits": -60.0}
# Rules whose pairs lie in the blocks of other rules too: what a rule finds alone shows where the others' blocks are left out.
COVERED_BY: Mapping[str, Sequence[str]] = {
    "company.max_block_sizes.domain": ("company.max_block_sizes.name", "company.max_block_sizes.prefix"),  # one domain, one owner label
    "company.max_block_sizes.name": ("company.max_block_sizes.prefix",),  # equal names have equal first letters
}
SMALLEST_BLOCK = 2
UNLISTED_SOURCE = "a source nobody listed"


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


@pytest.mark.parametrize("entity_type", LEVELS)
def test_the_records_reach_every_level(entity_type: EntityType, bench: Bench) -> None:
    """No level of any comparison is out of reach of the records that the keys are tried on, and no block of theirs is too large."""
    found = bench.seen(entity_type, ALL_PAIRS)
    reached = {comparison: {evidence[comparison][0] for evidence in found.evidence.values()} for comparison in LEVELS[entity_type]}
    assert reached == {comparison: set(levels) for comparison, levels in LEVELS[entity_type].items()}
    assert len(found.links) == found.candidate_pairs
    assert found.capped_rules == []


def refused(bench: Bench, key: str) -> None:
    """A file of another form is not read as if it had this one."""
    with pytest.raises(ConfigError, match=key):
        bench.config({key: cast("int", LEAVES[key]) + 1})


def decides_matches(bench: Bench, key: str) -> None:
    """A higher threshold makes fewer matches and smaller clusters, out of the same edges or fewer."""
    entity_type = type_of(key)
    shipped, changed = bench.seen(entity_type, {}), bench.seen(entity_type, {key: 43.0})
    assert matches(changed) < matches(shipped)
    assert changed.links.keys() <= shipped.links.keys()
    assert len(set(changed.labels)) > len(set(shipped.labels))


def decides_edges(bench: Bench, key: str) -> None:
    """A wider review band keeps more edges and makes no match."""
    entity_type = type_of(key)
    shipped, changed = bench.seen(entity_type, {}), bench.seen(entity_type, {key: -42.0})
    assert changed.links.keys() > shipped.links.keys()
    assert matches(changed) == matches(shipped)


def leaves_blocks_out(bench: Bench, key: str) -> None:
    """With a small cap the rule's blocks, and no other's, are reported, and what only they hold is not compared."""
    beside = dict.fromkeys(COVERED_BY.get(key, ()), SMALLEST_BLOCK)
    before, changed = bench.seen(type_of(key), beside), bench.seen(type_of(key), {**beside, key: SMALLEST_BLOCK})
    assert set(changed.capped_rules) - set(before.capped_rules) == {key.rpartition(".")[2]}
    assert changed.candidate_pairs < before.candidate_pairs


def moves_evidence(bench: Bench, key: str) -> None:
    """Evidence moves where the pairs reached the level, and nowhere else."""
    _, _, comparison, level, leaf = key.split(".")
    other = other_weight(leaf, LEAVES[key])
    before, changed = bench.seen(type_of(key), ALL_PAIRS), bench.seen(type_of(key), {**ALL_PAIRS, key: other})
    moved = {
        (pair, name): changed.evidence[pair][name][1] - bits
        for pair, evidence in before.evidence.items()
        for name, (_, bits) in evidence.items()
        if changed.evidence[pair][name][1] != bits
    }
    at_level = {(pair, comparison) for pair, evidence in before.evidence.items() if evidence[comparison][0] == level}
    assert moved
    assert moved.keys() <= at_level
    if leaf == "bits":
        bits = cast("float", LEAVES[key])
        assert moved == dict.fromkeys(at_level, round(1_000 * (cast("float", other) - bits)))
        shipped = bench.seen(type_of(key), {}).links
        assert any(bench.seen(type_of(key), {key: each}).links != shipped for each in (bits - 40.0, min(bits + 40.0, 60.0)))
    if leaf == "ceiling_bits":
        assert max(moved.values()) < 0


def other_weight(leaf: str, value: object) -> object:
    """Another value of a weight: far away, the other way, or a ceiling that a small tenant reaches."""
    others: Mapping[str, object] = {"bits": cast("float", value) - 40.0, "by_rarity": not value, "ceiling_bits": 1.0}
    return others[leaf]


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
    "review_bits": decides_edges,
    "max_block_sizes": leaves_blocks_out,
    "weights": moves_evidence,
    "survivorship": orders_criteria,
}


@pytest.mark.parametrize("key", LEAVES)
def test_each_key_changes_what_resolution_does(key: str, bench: Bench) -> None:
    """The same records, one key of default.toml changed: something else is linked, weighed, left out or published."""
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
    labels: list[int] = resolve_people(table(rows, PERSON_COLUMNS), config).labels.tolist()
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
    rows = [{"email": f"{entry}@globex.com", **name} for entry in listed for name in ({"full_name": "Ann Lee"}, {})]
    nobody = replace(shipped, role_local_parts=frozenset())
    linked = [people(config, *rows)[1::2] for config in (shipped, nobody)]
    assert linked == [list(range(1, len(rows), 2)), list(range(0, len(rows), 2))]


@pytest.mark.parametrize(
    ("group", "left", "right", "linked"),
    [
        ("robert bob rob bobby robbie bert", "Robert", "Bob", True),
        ("andrew andy drew", "Andrew", "Drew", True),
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
