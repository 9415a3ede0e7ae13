"""`pay-ready doctor` and `pay-ready migrate`."""

from typing import Annotated

import typer

from pay_ready.cli.options import JsonOption
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import CheckFailedError, UsageError


def doctor(
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Also how the database works: slow statements, indexes, bloat, statistics, partitions, settings, what row security costs.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at everything pay_ready stands on; each failing line says how to mend it. Exit 7 when one fails.

    Example: pay-ready doctor --deep
    """
    from pay_ready.app import diagnose

    findings = diagnose(deep=deep)
    if as_json:
        print_json("findings", findings)
    else:
        print_table(("check", "state", "found", "fix"), ((each.check, each.state, each.found, each.fix) for each in findings))
        for each in findings:
            for line in each.details:
                say(f"{each.check}: {line}")
    if failing := [each.check for each in findings if each.state == "fail"]:
        raise CheckFailedError("doctor found something", "each failing line says how to mend it", checks=", ".join(failing))


def migrate(
    app_login: Annotated[str | None, typer.Option(help="Make this login for the app, or give an existing one its rights.")] = None,
    erasure_login: Annotated[
        str | None, typer.Option(help="Make this login for `pay-ready erase`, or give an existing one its rights.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Only say what is applied and what is not.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the database's schema up to this version. Needs PAY_READY_ADMIN_DATABASE_URL, or the embedded server.

    Example: PAY_READY_ADMIN_DATABASE_URL=postgresql://admin@host/db pay-ready migrate --app-login pay_ready_web
    """
    import secrets

    from pay_ready.app import admin_urls
    from pay_ready.db.admin import grant_app, grant_erasure, login_exists
    from pay_ready.db.migrate import migrate as run_migrations
    from pay_ready.db.migrate import migration_status

    with admin_urls() as (urls, schema):
        if urls.admin is None:
            raise UsageError("this needs an administrator", "set PAY_READY_ADMIN_DATABASE_URL")
        before = migration_status(urls.admin, schema)
        if not status:
            run_migrations(urls.admin, schema, on_applied=lambda name: note(f"applied {name}"))
        after = migration_status(urls.admin, schema)
        made: list[tuple[str, str, str]] = []
        for login, grant, variable in (
            (app_login, grant_app, "PAY_READY_DATABASE_URL"), (erasure_login, grant_erasure, "PAY_READY_ERASURE_DATABASE_URL"),
        ):  # fmt: skip
            if login:
                password = None if login_exists(urls.admin, login) else secrets.token_urlsafe(24)
                grant(urls.admin, login, schema, password=password)
                made += [(login, password, variable)] if password else []
    applied = [name for name in before.pending if name not in after.pending]
    if as_json:
        print_json("migrations", {"schema": schema, "applied": applied, "pending": after.pending, "total": len(after.applied)})
    else:
        say(f"{schema}: {len(applied)} applied now, {len(after.applied)} in all, {len(after.pending)} pending")
    for login, password, variable in made:
        # Shown once, on standard error: it is a secret, not data.
        note(f"login {login} made; its password, shown this once: {password}")
        note(f"set {variable}=postgresql://{login}:<password>@<host>:<port>/<database>")
