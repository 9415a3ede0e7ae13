"""How right and how fast coaching figures are: `python -m tests.benchmarks.coaching [--calls FILE] [--mails FILE] [--mails-read 300]`.

Prints CPU seconds, wall and peak memory of the measures of 500 invented calls of 200 turns beside a plain loop over the same spans, then of
the whole report of a month with its trackers, scorecards and page, and of a timeline of 10,000 interactions.

--calls: real calls (calls_earnings.jsonl.gz, Earnings21): the figures beside those published for all 44 calls, and the largest difference
between ours and a recomputation by plain loops, of any call and figure: each speaker a party, then again with who speaks most as the rep.
--mails: mails with the subjects that people gave (emails_enron.jsonl.gz): ROUGE-1 of the titles.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from pay_ready.agent.coaching.conversations import Conversation
from pay_ready.agent.coaching.measures import measure
from pay_ready.agent.coaching.page import as_html
from pay_ready.agent.coaching.report import Request, coaching_report
from pay_ready.agent.eval.coaching import (
    EARNINGS_44,
    RealCall,
    call_figures,
    conversation_of,
    earnings_figures,
    objection_scores,
    read_calls,
    read_objections,
)
from pay_ready.agent.eval.titles import read_mails, title_scores
from pay_ready.agent.export import as_csv
from pay_ready.agent.export import as_html as timeline_html
from pay_ready.agent.timeline import Paging, grouped, lines_of, page_of
from pay_ready.memory.embed.choose import open_embedder
from pay_ready.memory.embed.options import EmbedderOptions
from pay_ready.model.talk import Entry
from pay_ready.pipeline.coaching_config import load_coaching_rules
from pay_ready.resources import resource_path
from tests.coaching_support import DAY, REP, call_of, turn

CALLS, TURNS, ENTRIES = 500, 200, 10_000
_LINES = (
    "So what would it take to get this going before the summer?", "We looked at the numbers again and they are fine.",
    "Honestly, that is too expensive for a team of our size.", "I understand, let me see what we can do about the setup fee.",
    "Could you send me the agenda for Thursday, please.", "The import ran over night and everything was there in the morning.",
)  # fmt: skip
Segments = Sequence[tuple[str, float, float]]
Found = TypeVar("Found")


def plain_figures(segments: Segments, party_of: Callable[[str], str], rep: str | None = None) -> dict[str, float]:
    """The figures by loops over one sorted list, written without a look at ours: no unions, no runs as values."""
    ordered = sorted(segments, key=lambda segment: (segment[1], segment[2], party_of(segment[0]), segment[0]))
    seconds = {
        party: _clocked([each for each in ordered if party_of(each[0]) == party]) for party in {party_of(each[0]) for each in ordered}
    }
    longest: dict[str, float] = {}
    begun, reached = ordered[0][1], ordered[0][2]
    longest[ordered[0][0]] = reached - begun
    switches, gaps = 0, []
    for (before, _, before_end), (after, start, end) in pairwise(ordered):
        if after == before and start - reached < 2:
            reached = max(reached, end)
        else:
            begun, reached = start, end
        longest[after] = max(longest.get(after, 0.0), reached - begun)
        if party_of(before) != party_of(after):
            switches += 1
            if rep is None or after == rep:
                gaps.append(start - before_end)
    minutes = (max(end for _, _, end in ordered) - ordered[0][1]) / 60
    return {
        "share": seconds[party_of(rep)] / sum(seconds.values()) if rep else max(seconds.values()) / sum(seconds.values()),
        "longest_run_s": longest[rep] if rep else max(longest.values()),
        "switches_per_min": switches / minutes,
        "patience_s": statistics.median(gaps),
    }


def _clocked(segments: Segments) -> float:
    """Seconds that at least one of them covers, counted by the millisecond."""
    clock = bytearray(round(1_000 * max(end for _, _, end in segments)))
    for _, start, end in segments:
        first, last = round(1_000 * start), round(1_000 * end)
        clock[first:last] = b"\1" * (last - first)
    return clock.count(1) / 1_000


def differences(calls: Sequence[RealCall]) -> tuple[float, float]:
    """The largest difference of any figure of any call: with each speaker a party, and with a rep."""
    by_speaker, by_rep = [0.0], [0.0]
    for call in calls:
        ours, wanted = call_figures(call), plain_figures(call.segments, str)
        by_speaker += [abs(ours["top_share" if name == "share" else name] - value) for name, value in wanted.items()]
        conversation, rep = conversation_of(call)
        figures = measure(conversation, rep).figures
        speaker = next(each.utterance.speaker for each in conversation.said if each.utterance.side == "internal")
        wanted = plain_figures(call.segments, lambda who, own=speaker: "rep" if who == own else "customer", speaker)  # type: ignore[misc]
        names = {"share": "talk_ratio", "longest_run_s": "longest_monologue", "switches_per_min": "interactivity", "patience_s": "patience"}
        by_rep += [abs(figures[names[name]] - value) for name, value in wanted.items()]
    return max(by_speaker), max(by_rep)


def invented(random: Random) -> list[Conversation]:
    """A year of calls, one of an hour each."""
    calls = []
    for number in range(CALLS):
        at, said = 0.0, []
        for turn_no in range(TURNS):
            end = at + random.uniform(2, 30)
            who = random.choice(("Bob", "Carl", "Ann", "Ann"))
            said.append(
                turn(
                    who,
                    at,
                    end,
                    random.choice(_LINES),
                    turn_no=turn_no,
                    call=f"call {number}",
                    occurred_at=DAY + timedelta(hours=8 * number),
                )
            )
            at = end + random.uniform(-0.5, 3)
        calls.append(call_of(said))
    return calls


def entries() -> list[Entry]:
    """Interactions without subject, so that each title is made of its text."""
    return [
        Entry(
            interaction_id=UUID(int=number), occurred_at=DAY + timedelta(hours=number), source="slack", interaction_type="message",
            text=" ".join(_LINES[number % 6 :]), participants=("Ann", "Bob"), sentiment=0.1,
        )
        for number in range(ENTRIES)
    ]  # fmt: skip


def timed(name: str, work: Callable[[], Found]) -> Found:
    """The outcome; prints what it cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{name:58} {cpu:7.2f} CPU s {wall:7.2f} s  peak {peak:6.0f} MB\n")
    return found


