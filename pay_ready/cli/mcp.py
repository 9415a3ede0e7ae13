"""`pay-ready mcp`: the agent's tools for programs that speak the Model Context Protocol, for one tenant."""

import os
from typing import Annotated

import typer

from pay_ready.cli.options import TenantOption, opened_app
from pay_ready.cli.output import note


def mcp(
    tenant: TenantOption,
    http: Annotated[bool, typer.Option("--http", help="Over HTTP on the loopback, in place of standard input and output.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="With --http; 0 takes a free one.")] = 8765,
    host: Annotated[str, typer.Option(help="With --http.")] = "127.0.0.1",
    allow_remote: Annotated[bool, typer.Option("--allow-remote", help="Listen where other machines reach it; put TLS in front.")] = False,
) -> None:
    """Serve one tenant's questions to an MCP client: search, timeline, questions, coaching reports, people and companies. Read-only.

    Over HTTP every request needs the token of PAY_READY_MCP_TOKEN. Example: pay-ready mcp --tenant acme
    """
    from pydantic import SecretStr

    from pay_ready.api.mcp import serve_stdio
    from pay_ready.api.mcp_http import HttpOptions, open_http
    from pay_ready.api.mcp_open import mcp_parts

    token = os.environ.get("PAY_READY_MCP_TOKEN")
    with opened_app() as opened:
        parts = mcp_parts(opened, tenant)
        if not http:
            serve_stdio(parts)
            return
        asked = HttpOptions(token=SecretStr(token) if token else None, host=host, port=port, allow_remote=allow_remote)
        server = open_http(parts, asked)
        note(f"serving {tenant} at {server.url}; Ctrl-C ends it")
        server.run()
