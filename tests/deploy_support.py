"""The files of deploy/ as tests read them: what each sets, which commands it names, which pods and containers it describes."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
COMPOSE = DEPLOY / "docker" / "compose.yml"
KUBERNETES = DEPLOY / "kubernetes"
WORKFLOW = DEPLOY / "github" / "scheduled-etl.yml"
# What may stand before our command in a line of shell.
_KEYWORDS = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!", "exec", "{", "time", "sudo"})
_WRAPPERS = frozenset({"docker", "as_pay_ready", "ours", "clean", "env", "/usr/bin/env"})
_OPERATOR = re.compile(r"[;&|()<>]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*")


@dataclass(frozen=True, slots=True)
class NamedCommand:
    """One `pay-ready …` of a file; `is_whole` when it is to be run as it stands, and not merely named in a sentence."""

    place: str
    words: tuple[str, ...]
    is_whole: bool


def place(path: Path) -> str:
    """A file as messages name it."""
    return str(path.relative_to(ROOT))


def files(*suffixes: str) -> list[Path]:
    """Files of deploy/ with one of these suffixes."""
    return sorted(path for path in DEPLOY.rglob("*") if path.is_file() and path.suffix in suffixes and path.name != ".env")


def documents(path: Path) -> list[Any]:
    """The documents of a YAML file."""
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each is not None]


def walked(node: Any) -> Iterator[Any]:
    """A tree's nodes, each before what is below it."""
    yield node
    for child in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
        yield from walked(child)


def shell_commands(text: str) -> Iterator[tuple[str, ...]]:
    """The arguments of each `pay-ready` in lines of shell.

    Raises:
        ValueError: A line that names it cannot be read, for example an open quote.
    """
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if "pay-ready " not in line:
            continue
        # Command substitution is a command of its own.
        lexer = shlex.shlex(re.sub(r'"\$\(([^"]*)\)"', r"$(\1)", line), posix=True, punctuation_chars=";&|()<>")
        lexer.whitespace_split = True
        simple: list[str] = []
        for word in [*lexer, ";"]:
            if not _OPERATOR.fullmatch(word):
                simple.append(word)
                continue
            if words := _own_words(simple):
                yield words
            simple = []


def _own_words(simple: list[str]) -> tuple[str, ...]:
    """What `pay-ready` is called with in one simple command; empty when it is not what is called."""
    while simple and (simple[0] in _KEYWORDS or _ASSIGNMENT.fullmatch(simple[0])):
        simple = simple[1:]
    if not simple:
        return ()
    if _is_ours(simple[0]):
        return tuple(simple[1:])
    if simple[0] in ("kubectl", "systemd-run") and "--" in simple:
        return _own_words(simple[simple.index("--") + 1 :])
    if simple[0] in _WRAPPERS:
        for index, word in enumerate(simple):
            if _is_ours(word) and not simple[index - 1].startswith("-"):
                return tuple(simple[index + 1 :])
    return ()


def _is_ours(word: str) -> bool:
    return word == "pay-ready" or word.endswith("/bin/pay-ready")


def named_commands() -> list[NamedCommand]:
    """Every `pay-ready …` of deploy/, wherever it stands."""
    return [each for path in files(".yml", ".yaml", ".md", ".sh", ".service", ".example", ".env", ".sql", "") for each in _named_in(path)]


def _named_in(path: Path) -> Iterator[NamedCommand]:
    text = path.read_text("utf-8")
    if path.suffix in (".yml", ".yaml"):
        for node in (each for document in documents(path) for each in walked(document)):
            if isinstance(node, list) and node[:1] == ["pay-ready"]:
                yield NamedCommand(place(path), tuple(node[1:]), True)
            elif isinstance(node, str):
                yield from (NamedCommand(place(path), words, True) for words in shell_commands(node))
    elif path.suffix == ".md":
        blocks = re.split(r"^```.*$", text, flags=re.MULTILINE)
        for block in blocks[1::2]:
            yield from (NamedCommand(place(path), words, True) for words in shell_commands(block))
        for span in re.findall(r"`([^`\n]+)`", "".join(blocks[0::2])):
            yield from (NamedCommand(place(path), words, False) for words in shell_commands(span))
    elif path == DOCKERFILE:
        for array in re.findall(r"^\s*(?:CMD|ENTRYPOINT) (\[.*\])$", text, re.MULTILINE):
            if (words := json.loads(array))[0] == "pay-ready":
                yield NamedCommand(place(path), tuple(words[1:]), True)
    else:
        code = re.sub(r"^\s*(#|--).*$", "", text, flags=re.MULTILINE)
        code = re.sub(r"^Exec\w+=-?", "", code, flags=re.MULTILINE)
        code = re.sub(r"^\w+=.*$", "", code, flags=re.MULTILINE) if path.suffix in (".service", ".example", ".env") else code
        yield from (NamedCommand(place(path), words, True) for words in shell_commands(code))


@dataclass(frozen=True, slots=True)
class SetVariable:
    """A variable that a file sets; `value` is None where it comes from a secret."""

    place: str
    name: str
    value: str | None


def set_variables() -> list[SetVariable]:
    """Every variable that a file of deploy/ sets for a process of ours."""
    found = [SetVariable(place(DOCKERFILE), name, value) for name, value in docker_environment().items()]
    for name, service in yaml.safe_load(COMPOSE.read_text("utf-8"))["services"].items():
        values = (service.get("environment") or {}).items()
        found += [SetVariable(f"{place(COMPOSE)} {name}", key, _literal(value)) for key, value in values]
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        for node in (each for document in documents(path) for each in walked(document)):
            if isinstance(node, Mapping):
                found += [SetVariable(place(path), each["name"], each.get("value")) for each in node.get("env") or ()]
                found += [SetVariable(place(path), *each.split("=", 1)) for each in node.get("literals") or ()]
    for path in sorted((DEPLOY / "systemd").glob("*.example")):
        lines = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", path.read_text("utf-8"), re.MULTILINE)
        found += [SetVariable(place(path), name, value or None) for name, value in lines]
    for node in walked(yaml.safe_load(WORKFLOW.read_text("utf-8"))):
        if isinstance(node, Mapping):
            found += [SetVariable(place(WORKFLOW), name, _literal(value)) for name, value in (node.get("env") or {}).items()]
    return found


def _literal(value: object) -> str | None:
    """A value as it stands, or None where it is put in later."""
    return None if value is None or "${" in str(value) else str(value)


def docker_environment() -> dict[str, str]:
    """The variables of the image."""
    lines = re.findall(r"^ENV (.+)$", re.sub(r"\\\n\s*", "", DOCKERFILE.read_text("utf-8")), re.MULTILINE)
    return dict(word.split("=", 1) for line in lines for word in shlex.split(line))


def pods() -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Every pod of deploy/kubernetes: where, its labels, its specification."""
    found = []
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        for node in (each for document in documents(path) for each in walked(document)):
            if isinstance(node, Mapping) and isinstance(node.get("spec"), Mapping) and "containers" in node["spec"]:
                found.append((place(path), node.get("metadata", {}).get("labels", {}), node["spec"]))
    return found


def containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A pod's containers, those that come first included."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


@cache
def locked(name: str) -> str:
    """The version of a package in requirements.lock."""
    found = re.search(rf"^{re.escape(name)}==([^ ;\\]+)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    assert found, f"{name} is not in the lock file"
    return found[1]
