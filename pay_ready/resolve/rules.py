"""What evidence may decide at all. Names that agree never decide alone; a shared address or number needs names that agree."""

import numpy as np
from numpy.typing import NDArray

from pay_ready.resolve.comparisons import (
    COMPANY_NAME_LEVELS,
    DOMAIN_LEVELS,
    EMAIL_LEVELS,
    EMPLOYER_LEVELS,
    EQUALITY_LEVELS,
    PHONE_LEVELS,
    ComparedPairs,
)
from pay_ready.resolve.name_comparison import NameLevel

Mask = NDArray[np.bool_]


def is_own_address(pairs: ComparedPairs) -> Mask:
    """The pair has one personal address and no names against it: it decides alone."""
    names = pairs.comparisons["name"].levels
    same = pairs.comparisons["email"].levels == EMAIL_LEVELS.index("exact")
    contradicted = (names == NameLevel.DISAGREE) | (names == NameLevel.FAMILY)
    decides: Mask = same & ~contradicted & ~pairs.is_bridge
    return decides


def people_may_match(pairs: ComparedPairs) -> Mask:
    """A personal address, or names that agree with a second field; a given name alone agrees only beside a personal number."""
    names, email, phone = (pairs.comparisons[field].levels for field in ("name", "email", "phone"))
    company, city = (pairs.comparisons[field].levels for field in ("company", "city"))
    second = (
        (company >= EMPLOYER_LEVELS.index("close"))
        | (email >= EMAIL_LEVELS.index("same_user"))
        | (phone >= PHONE_LEVELS.index("shared"))
        | (city == EQUALITY_LEVELS.index("same"))
    )
    given_and_number = (names == NameLevel.GIVEN) & (phone == PHONE_LEVELS.index("exact"))
    may: Mask = is_own_address(pairs) | ((names >= NameLevel.INITIAL) & second) | given_and_number
    return may


def companies_may_match(pairs: ComparedPairs) -> Mask:
    """A domain of its own, or names that agree with a second field."""
    names, domain = pairs.comparisons["name"].levels, pairs.comparisons["domain"].levels
    phone, city = pairs.comparisons["phone"].levels, pairs.comparisons["city"].levels
    same = EQUALITY_LEVELS.index("same")
    second = (domain >= DOMAIN_LEVELS.index("owner")) | (phone == same) | (city == same)
    may: Mask = is_own_domain(pairs) | ((names >= COMPANY_NAME_LEVELS.index("acronym")) & second) | owner_named(pairs)
    return may


def is_own_domain(pairs: ComparedPairs) -> Mask:
    """The pair has one business domain that is not a platform's: it decides alone."""
    own: Mask = pairs.comparisons["domain"].levels == DOMAIN_LEVELS.index("exact")
    return own


def owner_named(pairs: ComparedPairs) -> Mask:
    """One side's domain carries the other side's name, which only one of the two has."""
    names, domain = pairs.comparisons["name"].levels, pairs.comparisons["domain"].levels
    named: Mask = (domain == DOMAIN_LEVELS.index("owner")) & (names == COMPANY_NAME_LEVELS.index("null"))
    return named
