"""Requests to replay against a cache, as key numbers in a file of 64-bit integers; made from a seed, with the standard library alone.

`played` is what a peer's environment runs as well: it must import nothing of ours.
"""

import itertools
import random
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence

CAPACITY = 10_000
POPULATION = 100_000
ZIPF = 0.9
_FAR = 1 << 40  # numbers from here on occur once


def zipf(requests: int, seed: int = 1) -> "array[int]":
    """Requests for 100,000 keys, by a fixed Zipf law."""
    chance = random.Random(seed)
    keys = list(range(POPULATION))
    chance.shuffle(keys)
    return array("q", chance.choices(keys, cum_weights=_weights(), k=requests))


def scan(requests: int, unique: int) -> "array[int]":
    """The same, a scan of so many items that nobody else asks for, and the same again."""
    half = zipf(requests // 2)
    return half + array("q", range(_FAR, _FAR + unique)) + half


def mixed(requests: int, seed: int = 2) -> "array[int]":
    """What a memory sees: half by popularity that moves on, a quarter news that is read some times and then never, a scan or loop now
    and then."""
    chance = random.Random(seed)
    popular = zipf(requests, seed)
    news, recent = itertools.count(_FAR), deque[int](maxlen=2_000)
    once, loop = itertools.count(2 * _FAR), itertools.cycle(range(3 * _FAR, 3 * _FAR + 15_000))
    trace = array("q")
    for number, key in enumerate(popular):
        kind = chance.random()
        if kind < 0.55:
            trace.append((key + number // 200_000 * 1_000) % POPULATION)  # every 200,000 requests others are popular
        elif kind < 0.8:
            if not recent or chance.random() < 0.2:
                recent.append(next(news))
            trace.append(recent[-1 - int(len(recent) * chance.random() ** 3)])
        else:
            trace.append(next(once) if number // 50_000 % 2 else next(loop))
    return trace


def played(trace: Sequence[int], get: Callable[[int], object], put: Callable[[int], object]) -> tuple[int, float]:
    """Hits of a cache that is asked for each key in turn, and given it when it has it not; and CPU seconds."""
    hits, began = 0, time.process_time()
    for key in trace:
        if get(key) is None:
            put(key)
        else:
            hits += 1
    return hits, time.process_time() - began


def _weights() -> list[float]:
    return list(itertools.accumulate(1 / rank**ZIPF for rank in range(1, POPULATION + 1)))
