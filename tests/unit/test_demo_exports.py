"""The demo's export files: reproducible, whole, harmless, and as lifelike as promised."""

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import combinations
from random import Random
from typing import Any

import phonenumbers
import pytest

from pay_ready.demo import DEMO_TENANTS, EXPORTS, SOURCES
from pay_ready.demo.clock import BERLIN, EASTERN, working_time, zone_of
from pay_ready.demo.companies import companies_of
from pay_ready.demo.make_exports import DEFAULT_SEED, main, make_exports
from pay_ready.demo.people import FREE_MAIL
from pay_ready.demo.phones import PhoneBook, written
from pay_ready.demo.phrases import THEMES, theme_lines
from pay_ready.demo.salesforce_records import with_check
from pay_ready.demo.spelling import epoch_ms, typo, zulu
from pay_ready.demo.world import build_worlds

TENANTS = [tenant.slug for tenant in DEMO_TENANTS]
PEOPLE_STREAMS = {("gong", "users"), ("slack", "users"), ("hubspot", "contacts"), ("hubspot", "owners"), ("salesforce", "Contact")} | {
    ("salesforce", "Lead"),
    ("salesforce", "User"),
}
COMPANY_STREAMS = {("hubspot", "companies"), ("salesforce", "Account")}
INTERACTIONS = {
    ("gong", "calls"),
    ("hubspot", "engagements"),
    ("hubspot", "engagements_calls"),
    ("hubspot", "engagements_emails"),
    ("hubspot", "engagements_meetings"),
    ("hubspot", "engagements_notes"),
    ("salesforce", "Case"),
    ("salesforce", "Event"),
    ("salesforce", "Task"),
    ("slack", "threads"),  # holds every message
}
YEAR = (datetime(2025, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))

Row = dict[str, Any]


@cache
def rows(tenant: str, source: str, stream: str) -> tuple[Row, ...]:
    """The committed rows of a stream, bad ones included."""
    path = EXPORTS / tenant / source / f"{stream}.jsonl"
    return tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()) if path.exists() else ()


@cache
def truth() -> tuple[Mapping[str, str], ...]:
    """The committed truth."""
    return tuple(csv.DictReader(io.StringIO((EXPORTS / "truth.csv").read_text(encoding="utf-8"))))


@cache
def bad_ids(tenant: str) -> frozenset[str]:
    """Ids of the rows that are broken on purpose."""
    return frozenset(row["source_id"] for row in truth() if row["tenant"] == tenant and row["kind"] == "bad")


def good(tenant: str, source: str, stream: str) -> Iterator[Row]:
    """The rows of a stream without those that are broken on purpose."""
    return (row for row in rows(tenant, source, stream) if row_id(row) not in bad_ids(tenant))


def row_id(row: Row) -> str:
    """The id by which the truth names a row."""
    return str(row.get("id") or row.get("Id") or row.get("callId") or row.get("ts"))


def ids(tenant: str, source: str, stream: str) -> set[str]:
    """Every id of a stream."""
    return {row_id(row) for row in rows(tenant, source, stream)}


def committed() -> dict[str, bytes]:
    """The files in the package, by path."""
    return {path.relative_to(EXPORTS).as_posix(): path.read_bytes() for path in sorted(EXPORTS.rglob("*")) if path.is_file()}


def true_ids(kind: str) -> dict[tuple[str, str], set[str]]:
    """The sources in which each person or company of a tenant is found."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in truth():
        if row["kind"] == kind:
            found[row["tenant"], row["true_id"]].add(row["source"])
    return found


# The files


def test_the_seed_gives_the_committed_bytes(tmp_path):
    """Generating with the default seed gives exactly the files that are in the package, no more and no less."""
    main([str(tmp_path), "--seed", "7"])
    made = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path for path in made | committed() if made.get(path) != committed().get(path)} == set()


def test_another_seed_gives_another_world():
    """The seed matters for every stream's content, and not for which streams there are."""
    other = make_exports(seed=8)
    assert other.keys() == committed().keys()
    assert sum(content == committed()[path] for path, content in other.items()) == 0


