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
    assert shipped.person.weights["email"]["exact"].millibits == 26_000
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
        ("email_user = 100", "email_user = 0", "person.max_block_sizes.email_user"),
        ("email_user = 100", "emails = 100", "choices: city_and_name, company_and_name, email, email_user, name, phone"),
        ("exact = { by_rarity = true }", "exactly = { by_rarity = true }", 'did you mean "exact"'),
        ("exact = { by_rarity = true }", "exact = { by_rarity = 1 }", "person.weights.name.exact.by_rarity"),
        ("family = { bits = -5.0 }", "family = { bits = 900 }", "choose a number from -60 to 60"),
        ("threshold_bits = 3.0", 'threshold_bits = "much"', "person.threshold_bits"),
        ("review_bits = -2.0", "review_bits = 4.0", "choose at most 3.0"),
        ('["recent", "frequent", "source_order", "longest"]', '["newest"]', "choices: frequent, longest, recent, source_order, valid"),
        ('city = ["recent", "frequent", "source_order", "longest"]\n', "", "person.survivorship.city"),
        ("schema_version = 1", "schema_version = 2", "choices: 1"),
        ("[person.max_block_sizes]", "[person.block_sizes]", "block_sizes"),
        ("schema_version = 1", "schema_version = ", "not TOML"),
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
