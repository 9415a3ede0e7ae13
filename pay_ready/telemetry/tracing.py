"""Spans by OpenTelemetry, each below what it is a part of; the SDK is of the extra `telemetry`, and loaded when tracing is turned on."""

import json
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pay_ready.errors import ConfigError
from pay_ready.telemetry.measuring import Measured, Outcome
from pay_ready.telemetry.tenant_label import tenant_hash

if TYPE_CHECKING:  # heavy, and of an extra
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

_LAST_WORDS_S = 3.0


class Spans:
    """Tells a tracer provider of what begins and ends."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import context, trace

        self._provider, self._trace, self._context = provider, trace, context
        self._tracer = provider.get_tracer("pay_ready")
        self._kinds = {"statement": trace.SpanKind.CLIENT, "call": trace.SpanKind.CLIENT}

    def begun(self, measured: Measured) -> object:
        """A span below the current one."""
        attributes = {key: value for key, value in measured.attributes.items() if value}
        if measured.tenant is not None:
            attributes["pay_ready.tenant_hash"] = tenant_hash(measured.tenant)
        kind = self._kinds.get(measured.kind, self._trace.SpanKind.INTERNAL)
        span = self._tracer.start_span(measured.name, kind=kind, attributes=attributes)
        token = self._context.attach(self._trace.set_span_in_context(span)) if measured.is_parent else None
        return span, token

    def ended(self, measured: Measured, begun: Any, seconds: float, outcome: Outcome, error: BaseException | None) -> None:  # noqa: ARG002
        """The span ends; of an error its class is kept, never its words."""
        span, token = begun
        if outcome != "ok":
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()
        if token is not None:
            self._context.detach(token)

    def close(self) -> None:
        """Send what waits; a receiver that is away holds up no exit for longer than a few seconds."""
        ending = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        ending.start()
        ending.join(_LAST_WORDS_S)


def spans_to(file: Path | None, *, otlp: bool) -> Spans:
    """Spans as lines of JSON in a file, and by OTLP as the OTEL_* variables say.

    Raises:
        ConfigError: The extra is not installed, or the file cannot be written.
    """
    if find_spec("opentelemetry.sdk") is None:
        raise ConfigError("tracing needs the extra `telemetry`", 'pip install "pay-ready[telemetry]"', key="trace")
    from opentelemetry import trace
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    # The variables' own name of the service outranks ours.
    resource = Resource({SERVICE_NAME: "pay_ready"}).merge(Resource.create())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)  # `close` ends it, and in time
    if file is not None:
        provider.add_span_processor(SimpleSpanProcessor(_lines_to(file)))
    if otlp:
        provider.add_span_processor(BatchSpanProcessor(_otlp()))
        # Prefect's spans of flows go the same way.
        trace.set_tracer_provider(provider)
    return Spans(provider)


def _otlp() -> Any:
    if find_spec("opentelemetry.exporter.otlp.proto.http") is None:
        raise ConfigError("OTLP needs the extra `telemetry`", 'pip install "pay-ready[telemetry]"', key="OTEL_EXPORTER_OTLP_ENDPOINT")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _lines_to(file: Path) -> Any:
    """An exporter that appends a line of JSON for each span."""
    from opentelemetry.sdk.trace.export import SpanExportResult

    try:
        handle = file.open("a", encoding="utf-8")
    except OSError as error:
        raise ConfigError("the file of spans cannot be written", error.strerror or "", file=file) from None

    class _Lines:  # of the form of a SpanExporter
        def export(self, spans: Sequence["ReadableSpan"]) -> SpanExportResult:
            handle.writelines(json.dumps(span_line(span)) + "\n" for span in spans)
            handle.flush()
            return SpanExportResult.SUCCESS

        def shutdown(self) -> None:
            handle.close()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - as it is called
            return True

    return _Lines()


def span_line(span: "ReadableSpan") -> dict[str, object]:
    """A span as plain values: ids in hex, times in nanoseconds since 1970."""
    context = span.get_span_context()
    return {
        "name": span.name, "kind": span.kind.name.lower(), "status": span.status.status_code.name.lower(),
        "trace_id": f"{context.trace_id:032x}" if context else "", "span_id": f"{context.span_id:016x}" if context else "",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else None, "start_ns": span.start_time, "end_ns": span.end_time,
        "attributes": dict(span.attributes or {}),
    }  # fmt: skip
