"""A breaker opens on failures in a row, lets one probe through, and takes only what is transient for a failure."""

import contextlib
import threading

import pytest

from pay_ready.breaker import Breaker, BreakerOpenError, BreakerState
from pay_ready.errors import NotFoundError, TransientError


def fail(breaker: Breaker, error: BaseException | None = None) -> None:
    """A call that ends with an error."""
    with contextlib.suppress(TransientError, NotFoundError, KeyboardInterrupt), breaker.guarding():
        raise error or TransientError("away")


def opened(**values: float) -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker("service", **values)  # type: ignore[arg-type]
    for _ in range(5):
        fail(breaker)
    return breaker


def test_five_failures_open_it() -> None:
    """The fifth in a row opens it, with the caller's own error; from then on no call begins."""
    breaker = Breaker("service")
    for count in range(1, 6):
        assert breaker.state.circuit == "closed"
        with pytest.raises(TransientError, match=f"away {count}"), breaker.guarding():
            raise TransientError(f"away {count}")
        assert breaker.state.failures == count
    assert breaker.state == BreakerState(circuit="open", failures=5)
    with pytest.raises(BreakerOpenError, match=r"service=service, retry_in_s=(59|60)") as caught, breaker.guarding():
        pytest.fail("the call began")
    assert caught.value.exit_code == 75


def test_an_answer_ends_the_row() -> None:
    """A success and any other error of ours are answers; a call that was cut off says nothing."""
    breaker = Breaker("service")
    for _ in range(3):
        fail(breaker)
        fail(breaker)
        fail(breaker, NotFoundError("no such job"))
        assert breaker.state.failures == 0
        fail(breaker)
        with breaker.guarding():
            pass
        assert breaker.state.failures == 0
    fail(breaker)
    fail(breaker, KeyboardInterrupt())
    assert breaker.state == BreakerState(circuit="closed", failures=1)


@pytest.mark.parametrize(("error", "circuit"), [(None, "closed"), (NotFoundError("x"), "closed"), (TransientError("x"), "open")])
def test_the_probe_decides(error: Exception | None, circuit: str) -> None:
    """After its time one call goes through, and only one; its end closes or opens the breaker."""
    breaker = opened(open_s=0.0)
    with contextlib.suppress(TransientError, NotFoundError), breaker.guarding():
        assert breaker.state.circuit == "half_open"
        with pytest.raises(BreakerOpenError), breaker.guarding():
            pytest.fail("a second probe")
        if error:
            raise error
    assert breaker.state.circuit == circuit


def test_a_probe_that_was_cut_off_leaves_room_for_another() -> None:
    """Ctrl-C in the probe says nothing about the service: the next call is the probe."""
    breaker = opened(open_s=0.0)
    fail(breaker, KeyboardInterrupt())
    assert breaker.state.circuit == "half_open"
    with breaker.guarding():
        pass
    assert breaker.state == BreakerState()


def test_it_goes_on_where_another_process_left_it() -> None:
    """Failures counted there count here; an open one stays open for the rest of its time; a half-open one has its probe to come."""
    breaker = Breaker("service", open_s=60.0)
    breaker.restore(BreakerState(circuit="closed", failures=4))
    fail(breaker)
    assert breaker.state.circuit == "open"
    breaker.restore(BreakerState(circuit="open", failures=5), age_s=50.0)
    with pytest.raises(BreakerOpenError, match=r"retry_in_s=(9|10)"), breaker.guarding():
        pass
    breaker.restore(BreakerState(circuit="open", failures=5), age_s=61.0)
    with breaker.guarding():
        assert breaker.state.circuit == "half_open"
    breaker.restore(BreakerState(circuit="half_open", failures=5))
    fail(breaker)
    assert breaker.state.circuit == "open"


def test_threads_share_one_probe() -> None:
    """Eight threads at a half-open breaker: one gets through."""
    breaker = opened(open_s=0.0)
    refused, end = threading.Semaphore(0), threading.Event()

    def call() -> None:
        try:
            with breaker.guarding():
                end.wait(30)
        except BreakerOpenError:
            refused.release()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert all(refused.acquire(timeout=30) for _ in range(7))
    assert not refused.acquire(blocking=False)
    end.set()
    for thread in threads:
        thread.join()
    assert breaker.state.circuit == "closed"
