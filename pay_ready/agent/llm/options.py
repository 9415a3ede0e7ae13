"""What a language model may cost, how long it may take, and where it is."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

from pay_ready.errors import ConfigError

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmOptions:
    """One model behind an API like OpenAI's.

    Raises:
        ConfigError: The address is none, or would carry questions and evidence unencrypted to another machine.
    """

    url: str  # up to and with the version: https://host/v1
    model: str
    api_key: SecretStr | None = None
    timeout_s: float = 30.0  # of planning, and of wording, each with the second try that a malformed answer gets
    most_requests: int = 4  # a question
    most_tokens: int = 20_000  # a question, in and out
    day_tokens: int = 500_000  # a tenant and day (UTC)
    persona: str = ""  # of the domain: who speaks, to whom, about what
    most_evidence: int = 40  # quotes and table rows that the wording sees
    plain_http: bool = False  # also to other machines

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not self.model:
            raise ConfigError("a language model needs an address and a name", "url = https://host/v1, model = NAME", url=parts.hostname)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not self.plain_http:
            raise ConfigError("the language model's address is not encrypted", "use https, or set plain_http = true", host=parts.hostname)


@dataclass(slots=True, kw_only=True)
class Spent:
    """What one question has cost so far; the same value goes to its planning and its wording."""

    requests: int = 0
    tokens: int = 0
