"""Reviewing in a terminal: one pair after the other, a key for each answer."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pay_ready.cli.output import say, write
from pay_ready.cli.review_show import print_item
from pay_ready.cli.terminal import END, read_key, read_line, single_keys
from pay_ready.errors import ConflictError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.model.review import Decision, Pair, Verdict
    from pay_ready.pipeline.review.desk import Desk
    from pay_ready.pipeline.review.queue import Item, Queue

KEYS = (
    ("y", "the same: match"),
    ("n", "not the same: no_match"),
    ("u", "unsure"),
    ("space", "skip, leave it to others"),
    ("z", "take back your last answer"),
    ("w", "why: show everything again"),
    ("e", "escalate: let somebody else decide"),
    ("m", "a note, kept with the next answer"),
    ("q", "quit"),
    ("?", "this help"),
)
_PROMPT = "same? y n u, space skip, z undo, w why, e escalate, m note, q quit, ? help > "
_ANSWERS: dict[str, "Verdict"] = {"y": "match", "n": "no_match", "u": "unsure"}


@dataclass(slots=True)
class Session:
    """What a reviewer did since he sat down."""

    desk: "Desk"
    queue: "Queue"
    most: int
    answers: "list[Decision]" = field(default_factory=list)  # that may be taken back, the last one last
    asked: int = 0
    note: str | None = None

    def run(self) -> None:
        """Pair after pair, until nothing waits, enough were answered, or the reviewer has enough."""
        with single_keys():
            self._run()

    def _run(self) -> None:
        while self.asked < self.most and (item := self.queue.next()) is not None:
            self.asked += 1
            print_item(item)
            with ExitStack() as interrupted:
                interrupted.callback(self.queue.give_back, item.pair)
                goes_on = self._answered(item)
                interrupted.pop_all()
            if not goes_on:
                self._told()
                return
        if not self.asked:
            say("nothing waits for you")
        self._told()

    def _told(self) -> None:
        counts = {verdict: sum(each.verdict == verdict for each in self.answers) for verdict in _ANSWERS.values()}
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        say(f"{len(self.answers)} answered{': ' + said if said else ''}; they hold from the next resolve on")

    def _answered(self, item: "Item") -> bool:
        """Take keys until the pair is done; False when the reviewer has enough."""
        while True:
            write(_PROMPT)
            key = read_key()
            write("\n" if key in (END, " ") else f"{key}\n")
            if key in ("q", END):
                self.queue.give_back(item.pair)
                return False
            if key == " ":
                self.queue.give_back(item.pair)
                return True
            if key in _ANSWERS:
                if self._decided(item, _ANSWERS[key]):
                    return True
            elif key == "e":
                if self._escalated(item.pair):
                    return True
            else:
                self._other(key, item)

    def _decided(self, item: "Item", verdict: "Verdict") -> bool:
        """Say it; a conflict is shown, and the pair stays before the reviewer."""
        from pay_ready.pipeline.review.queue import item_of
        from pay_ready.pipeline.review.words import decide

        try:
            said = decide(self.desk, item.pair, verdict, reason=self.note)
        except ConflictError as error:
            say(f"not kept: {error}")
            return False
        self.note = None
        if said.is_new:
            self.answers.append(said.decision)
        waits = {"open": " (waits for a second reviewer)", "escalated": " (reviewers disagree: a third one settles it)"}
        say(f"{verdict}{waits.get(said.decision.status, '')}")
        if item.is_blind:
            print_item(item_of(self.desk, item.pair, is_answered=True))
        return True

    def _escalated(self, pair: "Pair") -> bool:
        from pay_ready.pipeline.review.words import escalate

        try:
            said = escalate(self.desk, pair, reason=self.note)
        except ConflictError as error:
            say(f"not kept: {error}")
            return False
        self.note = None
        self.answers.append(said.decision)
        say("escalated")
        return True

    def _other(self, key: str, item: "Item") -> None:
        if key == "z":
            self._undone()
        elif key == "w":
            print_item(item)
        elif key == "m":
            write("note: ")
            self.note = read_line() or None
        else:
            for name, meaning in KEYS:
                say(f"  {name:<6}{meaning}")

    def _undone(self) -> None:
        """Take back the last answer of this session."""
        from pay_ready.pipeline.review.words import undo

        if not self.answers:
            say("nothing to take back in this session; earlier ones: pay-ready review undo DECISION")
            return
        try:
            done = undo(self.desk, self.answers[-1].decision_id)
        except ConflictError as error:
            say(f"not taken back: {error}")
            return
        self.answers.pop()
        self.queue.look_again(done.decision.pair)
        restored = f"; {done.restored.verdict} of {done.restored.actor} holds again" if done.restored else ""
        say(f"taken back: {done.decision.verdict}{restored}; the pair comes again, go on with this one")
