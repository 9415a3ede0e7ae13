"""HubSpot's engagements: notes, calls, e-mails and meetings, as four typed streams or as the single stream of the old interface.

The typed streams have string ids, ISO times and `hs_…` properties; the old one has integer ids, milliseconds and `metadata` by type.
"""

import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from pay_ready.demo.export import Export, Json, Numbers, Record
from pay_ready.demo.hubspot_records import HubspotIds, hubspot_row
from pay_ready.demo.people import Employee, Person
from pay_ready.demo.spelling import epoch_ms
from pay_ready.demo.story import Moment, Said
from pay_ready.demo.world import World

_CONNECTED, _NO_ANSWER = "f240bbac-87c9-4f6e-bf70-924b57d47db7", "73a0d17f-1163-4015-bdd5-ec830791da20"
_STREAMS = {"note": "engagements_notes", "dial": "engagements_calls", "email": "engagements_emails", "meeting": "engagements_meetings"}
_QUOTED_CHARACTERS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    """One end of a mail."""

    email: str
    given: str
    family: str

    @property
    def raw(self) -> str:
        return f"{self.given} {self.family} <{self.email}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mail:
    """One mail of a thread."""

    at: datetime
    sender: _Address
    recipient: _Address
    copied: tuple[_Address, ...]
    incoming: bool
    subject: str
    text: str
    markup: str
    thread: str
    message: str


def render_hubspot_engagements(world: World, ids: HubspotIds, export: Export, rng: Random) -> None:
    """Add the engagement streams."""
    numbers = Numbers(rng, 30_652_000_000, 400_000)
    engagements = _Engagements(world, ids, export, rng, numbers)
    for moment in world.moments:
        if moment.system == "hubspot":
            engagements.add(moment)


