"""HubSpot's records: owners, companies, contacts and deals, as the connector flattens them.

Every property appears twice, in `properties` and as `properties_<name>`; associations are lists of ids at the top level, with repeats.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from pay_ready.demo.clock import YEAR_START
from pay_ready.demo.companies import Company
from pay_ready.demo.export import Export, Numbers, Record
from pay_ready.demo.people import Employee, Job, Person, address_part
from pay_ready.demo.phones import written
from pay_ready.demo.spelling import WrittenName, careless_name, company_name, written_email, zulu
from pay_ready.demo.world import World

_CONTACT_SHARE = 0.86
_PRIVATE_CONTACT_SHARE = 0.6  # of those with a private address have a second contact under it
_MERGED_CONTACTS = 3
_DUPLICATE_COMPANIES = 4
_ROLES = ("info", "office", "purchasing", "billing", "support", "reception")
_COUNTRIES = {"US": "United States", "CA": "Canada", "GB": "United Kingdom", "DE": "Germany", "MX": "Mexico"}
_DEAL_STAGES = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "contractsent", "closedwon", "closedlost")
_FIRST = datetime(2025, 2, 1, 9, tzinfo=UTC)
_LAST = datetime(2026, 10, 31, 17, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubspotIds:
    """Where the people and companies of the world are in HubSpot."""

    owners: Mapping[str, str]  # by key of the employee
    users: Mapping[str, int]  # the same people as users
    companies: Mapping[str, str]  # by key of the company
    contacts: Mapping[tuple[str, str], str]  # by key of the person and of the company they worked for
    deals: Mapping[str, str]  # by key of the company


def render_hubspot_records(world: World, export: Export, rng: Random) -> HubspotIds:
    """Add the record streams; gives where everybody is, for the engagements."""
    portal = _Portal(world, export, rng)
    portal.add_owners()
    portal.add_contacts()
    portal.add_deals()
    portal.add_companies()
    return HubspotIds(owners=portal.owners, users=portal.users, companies=portal.companies, contacts=portal.contacts, deals=portal.deals)


def hubspot_row(row_id: str, created: datetime, changed: datetime, properties: Record, links: Mapping[str, Sequence[str]]) -> Record:
    """A CRM object as the connector emits it; associations (`links`) that are empty are left out."""
    return {
        "id": row_id,
        "createdAt": zulu(created),
        "updatedAt": zulu(changed),
        "archived": False,
        "properties": properties,
        **{name: list(ids) for name, ids in links.items() if ids},
        **{f"properties_{name}": value for name, value in properties.items()},
    }


class _Portal:
    """One tenant's HubSpot account while it is being filled."""

    def __init__(self, world: World, export: Export, rng: Random) -> None:
        self._world = world
        self._export = export
        self._rng = rng
        self._contact_numbers = Numbers(rng, 100, 60)
        company_numbers = Numbers(rng, 11_400_000_000, 9_000_000)
        self.owners: dict[str, str] = {}
        self.users: dict[str, int] = {}
        self.companies = {key: str(company_numbers.next()) for key in world.companies}
        self.contacts: dict[tuple[str, str], str] = {}
        self.deals: dict[str, str] = {}

    def add_owners(self) -> None:
        """The tenant's own people."""
        numbers, user_numbers = Numbers(self._rng, 52_550_000, 900_000), Numbers(self._rng, 12_282_000, 50_000)
        for colleague in self._world.staff:
            owner, user = str(numbers.next()), user_numbers.next()
            self.owners[colleague.key], self.users[colleague.key] = owner, user
            self._export.add("hubspot", "owners", self._owner(colleague, owner, user))
            self._export.identify("hubspot", "owners", owner, "person", colleague.key)

    def add_contacts(self) -> None:
        """Most people, those who changed jobs once for each job; second contacts under private addresses; shared mailboxes."""
        rng, world = self._rng, self._world
        private = [person.key for person in world.people if person.private_email]
        merged = set(rng.sample(private, min(_MERGED_CONTACTS, len(private))))
        for n, person in enumerate(world.people):
            must = n == 0 or len(person.jobs) > 1 or person.key in merged
            if must or rng.random() < _CONTACT_SHARE:
                for job in person.jobs:
                    self._add_contact(person, job, merged=person.key in merged)
            if person.private_email and person.key not in merged and rng.random() < _PRIVATE_CONTACT_SHARE:
                self._add_private_contact(person)
        for role, company in zip(_ROLES, rng.sample(tuple(world.companies.values()), len(_ROLES)), strict=True):
            self._add_role_contact(company, role)

    def add_deals(self) -> None:
        """One or two for each company."""
        numbers = Numbers(self._rng, 14_200_000_000, 5_000_000)
        for company in self._world.companies.values():
            for _ in range(self._rng.choice((1, 1, 2))):
                self.deals[company.key] = deal = str(numbers.next())
                self._export.add("hubspot", "deals", self._deal(company, deal))

    def add_companies(self) -> None:
        """All of them, and some a second time: with a www domain or without any."""
        rng, world = self._rng, self._world
        for company in world.companies.values():
            self._add_company(company, self.companies[company.key], company_name(company, rng), company.domain, self._members(company))
        numbers = Numbers(rng, 12_900_000_000, 9_000_000)
        for n, company in enumerate(rng.sample(tuple(world.companies.values()), _DUPLICATE_COMPANIES)):
            domain = f"www.{company.domain}" if n % 2 == 0 else ""
            self._add_company(company, str(numbers.next()), rng.choice(company.variants), domain, [])

    def _stamps(self) -> tuple[datetime, datetime]:
        rng = self._rng
        created = _FIRST + timedelta(minutes=rng.randrange(330 * 1440), seconds=rng.randrange(60), milliseconds=rng.randrange(1000))
        changed = created + timedelta(minutes=rng.randrange(280 * 1440), milliseconds=rng.randrange(1000))
        return created, min(changed, _LAST)

    def _someone(self) -> str:
        return self._rng.choice(tuple(self.owners.values()))

    def _members(self, company: Company) -> list[str]:
        return [contact for (_, employer), contact in self.contacts.items() if employer == company.key]

    def _owner(self, colleague: Employee, owner: str, user: int) -> Record:
        created = datetime(2024, 3, 4, 8, 30, 12, 301_000, tzinfo=UTC)
        return {
            "id": owner,
            "email": colleague.email,
            "type": "PERSON",
            "firstName": colleague.nick if self._rng.random() < 0.2 else colleague.given,
            "lastName": colleague.family,
            "userId": user,
            "createdAt": zulu(created),
            "updatedAt": zulu(created + timedelta(days=self._rng.randint(0, 500))),
            "archived": False,
            "teams": [{"id": "1", "name": "Sales", "primary": True}] if "Account" in colleague.title else [],
        }

    def _put_contact(
        self, true_id: str, stamps: tuple[datetime, datetime], name: WrittenName, email: str, more: Record, links: Sequence[str]
    ) -> str:
        created, changed = stamps
        contact = self._contact_numbers.next()
        properties: Record = {
            "createdate": created.isoformat(),
            "lastmodifieddate": changed.isoformat(),
            "hs_object_id": contact,
            "email": email,
            "firstname": name.given or None,
            "lastname": name.family or None,
            "phone": None,
            "mobilephone": None,
            "company": None,
            "jobtitle": None,
            "city": None,
            "country": None,
            "lifecyclestage": self._rng.choice(("lead", "opportunity", "customer", "customer")),
            "hubspot_owner_id": self._someone(),
            "associatedcompanyid": int(links[0]) if links else None,
            "hs_additional_emails": None,
            "hs_merged_object_ids": None,
            "hs_email_domain": email.split("@")[1].lower(),
            **more,
        }
        self._export.add("hubspot", "contacts", hubspot_row(str(contact), created, changed, properties, {"companies": links}))
        self._export.identify("hubspot", "contacts", str(contact), "person", true_id)
        return str(contact)

    def _add_contact(self, person: Person, job: Job, *, merged: bool) -> None:
        rng, region = self._rng, self._world.plan.country
        company = self._world.companies[job.company]
        stamps = self._stamps()
        if job.since > YEAR_START:  # known since they came to the new company
            created = datetime(job.since.year, job.since.month, job.since.day, 10, tzinfo=UTC) + timedelta(days=rng.randint(1, 40))
            stamps = created, created + timedelta(days=2)
        moved = len(person.jobs) > 1
        more: Record = {
            "phone": written(job.phone, rng, region) or None if rng.random() < 0.85 else None,
            "mobilephone": written(person.mobile, rng, region) or None if moved or rng.random() < 0.75 else None,
            "company": company_name(company, rng) if rng.random() < 0.85 else None,
            "jobtitle": job.title if rng.random() < 0.8 else None,
            "city": company.city,
            "country": _COUNTRIES[company.country],
            **(_traces_of_merge(person, job) if merged else {}),
        }
        # The connector repeats an id for each kind of association that it has.
        links = [self.companies[company.key]] * rng.choice((1, 2)) if rng.random() < 0.9 else []
        contact = self._put_contact(person.key, stamps, careless_name(person, rng), written_email(job.email, rng), more, links)
        self.contacts[person.key, job.company] = contact

    def _add_private_contact(self, person: Person) -> None:
        """The same person, signed up for something with the address they use at home."""
        company = self._world.companies[person.jobs[0].company]
        more: Record = {
            "mobilephone": written(person.mobile, self._rng, self._world.plan.country) or None,
            "company": company.short if self._rng.random() < 0.5 else None,
            "lifecyclestage": "subscriber",
        }
        name = WrittenName(given=person.nick, family=person.family)
        self._put_contact(person.key, self._stamps(), name, person.private_email, more, [])

    def _add_role_contact(self, company: Company, role: str) -> None:
        """A mailbox that several people read: nobody in particular, so a true identity of its own."""
        rng, world = self._rng, self._world
        name = WrittenName(given="", family=rng.choice(("", role.capitalize(), company.short)))
        more: Record = {"phone": written(world.main_line(company), rng, world.plan.country) or None, "company": company.short}
        links = [self.companies[company.key]]
        self._put_contact(f"role-{role}-{company.key}", self._stamps(), name, f"{role}@{company.domain}", more, links)

    def _add_company(self, company: Company, row_id: str, name: str, domain: str, members: Sequence[str]) -> None:
        rng, world = self._rng, self._world
        created, changed = self._stamps()
        properties: Record = {
            "createdate": created.isoformat(),
            "hs_lastmodifieddate": changed.isoformat(),
            "hs_object_id": int(row_id),
            "name": name,
            "domain": domain or None,
            "website": domain or None,
            "phone": written(world.main_line(company), rng, world.plan.country) or None,
            "address": company.street,
            "city": company.city,
            "state": company.state or None,
            "zip": company.postal_code,
            "country": _COUNTRIES[company.country],
            "industry": company.industry if rng.random() < 0.7 else None,
            "numberofemployees": company.employees if rng.random() < 0.8 else None,
            "lifecyclestage": rng.choice(("opportunity", "customer")),
            "hubspot_owner_id": self._someone(),
            "num_associated_contacts": len(members),
            "hs_parent_company_id": None,
        }
        repeated = [member for member in members for _ in range(rng.choice((1, 2)))]
        self._export.add("hubspot", "companies", hubspot_row(row_id, created, changed, properties, {"contacts": repeated}))
        self._export.identify("hubspot", "companies", row_id, "company", f"company-{company.key}")

    def _deal(self, company: Company, deal: str) -> Record:
        rng, plan = self._rng, self._world.plan
        created, changed = self._stamps()
        stage = rng.choice(_DEAL_STAGES)
        closes = date(2026, rng.randint(1, 10), rng.randint(1, 28))
        people = self._members(company)[:2]
        properties: Record = {
            "createdate": created.isoformat(),
            "hs_lastmodifieddate": changed.isoformat(),
            "hs_object_id": int(deal),
            "dealname": f"{company.short} - {rng.choice(plan.lexicon.products).removeprefix('the ')}",
            "amount": rng.randrange(12_000, 240_000, 500),
            "deal_currency_code": "USD" if plan.country == "US" else "EUR",
            "dealstage": stage,
            "pipeline": "default",
            "dealtype": rng.choice(("newbusiness", "existingbusiness")),
            "closedate": datetime(closes.year, closes.month, closes.day, tzinfo=UTC).isoformat(),
            "hs_is_closed": stage.startswith("closed"),
            "hs_is_closed_won": stage == "closedwon",
            "hubspot_owner_id": self._someone(),
            "num_associated_contacts": len(people),
        }
        return hubspot_row(deal, created, changed, properties, {"companies": [self.companies[company.key]], "contacts": people})


def _traces_of_merge(person: Person, job: Job) -> Record:
    """What is left of a contact that was merged into this one: its addresses and its id, which exists no more."""
    nickname_address = f"{address_part(person.nick)}@{job.email.split('@')[1]}"
    return {"hs_additional_emails": f"{person.private_email};{nickname_address}", "hs_merged_object_ids": str(90_000 + len(person.name))}
