"""`pay-ready`: the commands and the outermost edge, where an error becomes one line and an exit code."""

import os
import sys
import traceback
from collections.abc import Callable
from functools import cache
from typing import Annotated

import typer

from pay_ready.cli import (
    airbyte,
    alerts,
    analyse,
    asking,
    audit,
    backfill,
    checkpoint,
    connectors,
    decide,
    demo,
    deploy,
    drift,
    entities,
    erase,
    evaluate,
    explain,
    keys,
    mart,
    mcp,
    memory,
    metrics,
    models,
    quality,
    quarantine,
    resolve,
    retention,
    review,
    rollback,
    run,
    runs,
    server,
    sources,
    status,
    tenants,
    timeline,
    undo,
    verify,
)
from pay_ready.errors import PayReadyError, UsageError

INTERRUPTED = 130

app = typer.Typer(
    name="pay-ready",
    help="Customer data of many tenants: brought in, resolved into people and companies, and shown over time.\n\n"
    "Try: pay-ready demo. Exit codes: 0 ok, 1 failed, 2 usage, 3 partial, 4 not found, 5 denied, 6 conflict, 7 check failed, "
    "75 retry later.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("demo")(demo.demo)
app.command("evaluate")(evaluate.evaluate)
app.command("doctor")(server.doctor)
app.command("migrate")(server.migrate)
app.command("people")(entities.people)
app.command("companies")(entities.companies)
app.command("timeline")(timeline.timeline)
app.command("explain")(explain.explain)
app.command("resolve")(resolve.resolve)
app.command("decide")(decide.decide)
app.command("rollback")(rollback.rollback)
app.command("changes")(undo.changes)
app.command("undo")(undo.undo)
app.command("redo")(rollback.redo)
app.command("resume")(rollback.resume)
app.command("pending")(rollback.pending)
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(retention.app, name="retention")
app.command("verify")(verify.verify)
app.command("export")(erase.export)
app.add_typer(run.app, name="run")
app.add_typer(backfill.app, name="backfill")
app.add_typer(runs.app, name="runs")
app.add_typer(tenants.app, name="tenants")
app.add_typer(sources.app, name="sources")
app.add_typer(connectors.app, name="connectors")
app.add_typer(airbyte.app, name="airbyte")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(quality.app, name="quality")
app.add_typer(drift.app, name="drift")
app.add_typer(review.app, name="review")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.add_typer(erase.app, name="erase")
app.add_typer(mart.app, name="mart")
app.add_typer(models.app, name="models")
app.add_typer(deploy.app, name="deploy")
app.command("index")(memory.index)
app.command("analyse")(analyse.analyse)
app.command("warm")(analyse.warm)
app.add_typer(memory.app, name="memory")
app.command("ask")(asking.ask)
app.command("summary")(asking.summary)
app.command("sentiment")(asking.sentiment)
app.command("topics")(asking.topics)
app.command("coach")(asking.coach)
app.command("similar")(asking.similar)
app.command("search")(asking.search)
app.command("count")(asking.count)
app.command("who")(asking.who)
app.command("mcp")(mcp.mcp)
app.command("status")(status.status)
app.add_typer(alerts.app, name="alerts")
app.command("serve-metrics")(metrics.serve_metrics)


@app.callback()
def options(
    domain: Annotated[str, typer.Option(help="Domain: a name from config/domains, or the path of a .toml file.")] = "",
    home: Annotated[str, typer.Option(help="Folder of the embedded server, connectors and keys.")] = "",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "",
    trace: Annotated[str, typer.Option(metavar="FILE", help="Append a line of JSON for every run, step, statement and call.")] = "",
) -> None:
    """Options of every command become the settings' environment, so that child processes agree."""
    for variable, value in (("DOMAIN", domain), ("HOME", home), ("LOGGING__LEVEL", log_level), ("TRACE", trace)):
        if value:
            os.environ[f"PAY_READY_{variable}"] = value


@cache
def _command() -> Callable[[], object]:
    """All commands; to read their functions takes longer than most of them run."""
    return typer.main.get_command(app)


def main() -> None:
    """Run a command. Errors raised on purpose print one line; others are shown whole with PAY_READY_DEBUG=1."""
    try:
        _refuse_undecodable(sys.argv[1:])
        _command()()
    except PayReadyError as error:
        sys.exit(_fail(str(error), error.exit_code))
    except SystemExit as end:
        # Typer turns Ctrl-C into 130, and a reader who has seen enough (| head) into 1 with a wrapped standard output.
        if end.code == INTERRUPTED:
            _fail("interrupted - what is committed stays; the same command goes on from there", INTERRUPTED)
        sys.exit(0 if end.code == 1 and hasattr(sys.stdout, "wrapped") else end.code)
    except Exception as error:  # noqa: BLE001 - the outermost edge
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"unexpected {type(error).__name__} in {place.name}, line {place.lineno} - show all of it: PAY_READY_DEBUG=1"
        code = _fail(what, PayReadyError.exit_code)
        if os.environ.get("PAY_READY_DEBUG"):
            traceback.print_exc()
        sys.exit(code)


def _refuse_undecodable(words: list[str]) -> None:
    """Bytes that are no text in this locale reach Python as lone surrogates, and no further than here.

    Raises:
        UsageError: A word holds such bytes.
    """
    if any("\udc80" <= letter <= "\udcff" for word in words for letter in word):
        raise UsageError("an argument is no text in this terminal's encoding", "set the locale to UTF-8, for example LC_ALL=C.UTF-8")


def _fail(message: str, exit_code: int) -> int:
    sys.stderr.write(f"error: {message}\n")
    return exit_code


if __name__ == "__main__":
    main()
