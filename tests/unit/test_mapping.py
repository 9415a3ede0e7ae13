"""The mapping language: what its words mean, and how its mistakes are reported."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pay_ready.errors import ConfigError
from pay_ready.model.staged import StagedCompany, StagedPerson, StagedRows
from pay_ready.pipeline.contracts import stage_record
from pay_ready.pipeline.mapping.language import load_mapping, load_mappings
from pay_ready.pipeline.mapping.paths import follow, follow_all, parse_list_path, parse_path
from pay_ready.pipeline.mapping.toml_tables import Place, load_words
from pay_ready.resources import resource_path
from tests.mapping_support import CONTEXT, appearances, at, context, reason_of, shipped, written

PLACE = Place("test.toml", "key")
NESTED = {"a": {"b": [{"c": 1, "k": "x"}, {"c": 2, "k": 7}]}, "dotted.key": "d", "7": "seven"}

PERSON = """
[streams.people]
reference = "person"
[streams.people.person]
id = "id"
"""
CALL = """
[streams.calls.interaction]
type = "call"
occurred_at = "at"
"""


def person(folder: Path, lines: str, record: Mapping[str, object]) -> StagedPerson:
    """The person that a stream with these lines makes of a record with id 1."""
    outcome = stage_record(written(folder, PERSON + lines), "people", "row-1", {"id": 1, **record}, CONTEXT)
    assert isinstance(outcome, StagedRows), outcome
    return outcome.people[0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b.1.c", 2),
        ("a.b[k=x].c", 1),
        ("a.b[k=7].c", 2),
        ("a.b[1].c", 2),
        ("a.b[k=none].c", None),
        ("a.b.9.c", None),
        ("a.x.y", None),
        ("dotted\\.key", "d"),
        ("7", "seven"),
        ("$.a.b.0.c", 1),
    ],
)
def test_a_path_leads_to_its_value_or_to_nothing(path: str, value: object) -> None:
    """Keys, positions, matches and escaped dots; a missing way is None."""
    assert follow(parse_path(path, PLACE), NESTED, NESTED) == value


def test_the_element_itself_and_the_record_can_be_named() -> None:
    """Inside a list "." is the element and "$." starts at the record."""
    assert follow(parse_path(".", PLACE), "element", NESTED) == "element"
    assert follow(parse_path("$.7", PLACE), "element", NESTED) == "seven"


def test_brackets_go_through_lists() -> None:
    """Each element of each list; one value counts as a list of one, nothing as none."""
    lists = {"x": [{"y": [1, 2]}, {"y": None}, {"y": 3}, {}]}
    assert list(follow_all(parse_list_path("x[].y[]", PLACE), lists, lists)) == [1, 2, 3]
    assert list(follow_all(parse_list_path("x[].y", PLACE), lists, lists)) == [1, 2, 3]


@pytest.mark.parametrize("path", ["a..b", "a.", ".a", "a[", "a[b]", "a]b"])
def test_a_path_that_leads_nowhere_is_refused(path: str) -> None:
    """With the place and the ways to write one."""
    with pytest.raises(ConfigError, match=r"file=test\.toml, key=key - write "):
        parse_list_path(path, PLACE)


@pytest.mark.parametrize(
    ("line", "record", "value"),
    [
        ('title = "job"', {"job": " Head  of\nIT "}, "Head of IT"),
        ('title = { paths = ["a", "b"] }', {"a": "", "b": "B"}, "B"),
        ('title = [{ path = "a", when = { path = "ok", equals = true } }, "b"]', {"a": "A", "b": "B", "ok": True}, "A"),
        ('title = [{ path = "a", when = { path = "ok", equals = true } }, "b"]', {"a": "A", "b": "B", "ok": 1}, "B"),
        ('title = { template = "{a} ({b.c})" }', {"a": "A", "b": {"c": 2}}, "A (2)"),
        ('title = { template = "{a} {b}" }', {}, None),
        ('title = { constant = "Guest" }', {}, "Guest"),
        ('title = { path = "a", default = "none known" }', {}, "none known"),
        ('title = { path = "a", map = { CEO = "Chief", "*" = "Other" } }', {"a": "CEO"}, "Chief"),
        ('title = { path = "a", map = { CEO = "Chief", "*" = "Other" } }', {"a": "CTO"}, "Other"),
        ('title = { path = "a", map = { CEO = "" } }', {"a": "CEO"}, None),
        ('title = { path = "a", replace = [["<([^>]*)>", "\\\\1"]], entities = true }', {"a": "<R&amp;D>"}, "R&D"),
        ('title = { path = "a", when = { path = "b", in = [1, 2] } }', {"a": "A", "b": 2}, "A"),
        ('title = { path = "a", when = { path = "b", not_in = [1, 2] } }', {"a": "A", "b": 2}, None),
        ('title = { path = "a", when = { path = "b", not_equals = "x" } }', {"a": "A"}, "A"),
        ('title = { path = "a", when = { path = "b", present = true } }', {"a": "A", "b": []}, None),
        ('title = { path = "a", when = { path = "b", same_as = "c" } }', {"a": "A", "b": 7, "c": "7"}, "A"),
        ('title = { path = "a", when = { path = "b", same_as = "c" } }', {"a": "A"}, None),
        ('title = { path = "a", when = [{ path = "b", present = true }, { path = "c", present = false }] }', {"a": "A", "b": 1}, "A"),
    ],
)
def test_a_field_reads_as_its_rule_says(tmp_path: Path, line: str, record: Mapping[str, object], value: str | None) -> None:
    """Paths in turn, conditions, templates, constants, defaults, words of the source and replacements."""
    assert person(tmp_path, line, record).title == value


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("scalar", True, True),
        ("scalar", 2.5, 2.5),
        ("scalar", 2**70, str(2**70)),
        ("integer", "12", 12),
        ("integer", 12.0, 12),
        ("number", "1e3", 1000.0),
        ("number", "1_000", None),
        ("number", "NaN", None),
        ("boolean", "TRUE", True),
        ("boolean", 1, None),
        ("list", ["a", 1, None, True, ["x"]], "a, 1"),
        ("list", "a", "a"),
        ("date", "2026-03-04T23:30:00-08:00", "2026-03-04"),
        ("timestamp", "2026-03-04T23:30:00-08:00", "2026-03-05T07:30:00+00:00"),
        ("identifier", 12.0, "12"),
        ("identifier", 1e300, None),
        ("email", "Ada+x@Acme.Example", "ada@acme.example"),
        ("phone", "(212) 555-0147", "+12125550147"),
        ("domain", "https://www.acme.example/", "acme.example"),
        ("duration_min", 1.5, 90.0),
        ("line", "x" * 301, None),
    ],
)
def test_an_attribute_reads_as_its_type(tmp_path: Path, kind: str, raw: object, value: object) -> None:
    """A value that does not fit is left out, and its field is named among the unusable ones."""
    found = person(tmp_path, f'[streams.people.person.attributes]\nx = {{ path = "x", type = "{kind}" }}', {"x": raw}).attributes
    assert found == ({"x": value} if value is not None else {"unusable_fields": "x"})


@pytest.mark.parametrize(
    ("line", "raw", "moment"),
    [
        ('updated_at = "t"', "2026-03-04T10:00:00+0100", "2026-03-04T09:00:00+00:00"),
        ('updated_at = "t"', 1772582400000, "2026-03-04T00:00:00+00:00"),
        ('updated_at = "t"', "2026-03-04 10:00", "2026-03-04T18:00:00+00:00"),
        ('updated_at = { path = "t", zone = "Europe/Berlin" }', "2026-07-04 10:00", "2026-07-04T08:00:00+00:00"),
        ('updated_at = { path = "t", format = "%d.%m.%Y %H:%M", zone = "UTC" }', "04.03.2026 10:30", "2026-03-04T10:30:00+00:00"),
        ('updated_at = { path = "t", type = "timestamp_s" }', "1772582400.000001", "2026-03-04T00:00:00.000001+00:00"),
        ('updated_at = { path = "t", type = "timestamp_ms" }', 1772582400123, "2026-03-04T00:00:00.123000+00:00"),
        ('updated_at = { path = "t", type = "date" }', "2026-03-04", "2026-03-04T08:00:00+00:00"),
    ],
)
def test_a_time_is_read_in_its_format_unit_and_zone(tmp_path: Path, line: str, raw: object, moment: str) -> None:
    """Without a zone of its own it is the mapping's, else the tenant's: here Los Angeles."""
    outcome = stage_record(
        written(tmp_path, PERSON + line), "people", "row-1", {"id": 1, "t": raw}, context(time_zone="America/Los_Angeles")
    )
    assert isinstance(outcome, StagedRows), outcome
    assert outcome.people[0].updated_at == at(moment)


def test_ids_of_different_streams_cannot_collide(tmp_path: Path) -> None:
    """Each carries its namespace; a prefix table tells which of several, and an unknown prefix is nobody."""
    mapping = written(
        tmp_path,
        PERSON
        + """