class _Engagements:
    def __init__(self, world: World, ids: HubspotIds, export: Export, rng: Random, numbers: Numbers) -> None:
        self._world = world
        self._ids = ids
        self._export = export
        self._rng = rng
        self._numbers = numbers

    def add(self, moment: Moment) -> None:
        if moment.kind == "email":
            for mail in _mails(moment, self._world, self._rng):
                self._put(moment, mail.at, _mail_properties(mail), "INCOMING_EMAIL" if mail.incoming else "EMAIL", _mail_metadata(mail))
        elif moment.kind == "note":
            body = _markup(moment.said[0].text, self._rng)
            properties: Record = {"hs_note_body": body, "hs_body_preview": moment.said[0].text[:300]}
            self._put(moment, moment.at, properties, "NOTE", {"body": body})
        elif moment.kind == "dial":
            self._put(moment, moment.at, *self._dial(moment))
        else:
            self._put(moment, moment.at, *self._meeting(moment))

    def _put(self, moment: Moment, at: datetime, properties: Record, kind: str, metadata: Record) -> None:
        row_id = str(self._numbers.next())
        if self._world.plan.hubspot_stream == "typed":
            self._export.add("hubspot", _STREAMS[moment.kind], self._typed(moment, at, row_id, properties))
        else:
            self._export.add("hubspot", "engagements", self._legacy(moment, at, row_id, kind, metadata))

    def _links(self, moment: Moment) -> Mapping[str, Sequence[str]]:
        ids, contacts = self._ids, self._ids.contacts
        company = moment.company.key if moment.company else ""
        people = [person.key for person in moment.people]
        linked = [contacts[key, company] for key in people if (key, company) in contacts]
        deal = ids.deals.get(company)
        return {
            "contacts": linked,
            "companies": [ids.companies[company]] if company in ids.companies else [],
            "deals": [deal] if deal and moment.theme in ("pricing", "renewal", "competitor") else [],
        }

    def _typed(self, moment: Moment, at: datetime, row_id: str, properties: Record) -> Record:
        owner = moment.staff[0].key
        whole: Record = {
            "hs_timestamp": at.isoformat(),
            "hs_createdate": at.isoformat(),
            "hs_lastmodifieddate": at.isoformat(),
            "hs_object_id": int(row_id),
            "hubspot_owner_id": self._ids.owners[owner],
            "hs_created_by": self._ids.users[owner],
            "hs_engagement_source": "EMAIL" if moment.kind == "email" else "CRM_UI",
            **properties,
        }
        return hubspot_row(row_id, at, at, whole, self._links(moment))

    def _legacy(self, moment: Moment, at: datetime, row_id: str, kind: str, metadata: Record) -> Record:
        owner, links = moment.staff[0].key, self._links(moment)
        associations: Record = {
            "contactIds": [int(contact) for contact in links["contacts"]],
            "companyIds": [int(company) for company in links["companies"]],
            "dealIds": [int(deal) for deal in links["deals"]],
            "ownerIds": [],
            "workflowIds": [],
            "ticketIds": [],
        }
        return {
            "id": int(row_id),
            "portalId": 8_727_216,
            "active": True,
            "createdAt": epoch_ms(at),
            "lastUpdated": epoch_ms(at),
            "createdBy": self._ids.users[owner],
            "modifiedBy": self._ids.users[owner],
            "ownerId": int(self._ids.owners[owner]),
            "type": kind,
            "timestamp": epoch_ms(at),
            "source": "EMAIL" if moment.kind == "email" else "CRM_UI",
            "associations": associations,
            "attachments": [],
            "scheduledTasks": [],
            "metadata": metadata,
            **{f"associations_{name}": value for name, value in associations.items()},
            **{f"metadata_{name}": value for name, value in metadata.items()},
        }

    def _dial(self, moment: Moment) -> tuple[Record, str, Record]:
        person = moment.people[0]
        job = person.job_on(moment.at.date())
        own, theirs = moment.staff[0].phone, person.mobile or job.phone
        text = "\n".join(f"{line.who.name}: {line.text}" for line in moment.said)
        body = _markup(text, self._rng) if text else None
        duration = moment.minutes * 60_000 + self._rng.randrange(60_000) if moment.said else 0
        ends = (own, theirs) if moment.outgoing or not moment.said else (theirs, own)
        status, disposition = ("COMPLETED", _CONNECTED) if moment.said else ("NO_ANSWER", _NO_ANSWER)
        properties: Record = {
            "hs_call_title": moment.subject,
            "hs_call_body": body,
            "hs_call_duration": duration,
            "hs_call_direction": "OUTBOUND" if ends[0] == own else "INBOUND",
            "hs_call_status": status,
            "hs_call_disposition": disposition,
            "hs_call_from_number": ends[0],
            "hs_call_to_number": ends[1],
            "hs_call_recording_url": None,
        }
        metadata: Record = {
            "title": moment.subject,
            "body": body,
            "durationMilliseconds": duration,
            "fromNumber": ends[0],
            "toNumber": ends[1],
            "status": status,
            "disposition": disposition,
        }
        return properties, "CALL", metadata

    def _meeting(self, moment: Moment) -> tuple[Record, str, Record]:
        end = moment.at + timedelta(minutes=moment.minutes)
        body = "".join(f"<p>{html.escape(line.text)}</p>" for line in moment.said) or None
        outcome = self._rng.choice(("COMPLETED", "COMPLETED", "SCHEDULED", "RESCHEDULED"))
        properties: Record = {
            "hs_meeting_title": moment.subject,
            "hs_meeting_body": body,
            "hs_internal_meeting_notes": None,
            "hs_meeting_start_time": moment.at.isoformat(),
            "hs_meeting_end_time": end.isoformat(),
            "hs_meeting_outcome": outcome,
            "hs_meeting_location": "Video call",
            "hs_attendee_owner_ids": ";".join(self._ids.owners[colleague.key] for colleague in moment.staff),
        }
        metadata: Record = {
            "title": moment.subject,
            "body": body,
            "startTime": epoch_ms(moment.at),
            "endTime": epoch_ms(end),
            "meetingOutcome": outcome,
        }
        return properties, "MEETING", metadata


def _mails(moment: Moment, world: World, rng: Random) -> list[_Mail]:
    """The thread: each mail answers the one before and quotes its beginning."""
    thread = f"{rng.randrange(16**16):016x}"
    mails: list[_Mail] = []
    for n, line in enumerate(moment.said):
        other = moment.staff[0] if isinstance(line.who, Person) else moment.people[0]
        at = moment.at + line.after
        reply = "AW" if world.plan.country == "DE" and isinstance(line.who, Person) else "Re"  # as German mail programs say
        subject = moment.subject if n == 0 else f"{reply}: {moment.subject}"
        quoted = mails[-1] if mails and rng.random() < 0.35 else None
        firm = moment.company if n == 0 and isinstance(line.who, Person) else None
        signature = (line.who.name, firm.legal) if firm else (line.who.name,)
        domain = f"mail.{world.plan.slug}.example"
        mails.append(
            _Mail(
                at=at,
                sender=_address(line.who, at),
                recipient=_address(other, at),
                copied=tuple(_address(person, at) for person in moment.people[1:]),
                incoming=isinstance(line.who, Person),
                subject=subject,
                text=_mail_text(line, other, quoted, signature),
                markup=_mail_markup(line, other, quoted, signature, rng),
                thread=thread,
                message=f"<{moment.number}.{n}.{rng.randrange(16**8):08x}@{domain}>",
            )
        )
    return mails


