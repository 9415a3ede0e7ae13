"""Topics of people and companies as they were found before: a topic keeps its id from answer to answer."""

from collections.abc import Sequence
from uuid import UUID

from pay_ready.agent.topics import KnownTopic, Topic
from pay_ready.db import embedders as db_embedders
from pay_ready.db import entities as db_entities
from pay_ready.db.tenancy import TenantTransaction

_MOST_KEPT = 200


def topics_name(tx: TenantTransaction, about: str) -> str:
    """Under which the topics of some people and companies are kept: vectors of two embedders are not compared."""
    serving = db_embedders.serving(tx)
    return f"topics:{serving.embedder_tag if serving else 'none'}:{about}"


def known_topics(tx: TenantTransaction, name: str) -> list[KnownTopic]:
    """What was found under that name the last time."""
    import numpy as np

    kept = db_entities.cached_metric(tx, name) or {}
    return [KnownTopic(id=UUID(each["id"]), centroid=np.asarray(each["centroid"], np.float32)) for each in kept.get("topics", ())]


def keep_topics(tx: TenantTransaction, name: str, topics: Sequence[Topic]) -> None:
    """Keep ids and places of the most frequent."""
    told = [{"id": str(each.id), "centroid": [round(float(value), 5) for value in each.centroid]} for each in topics[:_MOST_KEPT]]
    db_entities.keep_metric(tx, name, {"schema_version": 1, "topics": told})
