"""No record makes a mapping raise, and whatever it stages can be stored: for every stream of every shipped mapping."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pay_ready.errors import ConfigError
from pay_ready.model.staged import StagedCompany, StagedPerson, StagedRows
from pay_ready.pipeline.contracts import BREACHES, Breach, StageOutcome, Unmapped, stage_record
from pay_ready.pipeline.mapping.html_text import html_to_text
from pay_ready.pipeline.mapping.language import load_mappings
from pay_ready.pipeline.mapping.paths import follow, parse_list_path
from pay_ready.pipeline.mapping.rules import EachRule, Match, Origin, ParticipantRule, Path, SourceMapping, StreamMapping, TurnRule
from pay_ready.pipeline.mapping.times import NotATimeError, TimeRangeError, parse_day, parse_time
from pay_ready.pipeline.mapping.toml_tables import Place
from pay_ready.resolve.hosts import parse_host, registrable_domain
from pay_ready.resolve.normalize import (
    clean_line,
    clean_text,
    normalize_company_name,
    normalize_person_name,
    parse_email,
    parse_phone,
    split_name,
)
from pay_ready.resources import resource_path
from tests.mapping_support import CONTEXT, context

MAPPINGS = load_mappings(resource_path("config", "sources"))
STREAMS = [
    pytest.param(mapping, stream, id=f"{kind}.{stream.name}") for kind, mapping in MAPPINGS.items() for stream in mapping.streams.values()
]

Steps = tuple[str | int | Match | None, ...]  # None: any element of a list

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)  # NUL and lone surrogates included
HOSTILE: list[Any] = [
    None, True, False, "", " ", "\x00", "a\x00b", "\ud800", "a\udfffb", 0, -1, 2**53 + 1, 2**64, -(2**80), 10**400, 1e308, math.inf,
    -math.inf, math.nan,
    "2099-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "2026-03-29T02:30:00", "2026-02-30",
    "1772582400.000000001", "NaN",
    "-" * 400, "x" * 5_000, "ada@@acme", "a@\ud800.example", "\U0001f600" * 300, [], {}, [None], [[]], [{}], {"": None}, [["a"],
    {"b": ["c"]}],
    "<p>a<script>", "&#0;&#xd800;", "<@U1><@U1|x>", ";;,;", "+999999999999999999", "http://[::1", "0035g000", "\u202eevil\u2066", "ﷺ" * 300,
]  # fmt: skip
FITTING = object()  # stands for a value that fits the place where it is put
BY_KIND: dict[str, Any] = {
    "timestamp": "2026-03-04T10:00:00Z", "timestamp_s": "1772618400.000100", "timestamp_ms": 1772618400000, "date": "2026-03-04",
    "day": "2026-03-04",
    "duration_s": 600, "duration_ms": 600_000, "duration_min": 10, "integer": 7, "number": 0.5, "boolean": True, "identifier": "0035g0001",
    "email": "Ada+1@Beta.example", "phone": "(212) 555-0147", "domain": "https://www.beta.example/x",
    "html": "<p>Hi <b>Ada</b> <@U02AB></p>",
    "text": "hello <@U02AB>", "list": ["a", 1], "line": "Beta GmbH",
}  # fmt: skip
PLAUSIBLE = [
    *BY_KIND.values(),
    "ada@beta.example; bob@acme.example",
    "00Qx",
    "001x",
    "005x",
    "CALL",
    "EMAIL",
    "MEETING",
    "NOTE",
    "Call",
    "External",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.sampled_from(HOSTILE) | st.sampled_from(PLAUSIBLE)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3), max_leaves=6)
VALUES = st.just(FITTING) | st.just(FITTING) | st.sampled_from(PLAUSIBLE) | JSON


def places(rule: object, prefix: Steps = (), fitting: object = None) -> Iterator[tuple[Steps, object]]:
    """Every place in a record that a rule looks at, and a value that fits there."""
    if isinstance(rule, Path):
        yield (rule.steps if rule.from_record else prefix + rule.steps), fitting
    elif isinstance(rule, EachRule):
        for count in range(len(rule.path)):
            yield _list_prefix(prefix, rule.path[: count + 1])[:-1], [{}]
    elif isinstance(rule, Origin):
        words = next(iter(rule.meanings), None) or next(iter(rule.choices), "x")
        yield from places(rule.source, prefix, words if rule.kind == "choice" else BY_KIND.get(rule.kind, "x"))
        yield from places(rule.when, prefix)
    elif isinstance(rule, ParticipantRule | TurnRule) and rule.each is not None:
        yield from _places_in_list(rule, rule.each, prefix)
    elif isinstance(rule, Mapping | tuple) or is_dataclass(rule):
        for value in _inner(rule):
            yield from places(value, prefix, fitting)


def _inner(rule: Any) -> Iterator[object]:
    if is_dataclass(rule):
        yield from (getattr(rule, field.name) for field in fields(rule))
    else:
        yield from rule.values() if isinstance(rule, Mapping) else rule


def _places_in_list(rule: ParticipantRule | TurnRule, each: EachRule, prefix: Steps) -> Iterator[tuple[Steps, object]]:
    yield from places(each, prefix)
    inner = _list_prefix(prefix, each.path)
    for value in _inner(rule):
        yield from places(value, inner) if value is not each else ()
    if isinstance(rule, TurnRule) and rule.sentences is not None:
        parts = _list_prefix(inner, rule.sentences.path)
        yield from places((rule.text, rule.start, rule.end), parts)


def _list_prefix(prefix: Steps, paths: tuple[Path, ...]) -> Steps:
    steps: Steps = () if paths[0].from_record else prefix
    for path in paths:
        steps = (*steps, *path.steps, None)
    return steps


def put(container: object, steps: Steps, value: object) -> Any:
    """A copy of the container with a value at a place, whatever was in its way."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, str):
        table = container if isinstance(container, dict) else {}
        return {**table, step: put(table.get(step), rest, value)}
    items = [*container] if isinstance(container, list) else []
    if isinstance(step, Match):
        listed = [index for index, item in enumerate(items) if isinstance(item, dict) and item.get(step.key) == step.value]
        index = listed[0] if listed else len(items)
        items[index : index + 1] = [put({step.key: step.value}, rest, value)]
        return items
    index = step or 0
    items.extend([None] * (index + 1 - len(items)))
    items[index] = put(items[index], rest, value)
    return items


