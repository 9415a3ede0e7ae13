"""Salesforce's activities: Task (to-dos, logged calls and mails), Event and Case, all over the bulk interface."""

from datetime import date, datetime, timedelta
from random import Random

from pay_ready.demo.export import Export, Record
from pay_ready.demo.phones import written
from pay_ready.demo.salesforce_records import SalesforceIds, SalesforceNumbers, bulk_time
from pay_ready.demo.story import Moment
from pay_ready.demo.world import World

_TASK_KINDS = ("task", "dial", "email")
_WEB_CASE_SHARE = 0.3  # of the cases of people who are not in Salesforce come over the web form


def render_salesforce_activities(world: World, ids: SalesforceIds, numbers: SalesforceNumbers, export: Export, rng: Random) -> None:
    """Add Task, Event and Case."""
    case_number = rng.randint(1000, 1100)
    for moment in world.moments:
        if moment.system != "salesforce":
            continue
        if moment.kind in _TASK_KINDS:
            export.add("salesforce", "Task", _task(moment, ids, numbers.next("Task"), rng))
        elif moment.kind == "meeting":
            export.add("salesforce", "Event", _event(moment, ids, numbers.next("Event"), rng))
        else:
            case_number += rng.randint(1, 3)
            _add_case(moment, world, ids, numbers.next("Case"), case_number, export, rng)


def _links(moment: Moment, ids: SalesforceIds, rng: Random) -> Record:
    company = moment.company.key if moment.company else ""
    account = ids.accounts.get(company)
    what = ids.opportunities.get(company) if rng.random() < 0.4 else account
    return {"WhoId": ids.people.get(moment.people[0].key), "WhatId": what or account, "AccountId": account}


def _stamps(moment: Moment, ids: SalesforceIds, at: datetime) -> Record:
    owner = ids.users[moment.staff[0].key]
    return {
        "OwnerId": owner,
        "CreatedDate": bulk_time(at),
        "CreatedById": owner,
        "LastModifiedDate": bulk_time(at),
        "LastModifiedById": owner,
        "SystemModstamp": bulk_time(at),
    }


def _task(moment: Moment, ids: SalesforceIds, task: str, rng: Random) -> Record:
    open_todo = moment.kind == "task" and rng.random() < 0.3
    due = _workday(moment.at.date() + timedelta(days=rng.randint(1, 6))) if moment.kind == "task" else moment.at.date()
    subtype = {"task": "Task", "dial": "Call", "email": "Email"}[moment.kind]
    return {
        "Id": task,
        **_links(moment, ids, rng),
        "Subject": _task_subject(moment),
        "ActivityDate": due.isoformat(),
        "Status": "Not Started" if open_todo else "Completed",
        "Priority": "High" if moment.theme == "complaint" else "Normal",
        "IsHighPriority": moment.theme == "complaint",
        "IsDeleted": False,
        "Description": _task_text(moment),
        "IsClosed": not open_todo,
        "CompletedDateTime": None if open_todo else bulk_time(moment.at),
        "TaskSubtype": subtype,
        "Type": None,
        "CallDurationInSeconds": moment.minutes * 60 if moment.kind == "dial" else None,
        "CallType": ("Outbound" if moment.outgoing else "Inbound") if moment.kind == "dial" else None,
        "CallDisposition": ("Connected" if moment.said else "No answer") if moment.kind == "dial" else None,
        **_stamps(moment, ids, moment.at),
    }


def _workday(day: date) -> date:
    return day + timedelta(days=7 - day.weekday()) if day.weekday() > 4 else day


def _task_subject(moment: Moment) -> str:
    return {"task": moment.subject, "dial": "Call", "email": f"Email: {moment.subject}"}[moment.kind]


def _task_text(moment: Moment) -> str | None:
    """The words; a logged mail in the layout of the mail add-in."""
    words = "\n".join(f"{line.who.name}: {line.text}" if moment.kind == "dial" else line.text for line in moment.said)
    if moment.kind != "email":
        return words or None
    customer = moment.people[0].job_on(moment.at.date()).email
    recipient = customer if moment.outgoing else moment.staff[0].email
    return f"To: {recipient}\nCC: \nBCC: \n\nSubject: {moment.subject}\nBody:\n{words}"


def _event(moment: Moment, ids: SalesforceIds, event: str, rng: Random) -> Record:
    whole_day = moment.minutes >= 240
    start = moment.at.replace(hour=0, minute=0) if whole_day else moment.at
    minutes = 24 * 60 if whole_day else moment.minutes
    return {
        "Id": event,
        **_links(moment, ids, rng),
        "Subject": moment.subject,
        "Location": None if whole_day else rng.choice(("Video call", "Phone", "On site")),
        "IsAllDayEvent": whole_day,
        "ActivityDateTime": bulk_time(start),
        "ActivityDate": start.date().isoformat(),
        "DurationInMinutes": minutes,
        "StartDateTime": bulk_time(start),
        "EndDateTime": bulk_time(start + timedelta(minutes=minutes)),
        "Description": "\n".join(line.text for line in moment.said) or None,
        "IsPrivate": False,
        "ShowAs": "Busy",
        "IsDeleted": False,
        "IsChild": False,
        "EventSubtype": "Event",
        **_stamps(moment, ids, moment.at - timedelta(days=rng.randint(1, 9))),
    }


def _add_case(moment: Moment, world: World, ids: SalesforceIds, case: str, number: int, export: Export, rng: Random) -> None:
    person = moment.people[0]
    job = person.job_on(moment.at.date())
    who = ids.people.get(person.key, "")
    contact = who if who.startswith("003") else None
    over_the_web = contact is None or rng.random() < _WEB_CASE_SHARE
    closed = rng.random() < 0.8
    ended = moment.at + timedelta(hours=rng.randint(4, 200))
    row: Record = {
        "Id": case,
        "IsDeleted": False,
        "CaseNumber": f"{number:08}",
        "ContactId": contact,
        "AccountId": ids.accounts.get(job.company),
        "ParentId": None,
        "SuppliedName": person.name if over_the_web else None,
        "SuppliedEmail": job.email if over_the_web else None,
        "SuppliedPhone": written(person.mobile, rng, world.plan.country) or None if over_the_web else None,
        "SuppliedCompany": world.companies[job.company].short if over_the_web else None,
        "Type": {"bug": "Problem", "complaint": "Problem"}.get(moment.theme, "Question"),
        "Status": "Closed" if closed else rng.choice(("New", "Working", "Escalated")),
        "Reason": None,
        "Origin": "Web" if over_the_web else rng.choice(("Email", "Phone")),
        "Subject": moment.subject,
        "Priority": "High" if moment.theme == "complaint" else rng.choice(("Medium", "Low")),
        "Description": moment.said[0].text,
        "IsClosed": closed,
        "ClosedDate": bulk_time(ended) if closed else None,
        "IsEscalated": moment.theme == "complaint",
        "ContactPhone": None,
        "ContactEmail": job.email if contact else None,
        **_stamps(moment, ids, moment.at),
    }
    export.add("salesforce", "Case", row)
    if over_the_web:
        export.identify("salesforce", "Case.supplied", case, "person", person.key)
