"""What every flow has in common: its parameters' words, the app that it works with, artifacts, tags, how it ends."""

import logging
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from prefect import State, get_client, get_run_logger, runtime
from prefect.artifacts import acreate_markdown_artifact
from prefect.states import Completed, Failed
from pydantic import BaseModel, ConfigDict, StringConstraints

from flows.steps import StepFailedError, in_thread, safely, shown
from pay_ready.app import App, open_app
from pay_ready.errors import CheckFailedError, PartialError, PayReadyError, PublishHeldError, TransientError
from pay_ready.telemetry import measured_run

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$")]

# A dead run that nobody can ask (another host's) keeps its lease so long: who waits for that is the next run.
TAKEOVER_S = 75.0


class Parameters(BaseModel):
    """Parameters of a flow: what is unknown or malformed is refused when a run is created."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@asynccontextmanager
async def begun(tenant: str = "", sources: Sequence[str] = ()) -> AsyncIterator[App]:
    """The app for the length of a flow run, tagged with its tenant and sources; what goes wrong is told without the data."""
    await _tag([*([f"tenant:{tenant}"] if tenant else []), *(f"source:{name}" for name in sources)])
    with safely(), ExitStack() as stack:
        with _prefects_logs():
            app = await in_thread(lambda: stack.enter_context(open_app()))
        # In this task: steps begin in threads that inherit its context, and their spans stand below the flow's.
        if tenant and runtime.flow_run.id is not None:
            flow = runtime.flow_run.flow_name or "flow"
            stack.enter_context(measured_run(flow, app.tenant_id(tenant), UUID(runtime.flow_run.id)))
        yield app


class _Lenient(logging.Handler):
    """Where a run's lines are printed its worker reads them. Killed, it does not, and what draws Prefect's lines would end the run for that
    (rich raises SystemExit when its pipe breaks): the line is lost instead.
    """

    def __init__(self, inner: logging.Handler) -> None:
        super().__init__(inner.level)
        self._inner = inner

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, SystemExit):
            self._inner.handle(record)


@contextmanager
def _prefects_logs() -> Iterator[None]:
    """Prefect's own lines go where they went before the app set logs up: they hold names of runs and states, and errors as `shown`."""
    root, own = logging.getLogger(), logging.getLogger("prefect")
    before = [_Lenient(handler) for handler in root.handlers if handler not in own.handlers]
    yield
    if own.propagate:
        own.propagate = False
        own.handlers += before
    # One line a request to Prefect.
    logging.getLogger("httpx").setLevel(logging.WARNING)


async def _tag(tags: Sequence[str]) -> None:
    """Tag the flow run, beside what its deployment gave it. Nothing depends on it."""
    if not tags or runtime.flow_run.id is None:
        return
    try:
        async with get_client() as client:
            await client.update_flow_run(UUID(runtime.flow_run.id), tags=sorted({*runtime.flow_run.tags, *tags}))
    except Exception as error:  # noqa: BLE001 - a run without tags is a run
        get_run_logger().warning("not tagged: %s", type(error).__name__)


async def tell_operators(app: App, tenant: str) -> None:
    """Look at the tenant's alerts once its run is over; what keeps that from being done changes nothing about the run."""
    if error := await in_thread(partial(app.tell_operators, tenant)):
        get_run_logger().warning("alerts were not looked at: %s", type(error).__name__)


async def kept(key: str, markdown: str, description: str) -> None:
    """Keep an artifact. The work is done and recorded by then: a server that is away costs the artifact alone."""
    try:
        await acreate_markdown_artifact(key=key, markdown=markdown, description=description)
    except Exception as error:  # noqa: BLE001 - see above
        get_run_logger().warning("artifact %s was not kept: %s", key, type(error).__name__)


class Summary(BaseModel):
    """What a flow run gives back: figures only, nothing about anybody."""

    model_config = ConfigDict(frozen=True)
    status: str


Ending = State[Any]
_NAMES: tuple[tuple[type[PayReadyError], str], ...] = (
    (TransientError, "Deferred"), (PublishHeldError, "HeldBack"), (CheckFailedError, "CheckFailed"), (PartialError, "Partial"),
)  # fmt: skip


def ended(summary: Summary, error: PayReadyError | None) -> "Summary | Ending":
    """A flow run's end: its summary; or, where something failed, a failed state whose name says what to expect.

    Deferred: a service or database is away; the next schedule tries again. HeldBack: a guard kept it from being published. Partial: the
    rest is done and kept.
    """
    if error is None:
        return summary
    told = shown(error)
    reason = told.reason if isinstance(told, StepFailedError) and told.reason else error
    name = next((name for kind, name in _NAMES if isinstance(reason, kind)), "Failed")
    return Failed(name=name, message=str(told), data=told)


async def ending(body: "Coroutine[Any, Any, Summary | Ending]", otherwise: Summary) -> "Summary | Ending":
    """How a flow's body ends; a step that failed and ended it makes a failed state, with the summary that is given here."""
    try:
        return await body
    except StepFailedError as error:
        return ended(otherwise, error)


def skipped(summary: Summary, error: PayReadyError) -> Ending:
    """The end of a run for which nothing was left to do: another one is at it. No failure, for nothing is missing."""
    return Completed(name="Skipped", message=str(shown(error)), data=summary)


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join("" if cell is None else _cell(cell) for cell in line) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value).replace("|", "\\|")


def run_link() -> str:
    """Where the flow run is shown, as Markdown; empty where there is no page."""
    url = runtime.flow_run.ui_url
    return f"[{runtime.flow_run.name}]({url})" if url else ""
