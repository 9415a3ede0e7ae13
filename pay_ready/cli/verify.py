"""`pay-ready verify`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.cli.progress import shown_progress
from pay_ready.errors import CheckFailedError, ConfigError, NotFoundError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.pipeline.verify import CheckResult, Verification

_CASE = '    <testcase classname="pay-ready verify {tenant}" name="{name}" time="{seconds}">{inside}</testcase>\n'


def verify(
    tenant: Annotated[
        str | None, typer.Option("--tenant", "-t", help="Only this one; all without it (administrator's URL).", envvar="PAY_READY_TENANT")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="CHECK", help="Only this check; repeat for more.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="History too: every checkpoint's digest, every golden record's hash.")] = False,
    offenders: Annotated[int, typer.Option(min=1, max=1_000, help="Ids to name of what is off.")] = 5,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as JUnit XML, for a pipeline.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check what must hold of a tenant, on the live database, in one snapshot; nothing is written. Exit code 7 when anything is off.

    A vector store beside Postgres is compared with the record, where there is one; one that is away is skipped, and said.

    Checks: records, assignments, entities, ids, links, versions, digest, golden, interactions, feed, audit, isolation, blocks, memory,
    checkpoints.

    Example: pay-ready verify -t acme --only feed --only audit
    """
    from pay_ready.pipeline.verify import asks_outer, verify_tenant

    is_outer_asked = asks_outer(only or [])  # a wrong name is refused before anything is read
    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        outer = opened.outer_store if is_outer_asked else None
        look = partial(verify_tenant, opened.database, only=only or [], deep=deep, most=offenders, outer=outer, progress=progress)
        found = [look(opened.tenant_id(name), name=name) for name in _tenants(opened, tenant)]
    if junit is not None:
        _write(junit, junit_xml(found))
    if as_json:
        print_json("verification", found)
    else:
        for each in found:
            _show(each)
    failed = [(each.tenant, result.check) for each in found for result in each.failed]
    if failed:
        checks = ", ".join(dict.fromkeys(check for _, check in failed))
        tenants = ", ".join(dict.fromkeys(name for name, _ in failed))
        raise CheckFailedError("something is off", "read above what, and what to do", checks=checks, tenants=tenants)


def junit_xml(found: "list[Verification]") -> str:
    """One test suite a tenant, one case a check."""
    suites = []
    for each in found:
        skipped = sum(result.state == "skipped" for result in each.results)
        cases = "".join(_case(each.tenant, result) for result in each.results)
        figures = f'tests="{len(each.results)}" failures="{len(each.failed)}" skipped="{skipped}"'
        suites.append(f'  <testsuite name="{each.tenant}" {figures}>\n{cases}  </testsuite>\n')
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{"".join(suites)}</testsuites>\n'


def _case(tenant: str, result: "CheckResult") -> str:
    from html import escape

    inside = ""
    if result.state == "failed":
        lines = "; ".join(f"{each.promise}: {each.wrong}, first {', '.join(each.offenders)}" for each in result.breaches)
        inside = f'<failure message="{escape(result.says)}">{escape(lines)}</failure>'
    elif result.state == "skipped":
        inside = f'<skipped message="{escape(result.reason)}"/>'
    return _CASE.format(tenant=tenant, name=result.check, seconds=result.seconds, inside=inside)


def _tenants(opened: "App", tenant: str | None) -> list[str]:
    from pay_ready.db import tenants
    from pay_ready.db.admin import list_tenants

    if tenant is None:
        return [each.slug for each in list_tenants(opened.admin_url, opened.domain.database_schema)]
    with opened.database.tenant_transaction(opened.tenant_id(tenant)) as tx:
        if tenants.find(tx) is None:  # one that is suspended may be looked at
            raise NotFoundError("no such tenant", "see them all: pay-ready tenants list", tenant=tenant)
    return [tenant]


def _show(found: "Verification") -> None:
    rows = [
        (
            result.check,
            result.says,
            result.checked,
            result.pending or None,
            result.wrong or None,
            "FAILED" if result.state == "failed" else result.state,
        )
        for result in found.results
    ]
    title = f"{found.tenant}, run {found.run_no}{', deep' if found.deep else ''}"
    print_table(("check", "what holds", "checked", "waiting", "off", "state"), rows, title=title)
    for result in found.results:
        if result.reason:
            note(f"{result.check} skipped: {result.reason}")
        for breach in result.breaches:
            say(f"{result.check}: not so that {breach.promise}: {breach.wrong:,}, first {', '.join(breach.offenders)}")
        if result.fix:
            say(f"  next: {result.fix}")
    if found.failed:
        say()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError("cannot write the file", error.strerror or type(error).__name__, file=path) from None
