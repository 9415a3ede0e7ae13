"""Requests to replay against a cache: key numbers, from a seed. Imports nothing of ours, for the peers' environment runs it as well."""

import itertools
import math
import random
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

Cache = tuple[Callable[[int], object], Callable[[int], object]]  # get, which gives None on a miss, and put

CAPACITY = 10_000
POPULATION = 100_000
ZIPF = 0.9
FAR = 1 << 40  # keys of one kind are this far from those of another
NEXT = 10_000


def zipf(requests: int, seed: int = 1) -> "array[int]":
    """Requests for 100,000 keys, by a Zipf law that stays as it is."""
    chance = random.Random(seed)
    keys = list(range(1, POPULATION + 1))
    chance.shuffle(keys)
    weights = list(itertools.accumulate(1 / rank**ZIPF for rank in range(1, POPULATION + 1)))
    return array("q", chance.choices(keys, cum_weights=weights, k=requests))


def scan(requests: int, unique: int) -> "array[int]":
    """Half of such requests, a scan of so many items that nobody else asks for, and the other half."""
    popular = zipf(requests)
    return popular[: requests // 2] + array("q", range(FAR, FAR + unique)) + popular[requests // 2 :]


def mixed(requests: int, seed: int = 2) -> "array[int]":
    """What a memory may see: popular keys (55 %; every 200,000 requests all others), news that is read about five times soon after
    it came (25 %), and by turns a scan and a loop over more than fits (20 %)."""
    chance = random.Random(seed)
    news, recent = itertools.count(FAR), deque[int](maxlen=2_000)
    once, loop = itertools.count(2 * FAR), itertools.cycle(range(3 * FAR, 3 * FAR + 15_000))
    trace = array("q")
    for number, key in enumerate(zipf(requests, seed)):
        kind = chance.random()
        if kind < 0.55:
            trace.append((key + number // 200_000 * 1_000) % POPULATION + 1)
        elif kind < 0.8:
            if not recent or chance.random() < 0.2:
                recent.append(next(news))
            trace.append(recent[-1 - int(len(recent) * chance.random() ** 3)])
        else:
            trace.append(next(once) if number // 50_000 % 2 else next(loop))
    return trace


def played(trace: Sequence[int], cache: Cache, scan_end: int) -> dict[str, float]:
    """A cache is asked for each key, and given it where it has it not: its hit rate, that of the 10,000 requests from `scan_end` on,
    and CPU seconds."""
    get, put = cache
    hits, began = bytearray(len(trace)), time.process_time()
    for place, key in enumerate(trace):
        if get(key) is None:
            put(key)
        else:
            hits[place] = 1
    cpu_s = time.process_time() - began
    return {"rate": sum(hits) / len(trace), "next": sum(hits[scan_end : scan_end + NEXT]) / NEXT, "cpu_s": cpu_s}


def peak_mib() -> float:
    """The most memory this process had; not from getrusage, which begins with what the parent had. NaN without /proc."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), math.nan)
