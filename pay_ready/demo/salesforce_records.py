"""Salesforce's records: User, Account, Contact, Lead and Opportunity, in the dialects of the connector.

Objects with address fields come over REST: with `attributes`, compound addresses and times like 2026-03-04T09:15:00.000+0000. The others
come over the bulk interface: without all that, and with times that end in Z.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Literal

from pay_ready.demo.clock import YEAR_START, zone_of
from pay_ready.demo.companies import Company
from pay_ready.demo.export import Export, Kind, Record
from pay_ready.demo.people import Employee, Job, Person
from pay_ready.demo.phones import written
from pay_ready.demo.spelling import company_name, typo, written_email
from pay_ready.demo.world import World

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_PREFIXES = {
    "Account": "001",
    "Case": "500",
    "Contact": "003",
    "Event": "00U",
    "Lead": "00Q",
    "Opportunity": "006",
    "Task": "00T",
    "User": "005",
}
_COUNTRIES = {"US": "United States", "CA": "Canada", "GB": "United Kingdom", "DE": "Germany", "MX": "Mexico"}
_STAGES = (("Prospecting", 10), ("Proposal/Price Quote", 75), ("Negotiation/Review", 90), ("Closed Won", 100), ("Closed Lost", 0))
_CONTACT_SHARE = 0.62
_LEAD_SHARE = 0.4  # of the people who are not contacts
_LEAD_KEPT_SHARE = 0.12  # of the contacts, whose converted lead is still there
_DUPLICATE_ACCOUNTS = 3
_LAST = datetime(2026, 10, 31, 17, tzinfo=UTC)

Sobject = Literal["Account", "Contact", "Lead", "Opportunity", "Task", "Event", "Case", "User"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SalesforceIds:
    """Where the people and companies of the world are in Salesforce."""

    users: Mapping[str, str]  # by key of the employee
    accounts: Mapping[str, str]  # by key of the company
    people: Mapping[str, str]  # contact, else open lead, by key of the person
    opportunities: Mapping[str, str]  # by key of the company


class SalesforceNumbers:
    """Salesforce ids: 15 case-sensitive characters and 3 that make them safe without case."""

    def __init__(self, tenant: str, rng: Random) -> None:
        self._instance = "5g" if tenant == "acme-robotics" else "9N"
        self._rng = rng
        self._last: dict[Sobject, int] = {}

    def next(self, sobject: Sobject) -> str:
        """The next id of an object."""
        self._last[sobject] = self._last.get(sobject, 620_000) + self._rng.randint(1, 900)
        digits = ""
        rest = self._last[sobject]
        while rest:
            rest, digit = divmod(rest, 62)
            digits = _DIGITS[digit] + digits
        return with_check(f"{_PREFIXES[sobject]}{self._instance}{digits.rjust(10, '0')}")


def with_check(short: str) -> str:
    """A 15 character id with its three check characters: which letters of each five are capitals."""
    chunks = (short[0:5], short[5:10], short[10:15])
    return short + "".join(_CHECK[sum(1 << n for n, letter in enumerate(chunk) if letter.isupper())] for chunk in chunks)


def rest_time(at: datetime) -> str:
    """2026-03-04T09:15:00.000+0000"""
    return f"{at:%Y-%m-%dT%H:%M:%S}.000+0000"


def bulk_time(at: datetime) -> str:
    """2026-03-04T09:15:00.000Z; Salesforce keeps whole seconds."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


def render_salesforce_records(world: World, numbers: SalesforceNumbers, export: Export, rng: Random) -> SalesforceIds:
    """Add the record streams; gives where everybody is, for the activities."""
    org = _Org(world, numbers, export, rng)
    org.add_users()
    org.add_accounts()
    org.add_people()
    org.add_opportunities()
    return SalesforceIds(users=org.users, accounts=org.accounts, people=org.people, opportunities=org.opportunities)


