"""What several end-to-end tests share."""

from pathlib import Path

import pytest

from tests.conftest import Server
from tests.demo_support import DemoRuns, demo_runs


@pytest.fixture(scope="session")
def demo(server: Server, template: str, run_folder: Path) -> DemoRuns:
    """The demo, run twice."""
    return demo_runs(server, template, run_folder)
