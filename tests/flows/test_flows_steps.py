"""What every step of a flow relies on: it can be stopped, and its errors say nothing of the data."""

import asyncio
import threading
import time

import pytest

from flows.common import table
from flows.steps import StepDeferredError, StepFailedError, in_thread, safely, shown
from pay_ready.errors import ConfigError, HeldBackError, LeaseHeldError, PayReadyError, TransientError
from pay_ready.threads import StoppedStep

CANARY = "Zelda Quackenbush"
MAIL = "zelda.quackenbush@canary.example"


def test_whatever_ends_the_waiting_ends_the_step() -> None:
    """Cancelled, a step is stopped where it is, cleans up, and only then its waiter ends."""
    begun, ended = threading.Event(), []

    def step() -> None:
        try:
            begun.set()
            while True:
                time.sleep(0.01)
        except StoppedStep:
            ended.append("stopped")
            raise
        finally:
            time.sleep(0.1)
            ended.append("cleaned up")

    async def cancelled() -> None:
        waiting = asyncio.create_task(in_thread(step))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert ended == ["stopped", "cleaned up"]

    asyncio.run(cancelled())


def test_what_a_step_gives_and_raises_comes_through() -> None:
    """Its value, or its error."""

    def fails() -> None:
        raise HeldBackError("a stream is smaller")

    async def both() -> int:
        with pytest.raises(HeldBackError):
            await in_thread(fails)
        return await in_thread(lambda: 7)

    assert asyncio.run(both()) == 7


def test_only_our_own_words_are_shown() -> None:
    """Of a connector's error the class alone; of ours the words and what names a thing of ours; nothing else of where it was."""
    ours = shown(HeldBackError("a stream is smaller", "accept it", source="crm", stream="contacts", before=200, email=MAIL))
    assert str(ours) == "a stream is smaller - source=crm, stream=contacts, before=200 - accept it"
    for error in (
        PayReadyError(f"the connector failed: {CANARY}", connector="source-x==1"),
        ConfigError(CANARY, "correct it", connector="source-x==1"),
        TransientError(CANARY, MAIL, name=CANARY, reason=MAIL),
    ):  # fmt: skip
        told = shown(error)
        assert CANARY not in str(told) + repr(told)
        assert MAIL not in str(told) + repr(told)
        assert type(error).__name__ in str(told)
        assert isinstance(told, StepFailedError)
        assert told.reason is error
        assert told.__reduce__()[1][1:] == (told.what, told.hint, told.where)  # type: ignore[index]
    assert isinstance(shown(LeaseHeldError("busy")), StepDeferredError)


def test_an_unforeseen_error_shows_its_class_and_place() -> None:
    """Its text may quote data, and so may what it was raised from."""

    def fails() -> None:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ValueError(MAIL) from error

    with pytest.raises(StepFailedError) as caught, safely():
        fails()
    assert str(caught.value).startswith("unexpected ValueError - error_place=fails:")
    assert caught.value.__suppress_context__


def test_cells_of_a_table_keep_to_themselves() -> None:
    """Numbers are grouped, bars are escaped."""
    assert table(("a", "b"), [(1234, "x|y"), (None, True)]) == "| a | b |\n| --- | --- |\n| 1,234 | x\\|y |\n|  | True |\n"
