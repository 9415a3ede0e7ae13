"""One tenant's world, built from the seed: its plan, companies, people, employees and what happened."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from pay_ready.demo.companies import Company, companies_of
from pay_ready.demo.people import Employee, NameDealer, Person, hire, populate
from pay_ready.demo.phones import PhoneBook
from pay_ready.demo.plans import PLANS, Plan
from pay_ready.demo.story import Moment, tell

_SHARED_COMPANY = "marienhof"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything there is to export of one tenant."""

    plan: Plan
    companies: Mapping[str, Company]  # by key
    people: tuple[Person, ...]
    staff: tuple[Employee, ...]
    moments: tuple[Moment, ...]

    def at(self, company: Company) -> tuple[Person, ...]:
        """Everybody who ever worked for the company."""
        return tuple(person for person in self.people if any(job.company == company.key for job in person.jobs))

    def main_line(self, company: Company) -> str:
        """The switchboard, E.164: the number that several people share; empty when nobody shares one."""
        lines = [job.phone for person in self.at(company) for job in person.jobs if job.company == company.key]
        return next((line for line in lines if lines.count(line) > 1), "")


def build_worlds(seed: int) -> tuple[World, ...]:
    """Both tenants' worlds. One person, at the company that is a customer of both, is the same in both."""
    names, phones = NameDealer(Random(f"{seed} names")), PhoneBook(Random(f"{seed} phones"))
    worlds: list[World] = []
    for plan in PLANS:
        rng = Random(f"{seed} {plan.slug}")
        companies = companies_of(plan.slug)
        staff = hire(plan.slug, plan.country, plan.staff, names, phones)
        people = populate(plan.slug, companies, rng, names, phones)
        if worlds:
            people = _with_shared_person(people, worlds[0])
        moments = tell(plan, companies, people, staff, rng)
        by_key = {company.key: company for company in companies}
        worlds.append(World(plan=plan, companies=by_key, people=people, staff=staff, moments=moments))
    return tuple(worlds)


def _with_shared_person(people: tuple[Person, ...], other: World) -> tuple[Person, ...]:
    shared = next(person for person in other.people if len(person.jobs) == 1 and person.jobs[0].company == _SHARED_COMPANY)
    place = next(n for n, person in enumerate(people) if person.jobs[0].company == _SHARED_COMPANY)
    return (*people[:place], shared, *people[place + 1 :])
