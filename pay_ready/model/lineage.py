"""What lineage tells of a run beside its steps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityResult:
    """One check of a run, as it is stored."""

    check: str
    subject: str
    severity: str
    passed: bool
    expected: str | None
    measured: float | None
