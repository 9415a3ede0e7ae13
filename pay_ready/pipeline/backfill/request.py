"""What a backfill was asked for, from its words; wrong ones are refused before anything is opened. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from pay_ready.errors import UsageError
from pay_ready.model.backfill import ChunkLength
from pay_ready.sources.ranges import DatedBy

MOST_CHUNKS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillRequest:
    """A range of one source, from `start` up to and without `end`. `streams`: those named; none means all that can be."""

    source: str
    streams: tuple[str, ...]
    start: datetime
    end: datetime
    length: ChunkLength
    dated_by: DatedBy

    @property
    def marks(self) -> tuple[datetime, ...]:
        """The boundaries of the chunks."""
        return tuple(self.length.marks(self.start, self.end))


def parse_request(source: str, streams: Sequence[str], *, start: str, end: str, chunk: str, by: str, now: datetime) -> BackfillRequest:
    """The request that a command's words make.

    Raises:
        UsageError: A date or length is none, the range is empty or not over yet, or its chunks are too many.
    """
    first, last = _moment("--from", start), _moment("--to", end)
    length = ChunkLength.parse(chunk)
    if length is None:
        raise UsageError("not the length of a chunk", "write it like 12h, 1d, 7d or 1mo", chunk=chunk)
    if by not in ("cursor", "extracted"):
        raise UsageError("records are dated by their stream's cursor or by when they were extracted", "say cursor or extracted", by=by)
    if last <= first:
        raise UsageError("--from is not before --to", "--to is the first moment that is no longer wanted", start=start, end=end)
    if last > now:
        hint = f"what comes is brought by the next sync; --to {now.astimezone(UTC):%Y-%m-%d} ends it with yesterday"
        raise UsageError("the range ends in the future", hint, end=end)
    if len(list(islice(length.marks(first, last), MOST_CHUNKS + 2))) > MOST_CHUNKS + 1:
        raise UsageError(f"more than {MOST_CHUNKS:,} chunks", "take longer ones with --chunk, or a shorter range", chunk=chunk)
    return BackfillRequest(
        source=source, streams=tuple(sorted(set(streams))), start=first, end=last, length=length,
        dated_by="extracted" if by == "extracted" else "cursor",
    )  # fmt: skip


def _moment(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError("not a time", "write it like 2026-01-31 or 2026-01-31T12:00 (UTC)", option=option, value=text) from None
    if moment < datetime(1970, 1, 1, tzinfo=UTC):
        raise UsageError("a time before 1970", "no source has records of then", option=option, value=text)
    return moment
