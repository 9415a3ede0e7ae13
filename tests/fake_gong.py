"""A Gong of our own: its public API v2 as an HTTP server, with its pages, its limit, its windows, its tokens and its bad moments."""

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

Json = dict[str, Any]

# In the shape of none that is real, with characters that URLs and Basic headers write otherwise.
ACCESS_KEY, ACCESS_KEY_SECRET = "AK-7Q2M-example", "gong-secret-0815/4711+x"  # pragma: allowlist secret
CLIENT_ID, CLIENT_SECRET = "client-038H-example", "client-secret-5566/77+y"
_COMPANY_ZONE = ZoneInfo("America/Los_Angeles")
_NOTHING = "No calls found corresponding to the provided filters"
# Which field of `content` and `interaction` a request must ask for to get what.
_ASKED_FOR = {"interactionStats": "personInteractionStats"}


def moment(text: str) -> datetime:
    """A time as Gong writes them."""
    return datetime.fromisoformat(text)


@dataclass
class GongData:
    """What the company has. A call is listed under its schedule when it was a web conference, else under its start."""

    users: list[Json] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)  # as extensive calls with all there is
    transcripts: dict[str, list[Json]] = field(default_factory=dict)  # by call
    scorecards: list[Json] = field(default_factory=list)
    answered: list[Json] = field(default_factory=list)

    @classmethod
    def of_exports(cls, folder: Path, first: str, before: str) -> Self:
        """The export files of a company, with the calls that are listed from one moment to another."""
        rows = {name: _lines(folder / f"{name}.jsonl") for name in ("users", "extensiveCalls", "callTranscripts")}
        calls = [{key: each[key] for key in each if key not in ("id", "startdatetime", "media")} for each in rows["extensiveCalls"]]
        transcripts = {each["callId"]: each["transcript"] for each in rows["callTranscripts"]}
        return cls(
            users=rows["users"],
            calls=[call for call in calls if moment(first) <= listed_at(call) < moment(before)],
            transcripts=transcripts,
        )

    def add_call(self, number: int, **changed: str) -> None:
        """One more call: like the first, at other times."""
        first = self.calls[0]
        call = {**first, "metaData": {**first["metaData"], "id": str(number), **changed}}
        self.calls.append(call)
        self.transcripts[str(number)] = self.transcripts[first["metaData"]["id"]]


def listed_at(call: Json) -> datetime:
    """The time that a window is compared with."""
    facts = call["metaData"]
    return moment(facts["scheduled"] if facts["direction"] == "Conference" else facts["started"])


@dataclass(frozen=True)
class Asked:
    """A request as it was answered."""

    path: str
    status: int
    wanted: Json  # without the cursor
    cursor: str | None
    at_s: float


