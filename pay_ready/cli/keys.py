"""`pay-ready keys`: the keys that credentials are encrypted with."""

import typer

from pay_ready.cli.options import JsonOption, opened_app
from pay_ready.cli.output import note, print_json, say

app = typer.Typer(help="Keys that credentials are encrypted with.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def generate(as_json: JsonOption = False) -> None:
    """Print a new key. Put it first in PAY_READY_SECRET_KEY, the old ones after it with commas, then run: keys rotate."""
    from pay_ready.secrets import generate_key

    key = generate_key()
    if as_json:
        print_json("key", {"key": key})
    else:
        say(key)
    note("keep it where the database's backups are not; set it first in PAY_READY_SECRET_KEY, then run: pay-ready keys rotate")


@app.command()
def rotate(as_json: JsonOption = False) -> None:
    """Encrypt every tenant's credentials anew with the first key; afterwards the old keys can go."""
    from pay_ready.db import sources
    from pay_ready.db.admin import list_tenants

    with opened_app() as opened:
        found = list_tenants(opened.admin_url, opened.domain.database_schema)
        rotated = 0
        for tenant in found:
            with opened.database.tenant_transaction(tenant.tenant_id) as tx:
                rotated += sources.rotate_credentials(tx, opened.keyring, actor=opened.actor)
    if as_json:
        print_json("rotation", {"tenants": len(found), "rotated": rotated})
    else:
        say(f"{rotated} credentials of {len(found)} tenants are now under the first key")
