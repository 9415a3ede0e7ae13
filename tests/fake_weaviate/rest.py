"""The REST half: meta, schema, tenants and aliases."""

import json
import re
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from tests.fake_weaviate.state import RefusedError, State, Tenant

if TYPE_CHECKING:
    from tests.fake_weaviate.server import Faults

_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_THERE = "failed to execute query: could not get tenants: class not found"


class Handler(BaseHTTPRequestHandler):
    """One request; the server class sets `state`, `faults`, `version` and `api_key`."""

    protocol_version = "HTTP/1.1"
    state: State
    faults: "Faults"
    version: str
    api_key: str | None

    def do_GET(self) -> None:
        """Any method."""
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = self.path.partition("?")[0]
        if self.faults.before_rest(self.command, path, body):
            self.close_connection = True
            return
        try:
            with self.state.lock:
                status, answer = self._answer(path, body)
        except RefusedError as error:
            status, answer = error.status, {"error": [{"message": str(error)}]}
        self._send(status, answer)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _send(self, status: int, answer: Any) -> None:
        data = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _answer(self, path: str, body: Any) -> tuple[int, Any]:
        if self.api_key is not None and self.headers.get("Authorization") != f"Bearer {self.api_key}":
            return 401, {"error": [{"message": "anonymous access not enabled, please provide an auth scheme such as OIDC"}]}
        parts = path.removeprefix("/v1/").split("/")
        match self.command, parts:
            case "GET", ["meta"]:
                return 200, {"hostname": "http://[::]:8080", "version": self.version, "modules": {}, "grpcMaxMessageSize": 104858000}
            case "GET", [".well-known", _]:
                return 200, None
            case method, ["schema", *names]:
                return self._schema(method, names, body)
            case method, ["aliases", *names]:
                return self._aliases(method, names, body)
        return 404, None

    def _schema(self, method: str, names: list[str], body: Any) -> tuple[int, Any]:
        state = self.state
        match method, names:
            case "GET", []:
                return 200, {"classes": [each.config for each in state.collections.values()]}
            case "POST", []:
                return 200, state.create(body)
            case "GET", [name]:
                found = state.collections.get(state.aliases.get(name, name))
                return (404, None) if found is None else (200, found.config)
            case "PUT", [name]:
                state.collection(name).config = body
                return 200, body
            case "DELETE", [name]:
                state.collections.pop(name, None)
                return 200, None
            case _, [name, "tenants", *tenant]:
                return self._tenants(method, name, tenant, body)
        return 404, None

    def _tenants(self, method: str, name: str, one: list[str], body: Any) -> tuple[int, Any]:
        """R4."""
        known = self.state.collection(name, _NOT_THERE).tenants
        if one:
            return self._tenant(known.get(one[0]), one[0])
        match method:
            case "POST":
                for each in body:
                    if not _TENANT.fullmatch(each["name"]):
                        raise RefusedError(f"tenant name at index 0:  '{each['name']}' is not a valid tenant name.")
                    known.setdefault(each["name"], Tenant(waking=self.faults.polls_until_active))
            case "PUT":
                for each in body:
                    if each["name"] not in known:
                        raise RefusedError(f"updating schema: TYPE_UPDATE_TENANT: shard not found: {each['name']}")
                    tenant, is_active = known[each["name"]], each["activityStatus"] in ("HOT", "ACTIVE")
                    tenant.waking = self.faults.polls_until_active if is_active and not tenant.active else 0
                    tenant.active = is_active
            case "DELETE":
                for each in body:
                    known.pop(each, None)
        return 200, None

    def _tenant(self, tenant: Tenant | None, name: str) -> tuple[int, Any]:
        if tenant is None:
            return 404, {"error": [{"message": f'tenant not found: "{name}"'}]}
        status = "ONLOADING" if tenant.waking else "ACTIVE" if tenant.active else "INACTIVE"
        tenant.waking = max(tenant.waking - 1, 0)
        return 200, {"name": name, "activityStatus": status}

    def _aliases(self, method: str, names: list[str], body: Any) -> tuple[int, Any]:
        """R16."""
        aliases, known = self.state.aliases, self.state.collections
        if body is not None and body["class"] not in known:
            raise RefusedError(f'validation: target class "{body["class"]}" does not exist')
        match method, names:
            case "GET", []:
                return 200, {"aliases": [{"alias": name, "class": target} for name, target in aliases.items()]}
            case "GET", [name]:
                return (200, {"alias": name, "class": aliases[name]}) if name in aliases else (404, None)
            case "POST", []:
                if body["alias"] in aliases:
                    raise RefusedError(f"create alias: {body['alias']}, alias already exists")
                if body["alias"] in known:
                    raise RefusedError(f"create alias: class {body['alias']} already exists", 500)
                aliases[body["alias"]] = body["class"]
            case "PUT", [name] if name in aliases:
                aliases[name] = body["class"]
            case "DELETE", [name] if name in aliases:
                del aliases[name]
                return 204, None
            case _, [_]:
                return 404, None
        return 200, None
