"""Answers kept in the database by what was asked, of what, and of which version: given again while that stands.

A name holds the published run, the last staged change, the scope and the options: whatever is published, rolled back, erased or staged
asks under another name. One process computes an answer; the others wait for it.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import uuid4

import structlog
from pydantic import TypeAdapter, ValidationError

from pay_ready import __version__
from pay_ready.db import answers as db_answers
from pay_ready.db import memories as db_memories
from pay_ready.db.answers import Claim
from pay_ready.db.memories import Epoch
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.model.ids import TenantId

log = structlog.get_logger()
T = TypeVar("T")

_LARGEST = 700_000  # characters of JSON: a kept result has a limit of 1 MB, written with more blanks
_LOOK_S = 0.05  # between two looks at what somebody else computes


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """How long answers are kept."""

    ttl_s: float = 3_600.0  # 0: not at all
    claim_s: float = 30.0  # that others wait for an answer which is computed


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Generic[T]):
    """An answer, by everything that it depends on beside the version."""

    tool: str
    plan: Mapping[str, Any]  # scope and options, as JSON has them
    kind: type[T]  # a dataclass, which is read back as such
    again: Mapping[str, Any] | None = None  # to be asked again after a publish: by ids, with a schema_version


class AnswerCache:
    """Kept answers of one tenant."""

    def __init__(self, database: Database, tenant: TenantId, options: CacheOptions) -> None:
        self._database, self._tenant, self._options = database, tenant, options
        self._computing: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def answer(
        self,
        wanted: Wanted[T],
        compute: Callable[[], T],
        *,
        seen: Callable[[TenantTransaction], None] = lambda _: None,
        is_whole: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """The kept answer, or the computed one, which is kept.

        Args:
            wanted: Which.
            compute: Makes it; writes to the audit itself who asked.
            seen: Called in the transaction that gives a kept one, for the audit.
            is_whole: Whether a computed one is worth keeping: one that will soon be better is not.
        """
        if not self._options.ttl_s:
            return compute()
        with self._database.tenant_transaction(self._tenant) as tx:
            epoch = db_memories.epoch(tx)
            name = _name(wanted, epoch)
            given = self._given(tx, name, wanted.kind, seen)
        if given is not None:
            return given
        with self._guard:
            alone = self._computing.setdefault(name, threading.Lock())
        try:
            with alone:
                return self._computed(name, epoch, wanted, compute, seen, is_whole)
        finally:
            with self._guard:
                self._computing.pop(name, None)

    def _computed(
        self,
        name: str,
        epoch: Epoch,
        wanted: Wanted[T],
        compute: Callable[[], T],
        seen: Callable[[TenantTransaction], None],
        is_whole: Callable[[T], bool],
    ) -> T:
        claim = Claim(name=name, claimed_by=uuid4())
        deadline = time.monotonic() + self._options.claim_s
        while True:
            with self._database.tenant_transaction(self._tenant) as tx:
                given = self._given(tx, name, wanted.kind, seen)
                if given is None and db_answers.claim(tx, claim, epoch, wanted.again, self._options.claim_s):
                    break
            if given is not None:
                return given
            if time.monotonic() > deadline:
                return compute()
            time.sleep(_LOOK_S)
        try:
            made = compute()
        except BaseException:
            self._give_up(claim)
            raise
        value = TypeAdapter(wanted.kind).dump_json(made).decode()
        if not is_whole(made) or len(value) > _LARGEST:
            self._give_up(claim)
            return made
        with self._database.tenant_transaction(self._tenant) as tx:
            db_answers.keep(tx, claim, {"schema_version": 1, "answer": json.loads(value)}, self._options.ttl_s)
        return made

    def _given(self, tx: TenantTransaction, name: str, kind: type[T], seen: Callable[[TenantTransaction], None]) -> T | None:
        kept = db_answers.give(tx, name)
        if kept is None:
            return None
        try:
            given: T = TypeAdapter(kind).validate_python(kept["answer"])
        except (ValidationError, KeyError):
            log.warning("answers.damaged", tenant=self._tenant)
            db_answers.drop(tx, name)
            return None
        seen(tx)
        return given

    def _give_up(self, claim: Claim) -> None:
        with self._database.tenant_transaction(self._tenant) as tx:
            db_answers.give_up(tx, claim)


def _name(wanted: Wanted[Any], epoch: Epoch) -> str:
    parts = [__version__, wanted.tool, wanted.plan, epoch.run_no, epoch.outbox_seq]
    return f"answer:{wanted.tool}:{hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]}"