def speed() -> None:
    """Measures, and the whole report."""
    calls = invented(Random(7))
    spoken = [
        [(each.utterance.speaker, each.utterance.start_s or 0.0, each.utterance.end_s or 0.0) for each in call.said] for call in calls
    ]
    sides = {"Bob": "ours", "Carl": "ours", "Ann": "theirs"}
    timed(
        f"plain loops over {CALLS} calls of {TURNS} turns (no words)", lambda: [plain_figures(each, sides.__getitem__) for each in spoken]
    )
    timed("measures of them, with questions and words", lambda: [measure(each, REP) for each in calls])
    rules = load_coaching_rules(resource_path("config", "coaching"))
    request = Request(rep=REP, since=DAY + timedelta(days=90), until=DAY + timedelta(days=120))
    month = [each for each in calls if request.previous_since <= each.occurred_at < request.until]
    report = timed(f"report of a month ({len(month)} calls with the month before)", lambda: coaching_report(request, month, rules))
    timed("its page", lambda: as_html(report))
    lines = timed(f"timeline of {ENTRIES:,} interactions: titles, lines", lambda: lines_of(entries(), ZoneInfo("Europe/Berlin")))
    timed("by day, as a page", lambda: timeline_html(grouped(lines, "day"), "Timeline"))
    timed("as CSV", lambda: as_csv(lines))
    paging = Paging(size=50, key=b"a key", scope=b"a question")
    timed("1,000 pages of 50 with their tokens", lambda: [page_of(lines[:51], paging) for _ in range(1_000)])


def right(calls: Path | None, mails: Path | None, most: int) -> None:
    """Figures against real calls, lines and mails."""
    embedder = open_embedder(EmbedderOptions())
    rules = load_coaching_rules(resource_path("config", "coaching"))
    for name, model in (("keywords", None), ("keywords and examples", None if embedder.is_lexical else embedder)):
        scores = objection_scores(rules.trackers, read_objections(), model)
        sys.stdout.write(f"objections by {name}: {', '.join(f'{key} {value:.2f}' for key, value in scores.items())}\n")
    if calls:
        read = read_calls(calls)
        figures = earnings_figures(read)
        for name, wanted in EARNINGS_44.items():
            sys.stdout.write(f"{name:20} {figures[name]:8.2f} of {len(read)} calls; of all 44: {wanted:8.2f}\n")
        by_speaker, by_rep = differences(read)
        sys.stdout.write(f"largest difference to plain loops: {by_speaker:.1e} by speaker, {by_rep:.1e} by rep\n")
    if mails:
        scores = title_scores(read_mails(mails, most), embedder)
        sys.stdout.write(f"titles, ROUGE-1 x 100: {', '.join(f'{key} {value:.1f}' for key, value in scores.items())}\n")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=Path)
    parser.add_argument("--mails", type=Path)
    parser.add_argument("--mails-read", type=int, default=300)
    asked = parser.parse_args()
    speed()
    right(asked.calls, asked.mails, asked.mails_read)


if __name__ == "__main__":
    main()
