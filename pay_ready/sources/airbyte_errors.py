"""An answer of Airbyte that is no success, as one clear line: what, status, title and detail, where, hint.

Airbyte answers with application/problem+json; its framework and the proxies before it with other JSON, HTML or text.
Whatever an answer quotes of credentials is masked.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pay_ready.errors import ConfigError, ConflictError, DeniedError, NotFoundError, PayReadyError, TransientError, UsageError
from pay_ready.sources.masking import MASK, parsed

_SHOWN_CHARACTERS = 300
_NOT_TRANSIENT = (501, 505)
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.DOTALL | re.IGNORECASE)
# Tokens that are not ours to know, but tokens all the same.
_TOKENS = re.compile(r"\b(?:eyJ[\w-]{4,}\.[\w-]+\.[\w-]*|(?i:bearer|basic)\s+[\w.~+/=-]{8,})")


class BusyError(ConflictError):
    """The connection is at work already (409 try-again-later)."""


class UnknownOutcomeError(TransientError):
    """A request may have been carried out, and its answer did not come: look before asking again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as it came. The body may quote credentials: it has no repr."""

    status: int
    content_type: str = ""  # without parameters, lower case
    retry_after: str | None = None
    body: bytes = field(default=b"", repr=False)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def is_html(self) -> bool:
        return "html" in self.content_type or self.body[:200].lstrip().lower().startswith((b"<!doctype html", b"<html"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an answer came from, and what must not be seen of it."""

    call: str  # "GET /jobs/12"
    server: str
    mask: Callable[[str], str] = field(repr=False)

    def shown(self, text: str) -> str:
        """A stranger's text on one line: masked, without control characters, cut."""
        line = " ".join("".join(letter if letter.isprintable() else " " for letter in self.mask(text)).split())
        line = _TOKENS.sub(MASK, self.mask(line))
        return line if len(line) <= _SHOWN_CHARACTERS else line[:_SHOWN_CHARACTERS].rstrip() + "…"


def answer_error(answer: Answer, place: Place, *, now: datetime, has_credentials: bool) -> PayReadyError | None:
    """The error that an answer stands for; None for a success. Transient when the same call may succeed later."""
    status = answer.status
    if 200 <= status < 300:
        return None
    where: dict[str, object] = {"call": place.call, "server": place.server, "status": status}
    title, said = _problem(answer)
    if title:
        where["problem"] = place.shown(title)
    reason = f": {shown}" if (shown := place.shown(said)) else ""
    if status == 429 or (status >= 500 and status not in _NOT_TRANSIENT) or status == 408:
        if (wait_s := retry_after_s(answer.retry_after, now=now)) is not None:
            where["retry_after_s"] = round(wait_s, 1)
        what = "Airbyte limits the requests" if status == 429 else "Airbyte could not answer"
        return TransientError(what + reason, "try again later", **where)
    if 300 <= status < 400:
        hint = "is this the address of the API? a login page or a proxy may stand before it"
        return ConfigError("Airbyte sends elsewhere instead of answering", hint, **where)
    kind, what, hint = _KINDS.get(status, (PayReadyError, "Airbyte refused the request", ""))
    if status == 401 and not has_credentials:
        hint = "this server asks for credentials: give client_id and client_secret"
    if status == 409 and "try-again-later" in title:
        kind = BusyError
    return kind(what + reason, hint, **where)


_KINDS: Mapping[int, tuple[type[PayReadyError], str, str]] = {
    400: (UsageError, "Airbyte did not accept the request", "are the ids right?"),
    401: (DeniedError, "Airbyte refuses the credentials", "in Airbyte: Settings > Applications; then give them to the source anew"),
    403: (DeniedError, "Airbyte does not allow this", "may the user of these credentials see the workspace and run its connections?"),
    404: (NotFoundError, "Airbyte does not know this", "is the id right, and the address of the server?"),
    409: (ConflictError, "Airbyte cannot do this now", "look at the connection in Airbyte"),
    422: (UsageError, "Airbyte did not accept the request", "are the ids right?"),
}


def retry_after_s(header: str | None, *, now: datetime) -> float | None:
    """Seconds that a Retry-After asks for, given as seconds or as an HTTP date; None when it says nothing readable."""
    if not header:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d+)?", header := header.strip()):
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, IndexError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max((until - now).total_seconds(), 0.0)


def _problem(answer: Answer) -> tuple[str, str]:
    """The name of a problem ("try-again-later"; "" when the answer has none), and what is said of it."""
    if answer.is_html:
        return "", _html_text(answer.text)
    body = parsed(answer.body)
    if not isinstance(body, Mapping):
        return "", answer.text
    parts = [_text(body.get("title")), *_details(body)]
    kind = _text(body.get("type")).rpartition("#")[2].removeprefix(f"{answer.status}-")
    name = next((part for part in (parts[0], kind) if re.fullmatch(r"[a-z0-9:/-]+", part)), "")
    said = dict.fromkeys(" ".join(part.split()).rstrip(".") for part in parts if part and part != name)
    return name, "; ".join(said)


def _details(body: Mapping[str, object]) -> Iterator[str]:
    """The texts of a problem, of Micronaut's own errors, and of OAuth's."""
    for key in ("detail", "message", "error_description", "error"):
        yield _text(body.get(key))
    data = body.get("data")
    if isinstance(data, Mapping):
        yield from map(_text, data.values())
    embedded = body.get("_embedded")
    errors = embedded.get("errors") if isinstance(embedded, Mapping) else None
    if isinstance(errors, list):
        yield from (_text(error.get("message")) for error in errors if isinstance(error, Mapping))


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _html_text(page: str) -> str:
    """The title of a page, else its first words."""
    page = page[:20_000]
    title = _TITLE.search(page)
    return html.unescape(title.group(1) if title and title.group(1).strip() else _TAGS.sub(" ", page))
