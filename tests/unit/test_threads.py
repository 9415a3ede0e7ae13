"""Threads that end as one: results in order, the first error, and what interrupts their caller interrupts them."""

import threading
import time
from functools import partial

import pytest

from pay_ready.threads import StoppedStep, in_threads, stop_thread


def test_results_come_in_the_order_of_the_calls() -> None:
    """All are called at once: each waits for all the others."""
    together = threading.Barrier(4)

    def call(number: int) -> int:
        together.wait(10)
        return number

    assert in_threads([partial(call, number) for number in range(4)], name="t") == [0, 1, 2, 3]


def test_a_single_call_is_made_here() -> None:
    """In the caller's own thread."""
    assert in_threads([threading.get_ident], name="t") == [threading.get_ident()]


def test_an_error_is_raised_once_all_have_ended() -> None:
    """Of two the first, by the order of the calls."""
    ended: list[int] = []

    def fail(number: int) -> None:
        time.sleep(0.02 * (3 - number))
        ended.append(number)
        if number:
            raise ValueError(number)

    with pytest.raises(ValueError, match="1"):
        in_threads([partial(fail, number) for number in range(3)], name="t")
    assert sorted(ended) == [0, 1, 2]


def test_what_interrupts_the_caller_interrupts_them() -> None:
    """Each is raised a StoppedStep and cleans up; none is left when the caller goes on."""
    begun, cleaned = threading.Semaphore(0), []

    def work() -> None:
        try:
            begun.release()
            while True:
                time.sleep(0.01)
        except StoppedStep:
            cleaned.append(threading.current_thread().name)
            raise

    def caller() -> None:
        try:
            in_threads([work, work], name="worker")
        except StoppedStep:
            cleaned.append("caller")

    thread = threading.Thread(target=caller)
    thread.start()
    begun.acquire()
    begun.acquire()
    stop_thread(thread)
    thread.join(20)
    assert not thread.is_alive()
    assert cleaned[-1] == "caller"
    assert sorted(cleaned[:-1]) == ["worker 0", "worker 1"]
