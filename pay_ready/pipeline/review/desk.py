"""A reviewer's desk: who reviews which tenant's pairs, and by which rules of the team."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pay_ready.db import resolution as db_resolution
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.model.ids import TenantId
from pay_ready.model.resolution import ResolutionConfig

if TYPE_CHECKING:  # heavy, for who looks at evidence alone
    from pay_ready.pipeline.explain import Models


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRules:
    """How a team reviews (section `review` of the settings)."""

    blind: bool = False  # score, evidence and what others said are hidden until the answer
    double: bool = False  # two who agree decide
    gold_percent: float = 5.0  # of answers that measure agreement
    lease_s: float = 600.0  # a pair is one reviewer's alone for so long
    agent_decides: bool = True  # verdicts of the automatic reviewer at low risk hold


@dataclass(slots=True, kw_only=True)
class Desk:
    """What a reviewer works with. It keeps the models of the published version: make one and use it for many pairs."""

    database: Database
    tenant: TenantId
    actor: str
    resolution: ResolutionConfig
    rules: ReviewRules
    _known: "tuple[int, Models] | None" = field(default=None, init=False)

    def models(self, tx: TenantTransaction) -> "Models":
        """The models of the published version."""
        run_no = db_resolution.current_run_no(tx)
        if self._known is None or self._known[0] != run_no:
            self._known = (run_no, db_resolution.current_models(tx))
        return self._known[1]
