"""A small tenant for questions: people, companies, a tie, and the day it is."""

from datetime import date
from uuid import NAMESPACE_DNS, UUID, uuid5

from pay_ready.agent.name_forms import EntityType, NamedEntity
from pay_ready.agent.names import NameIndex
from pay_ready.agent.plan import QueryPlan
from pay_ready.agent.reading import ReadingOptions, read_question

TODAY = date(2026, 11, 20)  # a Friday
SHOWN = uuid5(NAMESPACE_DNS, "shown")


def entity(name: str, entity_type: EntityType, **more: tuple[str, ...]) -> NamedEntity:
    """An entity whose id is told by its name and addresses."""
    return NamedEntity(id=uuid5(NAMESPACE_DNS, f"{name} {more}"), name=name, entity_type=entity_type, **more)


ACME = entity("Acme Inc.", "company", domains=("acme.com",))
GLOBEX = entity("Globex Corporation", "company", domains=("globex.io",))
INITECH = entity("Initech", "company")
JANE = entity("Jane Doe", "person", emails=("jane@acme.com",))
BOB = entity("Bob Miller", "person")
SAM_AT_GLOBEX = entity("Sam Lee", "person", emails=("sam@globex.io",))
SAM_AT_ACME = entity("Sam Lee", "person", emails=("sam.lee@acme.com",))
INDEX = NameIndex([ACME, GLOBEX, INITECH, JANE, BOB, SAM_AT_GLOBEX, SAM_AT_ACME])


def read(question: str, options: ReadingOptions | None = None, shown: UUID | None = None) -> QueryPlan:
    """The plan of a question to that tenant, by rules alone."""
    return read_question(question, INDEX, TODAY, options, shown=shown)


def words(text: str) -> list[str]:
    """The words of a list that is written as one text."""
    return text.split()
