"""The hot tier: how long a get takes, what it keeps beside other caches, a stampede, and what an item costs.

    python -m tests.benchmarks.hot [--requests 600000] [--scan 1000000] [--without-peers]

Peers, on the same traces and capacity (10,000 items), each run in a process of its own: plain LRU (cachetools) and theine (W-TinyLFU with
an adaptive window), in an environment made by uv in a scratch folder. Ours pays for tenants, bytes and age as well. The goal of a
get is p99 <= 10 µs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from array import array
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID, uuid4

from pay_ready.memory.hot import ENTRY_BYTES, HotKey, HotOptions, HotTier
from pay_ready.model.ids import TenantId
from tests.benchmarks import _hot_traces as traces

TENANTS = [TenantId(uuid4()) for _ in range(50)]
_EDGES_NS = (1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 100_000)
_LINE = "    {name:8} hit rate {rate:.4f}{after}  CPU {cpu_s:6.2f} s  peak {peak_mib:5.0f} MiB"


def main() -> None:
    """All of it, one after the other."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--requests", type=int, default=600_000)
    words.add_argument("--scan", type=int, default=1_000_000)
    words.add_argument("--without-peers", action="store_true")
    chosen = words.parse_args()
    for threads in (1, 8):
        _latency("ours", threads, _filled())
        _latency("a dict under a lock", threads, _dict())
    _stampede()
    _memory()
    with tempfile.TemporaryDirectory() as folder:
        _traces(Path(folder), chosen.requests, chosen.scan, with_peers=not chosen.without_peers)


def key_of(number: int) -> HotKey:
    """A key as a caller makes it: new objects, equal to those of before."""
    return HotKey(TenantId(UUID(int=TENANTS[number % 50].int)), "all", f"interaction:{number}", "1")


def _filled() -> Callable[[HotKey], object]:
    hot: HotTier[str] = HotTier()
    for number in range(9_000):
        hot.get_or_load(key_of(number), lambda: "x" * 500)
    return hot.get


def _dict() -> Callable[[HotKey], object]:
    """The least that any cache of such keys does."""
    kept, lock = {key_of(number): "x" * 500 for number in range(9_000)}, threading.Lock()

    def get(key: HotKey) -> object:
        with lock:
            return kept.get(key)

    return get