class FakeGong:
    """The server as a context, on a port of its own; `requests` is what it was asked.

    Args:
        data: What there is to list; may change while it runs.
        per_second: Requests a second; more are answered with 429. None: no limit.
        page_size: Rows of a page; Gong has 100.
        fail_every: Each so-many-th request is answered with 500, 502 or 503 in turn; 0: none.
        token_uses: Requests that an access token is good for, though it says that it lasts a day.
    """

    def __init__(
        self, data: GongData, *, per_second: int | None = None, page_size: int = 100, fail_every: int = 0, token_uses: int = 1000
    ) -> None:
        self.data, self.requests = data, list[Asked]()
        self.before_answer: Callable[[Asked], object] = bool  # a test's hook, called outside the lock; does nothing
        self.refresh_token, self.refreshed = "rt-0-example-first", 0
        self.per_second, self._page_size, self._fail_every, self._token_uses = per_second, page_size, fail_every, token_uses
        self._tokens: dict[str, int] = {}
        self._recent: deque[float] = deque()
        self._served = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.gong = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The company's base URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def access_key(self, **more: object) -> Json:
        """A configuration with the company's key."""
        credentials = {"auth_type": "access_key", "access_key": ACCESS_KEY, "access_key_secret": ACCESS_KEY_SECRET}
        return {"credentials": credentials, "base_url": self.url, **more}

    def oauth(self, **more: object) -> Json:
        """A configuration with the refresh token that is good now."""
        credentials = {"auth_type": "oauth", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": self.refresh_token}
        credentials["token_url"] = f"{self.url}/oauth2/generate-customer-token"
        return {"credentials": credentials, "base_url": f"{self.url}/", **more}

    def statuses(self, path: str | None = None) -> list[int]:
        """The status of each answer, of all paths or one."""
        return [asked.status for asked in self.requests if path in (None, asked.path)]

    def answer(self, path: str, query: Json, headers: Mapping[str, str], body: Json) -> tuple[int, Json, Json]:
        """Status, headers and content."""
        wanted = {**query, **body}
        cursor = wanted.pop("cursor", None)
        with self._lock:
            status, more, content = self._judged(path, wanted, cursor, headers)
            asked = Asked(path, status, wanted, cursor, time.monotonic())
            self.requests.append(asked)
        self.before_answer(asked)
        return status, more, {"requestId": f"r{len(self.requests)}", **content}

    def _judged(self, path: str, wanted: Json, cursor: str | None, headers: Mapping[str, str]) -> tuple[int, Json, Json]:
        if path == "/oauth2/generate-customer-token":
            return self._token(wanted, headers)
        if not self._is_known(headers.get("Authorization", "")):
            return 401, {}, {"errors": ["Invalid credentials"]}
        if self._is_too_much():
            return 429, {"Retry-After": "1"}, {"errors": ["Too many requests"]}
        self._served += 1
        if self._fail_every and self._served % self._fail_every == 0:
            return (500, 502, 503)[self._served // self._fail_every % 3], {}, {"errors": ["Internal error"]}
        return self._listed(path, wanted, cursor)

    def _token(self, wanted: Json, headers: Mapping[str, str]) -> tuple[int, Json, Json]:
        """A refresh token works once: who sends a used one is shut out."""
        if headers.get("Authorization") != _basic(CLIENT_ID, CLIENT_SECRET):
            return 401, {}, {"error": "invalid_client"}
        if wanted != {"grant_type": "refresh_token", "refresh_token": self.refresh_token}:
            return 400, {}, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
        self.refreshed += 1
        self.refresh_token, access_token = f"rt-{self.refreshed}-example-next", f"at-{self.refreshed}-example-token"
        self._tokens[access_token] = self._token_uses
        content = {"access_token": access_token, "refresh_token": self.refresh_token, "token_type": "bearer", "expires_in": 86400}
        return 200, {}, {**content, "scope": "api:calls:read:basic", "api_base_url_for_customer": self.url}

    def _is_known(self, authorization: str) -> bool:
        if authorization == _basic(ACCESS_KEY, ACCESS_KEY_SECRET):
            return True
        token = authorization.removeprefix("Bearer ")
        self._tokens[token] = self._tokens.get(token, 0) - 1
        return self._tokens[token] >= 0

    def _is_too_much(self) -> bool:
        if self.per_second is None:
            return False
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= self.per_second:
            return True
        self._recent.append(now)
        return False

    def _listed(self, path: str, wanted: Json, cursor: str | None) -> tuple[int, Json, Json]:
        data = self.data
        match path:
            case "/v2/users":
                return self._page("users", data.users, path, wanted, cursor)
            case "/v2/settings/scorecards":
                return 200, {}, {"scorecards": data.scorecards}
            case "/v2/stats/activity/scorecards":
                return self._page("answeredScorecards", _reviewed(data.answered, wanted["filter"]), path, wanted, cursor)
            case "/v2/calls" | "/v2/calls/extensive" | "/v2/calls/transcript":
                calls = _in_window(data.calls, wanted if path == "/v2/calls" else wanted["filter"])
                if not calls:
                    return 404, {}, {"errors": [_NOTHING]}
                name, rows = self._shown(path, calls, wanted)
                return self._page(name, rows, path, wanted, cursor)
            case _:
                return 404, {}, {"errors": ["Not Found"]}

    def _shown(self, path: str, calls: list[Json], wanted: Json) -> tuple[str, list[Json]]:
        if path == "/v2/calls":
            return "calls", [call["metaData"] for call in calls]
        if path == "/v2/calls/extensive":
            return "calls", [_selected(call, wanted.get("contentSelector", {})) for call in calls]
        ids = [call["metaData"]["id"] for call in calls]
        return "callTranscripts", [{"callId": each, "transcript": self.data.transcripts[each]} for each in ids]

    def _page(self, name: str, rows: list[Json], path: str, wanted: Json, cursor: str | None) -> tuple[int, Json, Json]:
        """One page. A cursor goes with the request that it came from."""
        asked = json.dumps([path, wanted], sort_keys=True)
        start = 0
        if cursor is not None:
            whose, start = json.loads(base64.urlsafe_b64decode(cursor))
            if whose != asked:
                return 400, {}, {"errors": ["The cursor belongs to another request"]}
        page = rows[start : start + self._page_size]
        records: Json = {"totalRecords": len(rows), "currentPageSize": len(page), "currentPageNumber": start // self._page_size}
        if start + len(page) < len(rows):
            records["cursor"] = base64.urlsafe_b64encode(json.dumps([asked, start + len(page)]).encode()).decode()
        return 200, {}, {"records": records, name: page}


def _in_window(calls: list[Json], window: Json) -> list[Json]:
    first, before = moment(window["fromDateTime"]), moment(window["toDateTime"])
    return [call for call in calls if first <= listed_at(call) < before]


def _reviewed(answered: list[Json], wanted: Json) -> list[Json]:
    """By days of the company's zone; the last one is left out."""
    first, before = date.fromisoformat(wanted["reviewFromDate"]), date.fromisoformat(wanted.get("reviewToDate", "9999-12-31"))
    return [each for each in answered if first <= moment(each["reviewTime"]).astimezone(_COMPANY_ZONE).date() < before]


def _selected(call: Json, selector: Json) -> Json:
    """A call with no more than was asked for."""
    shown, exposed = {"metaData": call["metaData"]}, selector.get("exposedFields", {})
    if selector.get("context", "None") != "None":
        shown["context"] = call["context"]
    if exposed.get("parties"):
        shown["parties"] = call["parties"]
    for part in ("content", "interaction", "collaboration"):
        asked = exposed.get(part, {})
        if found := {name: value for name, value in call[part].items() if asked.get(_ASKED_FOR.get(name, name))}:
            shown[part] = found
    if exposed.get("media"):
        shown["media"] = {"audioUrl": f"https://media.example/{time.time_ns()}"}
    return shown


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _lines(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


class _Server(ThreadingHTTPServer):
    gong: FakeGong

    def handle_error(self, request: object, client_address: object) -> None:
        """A connector that was killed answers no more: nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version: ClassVar[str] = "HTTP/1.1"
    wbufsize: ClassVar[int] = -1  # one packet for an answer
    server: _Server

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        self._answer(json.loads(self.rfile.read(size) or b"{}"))

    def _answer(self, body: Json) -> None:
        parts = urlsplit(self.path)
        status, headers, content = self.server.gong.answer(parts.path, dict(parse_qsl(parts.query)), self.headers, body)
        said = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(said), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(said)
        self.wfile.flush()

    def log_message(self, *arguments: object) -> None:
        """Nothing: requests are kept by the server."""
