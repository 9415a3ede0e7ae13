"""A store on the fake Weaviate, and waiting for what must come by itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pay_ready.memory.cold.options import WeaviateOptions
from pay_ready.memory.cold.weaviate import WeaviateStore
from tests.fake_weaviate import FakeWeaviate
from tests.vectors_support import DIM

PATIENT_S, BREAKER_S = 20.0, 0.3  # a busy machine may take its time; whoever waits for a deadline says a shorter one
LONGEST_S = 15.0  # a call that is not bounded takes over a minute


@contextmanager
def store_on(fake: FakeWeaviate, *, embedder_id: str = "tests: hash", dim: int = DIM, **values: Any) -> Iterator[WeaviateStore]:
    """A store that waits and rests as briefly as a test likes."""
    given = {
        "url": fake.url, "grpc_port": fake.grpc_port, "query_s": PATIENT_S, "write_s": PATIENT_S, "patience_s": 0.1,
        "breaker_open_s": BREAKER_S, "breaker_opens_after": 2,
    }  # fmt: skip
    store = WeaviateStore(WeaviateOptions(**(given | values)), embedder_id=embedder_id, dim=dim)
    try:
        yield store
    finally:
        store.close()


def until(holds: Callable[[], bool], longest_s: float = LONGEST_S) -> None:
    """Ask until it holds."""
    tick = threading.Event()
    for _ in range(int(longest_s / 0.05)):
        if holds():
            return
        tick.wait(0.05)
    raise AssertionError("it did not come by itself")