[streams.leads]
reference = "lead"
[streams.leads.person]
id = "id"
[streams.calls]
reference = "call"
"""
        + CALL
        + """
id = "id"
[[streams.calls.interaction.participants]]
each = "who"
role = "attendee"
person = { id = { path = ".", prefixes = { "P" = "person", "PL" = "lead" } } }
[[streams.calls.interaction.participants]]
role = "owner"
person = { id = { path = "owner", reference = "person" } }
""",
    )
    outcome = stage_record(mapping, "calls", "row-1", {"id": 7, "at": "2026-03-04", "who": ["P1", "PL1", "X1"], "owner": 1}, CONTEXT)
    assert isinstance(outcome, StagedRows), outcome
    (call,) = outcome.interactions
    assert call.external_id == "call:7"
    assert appearances(call) == [("attendee", "id:person:P1"), ("attendee", "id:lead:PL1"), ("owner", "id:person:1")]
    assert call.metadata == {"unidentified_participants": 1}


def test_lists_are_split_and_searched(tmp_path: Path) -> None:
    """Parts of a text by a pattern, and what a pattern finds in it; somebody who appears twice in a role appears once."""
    mapping = written(
        tmp_path,
        CALL
        + """
[[streams.calls.interaction.participants]]
each = { path = "to", split = "[;,]" }
role = "recipient"
person = { email = "." }
[[streams.calls.interaction.participants]]
each = { path = "text", find = "@([a-z]+)" }
role = "mentioned"
person = { full_name = "." }
""",
    )
    record = {"at": "2026-03-04", "to": "a@x.example; B@x.example,a+1@x.example", "text": "@ada and @bob"}
    outcome = stage_record(mapping, "calls", "row 1", record, CONTEXT)
    assert isinstance(outcome, StagedRows), outcome
    assert outcome.interactions[0].external_id == "calls:row 1"
    assert appearances(outcome.interactions[0]) == [
        ("recipient", "email:a@x.example"),
        ("recipient", "email:b@x.example"),
        ("mentioned", "speaker:calls:row 1:name=ada"),
        ("mentioned", "speaker:calls:row 1:name=bob"),
    ]


def test_a_stream_can_be_like_another_and_have_several_names(tmp_path: Path) -> None:
    """It takes over the rules and the namespace, not the aliases."""
    mapping = written(
        tmp_path,
        PERSON.replace('reference = "person"', 'reference = "person"\naliases = ["folk"]') + '\n[streams.guests]\nlike = "people"\n',
    )
    keys = []
    for stream in ("people", "folk", "guests"):
        outcome = stage_record(mapping, stream, "row-1", {"id": 1}, CONTEXT)
        assert isinstance(outcome, StagedRows), outcome
        keys.append(outcome.people[0].key)
    assert keys == ["id:person:1"] * 3


def test_rows_are_skipped_ignored_or_unknown_with_a_reason(tmp_path: Path) -> None:
    """Nothing goes silently: an ignored stream, a skipped row, a row without a rule and an unknown stream all say why."""
    mapping = written(
        tmp_path,
        """
