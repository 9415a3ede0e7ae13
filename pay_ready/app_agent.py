"""The composition root of the agent: a tenant's tools, names and calendar, from its settings. Only commands that ask load it."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pay_ready.agent.answer_cache import CacheOptions
from pay_ready.agent.answering import Agent
from pay_ready.agent.calendars import Calendar
from pay_ready.agent.intent_model import Classified, classified, model_from_json
from pay_ready.agent.masking import KnownName, Masker, MaskPolicy
from pay_ready.agent.name_forms import NamedEntity
from pay_ready.agent.names import NameIndex
from pay_ready.agent.reading import ReadingOptions
from pay_ready.agent.toolbox import Toolbox, ToolOptions
from pay_ready.db import memories as db_memories
from pay_ready.db import sources as db_sources
from pay_ready.db import talks as db_talks
from pay_ready.db.model_tokens import StoredBudget
from pay_ready.errors import SecretError
from pay_ready.resources import resource_path
from pay_ready.settings import AgentSettings, Settings

if TYPE_CHECKING:
    from pay_ready.agent.coaching.report import CoachingRules
    from pay_ready.agent.llm.assistant import Assistant
    from pay_ready.app import App
    from pay_ready.db.tenants import Tenant

_OF_THIS_PROCESS = secrets.token_bytes(32)


def open_agent(app: "App", slug: str) -> Agent:
    """What answers questions of one tenant; names and models are loaded when the first question needs them.

    Raises:
        NotFoundError, DeniedError: As `App.tenant`.
        ConfigError: A setting or a file of the configuration is off.
    """
    tenant = app.tenant(slug)
    settings = app.settings_of(tenant)
    asked = settings.agent
    zone = asked.time_zone or settings.staging.time_zone
    calendar = Calendar(
        fiscal_start_month=asked.fiscal_start_month, fiscal_named_by=asked.fiscal_named_by, week_start=asked.week_start,
        day_first=asked.day_first, time_zone=zone,
    )  # fmt: skip
    with app.database.tenant_transaction(tenant.tenant_id) as tx:
        names_of_sources = tuple(each.name for each in db_sources.list_all(tx))
    toolbox = _toolbox(app, tenant, settings, actor=app.actor)
    return Agent(
        toolbox, names=lambda: NameIndex(_entities(app, tenant), _given_names()),
        reading=ReadingOptions(calendar=calendar, sources=names_of_sources), classify=_classifier(app, asked.intent_threshold),
        masker=_Maskers(app, tenant, asked.mask_policy), assistant=_assistant(app, tenant, asked),
        masker_out=_Maskers(app, tenant, "all"),
    )  # fmt: skip


def _assistant(app: "App", tenant: "Tenant", asked: AgentSettings) -> "Assistant | None":
    """The language model's part, where one is configured."""
    if not asked.llm_url:
        return None
    from pay_ready.agent.llm.assistant import Assistant
    from pay_ready.agent.llm.calling import LanguageModel
    from pay_ready.agent.llm.options import LlmOptions

    options = LlmOptions(
        url=asked.llm_url, model=asked.llm_model, api_key=app.environment.llm_api_key, timeout_s=asked.llm_timeout_s,
        most_tokens=asked.llm_question_tokens, day_tokens=asked.llm_day_tokens, persona=app.domain.persona,
    )  # fmt: skip
    return Assistant(LanguageModel(options, StoredBudget(app.database)), tenant.tenant_id)


def open_toolbox(app: "App", tenant: "Tenant") -> Toolbox:
    """A tenant's tools, to make answers in advance: nobody asks, and the audit says nothing."""
    return _toolbox(app, tenant, app.settings_of(tenant), actor=None)


def _toolbox(app: "App", tenant: "Tenant", settings: Settings, *, actor: str | None) -> Toolbox:
    asked = settings.agent
    return Toolbox(
        app.database, tenant.tenant_id, lambda: app.memory, options=_tool_options(settings, _page_key(app, tenant)), actor=actor,
        coaching_rules=lambda: _coaching_rules(asked.competitors),
    )  # fmt: skip


