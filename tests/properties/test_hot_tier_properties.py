"""The hot tier against an oracle: it may forget, but never says what is not so; and its parts against theirs."""

import os
import random
import threading
from collections import Counter, OrderedDict
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pay_ready.errors import NotFoundError, TransientError
from pay_ready.memory.hot import ENTRY_BYTES, HotKey, HotOptions, HotTier
from pay_ready.memory.hot_shelf import Entry, Shelf
from pay_ready.memory.hot_sketch import MOST, FrequencySketch
from pay_ready.model.ids import TenantId

DEEP = os.environ.get("PAY_READY_TEST_DEEP") == "1"
TENANTS = [TenantId(UUID(int=number)) for number in (1, 2, 3)]
TTL_S, ITEMS, MOST_BYTES = 50.0, 8, 8 * (ENTRY_BYTES + 30)

keys = st.builds(HotKey, st.sampled_from(TENANTS), st.sampled_from(["all", "some"]), st.sampled_from("abcdef"), st.sampled_from("12"))


class HotTierMachine(RuleBasedStateMachine):
    """Any calls in any order; the oracle knows what each key's value is and until when it may be told."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.hot: HotTier[tuple[HotKey, int, int]] = HotTier(
            HotOptions(most_items=ITEMS, most_bytes=MOST_BYTES, ttl_s=TTL_S),
            clock=lambda: self.now, cost=lambda value: value[2], draw=random.Random(0).random,
        )  # fmt: skip
        self.stored: dict[HotKey, tuple[tuple[HotKey, int, int], float]] = {}  # the last one of each key, and when it was stored
        self.moments = [(0, self.hot.moment)]  # of reads whose put is still to come, with the number of changes before
        self.changes: Counter[TenantId] = Counter()
        self.counts: list[Counter[TenantId]] = [Counter()]
        self.serial = 0
        self.failed: dict[HotKey, float] = {}

    def value_of(self, key: HotKey, size: int) -> tuple[HotKey, int, int]:
        self.serial += 1
        return key, self.serial, size

    def check(self, key: HotKey, value: object) -> None:
        """What was told is the last value of exactly this key, and not too old."""
        assert key in self.stored, "forgotten, or never stored"
        last, at = self.stored[key]
        assert value == last
        assert self.now < at + TTL_S

    @rule(key=keys)
    def get(self, key: HotKey) -> None:
        value = self.hot.get(key)
        if value is not None:
            self.check(key, value)

    @rule(key=keys, size=st.integers(0, 40), took_s=st.sampled_from([0.0, 0.5, 5.0]))
    def get_or_load(self, key: HotKey, size: int, took_s: float) -> None:
        loaded: list[tuple[HotKey, int, int]] = []

        def load() -> tuple[HotKey, int, int]:
            self.now += took_s
            loaded.append(self.value_of(key, size))
            return loaded[0]

        try:
            value = self.hot.get_or_load(key, load)
        except (NotFoundError, TransientError):
            assert self.now < self.failed[key], "an error answered for too long, or for another key"
            return
        if loaded:
            assert value == loaded[0]
            self.stored[key] = (value, self.now)
            self.failed.pop(key, None)
        else:
            self.check(key, value)

    @rule(key=keys, is_for_now=st.booleans())
    def load_fails(self, key: HotKey, is_for_now: bool) -> None:
        began = []

        def load() -> tuple[HotKey, int, int]:
            began.append(1)
            raise TransientError("away") if is_for_now else NotFoundError("no such thing")

        try:
            self.check(key, self.hot.get_or_load(key, load))
        except (NotFoundError, TransientError):
            if not began:
                assert self.now < self.failed[key]
            elif not is_for_now:
                self.stored.pop(key, None)
        if began:
            self.failed[key] = self.now + 1.0

    @rule(key=keys, size=st.integers(0, 40))
    def load_is_overtaken(self, key: HotKey, size: int) -> None:
        before = self.hot.get(key)
        if before is not None:
            return

        def load() -> tuple[HotKey, int, int]:
            self.forget(key.tenant, {key.key})
            return self.value_of(key, size)

        try:
            self.hot.get_or_load(key, load)
        except (NotFoundError, TransientError):
            assert self.now < self.failed[key]

    @rule()
    def read(self) -> None:
        self.moments.append((len(self.counts), self.hot.moment))
        self.counts.append(self.changes.copy())

    @rule(key=keys, size=st.integers(0, 40), data=st.data())
    def put(self, key: HotKey, size: int, data: st.DataObject) -> None:
        number, moment = data.draw(st.sampled_from(self.moments))
        value = self.value_of(key, size)
        is_kept = self.hot.put(key, value, moment)
        assert is_kept == (self.counts[number][key.tenant] == self.changes[key.tenant])
        if is_kept:
            self.stored[key] = (value, self.now)
            self.failed.pop(key, None)

    @rule(tenant=st.sampled_from(TENANTS), texts=st.sets(st.sampled_from("abcdef")))
    def forget(self, tenant: TenantId, texts: set[str]) -> None:
        self.changed(tenant)
        self.hot.forget(tenant, texts)
        self.stored = {key: value for key, value in self.stored.items() if key.tenant != tenant or key.key not in texts}

    @rule(tenant=st.sampled_from(TENANTS))
    def forget_tenant(self, tenant: TenantId) -> None:
        self.changed(tenant)
        self.hot.forget_tenant(tenant)
        self.stored = {key: value for key, value in self.stored.items() if key.tenant != tenant}
        assert self.hot.figures_by_tenant()[tenant].items == 0

    @rule(tenant=st.sampled_from(TENANTS), epoch=st.integers(0, 5))
    def advance(self, tenant: TenantId, epoch: int) -> None:
        if self.hot.advance(tenant, epoch):
            self.changed(tenant)

    @rule(seconds=st.sampled_from([0.4, 1.0, 20.0, 49.0, 50.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.stored)
    @rule()
    def fork(self) -> None:
        for tenant in TENANTS:
            self.changed(tenant)
        self.hot.start_empty()
        self.stored.clear()
        self.failed.clear()
        assert self.hot.figures().items == 0

    def changed(self, tenant: TenantId) -> None:
        self.changes[tenant] += 1
        self.failed = {key: until for key, until in self.failed.items() if key.tenant != tenant}

    @invariant()
    def within_bounds(self) -> None:
        figures, by_tenant = self.hot.figures(), self.hot.figures_by_tenant().values()
        assert figures.items <= ITEMS
        assert figures.size_bytes <= MOST_BYTES
        assert figures.items == sum(each.items for each in by_tenant)
        assert figures.size_bytes == sum(each.size_bytes for each in by_tenant)


TestHotTier = HotTierMachine.TestCase
TestHotTier.settings = settings(max_examples=400 if DEEP else 60, stateful_step_count=60, deadline=None)


def test_two_tenants_with_the_same_keys_never_meet() -> None:
    """32 threads, two tenants, the same key texts, evictions and changes: each value that comes back is of the tenant that asked.

    100,000 operations; a million under PAY_READY_TEST_DEEP=1.
    """
    hot: HotTier[tuple[TenantId, str, str]] = HotTier(HotOptions(most_items=200), cost=lambda _value: 10)
    crossed: list[object] = []
    hits = Counter[TenantId]()
    operations = (1_000_000 if DEEP else 100_000) // 32

    def work(seed: int) -> None:
        chance, own = random.Random(seed), Counter[TenantId]()
        for _ in range(operations):
            key = HotKey(chance.choice(TENANTS[:2]), "all", str(int(300 * chance.random() ** 2)), chance.choice("12"))
            expected, kind = (key.tenant, key.key, key.version), chance.random()
            if kind < 0.6:
                value = hot.get(key)
                own[key.tenant] += value is not None
            elif kind < 0.95:
                value = hot.get_or_load(key, lambda value=expected: value)  # type: ignore[misc]
            elif kind < 0.98:
                value = None
                hot.put(key, expected, hot.moment)
            else:
                value = None
                chance.choice([lambda: hot.forget(key.tenant, [key.key]), lambda: hot.advance(key.tenant, chance.randrange(10**6))])()  # noqa: B023
            if value is not None and value != expected:
                crossed.append(value)
        hits.update(own)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures = hot.figures()
    assert crossed == []
    assert min(hits[tenant] for tenant in TENANTS[:2]) > operations
    assert figures.evictions + figures.rejected > operations
    assert figures.items <= 200
    assert figures.items == sum(each.items for each in hot.figures_by_tenant().values())


@given(asked=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60), repeats=st.integers(1, 20))
def test_a_sketch_never_counts_too_low_before_it_ages(asked: list[int], repeats: int) -> None:
    """Count-min errs upwards only, and stops at 15."""
    sketch = FrequencySketch(1_000)
    exact: Counter[int] = Counter()
    for hashed in asked * min(repeats, 60):
        sketch.add(hashed)
        exact[hashed] += 1
    assert all(min(exact[hashed], MOST) <= sketch.frequency(hashed) <= MOST for hashed in exact)


def test_a_sketch_forgets() -> None:
    """What was asked for most long ago falls to nothing while other things are asked for."""
    sketch = FrequencySketch(100)
    for _ in range(50):
        sketch.add(1)
    assert sketch.frequency(1) == MOST
    for number in range(4_000):
        sketch.add(hash((number, "other")))
    assert sketch.frequency(1) <= 3


def entry(number: int, size_bytes: int) -> Entry[int]:
    """An entry of the shelf."""
    return Entry(
        tenant=TENANTS[0], scope="all", key=str(number), version="1", hashed=hash(str(number)), value=number, size_bytes=size_bytes,
        expires_at=0.0, early_at=0.0, load_s=0.0,
    )  # fmt: skip


@given(
    steps=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 400)), max_size=150),
    most_items=st.integers(1, 12), most_bytes=st.integers(1, 1_000), share=st.sampled_from([0.01, 0.1, 0.5]),
)  # fmt: skip
def test_a_shelf_loses_nothing_and_holds_no_more_than_it_may(
    steps: list[tuple[int, int]], most_items: int, most_bytes: int, share: float
) -> None:
    """What is in and what was said to have left is all that was put in, each once, and the bounds hold after every step."""
    shelf = Shelf[int](most_items, most_bytes, window_share=share)
    kept: OrderedDict[int, Entry[int]] = OrderedDict()
    for number, size_bytes in steps:
        if number in kept:
            shelf.touch(kept[number])
        else:
            shelf.want(hash(str(number)))
            kept[number] = entry(number, size_bytes)
            left = shelf.add(kept[number])
            for each in (*left.evicted, *left.rejected):
                assert kept.pop(each.value) is each
        assert sorted(each.value for each in shelf) == sorted(kept)
        assert len(shelf) == len(kept) <= most_items
        assert shelf.size_bytes == sum(each.size_bytes for each in kept.values()) <= most_bytes


@given(uses=st.integers(2, 8), wanted=st.integers(0, 12))
def test_who_is_asked_for_more_gets_the_place(uses: int, wanted: int) -> None:
    """In a full shelf whose entries were asked for as often as one another, a newcomer gets a place if it was asked for more often."""
    shelf = Shelf[int](200, 1_000_000, window_share=0.005)
    kept = [entry(number, 1) for number in range(199)]
    for each in [*kept, entry(999, 1)]:
        shelf.want(each.hashed)
        shelf.add(each)
    for each in kept:
        for _ in range(uses - 1):
            shelf._sketch._to_ageing = 10**6  # none within this test
            shelf.touch(each)
    newcomer = entry(1_000, 1)
    for _ in range(wanted):
        shelf.want(newcomer.hashed)
    shelf.add(newcomer)
    left = shelf.add(entry(1_001, 1))  # drives the newcomer out of the window
    assert newcomer.uses >= wanted
    assert (newcomer in left.rejected) == (newcomer.uses <= uses)
    assert len(left.evicted) == (newcomer.uses > uses)


def test_a_use_is_not_forgotten_with_the_entry() -> None:
    """What was taken out (forgotten, expired, written anew) and comes back is known as one that was in demand."""
    shelf = Shelf[int](100, 1_000)
    first = entry(1, 1)
    shelf.add(first)
    for _ in range(7):
        shelf.touch(first)
    shelf.remove(first)
    again = entry(1, 1)
    shelf.add(again)
    assert again.uses == 7
