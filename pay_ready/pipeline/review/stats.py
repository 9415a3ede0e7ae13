"""Figures about review: how much was said by whom, how far they agree, and how right the model's links are as far as that tells."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pay_ready.db import review as db_review
from pay_ready.db.review import AgentWord, JudgedLink, WordCount
from pay_ready.model.resolution import EntityType
from pay_ready.pipeline.review.desk import Desk
from pay_ready.resolve.agreement import Agreement, Share, agreement_of, weighed_by_band, wilson

# Lower ends of the bands of evidence, thousandths of a bit above the threshold.
BANDS = (0, 1_000, 2_000, 4_000, 8_000)
ASKED_SAMPLE = "of the links that reviewers were asked about: the queue asks about doubtful ones, so all links are better than these"
BAND_SAMPLE = "each band of evidence above the threshold counts as many links as the model has there; asked within a band by value"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFigures:
    """The automatic reviewer beside humans."""

    actor: str
    agreement: Agreement  # of pairs on which both have a verdict, unsure left out
    overridden: int  # pairs on which a human said the opposite
    unsure: int  # pairs that it left to the human
    by_risk: Mapping[str, tuple[int, int]]  # risk -> pairs on which both have a verdict, of these agreed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPrecision:
    """Links that were asked about under one published version."""

    entity_type: EntityType
    run_no: int | None
    model_version: int
    precision: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrecision:
    """Links that were asked about under one model; weighed by band where it is the model in use."""

    entity_type: EntityType
    model_version: int
    precision: Share
    by_band: Share | None
    unseen: float | None  # share of the links in bands where nobody was asked


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewStats:
    """All figures."""

    counts: Sequence[WordCount]
    double_review: Agreement
    gold: Mapping[str, Agreement]  # by reviewer, with what was decided
    agents: Sequence[AgentFigures]
    runs: Sequence[RunPrecision]
    models: Sequence[ModelPrecision]
    asked_sample: str = ASKED_SAMPLE
    band_sample: str = BAND_SAMPLE


def review_stats(desk: Desk) -> ReviewStats:
    """The figures of a tenant's reviews."""
    with desk.database.tenant_transaction(desk.tenant) as tx:
        judged = db_review.judged_links(tx)
        links = db_review.links_by_band(tx, BANDS)
        in_use = {(each, model.version): bands for each, (model, bands) in links.items()}
        return ReviewStats(
            counts=db_review.counts(tx),
            double_review=agreement_of(db_review.double_reviews(tx)),
            gold={actor: agreement_of(pairs) for actor, pairs in sorted(db_review.gold_answers(tx).items())},
            agents=_agents(db_review.agent_and_humans(tx)),
            runs=_runs(judged),
            models=_models(judged, in_use),
        )


def _agents(words: Sequence[AgentWord]) -> list[AgentFigures]:
    return [_agent(actor, [each for each in words if each.actor == actor]) for actor in sorted({each.actor for each in words})]


def _agent(actor: str, words: Sequence[AgentWord]) -> AgentFigures:
    both = [each for each in words if "unsure" not in (each.agent_verdict, each.human_verdict)]
    asked = Counter(each.risk or "not said" for each in both)
    agreed = Counter(each.risk or "not said" for each in both if each.agent_verdict == each.human_verdict)
    return AgentFigures(
        actor=actor,
        agreement=agreement_of([(each.agent_verdict, each.human_verdict) for each in both]),
        overridden=sum(each.agent_verdict != each.human_verdict for each in both),
        unsure=sum(each.agent_verdict == "unsure" for each in words),
        by_risk={risk: (asked[risk], agreed[risk]) for risk in sorted(asked)},
    )


def _runs(judged: Sequence[JudgedLink]) -> list[RunPrecision]:
    keys = sorted({(each.entity_type, each.run_no or 0, each.version) for each in judged})
    return [
        RunPrecision(
            entity_type=entity_type,
            run_no=run_no or None,
            model_version=version,
            precision=_share(
                each for each in judged if (each.entity_type, each.run_no or 0, each.version) == (entity_type, run_no, version)
            ),
        )
        for entity_type, run_no, version in keys
    ]


def _models(judged: Sequence[JudgedLink], in_use: Mapping[tuple[EntityType, int], Mapping[int, int]]) -> list[ModelPrecision]:
    found = []
    for entity_type, version in sorted({(each.entity_type, each.version) for each in judged}):
        own = [each for each in judged if (each.entity_type, each.version) == (entity_type, version)]
        bands = in_use.get((entity_type, version))
        by_band, unseen = (None, None) if bands is None else _by_band(own, bands)
        found.append(ModelPrecision(entity_type=entity_type, model_version=version, precision=_share(own), by_band=by_band, unseen=unseen))
    return found


def _by_band(judged: Sequence[JudgedLink], links: Mapping[int, int]) -> tuple[Share, float]:
    answers: dict[str, tuple[int, int]] = {}
    for each in judged:
        band = str(band_of(each.match_weight_millibits - each.threshold_millibits))
        right, seen = answers.get(band, (0, 0))
        answers[band] = (right + (each.verdict == "match"), seen + 1)
    return weighed_by_band(answers, {str(band): count for band, count in links.items()})


def band_of(above_millibits: int) -> int:
    """The number of the band, from 1."""
    return sum(above_millibits >= low for low in BANDS)


def _share(judged: Iterable[JudgedLink]) -> Share:
    verdicts = [each.verdict for each in judged]
    return wilson(verdicts.count("match"), len(verdicts))
