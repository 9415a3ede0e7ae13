"""What of all that is known fits into a context: essential, recent, relevant, then what is older, shortened."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from pay_ready.errors import UsageError
from pay_ready.memory.shortening import Compressor, TokenEstimate, estimated_tokens, first_sentences, shortened

Reason = Literal["essential", "recent", "relevant", "older"]
Form = Literal["whole", "short", "line"]

_NEVER_SIMILAR = -2.0  # below every cosine


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextItem:
    """Something that may go into a context."""

    item_id: UUID
    occurred_at: datetime
    text: str
    is_essential: bool = False  # must be in, however short
    similarity: float | None = None  # to the question: cosine, in [-1, 1]; None where nobody asked


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOptions:
    """What counts as recent and as relevant, and how long texts may be.

    `tokens_of` gives the tokens of a text (default: a quarter of its UTF-8 bytes, rounded up); `compress(text, most_tokens,
    tokens_of)` a shorter one (default: its first sentences). What comes back longer than asked is cut.
    """

    recent: timedelta = timedelta(days=7)
    least_similarity: float = 0.8
    long_tokens: int = 400  # what is longer comes in short at first, and whole where room is left
    short_tokens: int = 60
    line_tokens: int = 12
    tokens_of: TokenEstimate = estimated_tokens
    compress: Compressor = first_sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptItem:
    """An item of a context: as what it is in, and in which form."""

    item_id: UUID
    occurred_at: datetime
    text: str
    tokens: int
    reason: Reason
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedContext:
    """A context within its budget: by time and then id, the oldest first; and how many of each kind were left out."""

    items: tuple[KeptItem, ...]
    left_out: Mapping[Reason, int]
    tokens: int
    budget_tokens: int


def prune_context(items: Iterable[ContextItem], budget_tokens: int, now: datetime, options: PruneOptions | None = None) -> PrunedContext:
    """The best of the items within a budget, the same for every order of the items.

    1. Essential items: all of them, first as a line each, then short, then whole, the newest first, as far as the budget goes.
    2. Recent ones, the newest first, until one does not fit; long ones short. None before every essential one has its place.
    3. Long ones of both in whole, where they fit; essential ones else as far as they fit.
    4. Relevant ones, the most similar first; long ones short. 5. Older ones, short, the newest first.
    6. Long relevant ones in whole, where they fit.

    A larger budget never loses an essential or recent item. An id given twice counts once, by its strongest claim.

    Raises:
        UsageError: Not even a line of each essential item fits; says how many tokens are needed at least.
    """
    chosen = options or PruneOptions()
    texts = [_Candidate(item, _reason_of(item, now, chosen), chosen) for item in _distinct(items)]
    pruning = _Pruning(texts, budget_tokens)
    if pruning.enter_essential():
        pruning.enter("recent", is_strict=True)
    pruning.make_whole("essential")
    pruning.stretch("essential")
    pruning.make_whole("recent")
    pruning.enter("relevant")
    pruning.enter("older")
    pruning.make_whole("relevant")
    return pruning.result()


class _Candidate:
    """An item in its forms, each made once and only when asked for."""

    def __init__(self, item: ContextItem, reason: Reason, options: PruneOptions) -> None:
        self.item, self.reason, self.options = item, reason, options
        tokens = options.tokens_of(item.text)
        self.whole = self._as(item.text, tokens, "whole")
        self.is_long = tokens > options.long_tokens
        self._shorter: dict[Form, KeptItem] = {}

    def form(self, form: Form) -> KeptItem:
        """The item in a form; whole where that is no longer."""
        if form == "whole":
            return self.whole
        if form not in self._shorter:
            self._shorter[form] = self.within(self.options.short_tokens if form == "short" else self.options.line_tokens, form)
        return self._shorter[form]

    def within(self, most_tokens: int, form: Form) -> KeptItem:
        """The item in at most so many tokens, or in as few as can be."""
        options = self.options
        text = shortened(self.item.text, most_tokens, options.tokens_of, options.compress) if self.whole.tokens > most_tokens else ""
        made = self._as(text, options.tokens_of(text), form)
        return made if text and made.tokens < self.whole.tokens else self.whole

    @property
    def entering(self) -> KeptItem:
        """The form it comes in with."""
        return self.form("short") if self.is_long or self.reason == "older" else self.whole

    def _as(self, text: str, tokens: int, form: Form) -> KeptItem:
        item = self.item
        return KeptItem(item_id=item.item_id, occurred_at=item.occurred_at, text=text, tokens=tokens, reason=self.reason, form=form)


class _Pruning:
    """What is in so far, and the tokens left."""

    def __init__(self, candidates: Sequence[_Candidate], budget_tokens: int) -> None:
        self._by_reason: dict[Reason, list[_Candidate]] = {"essential": [], "recent": [], "relevant": [], "older": []}
        for candidate in sorted(candidates, key=_rank):
            self._by_reason[candidate.reason].append(candidate)
        self._budget = self._left = budget_tokens
        self._in: dict[UUID, KeptItem] = {}

    def enter_essential(self) -> bool:
        """All essential items; whether each is in the form in which it should come in."""
        essential = self._by_reason["essential"]
        # A line is the least that a compressor leaves of it; a strange one may leave more than of the short form.
        lines = [min(candidate.form("line"), candidate.form("short"), key=lambda form: form.tokens) for candidate in essential]
        needed = sum(line.tokens for line in lines)
        if needed > self._left:
            what, hint = "the budget holds not even a line of each essential item", "raise the budget or mark fewer items as essential"
            raise UsageError(what, hint, budget_tokens=self._budget, needed_tokens=needed, essential_items=len(essential))
        for line in lines:
            self._take(line)
        shorts = [candidate.form("short") for candidate in essential]
        return self._take_in_turn(shorts) and self._take_in_turn([candidate.entering for candidate in essential])

    def enter(self, reason: Reason, *, is_strict: bool = False) -> None:
        """Items of a kind, in their order; with `is_strict` none after the first that does not fit."""
        for candidate in self._by_reason[reason]:
            if not self._take(candidate.entering) and is_strict:
                return

    def make_whole(self, reason: Reason) -> None:
        """Items of a kind that are in short, in whole where that fits."""
        for candidate in self._by_reason[reason]:
            if candidate.item.item_id in self._in:
                self._take(candidate.whole)

    def stretch(self, reason: Reason) -> None:
        """Items of a kind that are still short, as long as there is room for."""
        for candidate in self._by_reason[reason]:
            now = self._in[candidate.item.item_id]
            longer = candidate.within(now.tokens + self._left, "short") if self._left and now.form != "whole" else now
            if longer.tokens > now.tokens:
                self._take(longer)

    def result(self) -> PrunedContext:
        """What came in."""
        kept = sorted(self._in.values(), key=lambda item: (item.occurred_at, item.item_id))
        left_out = Counter[Reason](
            candidate.reason for each in self._by_reason.values() for candidate in each if candidate.item.item_id not in self._in
        )
        return PrunedContext(items=tuple(kept), left_out=dict(left_out), tokens=self._budget - self._left, budget_tokens=self._budget)

    def _take_in_turn(self, forms: Iterable[KeptItem]) -> bool:
        return all(self._take(form) for form in forms)

    def _take(self, item: KeptItem) -> bool:
        """Put an item in, in place of a shorter form of it; False where it does not fit."""
        before = self._in.get(item.item_id)
        more = item.tokens - (before.tokens if before else 0)
        if more > self._left:
            return False
        self._left -= more
        self._in[item.item_id] = item
        return True


def _reason_of(item: ContextItem, now: datetime, options: PruneOptions) -> Reason:
    if item.is_essential:
        return "essential"
    if now - item.occurred_at < options.recent:
        return "recent"
    return "relevant" if item.similarity is not None and item.similarity >= options.least_similarity else "older"


def _distinct(items: Iterable[ContextItem]) -> list[ContextItem]:
    best: dict[UUID, ContextItem] = {}
    for item in items:
        other = best.get(item.item_id)
        if other is not None:
            first, second = sorted((item, other), key=lambda each: (each.is_essential, _similarity(each), each.occurred_at, each.text))
            similarity = max(first, second, key=_similarity).similarity
            item = replace(second, is_essential=first.is_essential or second.is_essential, similarity=similarity)
        best[item.item_id] = item
    return list(best.values())


def _similarity(item: ContextItem) -> float:
    return _NEVER_SIMILAR if item.similarity is None else item.similarity


def _rank(candidate: _Candidate) -> tuple[float, float, UUID]:
    """The most similar first among relevant ones, else the newest; then by id."""
    item = candidate.item
    similarity = _similarity(item) if candidate.reason == "relevant" else 0.0
    return -similarity, -item.occurred_at.timestamp(), item.item_id