def _address(who: Person | Employee, at: datetime) -> _Address:
    email = who.email if isinstance(who, Employee) else who.job_on(at.date()).email
    return _Address(email=email, given=who.given, family=who.family)


def _mail_text(line: Said, other: Person | Employee, quoted: _Mail | None, signature: Sequence[str]) -> str:
    letter = "\n".join((f"Hi {other.nick},", "", line.text, "", "Best regards", *signature))
    if quoted is None:
        return letter
    return f"{letter}\n\nOn {quoted.at:%a, %d %b %Y}, {quoted.sender.raw} wrote:\n> {_beginning(quoted)}"


def _mail_markup(line: Said, other: Person | Employee, quoted: _Mail | None, signature: Sequence[str], rng: Random) -> str:
    words = html.escape(line.text, quote=True)
    ending = "<br>".join(("Best regards", *map(html.escape, signature)))
    letter = rng.choice(
        (
            f'<div dir="ltr"><p>Hi {html.escape(other.nick)},</p><p>{words}</p><p>{ending}</p></div>',
            f"<p>Hi {html.escape(other.nick)},</p>\n<p>{words}</p>\n<p>&nbsp;</p>\n<p>{ending}</p>",
            f"<div>Hi {html.escape(other.nick)},<br><br>{words}<br><br>{ending}</div>",
        )
    )
    if quoted is None:
        return letter
    return f'{letter}<blockquote class="quote">{html.escape(quoted.sender.raw)}:<br>{html.escape(_beginning(quoted))}</blockquote>'


def _beginning(mail: _Mail) -> str:
    return mail.text.split("\n\n")[1][:_QUOTED_CHARACTERS]


def _mail_properties(mail: _Mail) -> Record:
    sender, recipient = mail.sender, mail.recipient
    copied = [_end(one) for one in mail.copied]
    headers = {"from": _end(sender), "sender": {"email": sender.email}, "to": [_end(recipient)], "cc": copied, "bcc": []}
    return {
        "hs_email_direction": "INCOMING_EMAIL" if mail.incoming else "EMAIL",
        "hs_email_status": None if mail.incoming else "SENT",
        "hs_email_subject": mail.subject,
        "hs_email_text": mail.text,
        "hs_email_html": mail.markup,
        "hs_email_from_email": sender.email,
        "hs_email_from_firstname": sender.given,
        "hs_email_from_lastname": sender.family,
        "hs_email_to_email": recipient.email,
        "hs_email_to_firstname": recipient.given,
        "hs_email_to_lastname": recipient.family,
        "hs_email_cc_email": ";".join(one.email for one in mail.copied) or None,
        "hs_email_bcc_email": None,
        "hs_email_headers": json.dumps(headers, ensure_ascii=False, separators=(",", ":")),
        "hs_email_thread_id": mail.thread,
        "hs_email_message_id": mail.message,
    }


def _end(address: _Address) -> dict[str, str]:
    return {"email": address.email, "firstName": address.given, "lastName": address.family}


def _mail_metadata(mail: _Mail) -> Record:
    sender: Json = {**_end(mail.sender), "raw": mail.sender.raw}
    recipient: Json = {**_end(mail.recipient), "raw": mail.recipient.raw}
    copied: Json = [{**_end(one), "raw": one.raw} for one in mail.copied]
    return {
        "from": sender,
        "sender": {"email": mail.sender.email},
        "to": [recipient],
        "cc": copied,
        "bcc": [],
        "subject": mail.subject,
        "html": mail.markup,
        "text": mail.text,
        "threadId": mail.thread,
        "messageId": mail.message,
        "status": None if mail.incoming else "SENT",
    }


def _markup(text: str, rng: Random) -> str:
    """Plain lines as the editor stores them: paragraphs, line breaks or a list, with entities."""
    lines = [html.escape(line, quote=True) for line in text.split("\n")]
    styles: Sequence[Callable[[], str]] = (
        lambda: "".join(f"<p>{line}</p>" for line in lines),
        lambda: '<div style="" dir="auto" data-top-level="true">' + "<br/>".join(lines) + "&nbsp;</div>",
        lambda: f"<p><strong>{lines[0]}</strong></p><ul>{''.join(map(_bullet, lines[1:]))}</ul>",
    )
    return rng.choice(styles)()


def _bullet(line: str) -> str:
    return f"<li>{line.removeprefix('- ')}</li>"
