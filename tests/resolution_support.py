"""The shipped resolution files with one leaf changed, records that reach every level, and what a run over them shows."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pay_ready.model.resolution import EntityType, ResolutionConfig
from pay_ready.pipeline.resolution_config import load_resolution_config
from pay_ready.resolve.engine import resolve_companies, resolve_people
from pay_ready.resolve.features import COMPANY_COLUMNS, PERSON_COLUMNS
from pay_ready.resources import resource_path

Leaves = Mapping[str, object]
Row = Mapping[str, str]
Pair = tuple[bytes, bytes]
RULES = "default.toml"

# Three records for every blocking rule, most of them in no other block, and every level of every comparison.
PEOPLE: Sequence[Row] = (
    {"email": "ann@globex.com"},
    {"email": "ann@globex.com", "full_name": "Ann Lee"},
    {"email": "ann@globex.com", "full_name": "Ann Lee"},
    {"email": "nathan.sanders@globex.com", "full_name": "Olga Petrova"},
    {"email": "nathan.sanders@umbrella.net", "full_name": "Karl Brunner"},
    {"email": "nathan.sanders@gmail.com"},
    {"phone": "+12065550100"},
    {"phone": "+12065550100"},
    {"phone": "+12065550100"},
    # A switchboard: one pair of one name, five of different names.
    {"phone": "+12065550101", "full_name": "Uma Frost", "company_name": "Acme Robotics", "title": "Buyer", "city": "Turin"},
    {"phone": "+12065550101", "full_name": "Uma Frost", "company_name": "Initrode"},
    {"phone": "+12065550101", "full_name": "Leo Grant", "company_name": "Acme Robotics", "title": "Buyer", "city": "Lyon"},
    {"phone": "+12065550101", "full_name": "Kim Walsh", "company_name": "Acme Robotic", "title": "Clerk", "city": "Turin"},
    # A marriage, and a household.
    {"phone": "+12065550102", "full_name": "Eva Lind"},
    {"phone": "+12065550102", "full_name": "Eva Brown"},
    {"phone": "+12065550103", "full_name": "Ann Moss"},
    {"phone": "+12065550103", "full_name": "Tom Moss"},
    {"full_name": "Shirley Bailey", "email": "shirley.bailey@umbrella.com", "company_domain": "umbrella.com"},
    {"full_name": "Shirley Bailey", "email": "shirley.bailley@umbrella.com", "company_domain": "umbrella.com"},
    {"full_name": "Shirley Bailey"},
    {"full_name": "Ina Roth", "email": "info@wayne.com"},
    {"full_name": "Ina Roth", "email": "info@wayne.com"},
    {"full_name": "Robert Miller", "company_domain": "hooli.com"},
    {"full_name": "Bob Miller", "company_domain": "hooli.com"},
    {"full_name": "James Parker", "company_domain": "hooli.com"},
    {"full_name": "J. Parker", "company_domain": "hooli.com"},
    # Heads of family names at one company, with nothing else in common.
    {"full_name": "Ugo Stone", "company_domain": "initech.com", "email": "u@1.example", "phone": "+12065550111", "city": "Nice"},
    {"full_name": "Tom Stoll", "company_domain": "initech.com", "email": "t@2.example", "phone": "+12065550112", "city": "Graz"},
    {"full_name": "Eve Stork", "company_domain": "initech.com", "email": "e@3.example", "phone": "+12065550113", "city": "Bari"},
    {"full_name": "Ina Falkner", "city": "Bergen"},
    {"full_name": "Ivo Falkenberg", "city": "Bergen"},
    {"full_name": "Ira Falk", "city": "Bergen"},
)
COMPANIES: Sequence[Row] = (
    {"domain": "globex.com"},
    {"domain": "globex.com", "name": "Globex"},
    {"domain": "globex.com", "name": "European Trading House"},
    # A platform: one pair of one name, nine of different names.
    {"domain": "shop.example", "name": "Alpha Bakery"},
    {"domain": "shop.example", "name": "Alpha Bakery"},
    {"domain": "shop.example", "name": "Delta Motors"},
    {"domain": "shop.example", "name": "Sigma Textiles"},
    {"domain": "shop.example", "name": "Omega Printing"},
    {"name": "Hooli"},
    {"name": "Hooli", "domain": "hooli.com"},
    {"name": "Hooli Inc"},
    {"name": "Norfolk Dairy", "domain": "norfolk.com", "phone": "+12065550120"},
    {"name": "Quantum Glass", "domain": "quantum.com", "phone": "+12065550120"},
    {"name": "Velvet Chairs", "domain": "velvet.com", "phone": "+12065550120"},
    {"name": "Blue Sky Air"},
    {"name": "Bluesky Air"},
    {"name": "Blue Skyair"},
    {"name": "Apex Solutions", "city": "Oslo", "phone": "+12065550121"},
    {"name": "Apex Bank", "city": "Oslo", "phone": "+12065550122"},
    {"name": "Apex Cargo Line", "city": "Rome"},
    {"name": "Northwind Foods"},
    {"name": "Northwest Lumber"},
    {"name": "Northwick Paints"},
    {"name": "International Business Machines", "city": "Oslo"},
    {"name": "IBM", "city": "Rome"},
    {"name": "Iberian Brick Makers"},
    {"name": "Soylent Robotics", "city": "Oslo", "phone": "+12065550123"},
    {"name": "Soylent Robotic", "city": "Rome", "phone": "+12065550124"},
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run over `PEOPLE` or `COMPANIES` shows: never the configuration itself."""

    links: Mapping[Pair, bool]  # kept pairs, and whether they match
    evidence: Mapping[Pair, Mapping[str, tuple[str, int]]]  # kept pairs: comparison -> level, thousandths of a bit
    labels: Sequence[int]
    capped_rules: Sequence[str]
    candidate_pairs: int


def table(rows: Sequence[Mapping[str, str | None]], columns: Sequence[str]) -> pa.Table:
    """Rows as the engine reads them; record ids ascend with the row."""
    found: dict[str, pa.Array] = {"record_id": pa.array([number.to_bytes(16, "big") for number in range(1, len(rows) + 1)], pa.binary(16))}
    return pa.table(found | {name: pa.array([row.get(name) for row in rows], pa.string()) for name in columns if name != "record_id"})


def seen(entity_type: EntityType, config: ResolutionConfig) -> Seen:
    """A run of the engine over the records of one type."""
    if entity_type == "person":
        resolution = resolve_people(table(PEOPLE, PERSON_COLUMNS), config)
    else:
        resolution = resolve_companies(table(COMPANIES, COMPANY_COLUMNS), config)
    edges = {(edge["left_id"], edge["right_id"]): edge for edge in resolution.edges.to_pylist()}
    comparisons = [name.removeprefix("level_") for name in resolution.edges.column_names if name.startswith("level_")]
    return Seen(
        links={pair: edge["is_match"] for pair, edge in edges.items()},
        evidence={pair: {name: (edge[f"level_{name}"], edge[f"millibits_{name}"]) for name in comparisons} for pair, edge in edges.items()},
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