def _tool_options(settings: Settings, key: bytes) -> ToolOptions:
    asked, embedding = settings.agent, settings.embedding
    return ToolOptions(
        time_zone=asked.time_zone or settings.staging.time_zone, week_start=asked.week_start, most_interactions=asked.most_interactions,
        summary_words=asked.summary_words, topic_min_frequency=asked.topic_min_frequency, page_size=asked.page_size,
        embedding=f"{embedding.provider} {embedding.url} {embedding.model}", cache=CacheOptions(ttl_s=asked.cache_ttl_minutes * 60),
        mask_policy=asked.mask_policy, page_key=key,
    )  # fmt: skip


def _coaching_rules(competitors: Sequence[str]) -> "CoachingRules":
    from pay_ready.pipeline.coaching_config import load_coaching_rules  # heavy

    return load_coaching_rules(resource_path("config", "coaching"), competitors)


def open_masker(app: "App", slug: str) -> Callable[[], Masker]:
    """What personal values of a tenant become in what goes out, by its policy; called whenever something does."""
    tenant = app.tenant(slug)
    return _Maskers(app, tenant, app.settings_of(tenant).agent.mask_policy)


class _Maskers:
    """The masker of a tenant, made again when other names were published; several threads may ask."""

    def __init__(self, app: "App", tenant: "Tenant", policy: MaskPolicy) -> None:
        self._app, self._tenant, self._policy, self._key = app, tenant, policy, _key(app, tenant)
        self._made: tuple[int, Masker] | None = None  # of a published version

    def __call__(self) -> Masker:
        """The one for what is published now."""
        if self._policy != "all":
            return Masker(self._key, self._policy)
        with self._app.database.tenant_transaction(self._tenant.tenant_id) as tx:
            run_no = db_memories.epoch(tx).run_no
        if self._made is None or self._made[0] != run_no:
            names, forms = _known_names(self._app, self._tenant), _given_names()
            self._made = run_no, Masker(self._key, self._policy, names, forms)
        return self._made[1]


def _key(app: "App", tenant: "Tenant") -> bytes:
    """Makes masks; without a key of the installation they hold for this process alone."""
    try:
        return app.keyring.digest_keys(tenant.tenant_id)[0]
    except SecretError:
        return hmac.digest(_OF_THIS_PROCESS, tenant.tenant_id.bytes, "sha256")


def _page_key(app: "App", tenant: "Tenant") -> bytes:
    """Signs places of pages. Without a key of the installation it is no secret, but the same in the next process: a place gives nothing."""
    try:
        return app.keyring.digest_keys(tenant.tenant_id)[0]
    except SecretError:
        return hashlib.sha256(b"pay_ready pages\0" + tenant.tenant_id.bytes).digest()


def _entities(app: "App", tenant: "Tenant") -> list[NamedEntity]:
    with app.database.tenant_transaction(tenant.tenant_id) as tx:
        return [
            NamedEntity(
                id=each.entity_id, name=each.name, entity_type=each.entity_type, aliases=each.aliases, emails=each.emails,
                domains=(each.domain,) if each.domain else (),
            )
            for each in db_talks.names(tx)
        ]  # fmt: skip


def _known_names(app: "App", tenant: "Tenant") -> list[KnownName]:
    with app.database.tenant_transaction(tenant.tenant_id) as tx:
        return [
            KnownName(text=text, kind=each.entity_type, entity_id=each.entity_id)
            for each in db_talks.names(tx)
            for text in (each.name, *each.aliases, *each.emails, *([each.domain] if each.domain else []))
        ]


def _given_names() -> dict[str, list[str]]:
    """Other forms of given names: "robert" gives "bob"."""
    from pay_ready.pipeline.resolution_config import load_nicknames

    found: dict[str, list[str]] = {}
    for group in load_nicknames(resource_path("config", "resolution", "nicknames.toml")):
        for name in group:
            found[name] = sorted({*found.get(name, ()), *(each for each in group if each != name)})
    return found


def _classifier(app: "App", least: float) -> Callable[[str], Classified]:
    """Reads what no rule reads, where the embedder is the one that it was trained with."""
    path = resource_path("config", "agent", "intents.json")

    def classify(masked: str) -> Classified:
        model, embedder = model_from_json(path.read_text(encoding="utf-8"), path.name), app.memory_parts.embedder
        return classified(model.probabilities(masked, embedder), least) if model.fits(embedder) else Classified(None, 0.0)

    return classify
