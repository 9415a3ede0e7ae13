"""What each step reads and writes, as datasets: streams of sources, what is landed of them, and tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pay_ready.model.lineage import QualityResult
from pay_ready.pipeline.lineage.columns import Link, golden_links, stream_links
from pay_ready.pipeline.mapping.rules import SourceMapping, StreamMapping

_STAGED = ("person_records", "company_records", "interaction_records", "interaction_participants", "interaction_turns")
# Steps that work from table to table: what they read, what they write, and from where its columns come.
_TABLES: Mapping[str, tuple[Sequence[str], Sequence[str], Sequence[Link]]] = {
    "resolve": (
        ("person_records", "company_records", "interaction_participants"),
        ("entity_versions", "assignments", "interaction_entities"),
        golden_links(),
    ),
    "index": (
        ("interaction_records", "interaction_turns"),
        ("memories",),
        (
            Link(table="memories", column="chunk_text", field="body", origin="interaction_records"),
            Link(table="memories", column="chunk_text", field="subject", origin="interaction_records"),
            Link(table="memories", column="chunk_text", field="spoken_text", origin="interaction_turns"),
            Link(table="memories", column="occurred_at", field="occurred_at", origin="interaction_records"),
        ),
    ),
    "analyse": (
        ("memories",),
        ("interaction_sentiment",),
        (Link(table="interaction_sentiment", column="sentiment", field="chunk_text", origin="memories"),),
    ),
    "caches": (("memories", "entity_versions", "interaction_sentiment"), ("analytics_cache",), ()),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where datasets are. `database`: namespace of the tables, postgres://host:port; `prefix`: database and schema, with dots."""

    database: str
    prefix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset of a step: its name in OpenLineage, and of what is written the fields that each column comes from.

    `columns`: with the namespace, name and field of each origin. `physical`: the table that a part of one is in.
    """

    namespace: str
    name: str
    fields: Sequence[str] = ()
    columns: Mapping[str, Sequence[tuple[str, str, str]]] = field(default_factory=dict)
    physical: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepData:
    """What a step reads and writes, and what was checked of it."""

    inputs: Sequence[Dataset] = ()
    outputs: Sequence[Dataset] = ()
    quality: Sequence[QualityResult] = ()


def step_data(
    step: str, place: Place, source: str = "", mapping: SourceMapping | None = None, quality: Sequence[QualityResult] = ()
) -> StepData:
    """The datasets of a step; none of a step that only looks.

    Args:
        step: Its name in step_runs.
        place: Where the tables are.
        source: The source that `sync` and `stage` work on.
        mapping: How that source is read.
        quality: Results of the run's checks so far.
    """
    if mapping is not None and step in ("sync", "stage"):
        streams = [stream for stream in mapping.streams.values() if not stream.ignore]
        data = _synced(place, source, mapping.kind, streams) if step == "sync" else _staged(place, source, streams)
        return replace(data, quality=quality)
    if step not in _TABLES:
        return StepData()
    inputs, outputs, links = _TABLES[step]
    return StepData(
        inputs=[_table(place, name, {link.field for link in links if link.origin == name}) for name in inputs],
        outputs=[_written(place, name, [link for link in links if link.table == name]) for name in outputs],
        quality=quality,
    )


def _synced(place: Place, source: str, kind: str, streams: Sequence[StreamMapping]) -> StepData:
    return StepData(
        inputs=[Dataset(namespace=f"{kind}://{source}", name=each.name, fields=_fields_of(each)) for each in streams],
        outputs=[
            Dataset(
                namespace=place.database, name=_landed(place, source, each.name), fields=_fields_of(each),
                columns={path: [(f"{kind}://{source}", each.name, path)] for path in _fields_of(each)},
                physical=f"{place.prefix}.landed_records",
            )
            for each in streams
        ],
    )  # fmt: skip


def _staged(place: Place, source: str, streams: Sequence[StreamMapping]) -> StepData:
    links = [(each, link) for each in streams for link in stream_links(each)]
    outputs = []
    for table in _STAGED:
        columns: dict[str, list[tuple[str, str, str]]] = {}
        for stream, link in links:
            if link.table == table:
                columns.setdefault(link.column, []).append((place.database, _landed(place, source, stream.name), link.field))
        if columns:
            name = f"{place.prefix}.{table}"
            outputs.append(Dataset(namespace=place.database, name=name, fields=sorted(columns), columns=columns))
    inputs = [
        Dataset(
            namespace=place.database, name=_landed(place, source, each.name), fields=_fields_of(each),
            physical=f"{place.prefix}.landed_records",
        )
        for each in streams
    ]  # fmt: skip
    return StepData(inputs=inputs, outputs=outputs)


def _fields_of(stream: StreamMapping) -> list[str]:
    return sorted({link.field for link in stream_links(stream)})


def _landed(place: Place, source: str, stream: str) -> str:
    """What is landed of one stream: a part of a table, with a name of its own."""
    return f"{place.prefix}.landed_records/{source}/{stream}"


def _table(place: Place, name: str, fields: Iterable[str]) -> Dataset:
    return Dataset(namespace=place.database, name=f"{place.prefix}.{name}", fields=sorted(fields))


def _written(place: Place, name: str, links: Sequence[Link]) -> Dataset:
    columns: dict[str, list[tuple[str, str, str]]] = {}
    for link in links:
        columns.setdefault(link.column, []).append((place.database, f"{place.prefix}.{link.origin}", link.field))
    return Dataset(namespace=place.database, name=f"{place.prefix}.{name}", fields=sorted(columns), columns=columns)
