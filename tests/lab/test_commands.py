# SPDX-License-Identifier: BSD-3-Clause
"""Programs that the lab runs: what they say, and that their own children end with them."""

import subprocess
import time
from pathlib import Path

import pytest

from ntbbench.lab.commands import Output, run


def alive(pid: int) -> bool:
    """Return whether process `pid` runs; one that waits for its parent's wait() does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_the_children_of_a_program_end_with_it(tmp_path: Path) -> None:
    """As make's compilers do: they are no children of ours, and would write on."""
    with pytest.raises(subprocess.TimeoutExpired):
        run(["sh", "-c", "sleep 300 & echo $! > pid; wait"], cwd=tmp_path, timeout=1)
    child = int((tmp_path / "pid").read_text())
    patience = time.monotonic() + 10
    while alive(child):
        assert time.monotonic() < patience, "still running"
        time.sleep(0.01)


def test_what_a_program_said_and_read() -> None:
    output = run(["sh", "-c", "cat; echo why >&2; echo >&2; exit 3"], stdin="in")
    assert (output.status, output.stdout, output.last_words) == (3, "in", "why")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "E: Failed to fetch http://x/InRelease  Could not connect to 127.0.0.1:9 (refused)\n"
            "E: Some index files failed to download. They have been ignored.\n",
            "E: Failed to fetch http://x/InRelease  Could not connect to 127.0.0.1:9 (refused)",
        ),
        (
            "tar: ./usr/x: Cannot write: No space left on device\n"
            "dpkg-deb: error: tar subprocess returned error exit status 2\n",
            "tar: ./usr/x: Cannot write: No space left on device",
        ),
    ],
)
def test_the_cause_goes_before_the_last_line(said: str, cause: str) -> None:
    """What apt-get prints without a network, and dpkg-deb on a full disk."""
    assert Output(100, "", said).last_words == cause
