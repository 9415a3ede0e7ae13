"""Gong's streams: users, calls, extensiveCalls (with the parties) and callTranscripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from random import Random

from pay_ready.demo.clock import zone_of
from pay_ready.demo.export import Export, Json, Numbers, Record
from pay_ready.demo.people import Employee, Person, address_part
from pay_ready.demo.phones import written
from pay_ready.demo.salesforce_records import SalesforceIds
from pay_ready.demo.spelling import invited_name, written_email, zulu
from pay_ready.demo.story import Moment, Said
from pay_ready.demo.world import World

_WORDS_PER_SECOND = 2.6
_SYSTEMS = ("Zoom", "Google Meet", "Microsoft Teams")
_TRACKED = {"Pricing": ("price", "quote", "discount", "budget", "invoice"), "Risk": ("disappointed", "cancel", "stop", "frankly", "tired")}
_TITLES_WITHOUT_CALLS = ("Marketing Manager", "Product Manager")
_DIALLED_IN_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Monologue:
    """Consecutive sentences of one speaker; times in milliseconds from the start of the call."""

    who: Person | Employee
    sentences: tuple[tuple[int, int, str], ...]

    @property
    def seconds(self) -> float:
        return (self.sentences[-1][1] - self.sentences[0][0]) / 1000


def render_gong(world: World, crm: SalesforceIds, export: Export, rng: Random) -> None:
    """Add Gong's files: one user for each colleague, and three rows for each recorded call."""
    workspace = _Workspace(world, crm, export, rng)
    workspace.add_users()
    for moment in world.moments:
        if moment.system == "gong":
            workspace.add_call(moment)