def test_the_exports_stay_small():
    """All files together stay under 6 MB, for they are committed."""
    assert sum(map(len, committed().values())) < 6_000_000


@pytest.mark.parametrize("tenant", DEMO_TENANTS, ids=lambda tenant: tenant.slug)
def test_each_tenant_lists_the_files_of_its_four_sources(tenant):
    """`DemoTenant.files` finds every stream of the sources it names."""
    listed = {path for source in tenant.sources for path in tenant.files(source)}
    assert tenant.sources == SOURCES
    assert listed == set((EXPORTS / tenant.slug).rglob("*.jsonl"))


# The truth


@pytest.mark.parametrize("tenant", TENANTS)
def test_truth_covers_each_person_and_company_row(tenant):
    """Every row of a people or company stream has exactly one line in the truth, with the kind of its stream or `bad`."""
    known = Counter((row["source"], row["stream"], row["source_id"]) for row in truth() if row["tenant"] == tenant)
    assert max(known.values()) == 1
    for source, stream in PEOPLE_STREAMS | COMPANY_STREAMS:
        assert ids(tenant, source, stream) == {i for s, st, i in known if (s, st) == (source, stream)}, (source, stream)


@pytest.mark.parametrize("tenant", TENANTS)
def test_truth_names_mentioned_people_too(tenant):
    """Parties of calls and senders of web cases, who have no row of their own, are in the truth as well."""
    named = {(row["stream"], row["source_id"]) for row in truth() if row["tenant"] == tenant}
    parties = {party["id"] for call in rows(tenant, "gong", "extensiveCalls") for party in call["parties"]}
    assert {i for stream, i in named if stream == "extensiveCalls.parties"} == parties
    supplied = {case["Id"] for case in good(tenant, "salesforce", "Case") if case["SuppliedEmail"]}
    assert {i for stream, i in named if stream == "Case.supplied"} == supplied


def test_about_ten_rows_are_bad_and_each_is_in_its_file():
    """The contract breakers are there, with their reason, and both tenants have some."""
    bad = [row for row in truth() if row["kind"] == "bad"]
    assert 8 <= len(bad) <= 14
    assert {row["tenant"] for row in bad} == set(TENANTS)
    assert {"broken e-mail", "no timestamp", "end before start"} <= {row["true_id"] for row in bad}
    assert all(row["source_id"] in ids(row["tenant"], row["source"], row["stream"]) for row in bad)


# The counts


def test_the_counts_are_as_promised():
    """About forty companies, two hundred people and three thousand interactions, over exactly one year."""
    people = {key for _, key in true_ids("person") if "-person-" in key or "-employee-" in key}
    assert len({key for _, key in true_ids("company")}) == 40
    assert 180 <= len(people) <= 220
    interactions = sum(len(rows(tenant, source, stream)) for tenant in TENANTS for source, stream in INTERACTIONS)
    assert 2_700 <= interactions <= 3_300
    assert sum(len(rows(TENANTS[0], *stream)) for stream in INTERACTIONS) > sum(len(rows(TENANTS[1], *stream)) for stream in INTERACTIONS)


def happened(source: str, stream: str, row: Row) -> datetime:
    """When an interaction took place, read the way its source writes times."""
    if source == "slack":
        return datetime.fromtimestamp(float(row["ts"]), UTC)
    if stream == "engagements":
        return datetime.fromtimestamp(row["timestamp"] / 1000, UTC)
    text = row.get("started") or row.get("properties", {}).get("hs_timestamp") or row.get("StartDateTime") or row["CreatedDate"]
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("tenant", TENANTS)
def test_interactions_fill_the_year(tenant):
    """Every interaction lies between 2025-11-01 and 2026-10-31, and no month is empty for any source."""
    months: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for source, stream in INTERACTIONS:
        for row in good(tenant, source, stream):
            at = happened(source, stream, row)
            assert YEAR[0] <= at < YEAR[1], (source, stream, row_id(row))
            months[source].add((at.year, at.month))
    assert {source: len(found) for source, found in months.items()} == dict.fromkeys(SOURCES, 12)


# References


