"""Events of OpenLineage, sent by its own client: START, then COMPLETE, FAIL or ABORT of each step.

Nothing of it may fail or hold up a run: whatever goes wrong is one line in the log, and after three failures in a row a process sends
no more. Not in an event: values of records, and what an error says; its class is enough.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import structlog

from pay_ready.errors import ConfigError
from pay_ready.model.ids import RunId
from pay_ready.model.lineage import QualityResult
from pay_ready.pipeline.lineage.steps import Dataset, Place, StepData

Moment = Literal["START", "COMPLETE", "FAIL", "ABORT"]
PRODUCER = "urn:pay-ready:pipeline"
_MOST_FAILURES = 3
_TIMEOUT_S = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageTarget:
    """Where events go. `client`: the client's own variables (OPENLINEAGE_URL, OPENLINEAGE_CONFIG) say it."""

    to: Literal["file", "url", "client"]
    target: str = ""
    api_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMoment:
    """A step that begins or has ended."""

    moment: Moment
    run_id: RunId
    step: str
    subject: str
    step_run_id: UUID
    rows: int | None = None
    error_class: str | None = None


class Lineage:
    """Sends the events of one tenant's steps.

    Args:
        target: Where to.
        namespace: Of the jobs.
        place: Where the tables are.
    """

    def __init__(self, target: LineageTarget, *, namespace: str, place: Place) -> None:
        self.place = place
        self._namespace = namespace
        self._target = target
        self._client: Any = None
        self._failures = 0

    def tell(self, moment: StepMoment, data: Callable[[], StepData]) -> None:
        """Send an event; `data` is asked only here, and its failure is no one else's."""
        if self._failures >= _MOST_FAILURES:
            return
        try:
            if self._client is None:
                self._client = open_client(self._target)
            self._client.emit(run_event(moment, data(), self._namespace))
            self._failures = 0
        except Exception as error:  # noqa: BLE001 - the run is what matters, its lineage a courtesy
            self._failures += 1
            log.warning("lineage.failed", step=moment.step, run_id=moment.run_id, error_class=type(error).__name__)


def open_client(target: LineageTarget) -> Any:
    """The official client, sending to a file, a URL, or where its variables say.

    Raises:
        ConfigError: It is not installed, or the target is none.
    """
    try:
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.file import FileConfig, FileTransport
        from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport
    except ImportError:
        raise ConfigError("the client of OpenLineage is not installed", "install it: pip install 'pay-ready[lineage]'") from None
    if target.to == "client":
        return OpenLineageClient()
    if not target.target:
        raise ConfigError("lineage without a target", "set lineage.target to a file or a URL", setting="lineage.target")
    if target.to == "file":
        path = Path(target.target).expanduser().absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        return OpenLineageClient(transport=FileTransport(FileConfig(log_file_path=str(path), append=True)))
    options: dict[str, Any] = {"url": target.target, "timeout": _TIMEOUT_S, "retry": {"total": 0}}
    if target.api_key:
        options["auth"] = ApiKeyTokenProvider({"apiKey": target.api_key})
    return OpenLineageClient(transport=HttpTransport(HttpConfig(**options)))


def run_event(moment: StepMoment, data: StepData, namespace: str) -> Any:
    """The event of a step, in the client's own types, which know the standard's schema."""
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import error_message_run, job_type_job, parent_run

    run_facets: dict[str, Any] = {
        "parent": parent_run.ParentRunFacet(
            run=parent_run.Run(runId=str(moment.run_id)), job=parent_run.Job(namespace=namespace, name="run"), producer=PRODUCER
        )
    }
    if moment.error_class is not None:
        run_facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=moment.error_class, programmingLanguage="python", producer=PRODUCER
        )
    job_type = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="PAY_READY", jobType="STEP", producer=PRODUCER)
    return RunEvent(
        eventType=RunState[moment.moment],
        eventTime=datetime.now(UTC).isoformat(),
        run=Run(runId=str(moment.step_run_id), facets=run_facets),
        job=Job(namespace=namespace, name=".".join(filter(None, (moment.step, moment.subject))), facets={"jobType": job_type}),
        inputs=[_input(each, _quality_of(each, data.quality, is_first=index == 0)) for index, each in enumerate(data.inputs)],
        outputs=[_output(each, moment.rows if len(data.outputs) == 1 else None) for each in data.outputs],
        producer=PRODUCER,
    )


def _quality_of(dataset: Dataset, results: Sequence[QualityResult], *, is_first: bool) -> list[QualityResult]:
    """Results about a stream or table go to its dataset, all others to the first."""
    name = dataset.name.rpartition("/")[2].rpartition(".")[2]
    return [each for each in results if each.subject.rpartition("/")[2] == name or (is_first and not each.subject)]


def _input(dataset: Dataset, quality: Sequence[QualityResult]) -> Any:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as checks

    facets: dict[str, Any] = {}
    if quality:
        facets["dataQualityAssertions"] = checks.DataQualityAssertionsDatasetFacet(
            assertions=[
                checks.Assertion(
                    assertion=each.check, success=each.passed, severity=each.severity, expected=each.expected,
                    actual=None if each.measured is None else f"{each.measured:g}",
                )
                for each in quality
            ],
            producer=PRODUCER,
        )  # fmt: skip
    return InputDataset(namespace=dataset.namespace, name=dataset.name, facets=_facets(dataset), inputFacets=facets)


def _output(dataset: Dataset, rows: int | None) -> Any:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import column_lineage_dataset, output_statistics_output_dataset

    facets = _facets(dataset)
    statistics: dict[str, Any] = {}
    if dataset.columns:
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={
                column: column_lineage_dataset.Fields(
                    inputFields=[
                        column_lineage_dataset.InputField(namespace=namespace, name=name, field=field) for namespace, name, field in origins
                    ]
                )
                for column, origins in dataset.columns.items()
            },
            producer=PRODUCER,
        )
    if rows is not None:
        statistics["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=rows, producer=PRODUCER
        )
    return OutputDataset(namespace=dataset.namespace, name=dataset.name, facets=facets, outputFacets=statistics)


def _facets(dataset: Dataset) -> dict[str, Any]:
    from openlineage.client.facet_v2 import schema_dataset, symlinks_dataset

    facets: dict[str, Any] = {}
    if dataset.fields:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            fields=[schema_dataset.SchemaDatasetFacetFields(name=name) for name in dataset.fields], producer=PRODUCER
        )
    if dataset.physical:
        identifier = symlinks_dataset.Identifier(namespace=dataset.namespace, name=dataset.physical, type="TABLE")
        facets["symlinks"] = symlinks_dataset.SymlinksDatasetFacet(identifiers=[identifier], producer=PRODUCER)
    return facets
