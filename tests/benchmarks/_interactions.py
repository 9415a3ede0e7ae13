"""Tenants with many interactions, people and companies, put straight into the tables that questions read."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString, cast
from uuid import UUID

import psycopg

from pay_ready.agent.known_sentiment import known_of, scorer_for, sentence_vectors
from pay_ready.agent.sentences import told_sentences
from pay_ready.agent.sentiment import score_sentences
from pay_ready.db import vectors as db_vectors
from pay_ready.db.queries import of_embedder
from pay_ready.db.vector_tables import embedder_tag, enable_vectors
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Embedder
from pay_ready.model.talk import Talk, Utterance
from tests.memory_support import START

_TEMPLATES = 700
COMPANIES, PEOPLE = 400, 2_000  # of a tenant
_SUBJECTS = (
    "the dock scanner", "invoice 4711", "the renewal", "the pilot", "single sign-on", "the export", "training", "the new charger",
    "the data residency", "the label printer", "the conveyor", "the security review", "shipping", "the contract", "the roadmap",
)  # fmt: skip
_SAID = (
    "{} works very well for us.", "{} broke again and nobody answers.", "Could you send us the price of {} by Friday?",
    "I will send you the numbers of {} on Monday.", "We decided to go on with {}.", "Nobody in our team understands {}.",
    "Thanks for your help with {}.", "{} is far too expensive.", "When will {} be ready?", "Our manager asks about {}.",
    "We are very unhappy with {}.", "{} was installed yesterday.", "Let us talk about {} next week.", "There is a problem with {}.",
)  # fmt: skip
_MORE = (
    "We need it for the next quarter.", "It is not urgent.", "My colleague will join.", "This is the third time.", "Please tell the team.",
    "The deadline is the end of the month.", "We like it a lot.", "That is a risk for the launch.", "See the attached list.", "",
)  # fmt: skip
_FIRST = ("Ada", "Ben", "Cora", "Dan", "Ella", "Finn", "Gwen", "Hugo", "Iris", "Jack", "Kate", "Leo", "Mia", "Noah", "Olga", "Paul")
_SYLLABLES = ("bar", "cal", "del", "fen", "gar", "hol", "kin", "lor", "mar", "nor", "pal", "ros", "sal", "tor", "var", "wen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A tenant's names, by the order of how much is said with them: the first company has most."""

    tenant: TenantId
    companies: Sequence[str]
    people: Sequence[str]


def prepare(admin_url: str, embedder: Embedder) -> None:
    """The texts that interactions are made of, with their vectors and sentiment, in a table of the benchmark's own."""
    drawn = random.Random(7)
    texts = [f"{drawn.choice(_SAID).format(drawn.choice(_SUBJECTS)).capitalize()} {drawn.choice(_MORE)}".strip() for _ in range(_TEMPLATES)]
    enable_vectors(admin_url, "pay_ready", embedder.id, embedder.dim)
    vectors, scorer = embedder.embed(texts), scorer_for(embedder)
    rows = []
    for number, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        said = Utterance(interaction_id=UUID(int=number), occurred_at=START, source="slack", interaction_type="message", text=text)
        talk = Talk(interaction_id=UUID(int=number), occurred_at=START, source="slack", interaction_type="message", subject="",
                    thread_id=None, utterances=(said,))  # fmt: skip
        sentences = told_sentences([talk])
        reading = score_sentences(sentences, sentence_vectors(sentences, embedder, scorer), scorer)
        known = known_of(sentences, reading.scored, [UUID(int=number)])[0]
        rows.append((number, text, known.content_hash, known.sentiment, list(known.scores), known.labels, db_vectors.vector_text(vector)))
    with psycopg.connect(admin_url) as admin:
        admin.execute("create unlogged table public.bench_texts (number integer primary key, body text, words_hash bytea, sentiment real,"
                      " scores real[], labels text, embedding halfvec, model_name text)")  # fmt: skip
        with admin.cursor() as cursor:
            cursor.executemany("insert into public.bench_texts values (%s, %s, %s, %s, %s, %s, %s::halfvec, %s)",
                               [(*row, scorer.id) for row in rows])  # fmt: skip


def make(admin_url: str, tenant: TenantId, interactions: int, embedder: Embedder) -> Made:
    """One tenant: interactions over two years, a third of them calls, mails and notes."""
    drawn = random.Random(str(tenant))
    companies = _names(drawn, COMPANIES, lambda word: f"{word} {drawn.choice(('Works', 'Foods', 'Labs', 'Group'))}")
    people = _names(drawn, PEOPLE, lambda word: f"{drawn.choice(_FIRST)} {word}son")
    tag = embedder_tag(embedder.id)
    values = {
        "tenant": tenant, "companies": companies, "people": people, "interactions": interactions, "texts": _TEMPLATES, "tag": tag,
        "embedder": embedder.id, "dim": embedder.dim,
    }  # fmt: skip
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute("select set_config('app.tenant_id', %s, true)", (str(tenant),))
        for statement in Path(__file__).with_suffix(".sql").read_text("utf-8").split(";;"):
            # Comments stay out of it: psycopg would take their % signs for placeholders.
            lines = (line for line in of_embedder(statement, tag).splitlines() if not line.startswith("--"))
            admin.execute(cast("LiteralString", "\n".join(lines)), values)
    return Made(tenant=tenant, companies=companies, people=people)


def _names(drawn: random.Random, count: int, shaped: Callable[[str], str]) -> list[str]:
    """Distinct ones, invented."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[shaped("".join(drawn.choices(_SYLLABLES, k=3)).capitalize())] = None
    return list(found)


def finish(admin_url: str) -> None:
    """Statistics, as a running database has them."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("vacuum analyze")
