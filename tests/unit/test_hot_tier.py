"""The hot tier loads once, forgets on time, stores nothing out of date, and keeps tenants apart."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from pay_ready.errors import IsolationError, NotFoundError, PayReadyError, RetryLaterError, TransientError, UsageError
from pay_ready.memory.hot import ENTRY_BYTES, HotKey, HotOptions, HotTier
from pay_ready.memory.hot_size import estimated_bytes
from pay_ready.model.ids import TenantId

OURS, THEIRS = TenantId(UUID(int=0xABC)), TenantId(UUID(int=0xDEF))
KEY = HotKey(OURS, "all", "call", "1")


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def tier(clock: Time | None = None, *, draw: Callable[[], float] = lambda: 0.0, **bounds: Any) -> HotTier[str]:
    """A small tier; without a draw of its own it never refreshes early."""
    return HotTier(HotOptions(**bounds), clock=clock or Time(), cost=len, draw=draw)


def fails(error: BaseException) -> Callable[[], str]:
    """A load that raises."""

    def load() -> str:
        raise error

    return load


def unexpected() -> str:
    """A load that must not happen."""
    pytest.fail("loaded")


def test_loads_once_and_then_finds_it() -> None:
    """The first call loads, the second finds; another version, scope, key or tenant is another value."""
    hot = tier()
    assert hot.get(KEY) is None
    assert hot.get_or_load(KEY, lambda: "value") == "value"
    assert hot.get_or_load(KEY, unexpected) == hot.get(KEY) == "value"
    for other in (KEY._replace(version="2"), KEY._replace(scope="some"), KEY._replace(key="chat"), KEY._replace(tenant=THEIRS)):
        assert hot.get(other) is None
    figures = hot.figures()
    assert (figures.items, figures.size_bytes, figures.loads, figures.hits, figures.misses) == (1, 5 + ENTRY_BYTES, 1, 2, 6)
    ours = hot.figures_by_tenant()[OURS]
    assert (ours.items, ours.size_bytes, ours.hits, ours.misses) == (1, 5 + ENTRY_BYTES, 2, 5)


def test_expires_to_the_second() -> None:
    """A value is found until just before its time, and not at it; what nobody asks for leaves the memory all the same."""
    clock = Time()
    hot = tier(clock, ttl_s=100.0)
    hot.put(KEY, "value", hot.moment)
    clock.now += 99.999
    assert hot.get(KEY) == "value"
    clock.now += 0.001
    assert hot.get(KEY) is None
    hot.put(KEY, "old", hot.moment)
    clock.now += 100.0
    hot.put(KEY._replace(key="new"), "new", hot.moment)
    assert (hot.figures().items, hot.figures().expired) == (1, 2)


@pytest.mark.parametrize("tenant", [None, str(OURS), str(OURS).upper(), "acme", 7])
def test_no_tenant_no_answer(tenant: Any) -> None:
    """What is no tenant's id is refused on every way in, in any spelling: the id as text is none."""
    hot = tier()
    hot.put(KEY, "ours", hot.moment)
    key = KEY._replace(tenant=tenant)
    for call in (
        lambda: hot.get(key), lambda: hot.get_or_load(key, unexpected), lambda: hot.put(key, "x", hot.moment),
        lambda: hot.forget(tenant, ["call"]), lambda: hot.forget_tenant(tenant), lambda: hot.advance(tenant, 1),
    ):  # fmt: skip
        with pytest.raises(IsolationError):
            call()
    assert hot.get(KEY) == "ours"


def test_forgetting_one_tenant_leaves_the_other_whole() -> None:
    """forget takes all scopes and versions of a key, forget_tenant everything, of one tenant: the other's same keys stay."""
    hot = tier()
    for tenant in (OURS, THEIRS):
        for version in ("1", "2"):
            hot.put(HotKey(tenant, "all", "call", version), "x", hot.moment)
        hot.put(HotKey(tenant, "all", "chat", "1"), "x", hot.moment)
    assert hot.forget(OURS, ["call", "call", "unknown"]) == 2
    assert hot.forget(OURS, ["call"]) == 0
    assert {tenant: figures.items for tenant, figures in hot.figures_by_tenant().items()} == {OURS: 1, THEIRS: 3}
    assert hot.forget_tenant(OURS) == 1
    assert {tenant: figures.items for tenant, figures in hot.figures_by_tenant().items()} == {OURS: 0, THEIRS: 3}
    assert hot.figures().size_bytes == 3 * (1 + ENTRY_BYTES)