class _Workspace:
    """One tenant's Gong while it is being filled."""

    def __init__(self, world: World, crm: SalesforceIds, export: Export, rng: Random) -> None:
        self._world = world
        self._crm = crm
        self._export = export
        self._rng = rng
        self._numbers = Numbers(rng, 7_000_000_000_000_000_000 + rng.randrange(10**17), 10**13)
        self._id = self._new_id()
        self._seats = {colleague.key: self._new_id() for colleague in world.staff}

    def add_users(self) -> None:
        """The tenant's own people."""
        for colleague in self._world.staff:
            self._export.add("gong", "users", self._user(colleague))
            self._export.identify("gong", "users", self._seats[colleague.key], "person", colleague.key)

    def add_call(self, moment: Moment) -> None:
        """One recorded call: the plain row, the extensive one with its parties, and the transcript."""
        call_id = self._new_id()
        talk = _monologues(moment.said, self._rng)
        meta = self._meta(moment, call_id, round(talk[-1].sentences[-1][1] / 1000) + self._rng.randint(2, 9))
        attendees: Sequence[Person | Employee] = (*moment.staff, *moment.people)
        speakers = {who.key: self._new_id() for who in attendees if any(part.who.key == who.key for part in talk)}
        parties = [self._party(who, moment, speakers.get(who.key)) for who in attendees]
        transcript: Record = {"callId": call_id, "started": meta["started"], "transcript": _transcript(talk, speakers, moment)}
        self._export.add("gong", "calls", meta)
        self._export.add("gong", "extensiveCalls", self._extensive(moment, meta, parties, talk, speakers))
        self._export.add("gong", "callTranscripts", transcript)
        for who, party in zip(attendees, parties, strict=True):
            self._export.identify("gong", "extensiveCalls.parties", str(party["id"]), "person", who.key)

    def _new_id(self) -> str:
        return str(self._numbers.next())

    def _user(self, colleague: Employee) -> Record:
        rng, world = self._rng, self._world
        local, domain = colleague.email.split("@")
        records_calls = colleague.title not in _TITLES_WITHOUT_CALLS
        return {
            "id": self._seats[colleague.key],
            "emailAddress": colleague.email,
            "created": f"2024-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T09:00:00Z",
            "active": not colleague.left,
            "emailAliases": [f"{address_part(colleague.nick)}@{domain}"] if rng.random() < 0.2 else [],
            "trustedEmailAddress": None,
            "firstName": colleague.given,
            "lastName": colleague.family,
            "title": colleague.title,
            "phoneNumber": colleague.phone,
            "extension": None,
            "personalMeetingUrls": [f"https://meet.{domain}/{local}"],
            "settings": {
                "webConferencesRecorded": records_calls,
                "preventWebConferenceRecording": False,
                "telephonyCallsImported": records_calls,
                "emailsImported": records_calls,
                "preventEmailImport": False,
                "nonRecordedMeetingsImported": False,
                "gongConnectEnabled": records_calls,
            },
            "managerId": None if colleague is world.staff[0] else self._seats[world.staff[0].key],
            "meetingConsentPageUrl": None,
            "spokenLanguages": [{"language": "de-DE" if world.plan.country == "DE" else "en-US", "primary": True}],
        }

    def _meta(self, moment: Moment, call_id: str, duration_s: int) -> Record:
        rng, domain = self._rng, f"{self._world.plan.slug}.example"
        return {
            "id": call_id,
            "url": f"https://gong.{domain}/call?id={call_id}",
            "title": moment.subject,
            "scheduled": _stamp(moment.at, moment, rng),
            "started": _stamp(moment.at + timedelta(seconds=rng.randint(-40, 200)), moment, rng),
            "duration": duration_s,
            "primaryUserId": self._seats[moment.staff[0].key],
            "direction": "Conference",
            "system": rng.choice(_SYSTEMS),
            "scope": "External",
            "media": "Video",
            "language": "eng",
            "workspaceId": self._id,
            "sdrDisposition": None,
            "clientUniqueId": None,
            "customData": None,
            "purpose": moment.topic,
            "meetingUrl": f"https://meet.{domain}/{call_id[-9:]}",
            "isPrivate": False,
            "calendarEventId": f"evt{moment.number:06}",
        }

    def _party(self, who: Person | Employee, moment: Moment, speaker: str | None) -> Record:
        row: Record = {
            "id": self._new_id(),
            "emailAddress": None,
            "name": None,
            "title": None,
            "userId": None,
            "speakerId": speaker,
            "context": [],
            "affiliation": "Internal" if isinstance(who, Employee) else "External",
            "phoneNumber": None,
            "methods": ["Invitee", "Attendee"],
        }
        if isinstance(who, Employee):
            return {**row, "emailAddress": who.email, "name": who.name, "title": who.title, "userId": self._seats[who.key]}
        return {**row, **self._guest(who, moment)}

    def _guest(self, who: Person, moment: Moment) -> Record:
        """What the recorder knows of a customer: the invitation, or no more than the number they dialled in from."""
        rng, job = self._rng, who.job_on(moment.at.date())
        if rng.random() < _DIALLED_IN_SHARE:
            return {"phoneNumber": written(who.mobile or job.phone, rng, self._world.plan.country), "methods": ["Attendee"]}
        email = who.private_email if who.private_email and rng.random() < 0.2 else job.email
        name = invited_name(who, self._world.companies[job.company], rng)
        return {"emailAddress": written_email(email, rng), "name": name, "title": job.title}

    def _extensive(
        self, moment: Moment, meta: Record, parties: Sequence[Record], talk: Sequence[_Monologue], speakers: Mapping[str, str]
    ) -> Record:
        customer_lines = [part.sentences[0][2] for part in talk if isinstance(part.who, Person)]
        topics: Json = [{"name": "Introduction", "duration": 30}, {"name": moment.theme.capitalize(), "duration": _talked(talk) - 30}]
        return {
            "id": meta["id"],
            "startdatetime": meta["started"],
            "metaData": meta,
            "context": self._context(moment),
            "parties": parties,
            "content": {
                "brief": f"{moment.subject}. They talked about {moment.topic}; the customer said: {customer_lines[-1]}",
                "callOutcome": None,
                "keyPoints": [{"text": text} for text in customer_lines[1:4]],
                "topics": topics,
                "trackers": _trackers(talk, speakers),
                "highlights": [],
                "outline": [],
                "pointsOfInterest": {"actionItems": _action_items(talk, speakers)},
            },
            "interaction": _interaction(talk, speakers, self._seats),
            "collaboration": {"publicComments": []},
            "media": None,
        }

    def _context(self, moment: Moment) -> Json:
        if moment.company is None:
            return []
        fields = [{"name": "Name", "value": moment.company.legal}]
        account = self._crm.accounts[moment.company.key]
        return [{"system": "Salesforce", "objects": [{"objectType": "Account", "objectId": account, "fields": fields, "timing": "Now"}]}]


