"""The configuration of resolution: what ships loads, and every mistake is reported with file, key and choices."""

import shutil
from pathlib import Path

import pytest

from pay_ready.errors import ConfigError
from pay_ready.pipeline.resolution_config import load_resolution_config
from pay_ready.resources import resource_path
from tests.publish_support import config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of config/resolution that a test may break."""
    return Path(shutil.copytree(resource_path("config", "resolution"), tmp_path / "resolution"))


def edited(folder: Path, old: str, new: str) -> Path:
    """The default file with a text replaced."""
    path = folder / "default.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return path


def test_the_shipped_configuration_loads() -> None:
    """Thresholds keep the names and values that users know; the hash is of the values."""
    shipped = config()
    assert (shipped.name_threshold, shipped.company_threshold, shipped.email_validation) == (85, 80, True)
    assert (shipped.person.threshold_millibits, shipped.person.review_millibits) == (None, 4_000)
    assert shipped.config_hash == config().config_hash
    assert len(shipped.config_hash) == 32


@pytest.mark.parametrize("overrides", [{"name_threshold": 90}, {"company_threshold": 70}, {"email_validation": False}])
def test_overrides_change_value_and_hash(overrides: dict[str, object]) -> None:
    """A tenant's threshold replaces the default, and runs can tell."""
    changed = config(**overrides)
    assert {name: getattr(changed, name) for name in overrides} == overrides
    assert changed.config_hash != config().config_hash


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("user = 15", "user = 0", "person.max_block_sizes.user"),
        ("user = 15", "users = 15", "choices: contact, name, phone, place_and_given, place_and_name, user, value, weak"),
        ('refresh = "on_drift"', 'refresh = "daily"', "choices: on_drift, by_hand"),
        ("refresh_growth = 2.0", "refresh_growth = 1", "choose a number above 1"),
        ('threshold_bits = "auto"', 'threshold_bits = "much"', "key=person.threshold_bits"),
        ('threshold_bits = "auto"', "threshold_bits = 900", 'choose a number from -60 to 60 or "auto"'),
        ("review_bits = 4.0", "review_bits = -1", "choose a number from 0 to 60"),
        ('["recent", "frequent", "source_order", "longest"]', '["newest"]', "choices: frequent, longest, recent, source_order, valid"),
        ('city = ["recent", "frequent", "source_order", "longest"]\n', "", "person.survivorship.city"),
        ("schema_version = 2", "schema_version = 1", "choices: 2"),
        ("[person.max_block_sizes]", "[person.block_sizes]", "block_sizes"),
        ("schema_version = 2", "schema_version = ", "not TOML"),
    ],
)
def test_mistakes_name_file_key_and_choices(folder: Path, old: str, new: str, message: str) -> None:
    """Each wrong key or value is refused with the file, the key and what would be right."""
    path = edited(folder, old, new)
    with pytest.raises(ConfigError) as caught:
        load_resolution_config(path)
    assert message in str(caught.value)
    assert "default.toml" in str(caught.value)


@pytest.mark.parametrize(
    "overrides", [{"name_threshold": 101}, {"company_threshold": True}, {"email_validation": "yes"}, {"threshold": 85}]
)
def test_overrides_are_checked(overrides: dict[str, object]) -> None:
    """A threshold out of range and an unknown key are refused by name."""
    with pytest.raises(ConfigError, match="entity_resolution"):
        config(**overrides)


def test_a_missing_word_list_is_named(folder: Path) -> None:
    """Nicknames and word lists lie beside the file."""
    (folder / "nicknames.toml").unlink()
    with pytest.raises(ConfigError, match=r"nicknames\.toml"):
        load_resolution_config(folder / "default.toml")


def test_nicknames_are_folded_words() -> None:
    """Every nickname is written as names are compared: lower case ASCII letters."""
    assert all(word.isascii() and word.isalpha() and word.islower() for group in config().nicknames for word in group)


def test_a_model_depends_on_what_links_and_on_nothing_else(folder: Path) -> None:
    """Another cap is another setting of the model; another order of sources, criterion or review band is not."""
    shipped = config()
    for old, new, changes in (
        ("user = 15", "user = 16", True),
        ('threshold_bits = "auto"', "threshold_bits = 5.0", True),
        ('["salesforce", "hubspot"', '["hubspot", "salesforce"', False),
        ('city = ["recent", "frequent"', 'city = ["frequent", "recent"', False),
        ("review_bits = 4.0", "review_bits = 5.0", False),
    ):
        changed = load_resolution_config(edited(folder, old, new))
        edited(folder, new, old)
        assert changed.config_hash != shipped.config_hash
        assert (changed.settings_hash != shipped.settings_hash) == changes, old
