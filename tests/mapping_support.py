"""What the tests of the mapping language share: the shipped mappings, a tenant's context, and one record staged."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pay_ready.model.staged import StagedCompany, StagedInteraction, StagedPerson, StagedRows
from pay_ready.pipeline.contracts import Breach, StageOutcome, Unmapped, stage_record
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.language import load_mapping
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.resources import resource_path

FREE_MAIL = frozenset({"gmail.com", "gmx.de"})
OWN_DOMAIN = "acme.example"


def context(
    *, phone_region: str = "US", time_zone: str = "UTC", email_validation: bool = True, own: frozenset[str] = frozenset({OWN_DOMAIN})
) -> MappingContext:
    """A tenant's context; a test names only what it is about."""
    return MappingContext(
        phone_region=phone_region,
        time_zone=time_zone,
        email_validation=email_validation,
        free_mail=FREE_MAIL,
        internal_domains=own,
        now=datetime(2026, 11, 21, 12, tzinfo=UTC),
    )


CONTEXT = context()


@cache
def shipped(kind: str) -> SourceMapping:
    """A mapping of `config/sources`."""
    return load_mapping(resource_path("config", "sources", f"{kind}.toml"))


def written(folder: Path, streams: str) -> SourceMapping:
    """A mapping of one kind "test", from the text of its streams."""
    path = folder / "test.toml"
    path.write_text(f'kind = "test"\nversion = 1\n{streams}', encoding="utf-8")
    return load_mapping(path)


def staged(kind: str, stream: str, record: Mapping[str, object], ctx: MappingContext = CONTEXT) -> StagedRows:
    """The rows of a record that fulfils its contract."""
    outcome = outcome_of(kind, stream, record, ctx)
    assert isinstance(outcome, StagedRows), outcome
    return outcome


def outcome_of(kind: str, stream: str, record: Mapping[str, object], ctx: MappingContext = CONTEXT) -> StageOutcome:
    """Whatever becomes of a record."""
    return stage_record(shipped(kind), stream, "row-1", record, ctx)


def breach_of(outcome: StageOutcome) -> tuple[str, str]:
    """Reason and field of a breach."""
    assert isinstance(outcome, Breach), outcome
    return outcome.reason, outcome.field


def reason_of(outcome: StageOutcome) -> str:
    """Why a record is unmapped."""
    assert isinstance(outcome, Unmapped), outcome
    return outcome.reason


def person_of(kind: str, stream: str, record: Mapping[str, object], ctx: MappingContext = CONTEXT) -> StagedPerson:
    """The one person that a record lists."""
    rows = staged(kind, stream, record, ctx)
    (person,) = rows.people
    assert not rows.companies
    assert not rows.interactions
    return person


def company_of(kind: str, stream: str, record: Mapping[str, object], ctx: MappingContext = CONTEXT) -> StagedCompany:
    """The one company that a record lists."""
    rows = staged(kind, stream, record, ctx)
    (company,) = rows.companies
    assert not rows.people
    assert not rows.interactions
    return company


def interaction_of(kind: str, stream: str, record: Mapping[str, object], ctx: MappingContext = CONTEXT) -> StagedInteraction:
    """The one interaction that a record tells of."""
    rows = staged(kind, stream, record, ctx)
    (interaction,) = rows.interactions
    assert not rows.people
    assert not rows.companies
    return interaction


def appearances(interaction: StagedInteraction) -> list[tuple[str, str]]:
    """Role and key of everybody who appears, in order; companies too."""
    return [
        (participant.role, subject.key)
        for participant in interaction.participants
        if (subject := participant.person or participant.company) is not None
    ]


def at(text: str) -> datetime:
    """An aware time from ISO text."""
    return datetime.fromisoformat(text)