def _monologues(said: Sequence[Said], rng: Random) -> tuple[_Monologue, ...]:
    talk: list[_Monologue] = []
    clock = rng.randint(300, 2500)
    for line in said:
        end = clock + round(len(line.text.split()) / _WORDS_PER_SECOND * 1000) + rng.randint(150, 700)
        sentence = (clock, end, line.text)
        if talk and talk[-1].who.key == line.who.key:
            talk[-1] = _Monologue(who=line.who, sentences=(*talk[-1].sentences, sentence))
        else:
            talk.append(_Monologue(who=line.who, sentences=(sentence,)))
        clock = end + rng.randint(200, 1800)
    return tuple(talk)


def _transcript(talk: Sequence[_Monologue], speakers: Mapping[str, str], moment: Moment) -> Json:
    return [
        {
            "speakerId": speakers[part.who.key],
            "topic": "Introduction" if part is talk[0] else moment.theme.capitalize() if len(talk) > 4 else None,
            "sentences": [{"start": start, "end": end, "text": text} for start, end, text in part.sentences],
        }
        for part in talk
    ]


def _stamp(at: datetime, moment: Moment, rng: Random) -> str:
    """ISO 8601 in UTC or with the offset of the customer's place, as different recorders write it."""
    if rng.random() < 0.5 or moment.company is None:
        return zulu(at) if rng.random() < 0.3 else f"{at:%Y-%m-%dT%H:%M:%SZ}"
    offset = zone_of(moment.company.country, moment.company.state).offset(at.date())
    return at.astimezone(timezone(offset)).isoformat()


def _talked(talk: Sequence[_Monologue]) -> int:
    return round(sum(part.seconds for part in talk))


def _trackers(talk: Sequence[_Monologue], speakers: Mapping[str, str]) -> Json:
    found = []
    for number, (name, words) in enumerate(_TRACKED.items(), start=1):
        hits = _occurrences(words, talk, speakers)
        if hits:
            tracker: Record = {"id": str(number), "name": name, "type": "KEYWORD", "count": len(hits), "occurrences": hits, "phrases": []}
            found.append(tracker)
    return found


def _occurrences(words: Sequence[str], talk: Sequence[_Monologue], speakers: Mapping[str, str]) -> list[Record]:
    return [
        {"startTime": start / 1000, "speakerId": speakers[part.who.key]}
        for part in talk
        for start, _, text in part.sentences
        if any(word in text.lower() for word in words)
    ]


def _action_items(talk: Sequence[_Monologue], speakers: Mapping[str, str]) -> Json:
    return [
        {"snippet": text, "snippetStartTime": start / 1000, "snippetEndTime": end / 1000, "speakerID": speakers[part.who.key]}
        for part in talk
        if isinstance(part.who, Employee)
        for start, end, text in part.sentences
        if text.startswith(("I'll", "I will", "We'll", "We will", "You'll"))
    ]


def _interaction(talk: Sequence[_Monologue], speakers: Mapping[str, str], seats: Mapping[str, str]) -> Json:
    own = [part for part in talk if isinstance(part.who, Employee)]
    theirs = [part for part in talk if isinstance(part.who, Person)]
    talk_time = {key: round(sum(part.seconds for part in talk if part.who.key == key), 1) for key in speakers}
    return {
        "speakers": [{"id": speaker, "userId": seats.get(key), "talkTime": talk_time[key]} for key, speaker in speakers.items()],
        "interactionStats": [
            {"name": "Talk Ratio", "value": round(_talked(own) / max(1, _talked(talk)), 2)},
            {"name": "Longest Monologue", "value": round(max(part.seconds for part in own), 1)},
            {"name": "Longest Customer Story", "value": round(max(part.seconds for part in theirs), 1)},
            {"name": "Interactivity", "value": round(10 * len(talk) / max(1, _talked(talk) / 6), 1)},
        ],
        "video": [],
        "questions": {"companyCount": _questions(own), "nonCompanyCount": _questions(theirs)},
    }


def _questions(parts: Sequence[_Monologue]) -> int:
    return sum(text.endswith("?") for part in parts for _, _, text in part.sentences)
