"""`pay-ready ask` without a question: one after the other, each may hang on the one before; errors end a question and not the session."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.demo_support import DemoRuns

OURS, TODAY = "acme-robotics", ("--today", "2026-11-20")
PROMPT = r"(?:\A|[\r\n])\? \Z"
SUMMIT = "Summit Grocers, Inc. (company)"


def talked(demo: DemoRuns, *questions: str, options: tuple[str, ...] = ()) -> str:
    """What is printed, a question a line."""
    return demo.command("ask", "-t", OURS, *TODAY, *options, typed="\n".join((*questions, ""))).stdout


def lines(demo: DemoRuns, *questions: str, options: tuple[str, ...] = ()) -> list[dict[str, object]]:
    """The same as JSON lines."""
    return [json.loads(line) for line in talked(demo, *questions, options=("--json", *options)).splitlines()]


def test_questions_hang_on_each_other(demo: DemoRuns) -> None:
    """What is taken over is said with exact days; a whole question takes over nothing."""
    told = talked(demo, "Summarise our calls with Summit Grocers this year", "and sentiment?", "Which topics came up most this month?")
    assert f"I read this as: sentiment · {SUMMIT} · 1 Jan - 31 Dec 2026 · calls" in told
    assert f"Taken over from the question before: {SUMMIT} · 1 Jan - 31 Dec 2026 · calls" in told
    assert "I read this as: topics · 1 Nov - 30 Nov 2026\n" in told
    assert told.count("Taken over") == 1


def test_who_is_meant_is_answered(demo: DemoRuns) -> None:
    """By the number that the question back gave."""
    told = talked(demo, "What did Dmitri Vandenberg promise us?", "2", "and the timeline?")
    listed = re.search(r"\(2\) Dmitri Vandenberg, (\S+@\S+)\. Which one\?", told)
    assert listed
    assert told.count(f"Dmitri Vandenberg (person, {listed[1]})") >= 2
    assert "I read this as: timeline" in told


def test_json_lines(demo: DemoRuns) -> None:
    """One document a question on one line, an error's too, and the session goes on; the same data as for a single question."""
    asked = ("How many interactions with Summit Grocers per month?", "by quarter", "Coaching report for Summit Grocers", "who is the king?")
    answers = lines(demo, *asked)
    assert [each["kind"] for each in answers] == ["answer", "answer", "error", "answer"]
    first, second, error, last = (each["data"] for each in answers)
    assert first == json.loads(demo.command("ask", asked[0], "-t", OURS, "--json", *TODAY).stdout)["data"]
    assert second["plan"]["taken_over"] == ["intent", "entities"]  # type: ignore[index]
    assert second["plan"]["grouping"] == "quarter"  # type: ignore[index]
    assert error["exit_code"] == 2  # type: ignore[index]
    assert last["plan"]["state"] == "abstains"  # type: ignore[index]


def test_plans_alone(demo: DemoRuns) -> None:
    """--plan-only works question by question, too."""
    plans = lines(demo, "Timeline of Summit Grocers in May", "the month before", options=("--plan-only",))
    assert [each["kind"] for each in plans] == ["plan", "plan"]
    assert plans[1]["data"]["time_range"]["start"] == "2026-04-01"  # type: ignore[index]
    assert "Taken over" in talked(demo, "Timeline of Summit Grocers in May", "the month before", options=("--plan-only",))


@pytest.mark.parametrize("end", ["", "quit", "exit"])
def test_the_end(demo: DemoRuns, end: str) -> None:
    """An empty line, or a word for it; the end of the input does as well."""
    assert "topics" not in talked(demo, "How many interactions with Summit Grocers?", end, "Which topics came up?")


def test_this_call_is_what_was_shown(demo: DemoRuns) -> None:
    """ "Like this one" means the first interaction of the answer before, also of a timeline; more of them, like the same."""
    told = lines(demo, "Timeline of Summit Grocers in May", "Find interactions like this one", "more")
    shown = told[0]["data"]["sections"][0]["rows"][0][-1]  # type: ignore[index]
    assert [each["data"]["plan"]["similar_to"] for each in told[1:]] == [shown, shown]  # type: ignore[index]


def test_help(demo: DemoRuns) -> None:
    """Says what can be asked; with --json it is no line of the data."""
    assert "what about Globex?" in talked(demo, "help")
    assert lines(demo, "help", "who is the king?")[0]["kind"] == "answer"


def test_bytes_that_are_no_text(demo: DemoRuns) -> None:
    """A line that is no UTF-8 is a question like any other."""
    done = subprocess.run(
        [sys.executable, "-m", "pay_ready.cli.main", "ask", "-t", OURS, *TODAY, "--json"], input=b"\xff\xfe calls with Summit Grocers\n",
        env={**demo.environment, "PYTHONIOENCODING": "utf-8:strict"}, cwd=demo.folder, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, json.loads(done.stdout)["kind"]) == (0, "answer"), done.stderr


@dataclass(slots=True)
class Terminal:
    """A session in a terminal of its own."""

    process: "subprocess.Popen[bytes]"
    end: int
    told: str = ""

    def type(self, text: str) -> None:
        """Keys."""
        os.write(self.end, text.encode())

    def until(self, wanted: str) -> str:
        """What was printed up to there, a pattern, and since the last time."""
        assert self.is_told(wanted, within_s=120.0), f"waited for {wanted!r}, got {self.told!r}"
        found = re.search(wanted, self.told)
        assert found
        before, self.told = self.told[: found.end()], self.told[found.end() :]
        return before

    def interrupt(self, wanted: str) -> None:
        """Ctrl-C, and what is said of it.

        It is pressed again where nothing was said in five seconds: one that falls between a key and readline's next wait is heard of with
        the next key alone (CPython's readline waits by select, which a signal just before does not end).
        """
        for _ in range(6):
            self.process.send_signal(signal.SIGINT)
            if self.is_told(wanted, within_s=5.0):
                break
        self.until(wanted)

    def is_told(self, wanted: str, within_s: float) -> bool:
        """Whether it is printed within that time."""
        end = time.monotonic() + within_s
        while not re.search(wanted, self.told) and (left := end - time.monotonic()) > 0:
            if select.select([self.end], [], [], left)[0]:
                self.told += os.read(self.end, 65_536).decode("utf-8", "replace")
        return re.search(wanted, self.told) is not None

    def ask(self, question: str, answered: str) -> None:
        """A question, once the prompt stands there with nothing behind it."""
        self.until(PROMPT)
        self.type(question)
        self.until(answered)


@contextmanager
def terminal(demo: DemoRuns, home: Path) -> Iterator[Terminal]:
    """`pay-ready ask` in a pseudo-terminal; Ctrl-C reaches it as it would there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pay_ready.cli.main", "ask", "-t", OURS, *TODAY]
    environment = {**demo.environment, "HOME": str(home), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=demo.folder, start_new_session=True
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_a_session_in_a_terminal(demo: DemoRuns, tmp_path: Path) -> None:
    """Ctrl-C takes back what is typed and ends a question, not the session; lines can be called back; no file remembers any."""
    with terminal(demo, tmp_path) as session:
        session.ask("half a quest", "half a quest")
        session.interrupt("an empty line ends it")
        session.ask("How many interactions with Summit Grocers per month?\n", "I read this as: count")
        session.ask("\x10\n", "I read this as: count")  # Ctrl-P: the question before
        session.ask("coaching report for Summit Grocers\n", "error: ")
        session.ask("and who talks to us most there?\n", "Taken over from the question before")
        session.ask("\n", "")
        assert session.process.wait(timeout=60) == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
