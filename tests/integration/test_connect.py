"""What keeps a connection from coming about is said at once, in a line, without the password."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from pay_ready.db.connect import connected
from pay_ready.db.migrate import migrate
from pay_ready.errors import ConfigError, DeniedError, PayReadyError, TransientError
from tests.conftest import Scratch, on_database

SETTING = "PAY_READY_DATABASE_URL"


def refused(url: str, kind: type[PayReadyError]) -> str:
    """The error of a URL that leads nowhere."""
    with pytest.raises(kind) as caught, connected(url, variable=SETTING):
        pass
    assert SETTING in str(caught.value)
    return str(caught.value)


def test_nobody_answers() -> None:
    """A dead port and an unknown host: retry later, with the reason, and no password."""
    said = refused("postgresql://u:canary@127.0.0.1:1/db", TransientError)  # pragma: allowlist secret
    assert "refused" in said
    assert "canary" not in said
    assert "canary" not in refused("postgresql://u:canary@nowhere.invalid/db", TransientError)  # pragma: allowlist secret


@pytest.mark.parametrize("url", ["nonsense", "http://host/db"])
def test_no_url(url: str) -> None:
    """What is no URL is a setting to mend, with an example."""
    assert "postgresql://user:password@host:5432/database" in refused(url, ConfigError)  # pragma: allowlist secret


def test_no_such_database_and_wrong_password(scratch: Scratch) -> None:
    """The first is a setting to mend, the second a refusal."""
    assert "does not exist" in refused(on_database(scratch.app_url, "no_such_database"), ConfigError)
    parts = urlsplit(scratch.app_url)
    wrong = urlunsplit(parts._replace(netloc=f"{parts.username}:wrong-canary@"))
    assert "wrong-canary" not in refused(wrong, DeniedError)


def test_a_failing_migration_names_its_file(empty_database: Scratch, tmp_path: Path) -> None:
    """File and the server's words; nothing of it is kept."""
    (tmp_path / "0001_ground.sql").write_text("create schema if not exists pay_ready; select 1 / 0;")
    with pytest.raises(PayReadyError, match=r"division by zero - file=0001_ground\.sql"):
        migrate(empty_database.admin_url, folder=tmp_path)
    with connected(empty_database.admin_url, variable=SETTING) as connection:
        assert connection.execute("select to_regnamespace('pay_ready')").fetchone() == (None,)
