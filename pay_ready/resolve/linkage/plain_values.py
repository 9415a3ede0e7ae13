"""What two values say of each other, of people as of companies: comparisons of `values` and `organisations` without columns."""

import numpy as np
from rapidfuzz import fuzz
from rapidfuzz.distance import OSA, Prefix

from pay_ready.resolve.linkage import organisations, values
from pay_ready.resolve.linkage.plain_counts import PlainCounts
from pay_ready.resolve.linkage.plain_texts import OrganisationName

Said = tuple[int, float]  # the level that a comparison reached, 0 for null, and the share of the value that agrees


def compare_categories(counts: PlainCounts, name: str, one: str | None, other: str | None) -> Said:
    """`values.Category.compare` of two values of a column."""
    if one is None or other is None:
        return 0, 1.0
    table = f"value.{name}"
    if one == other:
        return 3, counts.share(table, one, values.USUAL_CATEGORY)
    slips, short = OSA.distance(one, other, score_cutoff=2), min(len(one), len(other))
    if (slips == 1 and short >= 4) or (slips == 2 and short >= 7):
        return 2, max(counts.share(table, each, values.USUAL_CATEGORY) for each in (one, other))
    return 1, 1.0


def similar_organisations(one: OrganisationName, other: OrganisationName, similar_from: float) -> int:
    """`organisations.similar_organisations` of two names; 0 where one is none."""
    first, second = one.core, other.core
    if first is None or second is None:
        return 0
    if first == second:
        return 3
    if np.float32(fuzz.ratio(first, second, score_cutoff=similar_from)) >= similar_from:
        return 2
    shorter = min(len(first), len(second))
    is_head = shorter >= organisations.SHORTEST_HEAD and Prefix.similarity(first, second) == shorter
    return int(is_head or first == other.acronym or second == one.acronym)
