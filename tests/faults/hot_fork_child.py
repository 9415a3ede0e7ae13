"""A process whose threads use the hot tier all the time, and which forks again and again: each child must start empty and work.

Prints "ok CHILDREN" at the end; a child that is stuck is ended by its own alarm, and the count tells.
"""

import os
import signal
import sys
import threading
from uuid import UUID

from pay_ready.memory.hot import HotKey, HotOptions, HotTier
from pay_ready.model.ids import TenantId

TENANT = TenantId(UUID(int=1))


def key(number: int) -> HotKey:
    """One of a hundred."""
    return HotKey(TENANT, "all", str(number % 100), "1")


def child(hot: HotTier[int], before: int, held: HotTier[int]) -> int:
    """What a child does: 0 when all is as it should be. `held` is a tier whose lock another thread had at the fork."""
    signal.alarm(20)
    if hot.figures().items or hot.get(key(1)) is not None or held.figures().items:
        return 1
    if hot.put(key(1), 1, before):  # read before the fork
        return 2
    values = [hot.get_or_load(key(number), lambda number=number: number) for number in range(200)]
    thread = threading.Thread(target=lambda: values.append(held.get_or_load(key(7), lambda: 7)))
    thread.start()
    thread.join()
    return 0 if values[:100] == values[100:200] and values[-1] == 7 and hot.figures().items == 100 else 3


def main(children: int) -> None:
    """Fork, with the locks in every state: the tier's own, busy; another one's, held by a thread that does not come along."""
    hot, held = HotTier[int](HotOptions(most_items=150)), HotTier[int]()
    held.put(key(1), 1, held.moment)
    is_over, has_lock = threading.Event(), threading.Event()

    def use() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            hot.get_or_load(key(number), lambda number=number: number % 100)
            if number % 50 == 0:
                hot.forget(TENANT, [str(number % 100)])

    def hold() -> None:
        with held._lock:
            has_lock.set()
            is_over.wait()

    threads = [threading.Thread(target=target) for target in (use, use, use, hold)]
    for thread in threads:
        thread.start()
    has_lock.wait()
    good = 0
    for _ in range(children):
        before = hot.moment
        pid = os.fork()
        if pid == 0:
            code = 9
            try:
                code = child(hot, before, held)
            finally:
                os._exit(code)
        good += os.waitpid(pid, 0)[1] == 0
    is_over.set()
    for thread in threads:
        thread.join()
    print("ok" if held.figures().items == 1 else "parent lost a value", good)


if __name__ == "__main__":
    main(int(sys.argv[1]))
