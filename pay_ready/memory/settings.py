"""How memory is kept and searched: values only."""

from dataclasses import dataclass, field

from pay_ready.memory.batching import BatchLimits
from pay_ready.memory.language import LANGUAGES
from pay_ready.memory.policy import WarmPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """Recall against speed."""

    exact_below: int = 5_000  # vectors of a tenant: fewer are all compared, more are asked of an index
    ef_search: int = 100  # candidates that the index looks at
    candidates: int = 60  # of each kind, by words and by meaning, that are weighed against each other
    vector_share: float = 0.5  # of the fused score, beside the words' 1 (.3 to 1 are within .02 on LoCoMo evidence)
    common_from: int = 2_000  # passages of a tenant: of fewer, every word is counted when somebody asks
    common_share: float = 0.01  # of the passages: words that as many have are counted beforehand
    common_sample: int = 20_000  # passages that this is estimated from
    common_growth: float = 0.1  # of the passages, after which it is done again


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexingOptions:
    """How passages come in."""

    languages: tuple[str, ...] = LANGUAGES
    warm: WarmPolicy = field(default_factory=WarmPolicy)
    batch: BatchLimits = field(default_factory=BatchLimits)
    page: int = 200  # interactions that are cut and written in one transaction
    outer_page: int = 200  # interactions that the outer store is told of at once
    search: SearchOptions = SearchOptions()