def gong_references(tenant: str) -> Iterator[tuple[str, str, str]]:
    """(what, id, stream it must be in) for Gong."""
    for user in rows(tenant, "gong", "users"):
        if user["managerId"]:
            yield "manager", user["managerId"], "users"
    for call in good(tenant, "gong", "calls"):
        yield "primary user", call["primaryUserId"], "users"
        yield "extensive call", call["id"], "extensiveCalls"
        yield "transcript", call["id"], "callTranscripts"
    for call in rows(tenant, "gong", "extensiveCalls"):
        yield "call", call["metaData"]["id"], "calls"
        yield from (("party", party["userId"], "users") for party in call["parties"] if party["userId"])


def slack_references(tenant: str) -> Iterator[tuple[str, str, str]]:
    """(what, id, stream it must be in) for Slack."""
    for member in rows(tenant, "slack", "channel_members"):
        yield "member", member["member_id"], "users"
        yield "channel", member["channel_id"], "channels"
    for channel in rows(tenant, "slack", "channels"):
        yield "creator", channel["creator"], "users"
    for message in (*good(tenant, "slack", "channel_messages"), *rows(tenant, "slack", "threads")):
        yield "channel", message["channel_id"], "channels"
        users = [*re.findall(r"<@(\w+)>", message["text"]), *message.get("reply_users", [])]
        users += [message[field] for field in ("user", "parent_user_id") if field in message]
        yield from (("user", user, "users") for user in users)
        yield from (("reaction", user, "users") for reaction in message.get("reactions", []) for user in reaction["users"])
        if "thread_ts" in message:
            yield "parent", message["thread_ts"], "channel_messages"


def hubspot_references(tenant: str) -> Iterator[tuple[str, str, str]]:
    """(what, id, stream it must be in) for HubSpot."""
    streams = [path.stem for path in (EXPORTS / tenant / "hubspot").glob("*.jsonl") if path.stem not in ("owners", "engagements")]
    for row in (row for stream in streams for row in good(tenant, "hubspot", stream)):
        yield "owner", row["properties"]["hubspot_owner_id"], "owners"
        for stream in ("contacts", "companies", "deals"):
            yield from ((stream, linked, stream) for linked in row.get(stream, []))
        if row["properties"].get("associatedcompanyid"):
            yield "company", str(row["properties"]["associatedcompanyid"]), "companies"
    for row in good(tenant, "hubspot", "engagements"):
        yield "owner", str(row["ownerId"]), "owners"
        for field, stream in (("contactIds", "contacts"), ("companyIds", "companies"), ("dealIds", "deals")):
            yield from ((field, str(linked), stream) for linked in row["associations"][field])


def salesforce_references(tenant: str) -> Iterator[tuple[str, str, str]]:
    """(what, id, stream it must be in) for Salesforce; the prefix of an id says which object it is."""
    objects = {"001": "Account", "003": "Contact", "00Q": "Lead", "005": "User", "006": "Opportunity", "500": "Case"}
    fields = ("OwnerId", "AccountId", "ContactId", "WhoId", "WhatId", "ParentId", "ManagerId", "ConvertedContactId", "ConvertedAccountId")
    for path in (EXPORTS / tenant / "salesforce").glob("*.jsonl"):
        for row in good(tenant, "salesforce", path.stem):
            yield from ((field, row[field], objects[row[field][:3]]) for field in fields if row.get(field))
    for call in rows(tenant, "gong", "extensiveCalls"):
        yield from (("context", thing["objectId"], thing["objectType"]) for system in call["context"] for thing in system["objects"])


@pytest.mark.parametrize("tenant", TENANTS)
@pytest.mark.parametrize(
    ("source", "references"),
    [("gong", gong_references), ("slack", slack_references), ("hubspot", hubspot_references), ("salesforce", salesforce_references)],
)
def test_every_reference_inside_a_tenant_resolves(tenant, source, references):
    """Whatever a row points at is in the same tenant's files, save for the bad rows."""
    found = list(references(tenant))
    assert len(found) > 100
    assert [reference for reference in found if reference[1] not in ids(tenant, source, reference[2])] == []


