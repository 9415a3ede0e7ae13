"""`pay-ready status`: how a tenant stands, on one screen."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import print_json, printable, write
from pay_ready.errors import CheckFailedError

if TYPE_CHECKING:  # heavy; --help must not load them
    from rich.console import Console
    from rich.text import Text

    from pay_ready.pipeline.status import TenantStatus

_MOST_STEPS, _MOST_STREAMS = 6, 8  # lines of a screen
_NEARLY = 0.8  # of what may be: yellow
_GOOD, _DOUBTFUL, _BAD = "green", "yellow", "red"
_STATES = {"complete": _GOOD, "running": "cyan", "partial": _DOUBTFUL, "failed": _BAD, "aborted": _BAD}
_BREAKERS = {"closed": _GOOD, "half_open": _DOUBTFUL, "open": _BAD}


def status(
    tenant: TenantOption,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every few seconds, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.5, help="How often, with --watch.")] = 5.0,
    as_json: JsonOption = False,
) -> None:
    """How a tenant stands, on one screen. Exit 7 when a stream is older than its target (watch.freshness_hours).

    Green is well, yellow wants a look, red wants somebody. Example: pay-ready status --tenant acme --watch
    """
    from pay_ready.pipeline.status import tenant_status

    with opened_app(most_connections=1) as opened:
        work = opened.status(tenant)
        found = tenant_status(work)
        while watch:
            _show(found, as_json=as_json, anew=True)
            time.sleep(every)
            found = tenant_status(work)
    _show(found, as_json=as_json, anew=False)
    if found.missed:
        streams = ", ".join(each.subject for each in found.missed[:3]) + (", …" if len(found.missed) > 3 else "")
        raise CheckFailedError("streams are older than their target", f"pay-ready run etl -t {tenant}", tenant=tenant, streams=streams)


def _show(found: "TenantStatus", *, as_json: bool, anew: bool) -> None:
    if as_json:
        print_json("status", found, one_line=anew)
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    with console.capture() as captured:
        if anew and console.is_terminal:
            console.clear()
        _print(console, found)
    write(captured.get())


def _print(console: "Console", found: "TenantStatus") -> None:
    from rich.text import Text

    hold = f"  on hold since run {found.hold.run_no}: pay-ready resume" if found.hold else ""
    console.print(Text.assemble((found.tenant, "bold"), f"  {found.taken_at:%Y-%m-%d %H:%M:%S} UTC", (hold, _DOUBTFUL)))
    for title, lines in (
        ("streams", _streams(found)),
        ("runs", _steps(found)),
        ("review", _review(found)),
        ("memory", _memory(found)),
        ("breakers", _breakers(found)),
        ("leases", _leases(found)),
        ("database", _database(found)),
        ("disk", _disk(found)),
        ("alerts", _alerts(found)),
    ):
        for number, line in enumerate(lines):
            console.print(Text.assemble((f"{title if not number else '':10}", "dim"), line), soft_wrap=True)


def _streams(found: "TenantStatus") -> Iterator["Text"]:
    if not found.freshness:
        yield _text("no source: pay-ready sources add", _DOUBTFUL)
    by_age = sorted(found.freshness, key=lambda each: -each.age_s / each.target_s)
    for each in by_age[:_MOST_STREAMS]:
        colour = _BAD if each.is_stale else _DOUBTFUL if each.age_s > each.target_s * _NEARLY else _GOOD
        what = "never came" if each.finished_at is None else f"{_span(each.age_s)} old"
        yield _text(f"{each.subject:40} {what:>14}  of {_span(each.target_s)}", colour)
    if more := by_age[_MOST_STREAMS:]:
        yield _text(f"and {len(more)} more, the oldest {_span(more[0].age_s)} old", _BAD if any(each.is_stale for each in more) else _GOOD)


def _steps(found: "TenantStatus") -> Iterator["Text"]:
    if not found.steps:
        yield _text("none yet", _DOUBTFUL)
    for each in found.steps[:_MOST_STEPS]:
        ago = _span((found.taken_at - each.started_at).total_seconds())
        took = f"in {_span((each.finished_at - each.started_at).total_seconds())}" if each.finished_at else "so far"
        rows = "" if each.row_count is None else f", {each.row_count:,} rows"
        what = f"{each.step} {each.subject}".strip()
        yield _text(f"{what:24} {each.status:9} {ago} ago, {took}{rows} {each.error_class or ''}", _STATES.get(each.status, ""))


def _review(found: "TenantStatus") -> Iterator["Text"]:
    from pay_ready.db.status import MOST_COUNTED

    queue = found.review
    waiting = queue.doubtful + queue.second_opinions
    if not waiting:
        yield _text("nothing waits", _GOOD)
        return
    more = "+" if queue.doubtful >= MOST_COUNTED else ""
    yield _text(f"{waiting:,}{more} pairs wait ({queue.second_opinions} for a second opinion), the oldest {_span(queue.age_s)}", _DOUBTFUL)


def _memory(found: "TenantStatus") -> Iterator["Text"]:
    for each in found.embedders:
        state = f"{each.embedder_id} {each.state}{', indexed' if each.is_indexed else ''}"
        yield _text(f"warm: {state}", _GOOD if each.state == "serving" else _DOUBTFUL)
    for lag in found.outbox:
        if lag.tier == "cold" and found.cold == "off" and not lag.waiting:
            yield _text("cold: no vector store beside Postgres", "dim")
        elif not lag.waiting:
            yield _text(f"{lag.tier}: up to date", _GOOD)
        else:
            failing = f", {lag.failing:,} told in vain" if lag.failing else ""
            yield _text(f"{lag.tier}: {lag.waiting:,} changes behind, {_span(lag.age_s)}{failing}", _BAD if lag.failing else _DOUBTFUL)


def _breakers(found: "TenantStatus") -> Iterator["Text"]:
    for each in found.breakers:
        yield _text(f"{each.target:24} {each.state.replace('_', ' ')}, {each.failures} failures in a row", _BREAKERS[each.state])
    if not found.breakers:
        yield _text("none has tripped", _GOOD)


def _leases(found: "TenantStatus") -> Iterator["Text"]:
    live = [each for each in found.leases if each.is_live]
    for each in live:
        since = _span((found.taken_at - each.acquired_at).total_seconds())
        yield _text(f"{each.lease:24} held by {each.holder}, for {since}", "cyan")
    if lost := len(found.leases) - len(live):
        yield _text(f"{lost} ran out: whoever held them is gone", _DOUBTFUL)
    if not found.leases:
        yield _text("nobody is at work", "dim")


def _database(found: "TenantStatus") -> Iterator["Text"]:
    each = found.connections
    yield _text(f"{each.in_use} of {each.most} connections", _of_share(each.share))


def _disk(found: "TenantStatus") -> Iterator["Text"]:
    for each in found.disks:
        yield _text(
            f"{each.free_bytes / 1024**3:,.1f} GiB free of {each.total_bytes / 1024**3:,.1f} ({each.folder})", _of_share(each.share)
        )


def _alerts(found: "TenantStatus") -> Iterator["Text"]:
    for each in found.alerts[:_MOST_STEPS]:
        yield _text(f"{each.alert} {each.subject_id}, for {_span(each.age_s)}", _BAD if each.severity >= 0.7 else _DOUBTFUL)
    if not found.alerts:
        yield _text("none", _GOOD)


def _of_share(share: float) -> str:
    return _BAD if share > 0.9 else _DOUBTFUL if share > _NEARLY else _GOOD


def _text(words: str, colour: str) -> "Text":
    from rich.text import Text

    return Text(printable(words), colour)


def _span(seconds: float) -> str:
    """A time as people say it: 12 s, 5 min, 3.5 h, 2 days."""
    units: Sequence[tuple[float, str]] = ((86_400 * 2, "days"), (3_600 * 2, "h"), (120, "min"))
    for least, unit in units:
        if seconds >= least:
            return f"{seconds / {'days': 86_400, 'h': 3_600, 'min': 60}[unit]:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"
