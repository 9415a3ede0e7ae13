"""What Weaviate's client raises, in our own errors: can the same call succeed later?"""

from pay_ready.errors import ConfigError, DeniedError, PayReadyError, TransientError

_MOST_CHARACTERS = 300
_ASLEEP = ("tenant not active", "tenant not found")
_NO_COLLECTION = ("could not find class", "class not found", "cannot find index for class")


def client_errors() -> tuple[type[Exception], ...]:
    """Everything that a call of the client may raise, besides what says that we misuse Python."""
    import grpc
    import httpx
    from weaviate.exceptions import WeaviateBaseError

    return WeaviateBaseError, httpx.HTTPError, grpc.RpcError, OSError


def is_asleep(message: str) -> bool:
    """Whether a message says that the tenant is at rest, or not there any more."""
    return any(each in message for each in _ASLEEP)


def is_without_collection(message: str) -> bool:
    """Whether a message says that a collection is gone."""
    return any(each in message for each in _NO_COLLECTION)


def translated(error: Exception, doing: str) -> PayReadyError:
    """The error of ours for one of the client's. Of the server's message only the beginning is kept: it knows ids and no texts."""
    from weaviate.exceptions import (
        AuthenticationFailedError,
        InsufficientPermissionsError,
        UnexpectedStatusCodeError,
        WeaviateInvalidInputError,
        WeaviateStartUpError,
    )

    said = " ".join(str(getattr(error, "message", None) or error).split())[:_MOST_CHARACTERS]
    status = error.status_code if isinstance(error, UnexpectedStatusCodeError) else None
    if isinstance(error, AuthenticationFailedError | InsufficientPermissionsError) or status in (401, 403) or "UNAUTHENTICATED" in said:
        return DeniedError("Weaviate refuses the API key", "check weaviate.api_key", doing=doing)
    if isinstance(error, WeaviateStartUpError) and "not supported" in said:
        return ConfigError("this version of Weaviate is too old", "1.27 or newer; 1.32 or newer has aliases", said=said)
    if isinstance(error, WeaviateInvalidInputError) or (status is not None and 400 <= status < 500 and status != 429):
        return PayReadyError("Weaviate refuses a call", "pay-ready memory status", doing=doing, status=status, said=said)
    return TransientError("Weaviate failed", "try again later", doing=doing, error_class=type(error).__name__, said=said)