def _places_of(stream: StreamMapping) -> dict[Steps, object]:
    """Shorter ones first, so that the deeper ones stay; what is looked at twice takes the value that fits somewhere."""
    found: dict[Steps, object] = {}
    for steps, fitting in places(stream):
        if steps and isinstance(steps[0], str):
            found[steps] = found.get(steps) if found.get(steps) is not None else fitting
    return dict(sorted(found.items(), key=lambda place: (len(place[0]), repr(place[0]))))


PLACES = {id(stream): _places_of(stream) for mapping in MAPPINGS.values() for stream in mapping.streams.values()}


def record_of(stream: StreamMapping, values: list[object]) -> dict[str, Any]:
    """A record with these values in turn at the places that the stream's rules look at."""
    record: dict[str, Any] = {}
    for number, (steps, fitting) in enumerate(PLACES[id(stream)].items()):
        value = values[number % len(values)] if values else None
        record = put(record, steps, fitting if value is FITTING else value)
    return record


def texts(value: object) -> Iterator[str]:
    """Every text in staged rows."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts(key)
            yield from texts(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from texts(inner)
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))


def check(outcome: StageOutcome) -> None:
    """What staging may rely on."""
    if isinstance(outcome, Breach):
        assert outcome.reason in BREACHES
        return
    if isinstance(outcome, Unmapped):
        assert outcome.reason
        return
    assert isinstance(outcome, StagedRows)
    for text in texts(outcome):
        text.encode("utf-8")
        assert "\x00" not in text
        assert text != ""
    people = [*outcome.people, *(part.person for row in outcome.interactions for part in row.participants if part.person)]
    companies = [*outcome.companies, *(part.company for row in outcome.interactions for part in row.participants if part.company)]
    for company in companies + [person.company for person in people if person.company]:
        assert company.key.startswith(("id:", "domain:", "name:"))
        assert company.domain not in CONTEXT.free_mail
    for person in people:
        assert person.key.startswith(("id:", "email:", "phone:", "speaker:"))
        assert person.side in ("internal", "external", "unknown")
    keyed: list[StagedPerson | StagedCompany] = [*people, *companies]
    for described in keyed:
        assert len(described.key.encode()) <= 2_600  # an index entry holds 2,704 bytes
        check_scalars(described.attributes)
        check_time(described.updated_at)
    for row in outcome.interactions:
        assert row.external_id
        check_scalars(row.metadata)
        check_time(row.occurred_at)
        check_time(row.ended_at)
        assert row.occurred_at is not None or row.interaction_type == "call"  # a transcript may not know
        assert row.ended_at is None or row.occurred_at is None or row.ended_at >= row.occurred_at
        assert all((part.person is None) != (part.company is None) for part in row.participants)
        assert all(turn.start_s is None or turn.end_s is None or 0 <= turn.start_s <= turn.end_s for turn in row.turns)


def check_scalars(values: Mapping[str, object]) -> None:
    """What jsonb holds, and every reader reads alike."""
    json.dumps(values, allow_nan=False)
    assert all(
        isinstance(value, str | bool | float) or abs(value) < 2**63
        for value in values.values()
        if isinstance(value, str | bool | float | int)
    )


def check_time(moment: datetime | None) -> None:
    assert moment is None or (moment.tzinfo is not None and 1990 <= moment.year <= 2028)


@pytest.mark.parametrize(("mapping", "stream"), STREAMS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(values=st.lists(VALUES, max_size=8), extra=st.dictionaries(ANY_TEXT, JSON, max_size=2), key=ANY_TEXT)
def test_no_record_makes_a_mapping_raise(
    mapping: SourceMapping, stream: StreamMapping, values: list[object], extra: dict[str, Any], key: str
) -> None:
    """Any JSON at any place that the mapping looks at gives rows that can be stored, a reason, or a breach; the same every time."""
    record = extra | record_of(stream, values)
    outcome = stage_record(mapping, stream.name, key, record, CONTEXT)
    check(outcome)
    assert stage_record(mapping, stream.name, key, record, CONTEXT) == outcome


@pytest.mark.parametrize(("mapping", "stream"), STREAMS)
def test_each_hostile_value_at_each_place(mapping: SourceMapping, stream: StreamMapping) -> None:
    """One place at a time, the others plausible: nulls, wrong types, NUL, lone surrogates, far years, numbers without end."""
    lenient = context(email_validation=False)
    for steps in PLACES[id(stream)]:
        for value in HOSTILE:
            record = put(record_of(stream, [FITTING]), steps, value)
            check(stage_record(mapping, stream.name, "row-1", record, CONTEXT))
            check(stage_record(mapping, stream.name, "row-1", record, lenient))


@pytest.mark.parametrize(("mapping", "stream"), STREAMS)
def test_deep_and_large_values(mapping: SourceMapping, stream: StreamMapping) -> None:
    """10,000 levels and 5 MB at every place at once: as bytes and decoded."""
    deep: Any = "x"
    for level in range(10_000):
        deep = [deep] if level % 2 else {"a": deep}
    check(stage_record(mapping, stream.name, "row-1", record_of(stream, [deep]), CONTEXT))
    check(stage_record(mapping, stream.name, "row-1", b'{"id":' + b"[" * 10_000 + b"]" * 10_000 + b"}", CONTEXT))
    large = "Ada <b>King</b>; " * 300_000
    check(stage_record(mapping, stream.name, "row-1", record_of(stream, [large]), CONTEXT))


@settings(max_examples=100, deadline=None)
@given(data=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_a_mapping_raise(data: bytes) -> None:
    """JSON or not, text or not."""
    check(stage_record(MAPPINGS["slack"], "users", "row-1", data, CONTEXT))


@settings(max_examples=200, deadline=None)
@given(values=st.lists(st.sampled_from(PLAUSIBLE), min_size=1, max_size=12))
def test_bytes_and_decoded_records_give_the_same(values: list[object]) -> None:
    """Staging may decode before or after."""
    stream = MAPPINGS["hubspot"].streams["engagements"]
    record = record_of(stream, values)
    decoded = stage_record(MAPPINGS["hubspot"], "engagements", "row-1", record, CONTEXT)
    assert stage_record(MAPPINGS["hubspot"], "engagements", "row-1", json.dumps(record).encode(), CONTEXT) == decoded


@given(text=ANY_TEXT)
def test_normal_forms_are_final(text: str) -> None:
    """Normalising twice is normalising once, and nothing raises."""
    assert clean_text(clean_text(text)) == clean_text(text)
    assert clean_line(clean_line(text)) == clean_line(text)
    line = clean_line(text)
    assert bool(normalize_person_name(line)) == bool(normalize_company_name(line)) == bool(line)
    parts = split_name(line)
    assert set(line.replace(",", " ").split()) >= {word for part in (parts.first, parts.last) if part for word in part.split()}
    host = parse_host(text)
    assert host is None or parse_host(host) == host
    assert host is None or registrable_domain(registrable_domain(host)) == registrable_domain(host)


@given(
    local=st.from_regex(r"[a-z0-9]{1,8}([.+_-][a-z0-9]{1,8}){0,2}", fullmatch=True),
    host=st.sampled_from(["acme.example", "GMAIL.com", "qa.test"]),
)
def test_an_address_is_its_own_normal_form(local: str, host: str) -> None:
    """Whatever is normalised is an address again, and the same one."""
    once = parse_email(f"{local}@{host}")
    assert once is not None
    again = parse_email(once.normalized)
    assert again is not None
    assert again.normalized == once.normalized


@given(
    text=ANY_TEXT | st.from_regex(r"\+?[0-9 ()-]{5,16}( x[0-9]{1,4})?", fullmatch=True), region=st.sampled_from(["US", "DE", "IN", "BR"])
)
def test_a_number_is_its_own_normal_form(text: str, region: str) -> None:
    """Its E.164 form reads as itself in every region."""
    phone = parse_phone(text, region)
    if phone is not None:
        again = parse_phone(phone.e164, "JP")
        assert again is not None
        assert again.e164 == phone.e164


@given(value=VALUES)
def test_a_time_is_a_time_or_none(value: object) -> None:
    """Nothing but the two errors of its own is raised."""
    for read in (parse_time, parse_day):
        try:
            read(value, CONTEXT.zone)
        except (NotATimeError, TimeRangeError):
            continue


@given(
    document=ANY_TEXT
    | st.lists(
        st.sampled_from(
            ["<p>", "</p>", "<li>", "<pre>", "\n", "<", ">", "&amp", "&#", "<!--", "-->", "<script>", "</script>", "ab ", "<blockquote>"]
        )
    ).map("".join)
)
def test_html_of_any_kind_becomes_text(document: str) -> None:
    """By the parser and tag by tag; after cleaning, as staging does."""
    clean = clean_text(document)
    html_to_text(clean)
    html_to_text("<!--" + "x" * 65_536 + "-->" + clean)


@given(path=ANY_TEXT, value=JSON)
def test_paths_are_refused_at_load_or_followed_without_error(path: str, value: object) -> None:
    """A path that loads never raises on a record."""
    try:
        paths = parse_list_path(path, Place("test.toml"))
    except ConfigError:
        return
    for parsed in paths:
        follow(parsed, value, value)
