"""`pay-ready ask` without a question: one after the other, each may take over what the one before it said.

Questions are personal data: they are remembered for as long as the session lasts, and nothing of them is written to disk.
"""

import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from pay_ready.cli.answer_show import print_answer, print_plan
from pay_ready.cli.output import note, print_json, say
from pay_ready.errors import PayReadyError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.agent.answering import Agent, Answer
    from pay_ready.agent.plan import QueryPlan

_INTERRUPTED = 130
PROMPT = "? "
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HELP = """Ask about customers and what was said with them, for example:
  summarise our calls with Acme last quarter
  how has sentiment at Globex moved since March?
  what did Jane Doe promise us in the past 90 days?
  timeline of Acme between Jan 3 and Feb 10 from Slack and Gong
  which topics came up most this month?
  compare Acme and Globex
Then go on from the answer; what is taken over is said:
  and last month?      what about Globex?      only from Slack      by month
  and sentiment?       what did she promise?   who talks to us there?
  the month before     the same for Hooli      and for all customers?      more      why?
Where it asks which one is meant: a number, a name, an address, "the one at Initech", both.
"Calls like this one" means the interaction that was shown last. An empty line ends the session, Ctrl-C a question."""
_WORDS_OF_HELP = ("help", "?", "h")
_WORDS_OF_END = ("", "quit", "exit", "bye", "q")


class Conversation:
    """A session of questions to one tenant's agent.

    Args:
        agent: Answers.
        today: The day that "last month" counts from; None for the tenant's own.
        plan_only: Say how questions are read, and ask nothing of the data.
        as_json: A line of JSON for each question, an error's too.
    """

    def __init__(self, agent: "Agent", *, today: date | None, plan_only: bool, as_json: bool) -> None:
        self._agent, self._today, self._plan_only, self._as_json = agent, today, plan_only, as_json
        self._before: QueryPlan | None = None  # how the last question was read that was understood
        self._shown: UUID | None = None  # the interaction that "this call" means

    def run(self) -> None:
        """Questions until an empty line or the end of the input; an error of one of them is told, and the next one is asked."""
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # bytes that are no text end no session
        if sys.stdin.isatty():
            note('ask away; "help" shows how, an empty line ends it')
        with _remembered():
            for line in _lines():
                question = line.strip()
                if question.lower() in _WORDS_OF_END:
                    return
                if question.lower() in _WORDS_OF_HELP:
                    (note if self._as_json else say)(_HELP)
                else:
                    self._told(question)

    def _told(self, question: str) -> None:
        try:
            self._asked(question)
        except PayReadyError as error:
            if self._as_json:
                print_json("error", error, one_line=True)
            else:
                note(f"error: {error}")
        except KeyboardInterrupt:
            if self._as_json:
                print_json("error", {"class": "KeyboardInterrupt", "message": "interrupted", "exit_code": _INTERRUPTED}, one_line=True)
            else:
                note("\ninterrupted; ask the next one, or nothing to end")

    def _asked(self, question: str) -> None:
        understood = self._agent.understood(question, today=self._today, shown=self._shown, before=self._before)
        if understood.plan.intent is not None:
            self._before = understood.plan
        if self._plan_only:
            print_plan(self._agent.shown_plan(understood.plan), as_json=self._as_json, one_line=True)
            return
        answer = self._agent.told(question, understood)
        if self._as_json:
            print_json("answer", answer, one_line=True)
        else:
            print_answer(answer)
            self._told_choice(answer.plan)
        self._shown = next(_interactions(answer), self._shown)

    def _told_choice(self, plan: "QueryPlan") -> None:
        """How to say which of several is meant; all of them, where the question back lists a few."""
        from pay_ready.agent.asking import LISTED, tied_of, told_ref
        from pay_ready.agent.safe_text import plain

        if (tied := tied_of(plan)) is None:
            return
        for number, each in enumerate(tied.ties[LISTED:], LISTED + 1):
            say(f"  ({number}) {plain(told_ref(each))}")
        note("its number, a name, an address or a company will do")


def _interactions(answer: "Answer") -> Iterator[UUID]:
    """Those that an answer shows, in its order."""
    yield from (each.interaction_id for each in answer.citations)
    for section in answer.sections:
        if section.columns[-1:] == ("interaction",):
            yield from (UUID(row[-1]) for row in section.rows if _ID.fullmatch(row[-1]))  # a thread has another id


def _lines() -> Iterator[str]:
    """Lines as they are typed or piped; Ctrl-C while one is typed takes it back."""
    while True:
        try:
            line = _line()
        except EOFError:
            return
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                raise
            note("\nan empty line ends it")
            continue
        yield line


def _line() -> str:
    if sys.stdin.isatty() and sys.stdout.isatty():
        return input(PROMPT)
    if sys.stdin.isatty():  # answers go elsewhere, the prompt stays here
        sys.stderr.write(PROMPT)
        sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


@contextmanager
def _remembered() -> Iterator[None]:
    """Lines can be edited and called back with the arrow keys, as long as it lasts: the history is kept in no file."""
    try:
        import readline
    except ImportError:  # not everywhere
        yield
        return
    before: Sequence[str] = [readline.get_history_item(place) for place in range(1, readline.get_current_history_length() + 1)]
    readline.clear_history()
    try:
        yield
    finally:
        readline.clear_history()
        for line in before:
            readline.add_history(line)
