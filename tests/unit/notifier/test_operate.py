"""The operators' commands of the notifier."""

import subprocess
import sys
from pathlib import Path


def test_an_output_that_is_full_is_named_in_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "notifier.operate", "--help"]
        completed = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert completed.returncode == 1
    assert completed.stderr == "error: standard output: No space left on device\n"
