"""A fork while other threads use the hot tier, or hold its lock, leaves a child that starts empty and works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHILDREN = 200 if os.environ.get("PAY_READY_TEST_DEEP") == "1" else 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_starts_empty_and_is_not_stuck() -> None:
    """In a process of its own, with three busy threads and one that holds a lock for ever: no child waits for a lock of its parent."""
    script = Path(__file__).with_name("hot_fork_child.py")
    done = subprocess.run([sys.executable, str(script), str(CHILDREN)], capture_output=True, text=True, check=False, timeout=240)
    assert done.stdout.split() == ["ok", str(CHILDREN)], done.stderr