@pytest.mark.parametrize("tenant", TENANTS)
def test_transcripts_fit_their_calls(tenant):
    """Sentences are in time order, end after they start, within the call, and each speaker is one of its parties."""
    calls = {call["id"]: call for call in rows(tenant, "gong", "extensiveCalls")}
    for transcript in rows(tenant, "gong", "callTranscripts"):
        call = calls[transcript["callId"]]
        sentences = [sentence for part in transcript["transcript"] for sentence in part["sentences"]]
        times = [time for sentence in sentences for time in (sentence["start"], sentence["end"])]
        assert times == sorted(times)
        assert times[-1] <= call["metaData"]["duration"] * 1000
        assert {part["speakerId"] for part in transcript["transcript"]} <= {party["speakerId"] for party in call["parties"]}


@pytest.mark.parametrize("tenant", TENANTS)
def test_threads_repeat_every_message(tenant):
    """As with the real connector, each top-level message is in `threads` too, and a parent counts its replies."""
    messages = {(row["channel_id"], row["ts"]): row for row in rows(tenant, "slack", "threads")}
    assert len(messages) == len(rows(tenant, "slack", "threads"))
    assert all(messages[row["channel_id"], row["ts"]] == row for row in good(tenant, "slack", "channel_messages"))
    replies = Counter((row["channel_id"], row["thread_ts"]) for row in messages.values() if row.get("thread_ts", row["ts"]) != row["ts"])
    assert replies == {key: row["reply_count"] for key, row in messages.items() if "reply_count" in row}


def test_hubspot_properties_appear_flattened_too():
    """Every property of a CRM object is repeated at the top level, as the connector does."""
    for tenant in TENANTS:
        for stream in ("contacts", "companies", "deals", "engagements_emails"):
            for row in rows(tenant, "hubspot", stream):
                assert {f"properties_{name}": value for name, value in row["properties"].items()}.items() <= row.items()


# Harmless


def hosts(text: str) -> set[str]:
    """Everything that reads like the domain of an address, a link or a website."""
    addresses = re.findall(r"@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)", text)
    links = re.findall(r"https?://([^/\"\\\s?]+)", text)
    websites = re.findall(r"\bwww\.[A-Za-z0-9.-]+", text)
    endings = re.findall(r"\b[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:com|net|org|io|de|co|uk|eu|ai|dev|app|info)\b", text)
    return {host.lower() for host in (*addresses, *links, *websites, *endings)}


def test_no_domain_could_be_somebodys():
    """All domains end in .example, save for the free-mail providers."""
    found = set.union(*(hosts(content.decode()) for content in committed().values()))
    assert {host for host in found if not host.endswith(".example")} == set(FREE_MAIL)


def test_all_phone_numbers_are_fictional():
    """Every number, read with the tenant's region, is valid and lies in a range kept for fiction."""
    fiction = re.compile(r"\+1\d{3}55501\d\d|\+44207946\d{4}|\+493023125\d{3}|\+494066969\d{3}|\+4917139200\d\d")
    for tenant in DEMO_TENANTS:
        texts = [row["properties"][field] for row in rows(tenant.slug, "hubspot", "contacts") for field in ("phone", "mobilephone")]
        texts += [row[field] for row in rows(tenant.slug, "salesforce", "Contact") for field in ("Phone", "MobilePhone")]
        texts += [row["phoneNumber"] for row in rows(tenant.slug, "gong", "users")]
        for text in filter(None, texts):
            number = phonenumbers.parse(text, tenant.region)
            assert phonenumbers.is_valid_number(number), text
            assert fiction.fullmatch(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)), text


# Lifelike


def test_people_are_spread_over_the_sources():
    """At least ten people of each tenant are in all four sources, and only few in one alone."""
    for tenant in TENANTS:
        spread = Counter(len(sources) for (owner, key), sources in true_ids("person").items() if owner == tenant and "-person-" in key)
        assert spread[4] >= 10
        assert spread[1] <= 10


