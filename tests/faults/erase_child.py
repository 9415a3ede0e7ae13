"""A process that erases one person and may be killed on the way."""

from pathlib import Path

from pay_ready.pipeline.erase.run import erase
from pay_ready.pipeline.subject import Subject
from tests.conftest import Scratch
from tests.erasure_support import EMAIL, opened_estate


def erase_once(folder: Path, scratch: Scratch) -> None:
    """Erase by a pool of its own."""
    with opened_estate(scratch, folder) as estate, estate.app.eraser("acme") as eraser:
        erase(eraser, Subject(kind="email", value=EMAIL), reason="request 1")
