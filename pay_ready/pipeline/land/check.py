"""The proof that nothing got lost between the reader and the tables: what was read is compared with what was counted there."""

from collections import Counter
from collections.abc import Mapping

from pay_ready.db import landing as rows_of
from pay_ready.db.landing import UNKNOWN_STREAM
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import CountError
from pay_ready.model.ids import RunId
from pay_ready.sources.outcome import RunOutcome

_HINT = "nothing was published; run the source again, and report this: it is a fault of the program"


def accounted_by_stream(tx: TenantTransaction, run: RunId) -> dict[str, int]:
    """Records that the run has accounted for so far, by stream, as the tables say; those that a backfill passed over count, too."""
    return {stream.stream: stream.emitted + stream.skipped + stream.undated for stream in rows_of.stream_runs(tx, run)}


def require_all_accounted(run: RunId, outcome: RunOutcome, before: Mapping[str, int], after: Mapping[str, int]) -> None:
    """Every record of a reading that came to its end is accounted for, in its stream.

    Records that could not be read are known by their number alone: nobody knows their streams for certain, so they may make
    up for what a stream has beyond its readable ones.

    Args:
        outcome: What the source side counted.
        before: Records by stream that earlier attempts of the run accounted for.
        after: The same, this reading included.

    Raises:
        CountError: Some are missing, or there are too many; names the first stream.
    """
    read: Counter[str] = Counter()
    for descriptor, count in outcome.records.items():
        read[str(descriptor) or UNKNOWN_STREAM] += count
    surplus = {stream: after.get(stream, 0) - before.get(stream, 0) - read[stream] for stream in sorted(after.keys() | read.keys())}
    if all(each >= 0 for each in surplus.values()) and sum(surplus.values()) == outcome.unreadable_records:
        return
    worst = _worst(surplus, outcome.unreadable_records)
    raise CountError(
        "records that were read and records that were landed differ", _HINT, run=run, stream=worst, read=read[worst],
        accounted=after.get(worst, 0) - before.get(worst, 0), unreadable=outcome.unreadable_records,
    )  # fmt: skip


def _worst(surplus: Mapping[str, int], unreadable: int) -> str:
    """The stream to name: that which lacks most, else that which has most too many; nobody knows whose unreadable ones are missing."""
    if any(each < 0 for each in surplus.values()):
        return min(surplus, key=surplus.__getitem__)
    return max(surplus, key=surplus.__getitem__) if sum(surplus.values()) > unreadable else UNKNOWN_STREAM
