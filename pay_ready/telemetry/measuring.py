"""The places that are measured, and who is told of them."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Literal, Protocol
from uuid import UUID

Kind = Literal["run", "step", "transaction", "statement", "call"]
Outcome = Literal["ok", "failed", "aborted"]

_NOTHING: AbstractContextManager[None] = nullcontext()
_sinks: tuple["Sink", ...] = ()


class Sink(Protocol):
    """Who is told of what begins and ends."""

    def begun(self, measured: "Measured") -> object:
        """Something begins; what is given back comes again at its end."""
        ...

    def ended(self, measured: "Measured", begun: object, seconds: float, outcome: Outcome, error: BaseException | None) -> None:
        """It has ended."""
        ...


class Measured:
    """Something that takes time, as a context.

    `group` is what metrics may be labelled with: one of few words; `name` may be one of many.
    """

    __slots__ = ("_began", "_begun", "_told", "attributes", "group", "is_parent", "kind", "name", "tenant")

    def __init__(
        self, kind: Kind, group: str, name: str, tenant: UUID | None, attributes: Mapping[str, str], *, is_parent: bool = True
    ) -> None:
        self.kind, self.group, self.name, self.tenant, self.attributes, self.is_parent = kind, group, name, tenant, attributes, is_parent

    def __enter__(self) -> None:
        self._told = _sinks
        self._begun = [sink.begun(self) for sink in self._told]
        self._began = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        seconds = time.perf_counter() - self._began
        outcome: Outcome = "ok" if error is None or isinstance(error, GeneratorExit) else "failed"
        if outcome == "failed" and not isinstance(error, Exception):
            outcome = "aborted"
        for sink, begun in zip(reversed(self._told), reversed(self._begun), strict=True):
            sink.ended(self, begun, seconds, outcome, error)


def use_sinks(*told: Sink) -> None:
    """Tell these from now on, and nobody else; none turns everything off."""
    global _sinks
    _sinks = told


def sinks() -> Sequence[Sink]:
    """Who is told now."""
    return _sinks


def is_on() -> bool:
    """Whether anybody is told."""
    return bool(_sinks)


def measured_run(flow: str, tenant: UUID, run_id: UUID) -> AbstractContextManager[None]:
    """A run of several steps."""
    if not _sinks:
        return _NOTHING
    return Measured("run", flow, flow, tenant, {"pay_ready.flow": flow, "pay_ready.run_id": str(run_id)})


def measured_step(step: str, subject: str, tenant: UUID, run_id: UUID) -> AbstractContextManager[None]:
    """A step of a run."""
    if not _sinks:
        return _NOTHING
    attributes = {"pay_ready.step": step, "pay_ready.subject": subject, "pay_ready.run_id": str(run_id)}
    return Measured("step", step, f"{step} {subject}".strip(), tenant, attributes)


def measured_transaction(work: str, tenant: UUID) -> AbstractContextManager[None]:
    """A transaction of a tenant, the wait for a connection included."""
    if not _sinks:
        return _NOTHING
    return Measured("transaction", work, f"transaction {work}", tenant, {"db.system.name": "postgresql"})


def measured_statement(query: str, tenant: UUID) -> AbstractContextManager[None]:
    """A named statement; its text and parameters are never told."""
    if not _sinks:
        return _NOTHING
    return Measured("statement", query.partition(".")[0], query, tenant, {"db.system.name": "postgresql", "db.query.summary": query})


def measured_call(service: str, call: str, *, is_parent: bool = True) -> AbstractContextManager[None]:
    """A call of something outside: a service, a connector's process. `is_parent` false: where it ends in another context than it began."""
    if not _sinks:
        return _NOTHING
    attributes = {"pay_ready.service": service, "pay_ready.call": call}
    return Measured("call", service, f"{service} {call}".strip(), None, attributes, is_parent=is_parent)
