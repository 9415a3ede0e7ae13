"""A process that erases one person and may be killed on the way: erase_child.py FOLDER APP_URL ADMIN_URL ERASURE_URL."""

import sys
from pathlib import Path

from pay_ready.pipeline.erase.run import erase
from pay_ready.pipeline.subject import Subject
from tests.conftest import Scratch
from tests.erasure_support import EMAIL, opened_estate


def main(folder: str, app_url: str, admin_url: str, erasure_url: str) -> None:
    """Erase once."""
    scratch = Scratch(app_url=app_url, admin_url=admin_url, erasure_url=erasure_url)
    with opened_estate(scratch, Path(folder)) as estate, estate.app.eraser("acme") as eraser:
        erase(eraser, Subject(kind="email", value=EMAIL), reason="request 1")


if __name__ == "__main__":
    main(*sys.argv[1:])
