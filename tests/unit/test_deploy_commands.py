"""Every command that the files of deploy/ name is one that there is, with the options that it has."""

import re
import subprocess
from typing import Any

import pytest
import typer

from pay_ready.cli.main import app
from tests.deploy_support import DEPLOY, ROOT, NamedCommand, documents, files, named_commands, place, shell_commands, walked

# These leave the tenant to a variable.
TENANT_IN_ENVIRONMENT = frozenset(
    {"deploy/github/scheduled-etl.yml", "deploy/kubernetes/tenant/etl.yaml", "deploy/kubernetes/tenant/nightly.yaml"}
)


def said_of(words: tuple[str, ...], *, is_whole: bool) -> str:
    """What the command line says against these words; empty when nothing."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("pay-ready", [], resilient_parsing=True)
    left = list(words)
    while hasattr(command, "commands"):
        if command.invoke_without_command and left and left[0].startswith("-"):
            break
        if "run" in command.commands and left and left[0].startswith("-") and left[0] != "--help":
            left.insert(0, "run")  # options alone mean it
        if not left or left[0] not in command.commands:
            return "" if left[:1] in ([], ["--help"]) and (not is_whole or left) else f"no such command: {' '.join(left[:1])}"
        command = command.commands[left.pop(0)]
        context = command.make_context(command.name, [], parent=context, resilient_parsing=True)
    if "--help" in left:
        return ""
    try:
        command.make_context(command.name, left, parent=context.parent)
    except Exception as error:
        # In a sentence a command may be named without all that it needs.
        return "" if not is_whole and type(error).__name__ == "MissingParameter" else f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize("named", named_commands(), ids=lambda each: f"{each.place}: {' '.join(each.words)[:60]}")
def test_a_command_that_is_named_is_there(named: NamedCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Group, command, arguments and options are those of the command line."""
    if named.place in TENANT_IN_ENVIRONMENT:
        monkeypatch.setenv("PAY_READY_TENANT", "acme")
    assert said_of(named.words, is_whole=named.is_whole) == ""


def test_the_check_sees_what_is_off() -> None:
    """A wrong command, group, option or argument is found; what is right is not."""
    for words in (("migrat",), ("run", "elt"), ("migrate", "--ap-login", "x"), ("run", "etl"), ("verify", "one-too-many"), ("run",)):
        assert said_of(words, is_whole=True), words
    for words in (("migrate", "--app-login", "x"), ("run", "etl", "--tenant", "acme", "--wait", "600"), ("checkpoint", "--help")):
        assert said_of(words, is_whole=True) == "", words
    assert said_of(("erase",), is_whole=False) == said_of(("run", "etl"), is_whole=False) == ""
    assert said_of(("run", "etl", "--tenants", "acme"), is_whole=False)


def test_commands_are_found_wherever_they_stand() -> None:
    """Behind wrappers, in conditions and substitutions; a pool, a namespace or a secret of that name is no command."""
    text = """
    docker compose -f x.yml run --rm migrate pay-ready doctor && A=1 /opt/pay-ready/bin/pay-ready migrate --status
    if pay-ready verify; then echo pay-ready is well; fi
    kubectl -n pay-ready create secret generic pay-ready --from-literal=key="$(pay-ready keys generate)"
    kubectl -n pay-ready exec deploy/worker -- pay-ready runs list \\
      --tenant acme | head
    prefect work-pool create pay-ready --type process
    sh deploy/worker.sh pay-ready --limit 4
    """
    assert list(shell_commands(text)) == [
        ("doctor",), ("migrate", "--status"), ("verify",), ("keys", "generate"), ("runs", "list", "--tenant", "acme"),
    ]  # fmt: skip
    assert len(named_commands()) > 60


def test_files_that_are_named_are_there() -> None:
    """Scripts of deploy/ that manifests and the runbook call exist, and are shell that can be read."""
    named = set()
    for path in files(".yml", ".yaml", ".md", ".service", ".example", ".sh"):
        text = path.read_text("utf-8")
        named |= {(place(path), each) for each in re.findall(r"\bdeploy/[\w./-]+\.(?:sh|py|sql|yml|conf)\b", text)}
        named |= {(place(path), f"deploy/postgres/{each}") for each in re.findall(r"/scripts/(\w+\.\w+)", text)}
    assert len(named) > 20
    assert [each for each in named if not (ROOT / each[1]).is_file()] == []
    for path in files(".sh"):
        assert subprocess.run(["sh", "-n", str(path)], capture_output=True, check=False).returncode == 0, path


def test_scripts_get_the_words_they_take() -> None:
    """drain.py and worker.sh are called with a pool that prefect.yaml deploys to, and with options that they have."""
    (pool,) = {each["work_pool"]["name"] for each in documents(ROOT / "prefect.yaml")[0]["deployments"]}
    lists = [each for path in files(".yml", ".yaml") for document in documents(path) for each in walked(document) if isinstance(each, list)]
    words = [each for each in lists if all(isinstance(word, str) for word in each)]
    calls = [" ".join(each) for each in words if any(word.endswith(("drain.py", "worker.sh")) for word in each)]
    units = "\n".join(path.read_text("utf-8") for path in files(".service"))
    calls += re.findall(r"^Exec.*(?:drain\.py|worker\.sh).*$", units, re.MULTILINE)
    assert len(calls) == 6
    called = r"(?:drain\.py (?:stop|resume)|worker\.sh) (\S+)"
    for call in calls:
        found = re.search(called + r"(?: --limit (?:\d+|\$\{WORKER_LIMIT:-\d+\}))?(?:'|$)", call)
        assert found, call
        assert found[1] == pool, call
    assert (DEPLOY / "worker.sh").read_text("utf-8").count("exec prefect worker start") == 1
