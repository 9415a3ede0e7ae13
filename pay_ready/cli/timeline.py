"""`pay-ready timeline`: what happened with a person or company over all sources, by pages, or whole as a file."""

import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.asking_options import (
    LanguageOption,
    NamesArgument,
    Narrowed,
    SinceOption,
    SourceOption,
    TypeOption,
    UntilOption,
    WithOption,
    narrowed_to,
    scope_of,
)
from pay_ready.cli.entities import one_entity
from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say, write
from pay_ready.cli.progress import shown_progress
from pay_ready.errors import UsageError
from pay_ready.model.progress import Progress, ProgressEvent

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.agent.answering import Agent
    from pay_ready.agent.export import Form
    from pay_ready.agent.timeline import GroupBy, Line, Page
    from pay_ready.app import App
    from pay_ready.db.entities import GoldenRecord
    from pay_ready.model.talk import Scope

_GROUPS = ("day", "thread")
_ENDINGS = (".csv", ".json", ".html")
_TOLD_EVERY = 200  # lines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Whose timeline, which part, and how it is shown."""

    names: Sequence[str]
    tenant: str
    narrowed: Narrowed
    group: str | None
    limit: int | None


def timeline(
    names: NamesArgument = None, tenant: TenantOption = ..., since: SinceOption = None, until: UntilOption = None,  # type: ignore[assignment]
    source: SourceOption = None, kind: TypeOption = None, taking_part: WithOption = None, language: LanguageOption = None,
    group: Annotated[str | None, typer.Option("--group", help="By day or thread.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, max=10_000, help="Lines a page: the latest so many.")] = None,
    page: Annotated[str | None, typer.Option("--page", help="Go on where a page ended; with all other options as they were.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Write all of it: FILE.csv, FILE.json or FILE.html.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """What happened with people or companies over all sources, a line an interaction: the latest page, its earliest line first.

    Example: pay-ready timeline "Acme" --tenant acme --since 2026-01-01 --source gong --group day
    Example: pay-ready timeline "Acme" --tenant acme --type email --to acme.html
    """
    _refuse_two_forms(to, page, limit, as_csv=as_csv, as_json=as_json)
    if group is not None and group not in _GROUPS:
        raise UsageError(f"no such grouping: {group}", f"one of {', '.join(_GROUPS)}", option="--group")
    by: GroupBy | None = group  # type: ignore[assignment]
    narrowed = narrowed_to(since, until, source, kind, taking_part, language)
    asked = _Asked(names=names or (), tenant=tenant, narrowed=narrowed, group=group, limit=limit)
    with opened_app() as opened:
        agent = opened.agent(tenant)
        scope = scope_of(opened, agent, narrowed)
        if not names:
            raise UsageError("whose timeline?", "pay-ready timeline NAME -t TENANT")
        meant = _meant(opened, agent, tenant, names)
        scope = replace(scope, entity_ids=tuple(each.entity_id for each in meant))
        about: dict[str, object] = {
            "entities": [{"entity_id": str(each.entity_id), "name": _name(agent, each)} for each in meant],
            "since": scope.since.isoformat() if scope.since else None, "until": scope.until.isoformat() if scope.until else None,
        }  # fmt: skip
        heading = ", ".join(_name(agent, each) for each in meant)
        if to is not None:
            _write_file(agent, scope, to, _form(to, about, heading, by), by)
            return
        shown = _page(agent, scope, page, limit)
        earlier = _next_page(asked, agent, scope, shown.next_token)
    if as_json:
        print_json("timeline", about | _told(shown, by) | {"next_page": shown.next_token})
    elif as_csv:
        _print_csv(shown, by, earlier)
    else:
        _print(heading, shown, by, agent.toolbox.options.time_zone, earlier)


def print_lines(title: str, lines: Iterable["Line"], time_zone: str) -> None:
    """A table without ids, which are long: --json shows them."""
    from pay_ready.agent.export import ROW_COLUMNS, rows

    columns = (f"{ROW_COLUMNS[0]} ({time_zone})", *ROW_COLUMNS[1:-1])
    print_table(columns, [row[:-1] for row in rows(lines)], title=title)


def _refuse_two_forms(to: Path | None, page: str | None, limit: int | None, *, as_csv: bool, as_json: bool) -> None:
    if as_csv + as_json + (to is not None) > 1:
        raise UsageError("one form at a time", "say --csv or --json, or --to FILE alone")
    if to is None:
        return
    if to.suffix not in _ENDINGS:
        raise UsageError(f"a timeline is written as one of {', '.join(_ENDINGS)}", f"--to {to.with_suffix('.html')}", file=to)
    if page is not None or limit is not None:
        raise UsageError("a file holds the whole timeline", "leave --page and --limit away; --since and --until narrow it", file=to)


def _meant(opened: "App", agent: "Agent", tenant: str, names: Sequence[str]) -> "list[GoldenRecord]":
    found, mask = opened.tenant(tenant), agent.mask
    with opened.database.tenant_transaction(found.tenant_id) as tx:
        return [one_entity(tx, each, None, opened.settings_of(found).staging.phone_region, mask) for each in names]


def _name(agent: "Agent", golden: "GoldenRecord") -> str:
    from pay_ready.agent.safe_text import plain

    return agent.mask(plain(golden.name)) if golden.name else str(golden.entity_id)


def _page(agent: "Agent", scope: "Scope", token: str | None, limit: int | None) -> "Page":
    """The latest lines, the earliest of them first."""
    from pay_ready.agent.timeline import Page
    from pay_ready.agent.toolbox import MOST_ROWS

    most, lines, mask = limit or agent.toolbox.options.page_size, list["Line"](), agent.mask
    while True:
        part = agent.toolbox.timeline(scope, token=token, size=min(most - len(lines), MOST_ROWS), masked=mask).page
        lines += part.lines
        token = part.next_token
        if token is None or len(lines) >= most:
            return Page(lines=tuple(reversed(lines)), next_token=token)


def _told(shown: "Page", by: "GroupBy | None") -> dict[str, object]:
    from pay_ready.agent.export import as_json
    from pay_ready.agent.timeline import grouped

    if by is None:
        return {"entries": as_json(shown.lines)}
    return {"groups": [{"title": each.title, "entries": as_json(each.lines)} for each in grouped(shown.lines, by)]}


def _print_csv(shown: "Page", by: "GroupBy | None", earlier: str) -> None:
    from pay_ready.agent.export import as_csv
    from pay_ready.agent.timeline import grouped

    lines = shown.lines if by is None else [line for each in grouped(shown.lines, by) for line in each.lines]
    write(as_csv(lines))
    if earlier:
        note(earlier)


def _print(heading: str, shown: "Page", by: "GroupBy | None", time_zone: str, earlier: str) -> None:
    from pay_ready.agent.timeline import grouped

    if not shown.lines:
        say(f"{heading}: nothing was found")
    elif by is None:
        print_lines(f"{heading}: {len(shown.lines):,} interactions", shown.lines, time_zone)
    else:
        say(f"{heading}: {len(shown.lines):,} interactions")
        for each in grouped(shown.lines, by):
            print_lines(each.title, each.lines, time_zone)
    if earlier:
        say(earlier)


def _next_page(asked: _Asked, agent: "Agent", scope: "Scope", token: str | None) -> str:
    """The command that shows what was before; days as days, for "last month" is another one tomorrow."""
    if token is None:
        return ""
    # Under a policy names are not repeated: ids say the same.
    says_names = agent.toolbox.options.mask_policy == "none"  # an address is a name here, too
    names = asked.names if says_names else map(str, scope.entity_ids)
    others = asked.narrowed.taking_part if says_names else list(map(str, scope.with_ids))
    words = ["pay-ready", "timeline", *names, "-t", asked.tenant]
    for option, moment in (("--since", scope.since), ("--until", scope.until)):
        words += [option, agent.calendar.today(moment).isoformat()] if moment else []
    narrowed = asked.narrowed
    given = (
        ("--source", narrowed.source), ("--type", narrowed.kind), ("--with", others), ("--language", narrowed.language),
        ("--group", [asked.group] if asked.group else ()), ("--limit", [str(asked.limit)] if asked.limit else ()), ("--page", [token]),
    )  # fmt: skip
    words += [word for option, values in given for value in values for word in (option, value)]
    return f"before these: {shlex.join(words)}"


def _form(to: Path, about: dict[str, object], heading: str, by: "GroupBy | None") -> "Form":
    from pay_ready.agent.export import csv_form, html_form, json_form

    forms: dict[str, Callable[[], Form]] = {
        ".csv": csv_form, ".json": lambda: json_form(about, is_grouped=by is not None), ".html": lambda: html_form(f"Timeline: {heading}"),
    }  # fmt: skip
    return forms[to.suffix]()


def _write_file(agent: "Agent", scope: "Scope", to: Path, form: "Form", by: "GroupBy | None") -> None:
    from pay_ready.agent.timeline_file import told
    from pay_ready.whole_file import whole_file

    mask, by = agent.mask, by or ("day" if to.suffix == ".html" else None)
    with (
        shown_progress() as progress,
        whole_file(to) as file,
        tempfile.TemporaryFile(dir=to.parent) as waiting,
        agent.toolbox.whole_timeline(scope, masked=mask) as (total, lines),
    ):
        file.writelines(told(_counted(lines, total, to.name, progress), form, by, waiting))
    note(f"written: {to}, {total:,} interactions")


def _counted(lines: Iterable["Line"], total: int, name: str, progress: Progress) -> Iterator["Line"]:
    done = 0
    for done, line in enumerate(lines, start=1):
        if done % _TOLD_EVERY == 0:
            progress(ProgressEvent(step="read", subject=name, done=done, total=total))
        yield line
    progress(ProgressEvent(step="read", subject=name, done=done, total=total))
