"""How large a block may be, by what its records share. Apart from the rest, so that reading a configuration loads no arrays."""

from dataclasses import dataclass, replace

_WEAK_PAIRS = 3_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Records of the largest block that is compared, by the kind of its key."""

    contact: int = 200  # an address or a number
    user: int = 15
    phone: int = 60
    name: int = 25  # a name that more have needs a second field in common, and then another rule finds the pair
    place_and_name: int = 80
    place_and_given: int = 20
    value: int = 40  # a date, a postcode, an identifier by itself
    weak: int = 60  # a key that says little by itself

    def at_size(self, records: int) -> "Caps":
        """Weak keys are worth their pairs as long as these are few beside the records' number."""
        return replace(self, weak=min(self.weak, _WEAK_PAIRS // max(records, 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyCaps:
    """Records of the largest block of which every pair is compared."""

    name: int = 30
    contact: int = 40
    word: int = 40
