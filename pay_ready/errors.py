"""Every error raised on purpose, and the question callers ask of it: can the same call succeed later?

The exit codes are those of the command line: 0 ok, 1 failed, 2 usage, 3 partial, 4 not found, 5 denied, 6 conflict,
7 check failed, 75 retry later.
"""

from typing import ClassVar


class PayReadyError(Exception):
    """Base of every error raised on purpose; `where` holds ids and names, never personal values.

    The message reads "what - where - hint": what happened, the place as key=value, and the next command.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, hint: str = "", **where: object) -> None:
        self.what, self.hint, self.where = what, hint, where
        place = ", ".join(f"{name}={value}" for name, value in where.items())
        super().__init__(" - ".join(filter(None, (what, place, hint))))

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process boundaries (pools, Prefect): rebuild from the parts, not from the message."""
        return _rebuild, (type(self), self.what, self.hint, self.where)


def _rebuild(kind: type[PayReadyError], what: str, hint: str, where: dict[str, object]) -> PayReadyError:
    return kind(what, hint, **where)


class UsageError(PayReadyError):
    """The command's words or values are off."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file or setting is wrong; `where` names file, key and the valid choices."""


class CursorError(UsageError):
    """A page token is none of ours, was changed, or belongs to another question or tenant."""


class PartialError(PayReadyError):
    """Some of the work is done and kept, some is not."""

    exit_code = 3


class NotFoundError(PayReadyError):
    """Absent, or another tenant's: the two are told apart nowhere."""

    exit_code = 4


class DeniedError(PayReadyError):
    """Not allowed to this role, tenant or key."""

    exit_code = 5


class IsolationError(DeniedError):
    """A tenant boundary would have been crossed. Always a bug or an attack."""


class ConflictError(PayReadyError):
    """Somebody else's change or lock stands in the way."""

    exit_code = 6


class OnHoldError(ConflictError):
    """The tenant's resolution rests after a rollback, until somebody resumes it; landing and staging go on."""


class CheckFailedError(PayReadyError):
    """A check or guard found something; nothing was published."""

    exit_code = 7


class PublishHeldError(CheckFailedError):
    """What a run brought in must not reach the published people and companies: the tenant's run stops before that."""


class CountError(PublishHeldError):
    """Records are unaccounted for: the equations of a run do not hold."""


class PoisonError(PublishHeldError):
    """So many records of a stream are broken that the source or its mapping must be wrong."""


class HeldBackError(PublishHeldError):
    """A stream is far smaller than when it was published last; publishing waits until somebody says that this is right."""


class QualityError(PublishHeldError):
    """A rule of data quality whose severity is error does not hold."""


class ContractError(PayReadyError):
    """A record or protocol message breaks its contract."""


class EmbeddingError(PayReadyError):
    """A vector is none: of another length, not a number, or zero; or vectors of two models would be compared."""


class SecretError(PayReadyError):
    """A secret is missing, malformed, or does not open with this key."""


class TransientError(PayReadyError):
    """May succeed later: retries and circuit breakers act on this class and on no other."""

    exit_code = 75


class SourceAwayError(TransientError):
    """The service behind a connector is down, fell silent, or asks to come back later."""


class RetryLaterError(TransientError):
    """A lease, limit or breaker asks to come back later."""


class LeaseHeldError(RetryLaterError):
    """Another process has the lease: what was to be done is being done, or will be after it."""
