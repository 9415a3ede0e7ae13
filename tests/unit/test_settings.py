"""Settings: layers, their order, and errors that name file, key and choices."""

from pathlib import Path
from typing import Any

import pytest

from pay_ready.errors import ConfigError
from pay_ready.settings import Environment, load_domain, load_settings, read_toml


def settings(**environment: Any) -> Any:
    """Settings of the default domain."""
    return load_settings(Environment(**environment), load_domain("pay_ready"))


def test_layers_override_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults < domain < own file < environment < tenant."""
    assert settings().entity_resolution.company_threshold == 80
    paragon = load_domain("paragon")
    assert load_settings(Environment(), paragon).entity_resolution.company_threshold == 85
    own = tmp_path / "own.toml"
    own.write_text("[entity_resolution]\ncompany_threshold = 90\n[etl]\nmax_retries = 9\n")
    assert load_settings(Environment(config=own), paragon).entity_resolution.company_threshold == 90
    monkeypatch.setenv("PAY_READY_ENTITY_RESOLUTION__COMPANY_THRESHOLD", "95")
    configured = load_settings(Environment(config=own), paragon)
    assert (configured.entity_resolution.company_threshold, configured.etl.max_retries) == (95, 9)
    tenant = configured.for_tenant({"schema_version": 1, "entity_resolution": {"company_threshold": 99}})
    assert (tenant.entity_resolution.company_threshold, tenant.etl.max_retries) == (99, 9)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"etl": {"max_retriess": 1}}, ("etl.max_retriess", "max_retries")),
        ({"entity_resolution": {"name_threshold": 101}}, ("entity_resolution.name_threshold", "100")),
        ({"staging": {"phone_region": "XX"}}, ("staging.phone_region", "US, GB, DE")),
        ({"staging": {"time_zone": "Mars/Base"}}, ("staging.time_zone", "Europe/Berlin")),
        ({"staging": {"time_zone": "Europe"}}, ("staging.time_zone", "'Europe'")),  # a folder of the database
        ({"staging": {"time_zone": "/etc/passwd"}}, ("staging.time_zone", "Europe/Berlin")),
        ({"staging": {"time_zone": ""}}, ("staging.time_zone", "Europe/Berlin")),
        ({"review": {"gold_percent": 101}}, ("review.gold_percent", "100")),
        ({"review": {"lease_minutes": 0}}, ("review.lease_minutes", "greater than 0")),
        ({"review": {"blinded": True}}, ("review.blinded", "blind, double")),
        ({"logging": {"level": "debug"}}, ("logging", "entity_resolution")),
        ({"schema_version": 2}, ("schema_version", "1")),
    ],
)
def test_a_wrong_tenant_setting_is_named(overrides: dict[str, Any], said: tuple[str, ...]) -> None:
    """The error says which key, and what it may be."""
    with pytest.raises(ConfigError) as caught:
        settings().for_tenant(overrides)
    assert all(word in str(caught.value) for word in ("tenant settings", *said))


def test_a_wrong_own_file_is_named(tmp_path: Path) -> None:
    """Not TOML, unknown section, missing file: file and key are named."""
    own = tmp_path / "own.toml"
    own.write_text("[etl\n")
    with pytest.raises(ConfigError, match=r"not TOML.*own\.toml"):
        settings(config=own)
    own.write_text("[etll]\nx = 1\n")
    with pytest.raises(ConfigError, match=r"own\.toml, key=etll - the keys here are: .*etl, .*logging"):
        settings(config=own)
    with pytest.raises(ConfigError, match=r"cannot read the file - file=.*gone\.toml"):
        settings(config=tmp_path / "gone.toml")


def test_an_unknown_domain_names_the_choices() -> None:
    """Shipped domains are listed."""
    with pytest.raises(ConfigError, match="choose one of: paragon, pay_ready, personal"):
        load_domain("elsewhere")


def test_a_domain_of_ones_own(tmp_path: Path) -> None:
    """A domain file by path; an unknown key in it is named."""
    path = tmp_path / "mine.toml"
    path.write_text('namespace = "mine"\ndatabase_schema = "mine"\npersona = "me"\ncache_prefix = "mine"\n')
    assert load_domain(str(path)).database_schema == "mine"
    path.write_text(path.read_text() + 'colour = "red"\n')
    with pytest.raises(ConfigError, match=r"mine\.toml, key=colour"):
        load_domain(str(path))


def test_no_secret_in_a_repr() -> None:
    """URLs with passwords and keys do not show."""
    environment = Environment(database_url="postgresql://u:canary@h/d", secret_key="canary")
    assert "canary" not in repr(environment) + str(environment)


def test_every_shipped_file_is_read() -> None:
    """Every domain loads with its defaults on top of the shipped ones."""
    from pay_ready.resources import resource_path

    for path in resource_path("config", "domains").glob("*.toml"):
        domain = load_domain(path.stem)
        assert load_settings(Environment(), domain)
        assert domain.namespace == path.stem
    assert read_toml(resource_path("config", "defaults.toml"))
