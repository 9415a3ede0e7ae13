"""The shipped resolution files with one leaf changed, records of every kind of block, and what a run over them shows."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pay_ready.model.resolution import EntityType, ResolutionConfig
from pay_ready.pipeline.resolution_config import load_resolution_config
from pay_ready.resolve.engine import resolve
from pay_ready.resolve.staged import COMPANY_COLUMNS, PERSON_COLUMNS
from pay_ready.resources import resource_path

Leaves = Mapping[str, object]
Row = Mapping[str, str]
Pair = tuple[bytes, bytes]
RULES = "default.toml"

# Three records for every kind of block, in pairs that match surely, hardly and not.
_STREETS = ("Turin", "Lyon", "Bari", "Graz", "Nice", "Oslo")
PEOPLE: Sequence[Row] = (
    *({"email": "ann.lindqvist@globex.com", "full_name": name} for name in ("Ann Lindqvist", "A. Lindqvist", "Ann Lindkvist")),
    *(
        {"email": f"nathan.sanders@{host}", "phone": f"+1206555020{at}"}
        for at, host in enumerate(("globex.com", "umbrella.net", "aol.com"))
    ),
    *({"phone": "+12065550100", "full_name": name} for name in ("Uma Frost", "Uma Frost", "Leo Grant")),
    *({"full_name": "Ina Falkner", "city": city} for city in _STREETS),
    *({"full_name": name, "company_domain": "hooli.com"} for name in ("Robert Miller", "Bob Miller", "Robert Millner", "J. Parker")),
    *({"full_name": f"Robert {family}", "company_domain": "hooli.com"} for family in ("Stone", "Brunner", "Walsh")),
    *({"full_name": f"{given} Okafor", "company_domain": "initech.com"} for given in ("Tom", "Eve", "Ina", "Ugo")),
)
COMPANIES: Sequence[Row] = (
    {"domain": "globex.com"},
    {"domain": "globex.com", "name": "Globex"},
    {"domain": "globex.com", "name": "European Trading House"},
    {"name": "Hooli", "domain": "hooli.com", "city": "Oslo"},
    {"name": "Hooli Inc", "city": "Oslo"},
    {"name": "Hooli Inc", "city": "Rome"},
    *({"name": name, "phone": "+12065550120"} for name in ("Norfolk Dairy", "Quantum Glass", "Velvet Chairs")),
    *({"name": f"Northwind {trade}"} for trade in ("Foods", "Lumber", "Paints")),
    *({"name": "Soylent Robotics", "city": city} for city in ("Oslo", "Rome")),
    {"name": "Soylent Robotic", "city": "Oslo"},
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run over `PEOPLE` or `COMPANIES` shows: never the configuration itself."""

    links: Mapping[Pair, bool]  # kept pairs, and whether they match
    labels: Sequence[int]
    capped_rules: Sequence[str]
    candidate_pairs: int


def table(rows: Sequence[Mapping[str, str | None]], columns: Sequence[str]) -> pa.Table:
    """Rows as the engine reads them; record ids ascend with the row."""
    found: dict[str, pa.Array] = {"record_id": pa.array([number.to_bytes(16, "big") for number in range(1, len(rows) + 1)], pa.binary(16))}
    return pa.table(found | {name: pa.array([row.get(name) for row in rows], pa.string()) for name in columns if name != "record_id"})


def seen(entity_type: EntityType, config: ResolutionConfig) -> Seen:
    """A run of the engine over the records of one type."""
    rows, columns = (PEOPLE, PERSON_COLUMNS) if entity_type == "person" else (COMPANIES, COMPANY_COLUMNS)
    resolution = resolve(entity_type, table(rows, columns), config)
    return Seen(
        links={(edge["left_id"], edge["right_id"]): edge["is_match"] for edge in resolution.edges.to_pylist()},
        labels=resolution.labels.tolist(),
        capped_rules=[each.rule for each in resolution.capped],
        candidate_pairs=resolution.candidate_pairs,
    )


def shipped_leaves(file: str = RULES) -> dict[str, object]:
    """Every leaf of a shipped file by its dotted key; a list is one leaf."""
    return dict(_flat(tomllib.loads(resource_path("config", "resolution", file).read_text("utf-8"))))


def config_with(folder: Path, changes: Leaves, file: str = RULES) -> ResolutionConfig:
    """The shipped configuration, read from a copy in `folder` in which some leaves of one file are changed."""
    folder.mkdir(exist_ok=True)
    for path in resource_path("config", "resolution").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    leaves = {**shipped_leaves(file), **changes}
    (folder / file).write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in leaves.items()), "utf-8")
    return load_resolution_config(folder / RULES)


def _flat(content: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
