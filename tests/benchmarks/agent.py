"""The agent beside many tenants: questions that were asked before and new ones, a question from the shell, and its memory.

    python -m tests.benchmarks.agent [--tenants 20] [--interactions 1000000] [--questions 400]

The interactions are of all tenants together. Questions of ten kinds go round the tenants, about companies by how much is said with them.
Limits: a question that was asked before 300 ms (p95), from the shell 1.5 s, memory 600 MB. The peer of a kept answer is the same question
computed. Uses the server that PAY_READY_TEST_ADMIN_URL and PAY_READY_TEST_APP_URL name, else the embedded one.
"""

import argparse
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import structlog

from pay_ready.agent.answering import Agent
from pay_ready.app import open_app
from pay_ready.memory.embed.choose import open_embedder
from pay_ready.memory.embed.options import EmbedderOptions
from pay_ready.settings import Environment
from tests.benchmarks import _interactions
from tests.benchmarks._interactions import Made
from tests.benchmarks.landing import migrated, running_server
from tests.benchmarks.memory import milliseconds, say_line, told
from tests.conftest import cloned, make_tenant

_TODAY = date(2026, 11, 20)
ASKED = (
    ("summary", "Summarise our calls with {company} last quarter"),
    ("sentiment", "How has sentiment at {company} moved since March?"),
    ("promises", "What did {person} promise us in the past 90 days?"),
    ("timeline", "Timeline of {company} between Jan 3 and Feb 10 from Slack and Gong"),
    ("topics", "Which topics came up most at {company} this month?"),
    ("compare", "Compare {company} and {other}"),
    ("count", "How many interactions with {company} per week?"),
    ("who", "Who at {company} talks to us most?"),
    ("search", "Search for problems with the dock scanner at {company}"),
    ("summary of all", "Summarise everything with {company}"),
)


def questions(made: Made, count: int, drawn: random.Random) -> list[tuple[str, str]]:
    """(kind, question) about a tenant's companies, the first ones most often."""
    asked = []
    for number in range(count):
        kind, words = ASKED[number % len(ASKED)]
        place = min(int(drawn.paretovariate(0.6)), len(made.companies) - 1)
        company, other, person = made.companies[place - 1], made.companies[place], made.people[(place * 5) % 1980]
        asked.append((kind, words.format(company=company, other=other, person=person)))
    return asked


def timed(agent: Agent, question: str) -> float:
    """Seconds to the whole answer, its sections told."""
    started = time.perf_counter()
    answer = agent.ask(question, today=_TODAY)
    took = time.perf_counter() - started
    assert answer.plan.state == "ready", (question, answer.read_as)
    return took


def shell(environment: dict[str, str], question: str, tenant: str) -> float:
    """Seconds of `pay-ready ask` in a process of its own."""
    command = [sys.executable, "-m", "pay_ready.cli.main", "ask", question, "-t", tenant, "--today", f"{_TODAY}"]
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 4), done.stderr
    return time.perf_counter() - started


def main() -> None:
    """Make the tenants, ask, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--questions", type=int, default=400)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch = stack.enter_context(cloned(stack.enter_context(running_server(folder / "embedded")), None))
        database = stack.enter_context(migrated(scratch))
        embedder = open_embedder(EmbedderOptions())
        told("texts, vectors, sentiment", lambda: _interactions.prepare(scratch.admin_url, embedder))
        each = asked.interactions // asked.tenants
        tenants = [make_tenant(database, f"bench-{number}") for number in range(asked.tenants)]
        made = told(
            f"{each * asked.tenants:,} interactions of {asked.tenants} tenants",
            lambda: [_interactions.make(scratch.admin_url, tenant, each, embedder) for tenant in tenants],
        )
        told("vacuum analyze", lambda: _interactions.finish(scratch.admin_url))
        own = {"PAY_READY_DATABASE_URL": scratch.app_url, "PAY_READY_HOME": str(folder / "home")}
        os.environ.update(own)
        with open_app(Environment()) as app:
            _ask([app.agent(f"bench-{number}") for number in range(asked.tenants)], made, asked.questions)
        rest = {"PATH": os.environ["PATH"], "HOME": str(folder), **own}
        question = questions(made[0], 1, random.Random(1))[0][1]
        cold = shell(rest, question, "bench-0")
        warm = [shell(rest, question, "bench-0") for _ in range(5)]
        say_line(f"ask from the shell: first {cold:.2f} s, again {min(warm):.2f} to {max(warm):.2f} s (limit 1.5)")
        names = [made[0].companies[0], made[0].companies[1], made[0].people[4]]
        done = subprocess.run([sys.executable, "-c", _PEAK, *names], env=rest, capture_output=True, text=True, check=True)
        say_line(f"memory of a process that asks all kinds of questions of one tenant: {done.stdout.strip()} MB (limit 600)")


_PEAK = f"""
import datetime, sys
from pay_ready.app import open_app
from tests.benchmarks.agent import ASKED
company, other, person = sys.argv[1:]
with open_app() as app:
    agent = app.agent("bench-0")
    for kind, words in ASKED:
        agent.ask(words.format(company=company, other=other, person=person), today=datetime.date{_TODAY.timetuple()[:3]})
# Not ru_maxrss: that counts the parent's memory from before the exec, too.
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")) // 1024)
"""


def _ask(agents: Sequence[Agent], made: Sequence[Made], count: int) -> None:
    """Each question twice: computed, and given again."""
    told(f"names of {len(agents)} tenants", lambda: [agent.names for agent in agents])
    drawn = random.Random(3)
    rounds = -(-count // len(agents))
    asked = [(agent, *each) for agent, own in zip(agents, made, strict=True) for each in questions(own, rounds, drawn)]
    drawn.shuffle(asked)
    took: dict[str, dict[str, list[float]]] = {"computed": defaultdict(list), "given again": defaultdict(list)}
    for name, times in took.items():
        for agent, kind, question in asked:
            times[kind].append(timed(agent, question))
        everything = [each for part in times.values() for each in part]
        say_line(f"{len(everything)} questions, {name}: p50 {milliseconds(everything, 50)}, p95 {milliseconds(everything, 95)}"
                 + (" (limit 300)" if name != "computed" else ""))  # fmt: skip
        for kind, part in times.items():
            say_line(f"  {kind:16} p50 {milliseconds(part, 50)}, p95 {milliseconds(part, 95)}")


if __name__ == "__main__":
    main()
