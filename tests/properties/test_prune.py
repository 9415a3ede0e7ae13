"""A pruned context: never over budget, essential always in, in a stable order, and more budget never loses what matters."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pay_ready.errors import UsageError
from pay_ready.memory.prune import ContextItem, PrunedContext, PruneOptions, prune_context
from pay_ready.memory.shortening import TokenEstimate, estimated_tokens, first_sentences, shortened

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WEEK = timedelta(days=7)


def words(text: str) -> int:
    """Another estimate."""
    return len(text.split())


def echo(text: str, _most_tokens: int, _tokens_of: TokenEstimate) -> str:
    """A compressor that makes things longer."""
    return f"{text} {text}"


def nothing(_text: str, _most_tokens: int, _tokens_of: TokenEstimate) -> str:
    """A compressor that leaves nothing."""
    return ""


sentences = st.lists(
    st.sampled_from(["We agreed.", "The price is 12 euros a seat.", "x" * 90, "Wann? 明日。", "  ", "\n"]), max_size=12
).map(" ".join)
items = st.lists(
    st.builds(
        ContextItem, item_id=st.integers(0, 40).map(lambda number: UUID(int=number)),
        occurred_at=st.integers(0, 30 * 24).map(lambda hours: NOW - timedelta(hours=hours)), text=sentences | st.text(max_size=300),
        is_essential=st.sampled_from([False, False, True]), similarity=st.one_of(st.none(), st.floats(-1, 1)),
    ),
    max_size=15, unique_by=lambda item: item.item_id,
)  # fmt: skip
options = st.builds(
    PruneOptions, tokens_of=st.sampled_from([estimated_tokens, words, len]), compress=st.sampled_from([first_sentences, echo, nothing]),
    long_tokens=st.integers(1, 80), short_tokens=st.integers(1, 40), line_tokens=st.integers(1, 12),
)  # fmt: skip


def pruned(given_items: list[ContextItem], budget: int, chosen: PruneOptions) -> PrunedContext | None:
    """The context, or None where the budget is refused."""
    try:
        return prune_context(given_items, budget, NOW, chosen)
    except UsageError:
        return None


@given(given_items=items, budget=st.integers(0, 600), chosen=options)
def test_never_over_budget_and_essential_always_in(given_items: list[ContextItem], budget: int, chosen: PruneOptions) -> None:
    """The texts add up to what is said and to no more than the budget; each essential item is in, with words if it had any; the
    order is by time; what is not in is counted; and a refusal names a budget that suffices, and no smaller one does."""
    try:
        context = prune_context(given_items, budget, NOW, chosen)
    except UsageError as error:
        needed = int(str(error.where["needed_tokens"]))
        assert needed > budget
        assert pruned(given_items, needed, chosen) is not None
        assert pruned(given_items, needed - 1, chosen) is None
        return
    assert context.tokens == sum(chosen.tokens_of(item.text) for item in context.items) <= budget
    kept = {item.item_id: item for item in context.items}
    for item in given_items:
        if item.is_essential:
            assert kept[item.item_id].reason == "essential"
            assert bool(kept[item.item_id].text.strip()) == bool(item.text.strip())
    assert list(context.items) == sorted(context.items, key=lambda item: (item.occurred_at, item.item_id))
    assert len(kept) == len(context.items)
    assert len(kept) + sum(context.left_out.values()) == len(given_items)


@given(given_items=items, budget=st.integers(0, 400), more=st.integers(0, 400), chosen=options)
def test_a_larger_budget_loses_nothing_that_matters(given_items: list[ContextItem], budget: int, more: int, chosen: PruneOptions) -> None:
    """Essential and recent items that are in stay in."""
    small = pruned(given_items, budget, chosen)
    assume(small is not None)
    large = pruned(given_items, budget + more, chosen)
    assert small is not None
    assert large is not None
    before, after = ({item.item_id for item in each.items if item.reason in ("essential", "recent")} for each in (small, large))
    assert before <= after


@given(given_items=items, budget=st.integers(0, 600), chosen=options, seed=st.integers())
def test_the_order_of_what_comes_in_does_not_matter(given_items: list[ContextItem], budget: int, chosen: PruneOptions, seed: int) -> None:
    """The same items shuffled, or some of them twice, give the same context."""
    shuffled = random.Random(seed).sample(given_items, len(given_items)) + given_items[::2]
    assert pruned(shuffled, budget, chosen) == pruned(given_items, budget, chosen)


@given(given_items=items, chosen=options)
def test_with_room_for_all_all_is_in(given_items: list[ContextItem], chosen: PruneOptions) -> None:
    """Nothing is left out; only what is older is short."""
    context = prune_context(given_items, 1_000_000, NOW, chosen)
    assert not context.left_out
    texts = {item.item_id: item.text for item in given_items}
    assert all(item.form == "whole" and item.text == texts[item.item_id] for item in context.items if item.reason != "older")


@given(text=st.text(max_size=200), most=st.integers(1, 50), tokens_of=st.sampled_from([estimated_tokens, words]))
@example("One. Two. Three.", 2, words)
def test_a_shortened_text_is_short_and_says_something(text: str, most: int, tokens_of: TokenEstimate) -> None:
    """At most so many tokens, and nothing only where there was nothing."""
    made = shortened(text, most, tokens_of, first_sentences)
    assert tokens_of(made) <= max(most, tokens_of(text.strip()[:1] + "…"))
    assert bool(made) == bool(text.strip())


def item(number: int, days: float, text: str = "four words of text", **values: object) -> ContextItem:
    """An item of so many days ago."""
    return ContextItem(item_id=UUID(int=number), occurred_at=NOW - timedelta(days=days), text=text, **values)  # type: ignore[arg-type]


def test_the_order_of_claims_and_its_boundaries() -> None:
    """Essential before recent before relevant before older; under seven days is recent, and .8 is relevant."""
    given_items = [
        item(1, 30, is_essential=True), item(2, 6.999), item(3, 7, similarity=0.8), item(4, 8, similarity=0.799), item(5, -1),
    ]  # fmt: skip
    chosen = PruneOptions(tokens_of=words)

    def reasons(budget: int) -> list[tuple[int, str]]:
        return [(each.item_id.int, each.reason) for each in prune_context(given_items, budget, NOW, chosen).items]

    assert reasons(4) == [(1, "essential")]
    assert reasons(8) == [(1, "essential"), (5, "recent")]
    assert reasons(12) == [(1, "essential"), (2, "recent"), (5, "recent")]
    assert reasons(16) == [(1, "essential"), (3, "relevant"), (2, "recent"), (5, "recent")]
    assert reasons(20) == [(1, "essential"), (4, "older"), (3, "relevant"), (2, "recent"), (5, "recent")]
    assert prune_context(given_items, 13, NOW, chosen).left_out == {"relevant": 1, "older": 1}


def test_a_recent_item_makes_no_room_for_an_older_one() -> None:
    """Where the newest does not fit, none that is older comes in its place: with a larger budget it would have to go again."""
    given_items = [item(1, 1, "eight words " * 4), item(2, 2)]
    chosen = PruneOptions(tokens_of=words)
    kept = [[each.item_id.int for each in prune_context(given_items, budget, NOW, chosen).items] for budget in (4, 8, 12)]
    assert kept == [[], [1], [2, 1]]


def test_essential_alone_over_budget_is_shortened() -> None:
    """Three essential texts of 100 words in 60 tokens are all in, shortened; 3 tokens are refused with what is needed."""
    given_items = [item(number, number, ". ".join(["Some words here"] * 33) + ".", is_essential=True) for number in range(3)]
    chosen = PruneOptions(tokens_of=words, short_tokens=20, line_tokens=3)
    context = prune_context([*given_items, item(9, 1, "recent")], 60, NOW, chosen)
    assert [each.item_id.int for each in context.items] == [2, 1, 0]
    assert all(each.form == "short" and each.text == ". ".join(["Some words here"] * 6) + "." for each in context.items[:2])
    with pytest.raises(UsageError, match="budget_tokens=8, needed_tokens=9, essential_items=3"):
        prune_context(given_items, 8, NOW, chosen)


def test_a_long_text_does_not_crowd_out_the_rest() -> None:
    """A recent call of 5,000 words in a budget of 300 comes in short, so that the others find room; with room enough it is whole."""
    given_items = [item(1, 1, "So it went. " * 1_700), *(item(number, 3) for number in range(2, 30))]
    chosen = PruneOptions(tokens_of=words)
    context = prune_context(given_items, 300, NOW, chosen)
    assert len(context.items) == 29
    assert context.items[-1].form == "short"
    assert prune_context(given_items, 10_000, NOW, chosen).items[-1].form == "whole"


def test_tokens_by_default() -> None:
    """A quarter of the bytes, rounded up: English at 4 characters, Chinese dearer."""
    assert [estimated_tokens(text) for text in ("", "a", "four", "fives", "明日")] == [0, 1, 1, 2, 2]
