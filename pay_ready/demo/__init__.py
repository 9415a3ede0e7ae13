"""The demo data set: two invented tenants, a year of their customer work, as export files of four Airbyte sources.

`make_exports` writes the files from a seed; the committed result is in `EXPORTS`, with the truth about who is who in `truth.csv`.
Every person, company and domain is invented: domains end in `.example`, phone numbers come from ranges kept for fiction.
"""

from dataclasses import dataclass
from pathlib import Path

EXPORTS = Path(__file__).parent / "exports"

SOURCES = ("gong", "hubspot", "salesforce", "slack")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTenant:
    """One tenant of the demo: the folder of its exports, the name people see, and what its phone numbers mean without a country code."""

    slug: str
    name: str
    region: str  # ISO 3166 alpha-2, the default region of phone numbers
    sources: tuple[str, ...] = SOURCES

    def files(self, source: str) -> tuple[Path, ...]:
        """The export files of one source, one per stream, in the order of their names."""
        return tuple(sorted((EXPORTS / self.slug / source).glob("*.jsonl")))


DEMO_TENANTS = (
    DemoTenant(slug="acme-robotics", name="Acme Robotics", region="US"),
    DemoTenant(slug="northwind-health", name="Northwind Health", region="DE"),
)
