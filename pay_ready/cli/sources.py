"""`pay-ready sources`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import CheckFailedError, ConfigError, UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.db.sources import Contract, DataSource

app = typer.Typer(help="Sources: the systems whose records a tenant brings in.", no_args_is_help=True, rich_markup_mode=None)
NameArgument = Annotated[str, typer.Argument(help="Name of the source within the tenant.")]


class ContractWord(StrEnum):
    """The words of `db.sources.Contract`, which --help must not load."""

    EVOLVE = "evolve"
    FREEZE = "freeze"
    QUARANTINE = "quarantine"


@app.command()
def add(
    tenant: TenantOption,
    name: NameArgument,
    kind: Annotated[str, typer.Option(help="Which mapping reads it: gong, hubspot, salesforce, slack, zendesk, or your own.")],
    replay: Annotated[Path | None, typer.Option(help="Folder with export files: <stream>.jsonl or .csv, also .gz.")] = None,
    connector: Annotated[str | None, typer.Option(help="Installed connector: name==version, or its name alone.")] = None,
    config: Annotated[Path | None, typer.Option(help="JSON file with the connector's configuration; secrets in it are encrypted.")] = None,
    airbyte: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with an Airbyte connection: connection_id, client_id, client_secret, destination_url, destination_schema."
        ),
    ] = None,
    stream: Annotated[list[str] | None, typer.Option(help="Only this stream; repeat for more.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="Your own mapping file, in the manner of config/sources/zendesk.toml.")] = None,
    mode: Annotated[
        ContractWord, typer.Option("--contract", help="What becomes of a stream in which a field changed its type or is gone.")
    ] = ContractWord.EVOLVE,
    as_json: JsonOption = False,
) -> None:
    """Add a source; it is checked before it is kept.

    Example: pay-ready sources add -t acme crm --kind hubspot --replay ~/exports/hubspot

    With an Airbyte: pay-ready sources add -t acme crm --kind hubspot --airbyte airbyte.json
    """
    if [replay, connector, airbyte].count(None) != 2:
        hint = "give one of --replay FOLDER, --connector name==version and --airbyte FILE"
        raise UsageError("a source is export files, a connector, or a connection of an Airbyte", hint)
    settings = {"path": str(replay.expanduser().resolve())} if replay else read_json_file(airbyte or config)
    connector = "airbyte" if airbyte else connector
    with opened_app() as opened:
        source, found = _add(opened, tenant, name, kind, connector, settings, stream or [], mapping, mode.value)
    if as_json:
        print_json("source", {"source": source, "check": found})
    else:
        say(f"source {name} added ({found}) - next: pay-ready run etl --tenant {tenant}")


@app.command()
def check(tenant: TenantOption, name: NameArgument, as_json: JsonOption = False) -> None:
    """Check that a source can be read with its stored configuration. Exit 7 when it cannot; when it can, the next sync need not wait.

    Example: pay-ready sources check crm --tenant acme
    """
    from pay_ready.db import sources
    from pay_ready.pipeline.airbyte.source import PlatformSource, check_platform
    from pay_ready.pipeline.feed import check_feed, keeps_config
    from pay_ready.pipeline.source_breaker import forget

    with opened_app() as opened:
        work = opened.work(tenant)
        with opened.database.tenant_transaction(work.tenant) as tx:
            source = sources.require(tx, name)
            keyring = None if source.ingest_mode == "replay" else opened.keyring
            config = sources.connector_config(tx, source, keyring)
            platform = (
                PlatformSource.stored(tx, source, opened.mapping(source), opened.keyring) if source.ingest_mode == "airbyte" else None
            )
        if platform is not None:
            outcome = check_platform(platform)
        else:
            outcome = check_feed(opened.feed(source), source, config, keeps_config(opened.database, work.tenant, source, keyring))
        if outcome.succeeded:
            with opened.database.tenant_transaction(work.tenant) as tx:
                forget(tx, source)
    if as_json:
        print_json("check", outcome)
    elif outcome.succeeded:
        say(f"source {name} can be read" + (f" ({outcome.message})" if outcome.message else ""))
    if not outcome.succeeded:
        raise CheckFailedError(f"the source cannot be read: {outcome.message}", "mend its configuration and add it again", source=name)


@app.command("list")
def list_all(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """List a tenant's sources."""
    from pay_ready.db import sources

    with opened_app() as opened:
        tenant_id = opened.tenant(tenant).tenant_id
        with opened.database.tenant_transaction(tenant_id) as tx:
            found = sources.list_all(tx)
    if as_json:
        print_json("sources", [_plain(each) for each in found])
    else:
        rows = ((each.name, each.kind, each.ingest_mode, each.connector, each.status, each.updated_at) for each in found)
        print_table(("source", "kind", "how", "connector", "status", "changed"), rows)


