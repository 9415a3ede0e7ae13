"""Where `sql/`, `config/` and `flows/` are: inside the installed package, or beside it in a checkout."""

from pathlib import Path

from pay_ready.errors import ConfigError

_PACKAGE = Path(__file__).parent


def resource_path(*parts: str) -> Path:
    """The path of a shipped file or folder, for example `resource_path("sql", "migrations")`.

    Raises:
        ConfigError: The installation is incomplete.
    """
    for root in (_PACKAGE, _PACKAGE.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise ConfigError("a file of the installation is missing", "install pay_ready again", file="/".join(parts))