class _Org:
    """One tenant's Salesforce while it is being filled."""

    def __init__(self, world: World, numbers: SalesforceNumbers, export: Export, rng: Random) -> None:
        self._world = world
        self._numbers = numbers
        self._export = export
        self._rng = rng
        self.users: dict[str, str] = {}
        self.accounts: dict[str, str] = {}
        self.people: dict[str, str] = {}
        self.opportunities: dict[str, str] = {}

    def add_users(self) -> None:
        """The tenant's own people."""
        self.users = {colleague.key: self._numbers.next("User") for colleague in self._world.staff}
        for colleague in self._world.staff:
            self._put("User", self._user(colleague), "person", colleague.key)

    def add_accounts(self) -> None:
        """Every company under its legal name, some a second time under another."""
        rng, companies = self._rng, tuple(self._world.companies.values())
        for company in companies:
            self.accounts[company.key] = account = self._numbers.next("Account")
            self._add_account(company, account, company.legal, self.accounts.get(company.parent))
        for company in rng.sample(companies, _DUPLICATE_ACCOUNTS):
            self._add_account(company, self._numbers.next("Account"), rng.choice(company.variants), None)

    def add_people(self) -> None:
        """A contact for most, a lead for some of the others; the leads of a few contacts are kept after conversion."""
        for n, person in enumerate(self._world.people):
            job = person.jobs[-1]
            if n == 0 or self._rng.random() < _CONTACT_SHARE:
                self.people[person.key] = contact = self._numbers.next("Contact")
                self._put("Contact", self._contact(person, job, contact), "person", person.key)
                if self._rng.random() < _LEAD_KEPT_SHARE:
                    self._put(
                        "Lead", self._lead(person, person.jobs[0], self._numbers.next("Lead"), converted=contact), "person", person.key
                    )
            elif self._rng.random() < _LEAD_SHARE:
                self.people[person.key] = lead = self._numbers.next("Lead")
                self._put("Lead", self._lead(person, job, lead), "person", person.key)

    def add_opportunities(self) -> None:
        """None, one or two for each company."""
        for company in self._world.companies.values():
            for _ in range(self._rng.choice((0, 1, 1, 2))):
                self.opportunities[company.key] = opportunity = self._numbers.next("Opportunity")
                self._export.add("salesforce", "Opportunity", self._opportunity(company, opportunity))

    def _put(self, sobject: Sobject, row: Record, kind: Kind, true_id: str) -> None:
        self._export.add("salesforce", sobject, row)
        self._export.identify("salesforce", sobject, str(row["Id"]), kind, true_id)

    def _stamps(self) -> tuple[datetime, datetime]:
        rng = self._rng
        created = self._world.plan.zone.utc(YEAR_START - timedelta(days=rng.randint(-200, 900)), rng.randint(500, 1000))
        created += timedelta(seconds=rng.randrange(60))
        return created, min(created + timedelta(days=rng.randint(0, 300), minutes=rng.randint(1, 600)), _LAST)

    def _tail(self, stamps: tuple[datetime, datetime], *, rest: bool) -> Record:
        """Who owns the row and when it was written; the dialect decides about the format."""
        owner = self._rng.choice(tuple(self.users.values()))
        created, changed = ((rest_time if rest else bulk_time)(stamp) for stamp in stamps)
        return {
            "OwnerId": owner,
            "CreatedDate": created,
            "CreatedById": owner,
            "LastModifiedDate": changed,
            "LastModifiedById": owner,
            "SystemModstamp": changed,
        }

    def _user(self, colleague: Employee) -> Record:
        plan = self._world.plan
        user_id, boss = self.users[colleague.key], self.users[self._world.staff[0].key]
        created = rest_time(plan.zone.utc(date(2024, 1, 15), 600))
        return {
            **_head("User", user_id),
            "Username": colleague.email.replace("@", "@crm."),
            "LastName": colleague.family,
            "FirstName": colleague.given,
            "Name": colleague.name,
            "CompanyName": plan.name,
            "Title": colleague.title,
            "Department": "Sales" if "Account" in colleague.title or "Sales" in colleague.title else "Service",
            **_address("", None),
            "Email": colleague.email,
            "Phone": colleague.phone,
            "MobilePhone": None,
            "Alias": colleague.family[:5].lower(),
            "IsActive": not colleague.left,
            "UserType": "Standard",
            "TimeZoneSidKey": plan.zone.name,
            "LanguageLocaleKey": "de" if plan.country == "DE" else "en_US",
            "ManagerId": boss if user_id != boss else None,
            "CreatedDate": created,
            "LastModifiedDate": created,
            "SystemModstamp": created,
        }

    def _add_account(self, company: Company, account: str, name: str, parent: str | None) -> None:
        rng, world = self._rng, self._world
        row: Record = {
            **_head("Account", account),
            "IsDeleted": False,
            "MasterRecordId": None,
            "Name": name,
            "Type": rng.choice(("Customer - Direct", "Prospect", "Customer - Direct")),
            "ParentId": parent,
            **_address("Billing", company),
            "Phone": written(world.main_line(company), rng, world.plan.country) or None,
            "Website": rng.choice((f"www.{company.domain}", f"https://{company.domain}/", company.domain)),
            "Industry": company.industry.replace("_", " ").title(),
            "AnnualRevenue": None,
            "NumberOfEmployees": company.employees,
            "Description": None,
            "AccountSource": None,
            **self._tail(self._stamps(), rest=True),
            "LastActivityDate": None,
        }
        self._put("Account", row, "company", f"company-{company.key}")

    def _contact(self, person: Person, job: Job, contact: str) -> Record:
        rng, region = self._rng, self._world.plan.country
        family = typo(person.family, rng) if rng.random() < 0.05 else person.family
        given = person.nick if rng.random() < 0.1 else person.given
        return {
            **_head("Contact", contact),
            "IsDeleted": False,
            "MasterRecordId": None,
            "AccountId": self.accounts[job.company],
            "LastName": family,
            "FirstName": given,
            "Salutation": rng.choice((None, None, "Dr.")) if region == "DE" else None,
            "Name": f"{given} {family}",
            **_address("Mailing", self._world.companies[job.company]),
            "Phone": written(job.phone, rng, region) or None,
            "MobilePhone": written(person.mobile, rng, region) or None if rng.random() < 0.8 else None,
            "ReportsToId": None,
            "Email": written_email(job.email, rng) if rng.random() < 0.92 else None,
            "Title": job.title,
            "Department": None,
            "LeadSource": rng.choice(("Web", "Trade Show", "Partner Referral", None)),
            "Description": None,
            "HasOptedOutOfEmail": False,
            **self._tail(self._stamps(), rest=True),
            "LastActivityDate": None,
        }

    def _lead(self, person: Person, job: Job, lead: str, *, converted: str | None = None) -> Record:
        """A lead, with the contact that it was converted to, if any."""
        rng = self._rng
        given = person.nick if rng.random() < 0.4 else person.given
        return {
            **_head("Lead", lead),
            "IsDeleted": False,
            "MasterRecordId": None,
            "LastName": person.family,
            "FirstName": given,
            "Salutation": None,
            "Name": f"{given} {person.family}",
            "Title": job.title if rng.random() < 0.6 else None,
            "Company": company_name(self._world.companies[job.company], rng),
            **_address("", None),
            "Phone": written(person.mobile or job.phone, rng, self._world.plan.country) or None,
            "MobilePhone": None,
            "Email": person.private_email if person.private_email and rng.random() < 0.5 else written_email(job.email, rng),
            "Website": None,
            "Description": None,
            "LeadSource": rng.choice(("Web", "Trade Show", "Webinar")),
            "Status": "Closed - Converted" if converted else rng.choice(("Open - Not Contacted", "Working - Contacted")),
            "Industry": None,
            "NumberOfEmployees": None,
            "IsConverted": converted is not None,
            "ConvertedDate": "2025-12-01" if converted else None,
            "ConvertedAccountId": self.accounts[person.jobs[-1].company] if converted else None,
            "ConvertedContactId": converted,
            "ConvertedOpportunityId": None,
            **self._tail(self._stamps(), rest=True),
        }

    def _opportunity(self, company: Company, opportunity: str) -> Record:
        rng = self._rng
        stage, probability = rng.choice(_STAGES)
        close = YEAR_START + timedelta(days=rng.randint(30, 364))
        created = zone_of(company.country, company.state).utc(close - timedelta(days=rng.randint(20, 120)), rng.randint(500, 1000))
        return {
            "Id": opportunity,
            "IsDeleted": False,
            "AccountId": self.accounts[company.key],
            "Name": f"{company.short} - {rng.choice(self._world.plan.lexicon.products).removeprefix('the ')}",
            "Description": None,
            "StageName": stage,
            "Amount": rng.randrange(12_000, 240_000, 500),
            "Probability": probability,
            "CloseDate": close.isoformat(),
            "Type": rng.choice(("New Customer", "Existing Customer - Upgrade")),
            "NextStep": None,
            "LeadSource": None,
            "IsClosed": stage.startswith("Closed"),
            "IsWon": stage == "Closed Won",
            "ForecastCategory": "Closed" if stage == "Closed Won" else "Pipeline",
            **self._tail((created, min(created + timedelta(days=15), _LAST)), rest=False),
        }


def _head(sobject: Sobject, record_id: str) -> Record:
    """How a record from REST begins."""
    return {"attributes": {"type": sobject, "url": f"/services/data/v57.0/sobjects/{sobject}/{record_id}"}, "Id": record_id}


def _address(prefix: str, company: Company | None) -> Record:
    """The flat address fields and the compound one; all null without a company."""
    values: Record = {
        "Street": company.street if company else None,
        "City": company.city if company else None,
        "State": (company.state or None) if company else None,
        "PostalCode": company.postal_code if company else None,
        "Country": _COUNTRIES[company.country] if company else None,
    }
    compound = {key[0].lower() + key[1:]: value for key, value in values.items()}
    flat: Record = {f"{prefix}{key}": value for key, value in values.items()}
    empty: Record = {"latitude": None, "longitude": None, "geocodeAccuracy": None}
    return {**flat, f"{prefix}Address": {**compound, **empty} if company else None}
