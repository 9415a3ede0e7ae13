"""The unit of work beyond one process: a part of the block keys, Arrow in, edges out.

A block lies in one part whole, so that its cap holds there as it does in one process; and under a model, what two records say of each
other depends on the two alone. So the edges of all parts, each pair once, are those of one run, to the millibit.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pay_ready.resolve.linkage.blocks import Candidates, candidates_of, cut, held_by, with_copies
from pay_ready.resolve.linkage.columns import Keys, distinct, key_of
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.learning import Records, Weighed, weigh
from pay_ready.resolve.linkage.link import Reached, Scored
from pay_ready.resolve.linkage.model import ResolutionModel
from pay_ready.resolve.linkage.tables import Knowledge, records_of
from pay_ready.resolve.staged import in_id_order, record_id_bytes, staged_kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The keys of one of `of` parts."""

    number: int
    of: int

    def holds(self, keys: Keys) -> Keys:
        """The keys that are in this part, -1 in place of the others."""
        return np.where((keys >= 0) & (_part_of(cut(np.maximum(keys, 0)), self.of) == self.number), keys, -1)


def _part_of(keys: Keys, parts: int) -> Keys:
    """By key, cut, the part that it is in."""
    return key_of(keys) % parts


def edge_schema(model: ResolutionModel) -> pa.Schema:
    """The columns of scored pairs: ids, evidence, and of each comparison of the model level and evidence."""
    fields = [("left_id", pa.binary(16)), ("right_id", pa.binary(16)), ("match_weight_millibits", pa.int32())]
    for name in model.levels:
        fields += [(f"level_{name}", pa.int8()), (f"millibits_{name}", pa.int32())]
    return pa.schema(fields)


def with_parts(staged: pa.Table, knowledge: Knowledge, model: ResolutionModel, parts: int) -> pa.Table:
    """Each record once for every part that one of its keys is in, with the part's number in a column `part` (int32)."""
    records, _ = records_of(staged, staged_kinds(model.entity_type), model.entity_type, knowledge, Counts(model.counts))
    held: list[Keys] = []
    for rule in with_copies(records.rules()):
        rows, keys = held_by(rule)
        held.append(rows * parts + _part_of(keys, parts))
    codes = distinct(np.concatenate(held)) if held else np.empty(0, dtype=np.int64)
    return staged.take(pa.array(codes // parts)).append_column("part", pa.array(codes % parts, pa.int32()))


def score_part(staged: pa.Table, knowledge: Knowledge, model: ResolutionModel, part: Part, least_millibits: int) -> pa.Table:
    """The pairs of a part from a weight up (`edge_schema`), sorted by pair.

    Args:
        staged: The records that have a key in the part, or more.
        knowledge: Word lists, levels and caps, as the model was trained with.
        model: What decides.
        part: Which keys.
        least_millibits: Evidence below which a pair is left out.
    """
    ordered = in_id_order(staged)
    records, _ = records_of(ordered, staged_kinds(model.entity_type), model.entity_type, knowledge, Counts(model.counts))
    rules = [replace(rule, keys=part.holds(rule.keys)) for rule in with_copies(records.rules())]
    found = candidates_of(rules, records.size)
    compared = records.compare(found.left, found.right)
    weighed = weigh(records, found.left, found.right, compared, model.learnt)
    kept = np.flatnonzero(weighed.total >= least_millibits)
    ids = record_id_bytes(ordered)
    columns = [ids.take(pa.array(found.left[kept])), ids.take(pa.array(found.right[kept])), pa.array(weighed.total[kept], pa.int32())]
    for name in model.levels:
        is_there = name in weighed.by_comparison
        columns.append(pa.array(compared[name].levels[kept] if is_there else np.zeros(len(kept)), pa.int8()))
        columns.append(pa.array(weighed.by_comparison[name][kept] if is_there else np.zeros(len(kept)), pa.int32()))
    return pa.Table.from_arrays(columns, schema=edge_schema(model))


def scored_of(edges: pa.Table, staged: pa.Table, records: Records, model: ResolutionModel) -> Scored:
    """The edges of all parts as the pairs of `records`, each once; `staged` in the order of ids."""
    table = edges.combine_chunks()
    ids = record_id_bytes(staged)
    left, right = (pc.index_in(table.column(name), value_set=ids).to_numpy().astype(np.int64) for name in ("left_id", "right_id"))
    codes, first = np.unique(left * max(records.size, 1) + right, return_index=True)

    def column(name: str) -> NDArray[np.int64]:
        found: NDArray[np.int64] = table.column(name).to_numpy()[first].astype(np.int64)
        return found

    speaking = {each.name for each in records.comparisons if each.contradicts}
    known = [name for name in model.levels if any(each.name == name for each in records.comparisons)]
    by_comparison = {name: column(f"millibits_{name}").astype(np.int32) for name in known}
    contradiction = np.zeros(len(codes), dtype=np.int64)
    for name in speaking & by_comparison.keys():
        contradiction += np.minimum(by_comparison[name], 0)
    return Scored(
        candidates=Candidates(left=codes // max(records.size, 1), right=codes % max(records.size, 1), hot=(), by_rule={}),
        reached={name: Reached(column(f"level_{name}").astype(np.int8)) for name in known},
        weighed=Weighed(total=column("match_weight_millibits"), by_comparison=by_comparison, contradiction=contradiction),
        model=model.learnt,
    )
