"""Scoring pairs on Spark: the same function on the same parts, so that the edges are those of one process, to the millibit.

Needs the extra `spark` and a Java of 17 or later. Only the columns that are compared leave this process, and edges come back; clusters
are made here.
"""

import os
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from pay_ready.errors import ConfigError
from pay_ready.model.resolution import ResolutionConfig
from pay_ready.resolve.engine import Scorer, knowledge_of
from pay_ready.resolve.linkage.model import ResolutionModel
from pay_ready.resolve.linkage.parts import Part, edge_schema, score_part, with_parts
from pay_ready.resolve.linkage.tables import Knowledge
from pay_ready.resolve.staged import record_id_bytes, staged_kinds

_ROWS_AT_ONCE = 50_000
_PARTS_FOR_EACH_CORE = 4


def spark_scorer(master: str, config: ResolutionConfig, parts: int | None = None) -> Scorer:
    """A scorer that runs on Spark.

    Args:
        master: Where: local[2], local-cluster[2,1,2048], spark://host:7077, …
        config: The settings that the model was trained with.
        parts: Into how many parts the keys are divided; None takes four for each core that Spark offers.

    Raises:
        ConfigError: pyspark is not installed, or Spark does not start.
    """
    return partial(_scored_on_spark, master, knowledge_of(config), parts)


def _scored_on_spark(
    master: str, knowledge: Knowledge, parts: int | None, staged: pa.Table, model: ResolutionModel, review: int
) -> pa.Table:
    session = _session(master)
    number = parts or _PARTS_FOR_EACH_CORE * session.sparkContext.defaultParallelism
    columns = [each.column for each in staged_kinds(model.entity_type)]
    sent = pa.table({"record_id": record_id_bytes(staged).cast(pa.binary()), **{name: staged.column(name) for name in columns}})
    with_number = sent.schema.append(pa.field("part", pa.int32()))
    edges = pa.schema([_plain(field) for field in edge_schema(model)])
    found = (
        session.createDataFrame(sent)
        .repartition(number)
        .mapInArrow(partial(_explode, knowledge, model, number), _spark_schema(with_number))
        .repartition(number, "part")
        .mapInArrow(partial(_score, knowledge, model, number, model.threshold_millibits - review), _spark_schema(edges))
        .toArrow()
    )
    return found.cast(edge_schema(model))


def _session(master: str) -> Any:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise ConfigError("pyspark is not installed", 'install the extra: pip install "pay-ready[spark]"', option="--spark") from None
    # The workers run this interpreter, with this package.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    options = {
        "spark.ui.enabled": "false", "spark.sql.execution.arrow.maxRecordsPerBatch": str(_ROWS_AT_ONCE), "spark.log.level": "ERROR",
    }  # fmt: skip
    try:
        builder = SparkSession.builder.master(master).appName("pay_ready")
        for key, value in options.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
    except Exception as error:
        raise ConfigError("Spark does not start", "is there a Java of 17 or later, and is the master right?", master=master) from error
    if session.sparkContext.master != master:
        raise ConfigError("another Spark runs in this process", "stop it, or name its master", master=master)
    return session


def _explode(knowledge: Knowledge, model: ResolutionModel, parts: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from with_parts(pa.Table.from_batches([batch]), knowledge, model, parts).to_batches()


def _score(
    knowledge: Knowledge, model: ResolutionModel, parts: int, least: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Several parts may share a partition of Spark's; a part is in one whole."""
    held = list(batches)
    if not held:
        return
    table = pa.Table.from_batches(held)
    numbers = table.column("part")
    for number in sorted(set(numbers.to_pylist())):
        rows = table.filter(pa.compute.equal(numbers, number)).drop_columns(["part"])
        scored = score_part(rows, knowledge, model, Part(number=number, of=parts), least)
        yield from scored.cast(pa.schema([_plain(field) for field in scored.schema])).to_batches()


def _plain(field: pa.Field) -> pa.Field:
    """Spark knows no bytes of fixed length."""
    return field.with_type(pa.binary()) if pa.types.is_fixed_size_binary(field.type) else field


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)