CHANGES: dict[str, Callable[[HotTier[str]], object]] = {
    "publish, rollback, erasure": lambda hot: hot.advance(OURS, 5),
    "forget": lambda hot: hot.forget(OURS, ["call"]),
    "forget another key": lambda hot: hot.forget(OURS, ["chat"]),
    "forget the tenant": lambda hot: hot.forget_tenant(OURS),
    "fork": lambda hot: hot.start_empty(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_read_before_a_change_is_not_stored_after_it(change: Callable[[HotTier[str]], object]) -> None:
    """A load that a change overtakes gives its caller the value and stores nothing; so does a put of something read before."""
    hot = tier()
    before = hot.moment

    def load() -> str:
        change(hot)
        return "old"

    assert hot.get_or_load(KEY, load) == "old"
    assert hot.get(KEY) is None
    assert not hot.put(KEY, "old", before)
    assert hot.get(KEY) is None
    assert hot.put(KEY, "new", hot.moment)
    assert hot.get(KEY) == "new"


def test_a_change_of_another_tenant_does_not_matter() -> None:
    """A publish of a neighbour leaves this tenant's loads as they are."""
    hot = tier()

    def load() -> str:
        hot.advance(THEIRS, 5)
        hot.forget_tenant(THEIRS)
        return "value"

    hot.get_or_load(KEY, load)
    assert hot.get(KEY) == "value"


def test_an_epoch_moves_forward_only() -> None:
    """A known or older epoch changes nothing, so that a process which polls does not disturb itself; what is kept stays."""
    hot = tier()
    assert hot.advance(OURS, 5)
    hot.put(KEY, "value", hot.moment)
    before = hot.moment
    assert not hot.advance(OURS, 5)
    assert not hot.advance(OURS, 4)
    assert hot.moment == before
    assert hot.advance(OURS, 6)
    assert hot.get(KEY) == "value"


@dataclass
class Crowd:
    """Threads that all ask for one key at once, and what each of them got."""

    answers: list[object]

    @classmethod
    def asking(cls, hot: HotTier[str], load: Callable[[], str], threads: int = 200) -> "Crowd":
        crowd, gate = cls([]), threading.Barrier(threads)

        def ask() -> None:
            gate.wait(30)
            try:
                crowd.answers.append(hot.get_or_load(KEY, load))
            except Exception as error:
                crowd.answers.append(error)

        started = [threading.Thread(target=ask) for _ in range(threads)]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join(60)
        return crowd


def all_wait(hot: HotTier[str], threads: int = 200) -> None:
    """Return when all but the one that loads are waiting for it."""
    while hot.figures().waits < threads - 1:
        threading.Event().wait(0.001)


def test_a_stampede_loads_once() -> None:
    """200 threads miss one key at once: one loads, all get the value."""
    hot = tier()
    loads: list[int] = []

    def load() -> str:
        all_wait(hot)
        loads.append(1)
        return "value"

    assert Crowd.asking(hot, load).answers == ["value"] * 200
    assert (len(loads), hot.figures().loads, hot.figures().waits) == (1, 1, 199)


@pytest.mark.parametrize("error", [TransientError("away"), NotFoundError("no such call"), ValueError("a bug")])
def test_an_error_reaches_everybody_who_waits(error: Exception) -> None:
    """200 threads and a load that fails: one load, and everybody gets its error, class and message."""
    hot = tier()

    def load() -> str:
        all_wait(hot)
        raise error

    answers = Crowd.asking(hot, load).answers
    assert [(type(each), str(each)) for each in answers] == [(type(error), str(error))] * 200
    assert (hot.figures().loads, hot.figures().failures) == (1, 1)


def test_who_asks_after_a_change_waits_for_no_load_from_before_it() -> None:
    """Erasure while a load is under way: who asks then gets what a load of its own finds, and that is what stays."""
    hot = tier()
    is_loading, may_end = threading.Event(), threading.Event()
    first: list[str] = []

    def slow() -> str:
        is_loading.set()
        assert may_end.wait(30)
        return "erased"

    thread = threading.Thread(target=lambda: first.append(hot.get_or_load(KEY, slow)))
    thread.start()
    assert is_loading.wait(30)
    hot.forget(OURS, ["call"])
    assert hot.get_or_load(KEY, lambda: "new") == "new"
    may_end.set()
    thread.join(30)
    assert (first, hot.get(KEY)) == (["erased"], "new")


def test_an_error_answers_for_a_second_and_no_longer() -> None:
    """After an error of ours the next second's callers get it without a load, as a copy that holds no frames; then it is tried again."""
    clock = Time()
    hot = tier(clock)
    with pytest.raises(NotFoundError):
        hot.get_or_load(KEY, fails(NotFoundError("no such call", "look at the list", call=1)))
    clock.now += 0.999
    with pytest.raises(NotFoundError, match="no such call - call=1 - look at the list") as caught:
        hot.get_or_load(KEY, unexpected)
    assert len(caught.traceback) < 6
    assert caught.value.__cause__ is caught.value.__context__ is None
    clock.now += 0.001
    assert hot.get_or_load(KEY, lambda: "value") == "value"


def test_an_error_of_others_is_not_remembered() -> None:
    """A bug's error may hold anything: nothing of it is kept."""
    hot = tier()
    with pytest.raises(ValueError, match="a bug"):
        hot.get_or_load(KEY, fails(ValueError("a bug")))
    assert hot.get_or_load(KEY, lambda: "value") == "value"


@pytest.mark.parametrize(
    "change", [lambda hot: hot.advance(OURS, 1), lambda hot: hot.put(KEY, "value", hot.moment)], ids=["publish", "put"]
)
def test_a_change_ends_an_error(change: Callable[[HotTier[str]], object]) -> None:
    """Something was not found, and then it was published: it is found at once."""
    hot = tier()
    with pytest.raises(NotFoundError):
        hot.get_or_load(KEY, fails(NotFoundError("no such call")))
    change(hot)
    assert hot.get_or_load(KEY, lambda: "value") == "value"


def test_one_caller_refreshes_early_while_others_read_the_old() -> None:
    """A load took 2 s; with e^-1 drawn, the caller 2 s before expiry loads anew and who asks meanwhile gets the old value."""
    clock = Time()
    drawn = [1 - 1 / 2.718281828459045]
    hot = tier(clock, draw=lambda: drawn[0], ttl_s=100.0)

    def load() -> str:
        clock.now += 2.0
        return "old"

    def refresh() -> str:
        assert hot.get_or_load(KEY, unexpected) == "old"
        return "new"

    hot.get_or_load(KEY, load)
    clock.now += 97.9
    assert hot.get_or_load(KEY, unexpected) == "old"
    clock.now += 0.2
    assert hot.get_or_load(KEY, refresh) == "new"
    assert hot.get(KEY) == "new"
    assert hot.figures().refreshes == 1


def due_for_refresh(clock: Time) -> HotTier[str]:
    """A tier whose value is one that the next caller loads anew."""
    hot = tier(clock, draw=lambda: 0.999, ttl_s=100.0)

    def load() -> str:
        clock.now += 2.0
        return "old"

    hot.get_or_load(KEY, load)
    clock.now += 99.0
    return hot


def test_a_refresh_that_fails_for_now_leaves_the_old_value() -> None:
    """The service is away: the old value answers until it expires, with one try a second; then the error shows."""
    clock = Time()
    hot = due_for_refresh(clock)
    assert hot.get_or_load(KEY, fails(TransientError("away"))) == "old"
    assert hot.get_or_load(KEY, unexpected) == "old"
    clock.now += 1.0
    with pytest.raises(TransientError):
        hot.get_or_load(KEY, fails(TransientError("away")))


def test_a_refresh_that_fails_for_good_takes_the_old_value_along() -> None:
    """What is not there any more is not answered from memory."""
    hot = due_for_refresh(Time())
    with pytest.raises(NotFoundError):
        hot.get_or_load(KEY, fails(NotFoundError("no such call")))
    assert hot.get(KEY) is None


def test_who_is_stopped_leaves_the_load_to_the_next() -> None:
    """Ctrl-C in the thread that loads is no error of the value: a thread that waited loads it."""
    hot = tier()
    is_waiting = threading.Event()
    answers: list[str] = []

    def stopped() -> str:
        thread.start()
        while not hot.figures().waits:
            is_waiting.wait(0.001)
        raise KeyboardInterrupt

    thread = threading.Thread(target=lambda: answers.append(hot.get_or_load(KEY, lambda: "value")))
    with pytest.raises(KeyboardInterrupt):
        hot.get_or_load(KEY, stopped)
    thread.join(30)
    assert answers == ["value"]


def test_no_wait_is_for_ever() -> None:
    """A load that asks for itself is told so; another thread's that does not end is left after the longest wait."""
    hot = tier(longest_wait_s=0.01)
    with pytest.raises(PayReadyError, match="asks the hot tier for that value"):
        hot.get_or_load(KEY, lambda: hot.get_or_load(KEY, unexpected))

    errors: list[BaseException] = []

    def ask() -> None:
        with pytest.raises(RetryLaterError, match="does not end") as caught:
            hot.get_or_load(KEY._replace(key="chat"), unexpected)
        errors.append(caught.value)

    def load() -> str:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(30)
        return "value"

    assert hot.get_or_load(KEY._replace(key="chat"), load) == "value"
    assert len(errors) == 1


def test_versions_of_one_key_do_not_pile_up() -> None:
    """Of one key at most 16 versions stay, the newest."""
    hot = tier()
    for version in range(20):
        hot.put(KEY._replace(version=str(version)), "x", hot.moment)
    assert [version for version in range(20) if hot.get(KEY._replace(version=str(version)))] == list(range(4, 20))


def test_a_scan_keeps_the_working_set() -> None:
    """30,000 items that are asked for once leave 17 of 20 of what was used again and again before, and not once meanwhile."""
    hot = tier(most_items=1_000)
    used = [KEY._replace(key=f"used {number}") for number in range(800)]
    for _ in range(4):
        for key in used:
            hot.get_or_load(key, lambda: "x")
    for number in range(30_000):
        hot.get_or_load(KEY._replace(key=f"once {number}"), lambda: "x")
    assert sum(hot.get(key) is not None for key in used) >= 680
    assert hot.figures().items <= 1_000
    assert hot.figures().rejected > 25_000


def test_one_large_value_does_not_empty_the_tier() -> None:
    """What is larger than the whole tier is given to its caller and not kept; all else stays."""
    hot = tier(most_bytes=100 * (ENTRY_BYTES + 1))
    keys = [KEY._replace(key=str(number)) for number in range(80)]
    for key in keys:
        hot.put(key, "x", hot.moment)
    assert hot.get_or_load(KEY, lambda: "x" * 1_000_000) == "x" * 1_000_000
    assert hot.get(KEY) is None
    assert all(hot.get(key) for key in keys)


def test_bounds_must_be_positive() -> None:
    """A tier of nothing is refused."""
    for bounds in ({"most_items": 0}, {"most_bytes": 0}, {"ttl_s": 0.0}):
        with pytest.raises(UsageError):
            HotOptions(**bounds)  # type: ignore[arg-type]


def test_a_value_counts_with_all_it_holds() -> None:
    """Texts in containers and dataclasses count, each object once; a larger text makes a larger value by as much."""

    @dataclass
    class Call:
        turns: tuple[str, ...]
        extra: dict[str, object]

    small, large = "x" * 1_000, "x" * 50_000
    difference = estimated_bytes(Call((large,), {})) - estimated_bytes(Call((small,), {}))
    assert abs(difference - 49_000) < 100
    assert estimated_bytes([small]) + 8 == estimated_bytes([small, small])
    assert estimated_bytes({"a": [small, {"b": large}]}) > 51_000
    loop: list[object] = []
    loop.append(loop)
    assert estimated_bytes(loop) < 1_000