def test_exactly_one_person_and_one_company_are_in_both_tenants():
    """The shared customer brings one shared person: the same true identity, to be kept apart by tenancy."""
    for kind, marker in (("person", "-person-"), ("company", "company-")):
        owners: dict[str, set[str]] = defaultdict(set)
        for tenant, key in true_ids(kind):
            if marker in key:
                owners[key].add(tenant)
        assert sum(len(tenants) == 2 for tenants in owners.values()) == 1


@pytest.mark.parametrize("tenant", TENANTS)
def test_names_and_addresses_are_untidy(tenant):
    """Nicknames, job changes, private addresses, role addresses, merged contacts, shared numbers and left guests all occur."""
    contacts = {row["id"]: row["properties"] for row in good(tenant, "hubspot", "contacts")}
    by_person: dict[str, list[Row]] = defaultdict(list)
    for row in truth():
        if (row["tenant"], row["stream"], row["kind"]) == (tenant, "contacts", "person"):
            by_person[row["true_id"]].append(contacts[row["source_id"]])
    domains = {key: {properties["hs_email_domain"] for properties in found} for key, found in by_person.items()}
    assert sum(len([domain for domain in found if domain.endswith(".example")]) > 1 for found in domains.values()) >= 2  # job changes
    assert sum(len(found) > 1 and bool(found & set(FREE_MAIL)) for found in domains.values()) >= 3
    assert sum(key.startswith("role-") for key in by_person) >= 5
    assert sum(bool(properties["hs_merged_object_ids"]) for properties in contacts.values()) >= 2
    given_names = {properties["firstname"] for properties in contacts.values()}
    assert len(given_names & {"Bob", "Kate", "Sue", "Vicky", "Sam", "Dan", "Uli", "Gabi", "Alex", "Matze", "Tine"}) >= 2
    lines = Counter(re.sub(r"\D", "", properties["phone"] or "none")[-7:] for properties in contacts.values() if properties["phone"])
    assert lines.most_common(1)[0][1] >= 3  # a switchboard
    assert any(user["deleted"] for user in rows(tenant, "slack", "users"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_seed_tells_a_year_and_not_more(seed):
    """Whatever the seed, all words are said within the year, and by people who worked at the company on that day."""
    for world in build_worlds(seed):
        for moment in world.moments:
            assert all(YEAR[0] <= moment.at + line.after < YEAR[1] for line in moment.said)
            assert YEAR[0] <= moment.at < YEAR[1]
            assert all(person.job_on(moment.at.date()).company == moment.company.key for person in moment.people)


@pytest.mark.parametrize("world", build_worlds(DEFAULT_SEED), ids=lambda world: world.plan.slug)
def test_two_pairs_of_namesakes_are_not_the_same(world):
    """The same full name stands for two people twice: once at two companies, once inside one, with different addresses."""
    pairs = [(one, other) for one, other in combinations(world.people, 2) if one.name == other.name]
    assert len(pairs) == 2
    assert {one.jobs[0].company == other.jobs[0].company for one, other in pairs} == {True, False}
    assert all(one.jobs[0].email != other.jobs[0].email for one, other in pairs)


def test_texts_have_markup_entities_mentions_and_no_open_slots():
    """HTML with entities, mentions and quotes are there; no template slot was left unfilled."""
    texts = {path: content.decode() for path, content in committed().items()}
    emails, threads = texts["acme-robotics/hubspot/engagements_emails.jsonl"], texts["acme-robotics/slack/threads.jsonl"]
    assert all(sign in emails for sign in ("&amp;", "&nbsp;", "&#x27;", "<blockquote", "<br>", '"Re: '))
    assert all(sign in threads for sign in ("&amp;", "<@U", '"thread_ts"', "channel_join", "bot_message"))
    assert '"AW: ' in texts["northwind-health/hubspot/engagements.jsonl"]
    assert [path for path, text in texts.items() if re.search(r"\{[A-Za-z_0-9]+\}", text)] == []


@pytest.mark.parametrize("tenant", TENANTS)
def test_times_come_in_all_formats(tenant):
    """Gong writes Z, with and without a fraction, and offsets; Salesforce +0000 over REST and Z over bulk; HubSpot Z and +00:00."""
    started = {call["started"][19:] for call in rows(tenant, "gong", "calls")}
    assert {"Z", ".000Z", {"acme-robotics": "-05:00", "northwind-health": "+01:00"}[tenant]} <= started
    assert all(row["CreatedDate"].endswith(".000+0000") for row in rows(tenant, "salesforce", "Contact"))
    assert all(row["CreatedDate"].endswith(".000Z") for row in good(tenant, "salesforce", "Task"))
    contact = rows(tenant, "hubspot", "contacts")[0]
    assert contact["createdAt"].endswith("Z")
    assert contact["properties"]["createdate"].endswith("+00:00")


# The parts


@pytest.mark.parametrize("theme", THEMES)
def test_each_theme_has_sixty_sentences_and_no_repeats(theme):
    """Every theme offers at least sixty different templates, from both sides."""
    lines = [line for exchange in theme_lines(theme) for line in exchange]
    assert len({line.text for line in lines}) == len(lines) >= 60
    assert {line.side for line in lines} == {"C", "S"}


def test_salesforce_ids_carry_their_check_characters():
    """Fifteen characters become eighteen by Salesforce's rule; two ids of a real organisation serve as examples."""
    assert with_check("0014W000027f6V3") == "0014W000027f6V3QAI"
    assert with_check("0054W00000BZkk0") == "0054W00000BZkk0QAD"
    assert all(with_check(row["Id"][:15]) == row["Id"] for row in rows(TENANTS[0], "salesforce", "Contact"))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (EASTERN, date(2026, 3, 7), -5),
        (EASTERN, date(2026, 3, 8), -4),
        (EASTERN, date(2025, 11, 1), -4),
        (EASTERN, date(2025, 11, 2), -5),
        (BERLIN, date(2026, 3, 28), 1),
        (BERLIN, date(2026, 3, 29), 2),
        (BERLIN, date(2026, 10, 24), 2),
        (BERLIN, date(2026, 10, 25), 1),
        (zone_of("US", "AZ"), date(2026, 7, 1), -7),
    ],
)
def test_offsets_change_on_the_right_day(zone, day, hours):
    """Daylight saving starts and ends on the legal dates of both sides of the Atlantic, and never in Arizona."""
    assert zone.offset(day) == timedelta(hours=hours)