[streams.tags]
ignore = "tags say nothing about people"
[streams.people]
skip = { when = { path = "gone", equals = true }, reason = "deleted" }
[streams.people.person]
id = "id"
when = { path = "kind", equals = "person" }
""",
    )
    assert reason_of(stage_record(mapping, "tags", "1", {}, CONTEXT)) == "tags say nothing about people"
    assert reason_of(stage_record(mapping, "people", "1", {"gone": True}, CONTEXT)) == "deleted"
    assert reason_of(stage_record(mapping, "people", "1", {"id": 1}, CONTEXT)) == "no rule of the stream applies to the row"
    assert reason_of(stage_record(mapping, "other", "1", {}, CONTEXT)) == "the mapping does not know the stream"


def test_one_row_can_tell_of_a_person_a_company_and_two_interactions(tmp_path: Path) -> None:
    """Every table whose condition holds gives its row."""
    mapping = written(
        tmp_path,
        """
[streams.deals]
[streams.deals.person]
email = "buyer"
[streams.deals.company]
name = "account"
[[streams.deals.interaction]]
type = "deal"
id = "id"
occurred_at = "opened"
[[streams.deals.interaction]]
type = "deal"
id = { template = "{id}:closed" }
occurred_at = "closed"
when = { path = "closed", present = true }
""",
    )
    record = {"id": 1, "buyer": "ada@acme.example", "account": "Beta GmbH", "opened": "2026-01-01", "closed": "2026-02-01"}
    outcome = stage_record(mapping, "deals", "row-1", record, CONTEXT)
    assert isinstance(outcome, StagedRows), outcome
    assert [row.key for row in outcome.people] == ["email:ada@acme.example"]
    assert outcome.companies == (StagedCompany(key="name:beta", name="Beta GmbH"),)
    assert [row.external_id for row in outcome.interactions] == ["deals:1", "deals:1:closed"]


@pytest.mark.parametrize(
    ("streams", "said"),
    [
        ("[streams.p.person]\nemial = 'x'", r'unknown key "emial" - .*key=streams\.p\.person\.emial - did you mean "email"\? choices: '),
        ("[streams.p]\nignored = 'x'", r'unknown key "ignored" - .*did you mean "ignore"\?'),
        ("[streams.p]\nreference = 'x'", r"neither mapped nor ignored - .*key=streams\.p - add person"),
        ("[streams.p]\nignore = 'x'\nperson = { id = 'x' }", "both ignored and mapped"),
        ("[streams.p.person]\nemail = 7", r"not a table - .*key=streams\.p\.person\.email"),
        ("[streams.p.person]\nemail = ''", "not a text"),
        ("[streams.p.person]\nemail = []", "an empty list gives no value"),
        ("[streams.p.person]\nemail = { pth = 'x' }", 'unknown key "pth" - .*did you mean "path"'),
        ("[streams.p.person]\nemail = { path = 'x', constant = 'y' }", "path and constant to read from - .*exactly one of path"),
        ("[streams.p.person]\nemail = { path = 'x', type = 'html' }", r'unfit type "html" - .*key=.*email\.type - choices: email'),
        ("[streams.p.person]\nfull_name = { template = 'x' }", "is not a template"),
        (
            "[streams.p.person]\nside = 'outside'",
            r'unknown word "outside" - .*key=streams\.p\.person\.side - choices: external, internal, unknown',
        ),
        ("[streams.p.person]\nside = { path = 'x', map = { a = 'intern' } }", 'unknown word "intern" - .*did you mean "internal"'),
        ("[streams.p.person]\nupdated_at = { path = 'x', zone = 'Mars/Olympus' }", 'unknown time zone "Mars/Olympus"'),
        (
            "[streams.p.person]\nid = 'x'\ncompany = { id = 'y' }",
            "an id of another record without its reference - .*add reference = one of p",
        ),
        (
            "[streams.p.person]\nid = 'x'\ncompany = { id = { path = 'y', reference = 'q' } }",
            'no stream declares the reference "q" - .*choices: p',
        ),
        ("[streams.p.person]\nid = 'x'\nwhen = { path = 'y' }", "a condition needs a path and one test - .*tests: equals, in"),
        ("[streams.p.person]\nid = 'x'\nwhen = { path = 'y', in = 'z' }", "not a list"),
        ("[streams.p.person]\nid = { path = 'x', replace = [['(', '']] }", "not a regular expression"),
        ("[streams.p.person]\nid = { path = 'x', replace = [['a', '\\2']] }", "the replacement does not fit its pattern"),
        ("[streams.p.interaction]\nid = 'x'", r"type is missing - .*for example"),
        ("[streams.p.interaction]\ntype = 'cal'\noccurred_at = 'x'", 'unknown word "cal" - .*did you mean "call"'),
        ("[streams.p.interaction]\ntype = 'call'", "occurred_at is missing or not required"),
        ("[streams.p.interaction]\ntype = 'call'\noccurred_at = { path = 'x', required = false }", "only a part that carries turns"),
        ("[streams.p.interaction]\ntype = 'call'\noccurred_at = 'x'\nprecedence = -1", "not a whole number"),
        ("[streams.p.interaction]\ntype = 'call'\noccurred_at = 'x'\nparticipants = [{ role = 'host' }]", "either person or company"),
        ("[streams.p.interaction]\ntype = 'call'\noccurred_at = 'x'\nturns = { each = 'y' }", "speaker is missing - .*turns need each"),
        ("[streams.p]\naliases = ['q']\nignore = 'x'\n[streams.q]\nignore = 'y'", '"q" names two streams'),
        ("[streams.p]\nlike = 'pp'\n[streams.q]\nignore = 'y'", 'like no stream "pp" - .*choices: q'),
        ("[streams.p]\nskip = { reason = 'x' }\nperson = { id = 'x' }", "when or reason is missing"),
        ("[streams.p", "not TOML"),
        ("", "streams is missing"),
    ],
)
def test_a_mistake_is_reported_with_file_key_and_choices(tmp_path: Path, streams: str, said: str) -> None:
    """Before the first record is read."""
    with pytest.raises(ConfigError, match=said) as caught:
        written(tmp_path, streams)
    assert "test.toml" in str(caught.value)


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    """Absent, not UTF-8, or named unlike its kind."""
    with pytest.raises(ConfigError, match="the file cannot be read"):
        load_mapping(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    with pytest.raises(ConfigError, match="not UTF-8 at byte 9"):
        load_mapping(tmp_path / "latin.toml")
    (tmp_path / "latin.toml").write_text('kind = "greek"\nversion = 1\n[streams.x]\nignore = "x"')
    with pytest.raises(ConfigError, match="is not the file's name"):
        load_mappings(tmp_path)


def test_word_lists_are_checked(tmp_path: Path) -> None:
    """A list under the wrong key or with a capital is refused."""
    (tmp_path / "words.toml").write_text('domains = ["Gmail.com"]')
    with pytest.raises(ConfigError, match="is not trimmed and lower case"):
        load_words(tmp_path / "words.toml", "domains")
    with pytest.raises(ConfigError, match='unknown key "domains"'):
        load_words(tmp_path / "words.toml", "local_parts")


def test_all_shipped_mappings_load() -> None:
    """Five sources, by kind."""
    mappings = load_mappings(resource_path("config", "sources"))
    assert {"gong", "hubspot", "salesforce", "slack", "zendesk"} <= set(mappings)
    assert all(mapping.kind == kind for kind, mapping in mappings.items())


def test_the_contract_version_changes_with_the_content_alone(tmp_path: Path) -> None:
    """Comments, order and white space do not count; a path does."""
    first = written(tmp_path, PERSON + 'email = "mail"\ntitle = "job"\n').contract_version
    again = written(tmp_path, "# why\n" + PERSON + 'title   = "job"\nemail = "mail"\n').contract_version
    other = written(tmp_path, PERSON + 'email = "email"\ntitle = "job"\n').contract_version
    assert first == again != other
    assert first.startswith("test-1-")


def test_a_stream_tells_its_key_and_cursor_as_airbyte_writes_them() -> None:
    """Paths for streams whose catalogue lacks them."""
    stream = shipped("slack").stream("threads")
    assert stream is not None
    assert stream.primary_key == (("channel_id",), ("ts",))
    assert stream.cursor == ("float_ts",)