def _latency(name: str, threads: int, get: Callable[[HotKey], object]) -> None:
    """Gets, one in ten a miss, timed one by one; in it are the clock's own time and whoever else has work for the processor: of 8
    threads, the other 7."""
    taken: list[array[int]] = []

    def ask() -> None:
        keys = [key_of(number * 7_919 % 10_000) for number in range(400_000 // threads)]
        own = array("q", bytes(8 * len(keys)))
        for place, key in enumerate(keys):
            began = time.perf_counter_ns()
            get(key)
            own[place] = time.perf_counter_ns() - began
        taken.append(own)

    cpu = time.process_time()
    _at_once([ask] * threads)
    cpu_s = time.process_time() - cpu
    rounds = [sorted(own[at : at + 10_000])[9_900] / 1_000 for own in taken for at in range(0, len(own), 10_000)]
    spans = sorted(span for own in taken for span in own)
    shares = "  ".join(f"p{share} {spans[int(len(spans) * share / 100)] / 1_000:.1f}" for share in (50, 90, 99, 99.9))
    print(
        f"get, {name}, {threads} thread(s): {len(spans):,} gets in µs: {shares}  (goal p99 <= 10)  CPU {cpu_s:.1f} s with making the keys"
    )
    print(f"    p99 of rounds of 10,000: least {min(rounds):.1f}, median {statistics.median(rounds):.1f}, most {max(rounds):.1f}")
    print(f"    histogram: {_histogram(spans)}")


def _histogram(spans: Sequence[int]) -> str:
    counts, done = [], 0
    for edge in _EDGES_NS:
        below = sum(span < edge for span in spans)
        counts.append(f"< {edge:,} ns {below - done:,}")
        done = below
    return ", ".join([*counts, f"more {len(spans) - done:,}"])


def _stampede() -> None:
    """200 threads ask for one key whose load takes 50 ms."""
    hot: HotTier[str] = HotTier()
    loads: list[int] = []

    def load() -> str:
        loads.append(1)
        time.sleep(0.05)
        return "value"

    began = time.perf_counter()
    _at_once([lambda: hot.get_or_load(key_of(1), load)] * 200)
    print(f"stampede: 200 threads, {len(loads)} load(s), wall {time.perf_counter() - began:.3f} s of which the load takes 0.050 s")


def _memory() -> None:
    """What 10,000 items take beside their values."""
    values = [f"{number:0500}" for number in range(10_000)]
    tracemalloc.start()
    hot: HotTier[str] = HotTier(cost=len)
    for number, value in enumerate(values):
        hot.put(HotKey(TENANTS[number % 50], "all", f"interaction:{number}", f"{number:064x}"), value, hot.moment)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    items = hot.figures().items
    print(f"memory: {items:,} items, {taken / items:,.0f} bytes an item beside its value, the sketch among them (counted as {ENTRY_BYTES})")


def _traces(folder: Path, requests: int, unique: int, *, with_peers: bool) -> None:
    made: dict[str, tuple[array[int], int]] = {
        "zipf": (traces.zipf(requests), 0),
        "scan": (traces.scan(requests, unique), requests // 2 + unique),
        "mixed": (traces.mixed(requests), 0),
    }
    python = _peers_python(folder) if with_peers else None
    for name, (trace, scan_end) in made.items():
        print(f"{name}: {len(trace):,} requests, {len(set(trace)):,} keys, {traces.CAPACITY:,} fit")
        with get_context("spawn").Pool(1) as pool:  # a process of its own, as the peers have
            _say("ours", pool.apply(ours, (trace, scan_end)), scan_end)
        if python is not None:
            file = folder / name
            file.write_bytes(trace.tobytes())
            for peer in ("lru", "theine"):
                _peer(python, peer, file, scan_end)


def ours(trace: "array[int]", scan_end: int) -> dict[str, float]:
    """A trace by the tier, in this process."""
    hot: HotTier[int] = HotTier(HotOptions(most_items=traces.CAPACITY), cost=lambda _value: 8)
    tenant = TENANTS[0]

    def put(number: int) -> bool:
        return hot.put(HotKey(tenant, "all", str(number), "1"), number, hot.moment)

    figures = traces.played(trace, (lambda number: hot.get(HotKey(tenant, "all", str(number), "1")), put), scan_end)
    return {**figures, "peak_mib": traces.peak_mib()}


def _peer(python: Path, name: str, file: Path, scan_end: int) -> None:
    script = Path(__file__).with_name("_hot_peers.py")
    done = subprocess.run([str(python), str(script), name, str(file), str(scan_end)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"    {name} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return
    _say(name, json.loads(done.stdout.strip().splitlines()[-1]), scan_end)


def _say(name: str, figures: dict[str, float], scan_end: int) -> None:
    after = f"  next 10,000 after the scan {figures['next']:.4f}" if scan_end else ""
    print(_LINE.format(name=name, after=after, **figures), flush=True)


def _peers_python(folder: Path) -> Path | None:
    """The Python of an environment with the peers; None, and why, where it cannot be had."""
    home = folder / "peers"
    uv = [sys.executable, "-m", "uv"]
    steps = [[*uv, "venv", "-q", "--python", sys.executable, str(home)],
             [*uv, "pip", "install", "-q", "--python", str(home / "bin" / "python"), "theine", "cachetools"]]  # fmt: skip
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"without peers: they cannot be installed ({done.stderr.strip().splitlines()[-1:]})")
            return None
    return home / "bin" / "python"


def _at_once(calls: Sequence[Callable[[], object]]) -> None:
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        gate.wait()
        call()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
