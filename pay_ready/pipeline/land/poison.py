"""When so many records are broken that the source or its mapping must be wrong, and going on would only fill the quarantine."""

from collections.abc import Mapping
from dataclasses import dataclass

_MOST_REASONS = 10
# A stream set aside as a whole by its contract is no poison: its records are fine, their shape is not accepted yet.
_BY_CONTRACT = "schema."


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonLimit:
    """A run stops once more than this share of a stream's records is broken, and at least so many of them."""

    max_percent: float = 1.0
    from_records: int = 100

    def reasons(self, seen: Mapping[str, int], broken: Mapping[tuple[str, str], int]) -> str:
        """The first ten reasons of the first stream past the limit, with counts; empty while none is.

        Args:
            seen: Records by stream.
            broken: Records for quarantine by stream and reason, in the order in which the reasons were met first.
        """
        poison = {place: count for place, count in broken.items() if not place[1].startswith(_BY_CONTRACT)}
        for stream in dict.fromkeys(stream for stream, _ in poison):
            found = {reason: count for (name, reason), count in poison.items() if name == stream}
            total = sum(found.values())
            if total >= self.from_records and total * 100 > seen.get(stream, 0) * self.max_percent:
                first = ", ".join(f"{reason} ({count:,})" for reason, count in list(found.items())[:_MOST_REASONS])
                return f"{total:,} of {seen.get(stream, 0):,} of {stream}: {first}"
        return ""