@app.command()
def contract(
    tenant: TenantOption,
    name: NameArgument,
    mode: Annotated[ContractWord, typer.Argument(help="What becomes of a stream in which a field changed its type or is gone.")],
    as_json: JsonOption = False,
) -> None:
    """Change a source's contract: evolve takes every change over, freeze leaves the stream unread, quarantine keeps its rows aside.

    Example: pay-ready sources contract crm freeze -t acme
    """
    from pay_ready.db import sources

    with opened_app() as opened, opened.database.tenant_transaction(opened.tenant(tenant).tenant_id) as tx:
        source = sources.require(tx, name)
        sources.change_config(tx, source, source.config.model_copy(update={"contract": mode.value}), actor=opened.actor)
    if as_json:
        print_json("source", {"name": name, "contract": mode.value})
    else:
        say(f"the contract of {name} is {mode.value} from the next sync on")


@app.command("accept-schema")
def accept_schema(
    tenant: TenantOption,
    name: NameArgument,
    stream: Annotated[list[str] | None, typer.Option(help="Only this stream; repeat for more.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Accept the streams' present shape: the next sync takes it over, whatever the contract held back.

    Example: pay-ready sources accept-schema crm -t acme --stream contacts
    """
    from pay_ready.pipeline.feed import accept_schemas

    with opened_app() as opened:
        given_up = accept_schemas(opened.database, opened.tenant(tenant).tenant_id, name, stream or (), actor=opened.actor)
    if as_json:
        print_json("accepted", {"source": name, "streams": given_up})
    else:
        say(f"the next sync of {name} takes over the shape of {', '.join(given_up)} - next: pay-ready run etl --tenant {tenant}")


@app.command()
def remove(tenant: TenantOption, name: NameArgument, as_json: JsonOption = False) -> None:
    """Remove a source: it is read no more and its credentials are deleted; the rows that it brought stay."""
    from pay_ready.db import sources

    with opened_app() as opened:
        tenant_id = opened.tenant(tenant).tenant_id
        with opened.database.tenant_transaction(tenant_id) as tx:
            sources.set_status(tx, sources.require(tx, name), "removed", actor=opened.actor)
    if as_json:
        print_json("source", {"name": name, "status": "removed"})
    else:
        say(f"source {name} is removed; its rows stay")


def _add(
    opened: "App", tenant: str, name: str, kind: str, connector: str | None, settings: dict[str, Any], streams: list[str],
    mapping: Path | None, contract: "Contract",
) -> tuple[dict[str, Any], str]:  # fmt: skip
    from pay_ready.pipeline.feed import NewSource, add_source

    own = str(mapping.expanduser().resolve()) if mapping else None
    wanted = NewSource(name=name, kind=kind, connector=connector, settings=settings, streams=tuple(streams), mapping=own, contract=contract)
    note(f"checking {name}")
    tenant_id = opened.tenant(tenant).tenant_id
    source, found = add_source(opened.database, tenant_id, wanted, opened.feed, lambda: opened.keyring, actor=opened.actor)
    return _plain(source), found


def read_json_file(path: Path | None) -> dict[str, Any]:
    """The object in a JSON file; empty without one.

    Raises:
        ConfigError: It cannot be read, or is no object.
    """
    if path is None:
        return {}
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot read the file", type(error).__name__, file=path) from None
    except ValueError as error:
        raise ConfigError("not JSON", str(error), file=path) from None
    if not isinstance(config, dict):
        raise ConfigError("a connector's configuration is a JSON object", "see the connector's documentation", file=path)
    return config


def _plain(source: "DataSource") -> dict[str, Any]:
    """A source without its settings' values: they name folders, accounts and subdomains, and a list needs none of them."""
    return {
        "source_id": source.source_id, "name": source.name, "kind": source.kind, "ingest_mode": source.ingest_mode,
        "connector": source.connector, "status": source.status, "streams": sorted(source.config.streams),
    }  # fmt: skip
