"""A trained model as it is stored and used again: shares, counts and the threshold, pinned; and when it is out of date."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pay_ready.model.resolution import ComparisonParameters, EntityType, ModelParameters
from pay_ready.resolve.linkage.counts import CountTable
from pay_ready.resolve.linkage.evidence import Comparison
from pay_ready.resolve.linkage.learning import Chances, LearntModel

_LEAST_GROWN = 1_000  # records; a tenant with fewer more is not measurably another
_SPOILT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionModel:
    """Everything that decides about two records beside the records."""

    entity_type: EntityType
    learnt: LearntModel
    levels: Mapping[str, tuple[str, ...]]  # comparison -> its levels
    counts: Mapping[str, CountTable]
    threshold_millibits: int  # from here on a pair matches
    trained_records: int
    settings_hash: bytes  # sha256 of the settings it was trained with
    predicted_precision: float  # on the records it was trained on
    predicted_recall: float

    @property
    def model_hash(self) -> bytes:
        """sha256 of all of it."""
        digest = hashlib.sha256(json.dumps(parameters_of(self).model_dump(mode="json"), sort_keys=True).encode())
        for name in sorted(self.counts):
            table = self.counts[name]
            digest.update(f"\n{name} {table.total} {table.usual} {len(table.keys)}\n".encode())
            digest.update(table.keys.astype("<u8").tobytes())
            digest.update(table.counts.astype("<i4").tobytes())
        return digest.digest()


def parameters_of(model: ResolutionModel) -> ModelParameters:
    """The model without its counts, as it is stored."""
    learnt = model.learnt
    return ModelParameters(
        entity_type=model.entity_type,
        prior_bits=learnt.prior_bits,
        threshold_millibits=model.threshold_millibits,
        trained_records=model.trained_records,
        rounds=learnt.rounds,
        training_pairs=learnt.training_pairs,
        fallback=learnt.fallback,
        settings_hash=model.settings_hash.hex(),
        predicted_precision=model.predicted_precision,
        predicted_recall=model.predicted_recall,
        comparisons={name: _comparison(levels, learnt, name) for name, levels in model.levels.items()},
    )


def _comparison(levels: Sequence[str], learnt: LearntModel, name: str) -> ComparisonParameters:
    chances = learnt.chances[name]
    return ComparisonParameters(
        levels=list(levels),
        matches=learnt.matches[name].tolist(),
        chances=chances.shares.tolist(),
        rarity_bits=chances.rarity_bits.tolist(),
        value_bits=chances.value_bits,
        neighbours={context: shares.tolist() for context, shares in chances.in_context.items()},
    )


def model_from(parameters: ModelParameters, counts: Mapping[str, CountTable]) -> ResolutionModel:
    """The model of its stored form."""
    learnt = LearntModel(
        prior_bits=parameters.prior_bits,
        matches={name: np.array(each.matches) for name, each in parameters.comparisons.items()},
        chances={
            name: Chances(
                shares=np.array(each.chances),
                rarity_bits=np.array(each.rarity_bits),
                value_bits=each.value_bits,
                in_context={context: np.array(shares) for context, shares in each.neighbours.items()},
            )
            for name, each in parameters.comparisons.items()
        },
        rounds=parameters.rounds,
        training_pairs=parameters.training_pairs,
        fallback=parameters.fallback,
    )
    return ResolutionModel(
        entity_type=parameters.entity_type,
        learnt=learnt,
        levels={name: tuple(each.levels) for name, each in parameters.comparisons.items()},
        counts=dict(counts),
        threshold_millibits=parameters.threshold_millibits,
        trained_records=parameters.trained_records,
        settings_hash=bytes.fromhex(parameters.settings_hash),
        predicted_precision=parameters.predicted_precision,
        predicted_recall=parameters.predicted_recall,
    )


def drift_of(
    model: ResolutionModel,
    *,
    records: int,
    comparisons: Sequence[Comparison],
    settings_hash: bytes,
    predicted_precision: float,
    growth: float,
) -> tuple[str, ...]:
    """Why a model should be trained anew; empty while it fits.

    Args:
        model: What is in use.
        records: How many there are now.
        comparisons: What these can be compared by.
        settings_hash: Of the settings in force.
        predicted_precision: Of the model on these records.
        growth: How many times more or fewer records than it was trained on are too many.
    """
    reasons = []
    if settings_hash != model.settings_hash:
        reasons.append("the settings changed")
    reasons.extend(growth_of(model, records=records, growth=growth))
    if unknown := [each.name for each in comparisons if model.levels.get(each.name) != each.levels]:
        reasons.append(f"not known to it: {', '.join(sorted(unknown))}")
    if predicted_precision < model.predicted_precision - _SPOILT:
        reasons.append(f"predicted precision {predicted_precision:.3f}, was {model.predicted_precision:.3f}")
    return tuple(reasons)


def growth_of(model: ResolutionModel, *, records: int, growth: float) -> tuple[str, ...]:
    """Whether there are so many more or fewer records than a model was trained on that it should be trained anew."""
    few, many = sorted((records, model.trained_records))
    if many >= growth * max(few, 1) and many - few >= _LEAST_GROWN:
        return (f"{records:,} records, trained on {model.trained_records:,}",)
    return ()
