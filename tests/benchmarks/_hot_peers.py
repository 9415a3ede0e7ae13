"""A trace by another cache, in that one's environment: python _hot_peers.py NAME FILE SCAN_END. Imports nothing of ours."""

import json
import sys
import threading
from array import array
from pathlib import Path

from _hot_traces import CAPACITY, Cache, peak_mib, played


def lru() -> Cache:
    """Plain LRU of cachetools, under the lock that threads need."""
    import cachetools

    cache, lock = cachetools.LRUCache(CAPACITY), threading.Lock()

    def get(key: int) -> object:
        with lock:
            return cache.get(key)

    def put(key: int) -> None:
        with lock:
            cache[key] = key

    return get, put


def theine() -> Cache:
    """W-TinyLFU whose window adapts, its core in Rust or C."""
    from theine import Cache as Theine

    cache = Theine(CAPACITY)
    return lambda key: cache.get(key)[0], lambda key: cache.set(key, key)


def main() -> None:
    """One cache, one trace; prints JSON."""
    name, file, scan_end = sys.argv[1:]
    trace = array("q")
    trace.frombytes(Path(file).read_bytes())
    figures = played(trace, {"lru": lru, "theine": theine}[name](), int(scan_end))
    print(json.dumps({**figures, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