def test_work_is_done_on_weekdays_between_eight_and_five():
    """Working time is never on a weekend and always in local office hours."""
    rng = Random(1)
    for _ in range(300):
        at = working_time(date(2026, 1, 1), date(2026, 10, 31), BERLIN, rng)
        local = at + BERLIN.offset(at.date())
        assert local.weekday() < 5
        assert 8 <= local.hour < 17


@pytest.mark.parametrize("region", ["US", "DE"])
def test_a_number_survives_every_way_of_writing_it(region):
    """However a number is written for a region, a parser that knows the region reads the same number."""
    rng = Random(3)
    book = PhoneBook(rng)
    for country in ("US", "GB", "DE", "MX") * 20:
        for number in (book.line(country), book.mobile(country)):
            parsed = phonenumbers.parse(written(number, rng, region), region)
            assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number


def test_small_helpers_keep_their_promises():
    """A typo changes long names by one slip and leaves short ones; times are cut to milliseconds."""
    rng = Random(5)
    assert typo("Kim", rng) == "Kim"
    assert all(abs(len(typo("Whitfield", rng)) - len("Whitfield")) <= 1 for _ in range(50))
    at = datetime(2026, 3, 4, 9, 15, 0, 123_999, tzinfo=UTC)
    assert zulu(at) == "2026-03-04T09:15:00.123Z"
    assert epoch_ms(at) == 1_772_615_700_123


def test_similar_companies_are_in_the_table():
    """The traps for company resolution are there: sound-alikes, a parent with a child, spellings for everyone."""
    companies = {company.key: company for tenant in TENANTS for company in companies_of(tenant)}
    assert {"harborlane", "harbourlight", "summit-grocers", "summit-supply"} <= companies.keys()
    assert companies[companies["meridian-canada"].parent].legal == "Meridian Auto Parts Group"
    assert all(company.variants for company in companies.values())
