# SPDX-License-Identifier: BSD-3-Clause
"""A capture on a host: its script comes by stdin, for no server takes commands of any length."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from ntbbench.board.hosts import LocalHost, Running
from ntbbench.board.one_run.measure import Capture, captured

COMMAND_MAX = 9000  # dropbear 2025.89, src/sysoptions.h: MAX_CMD_LEN


class Counting(LocalHost):
    """This machine, and how long its longest command was."""

    longest = 0

    def launch(self, words: Sequence[str], first: bytes = b"") -> Running:
        self.longest = max(self.longest, len(shlex.join(words)))
        return super().launch(words, first)


def test_a_capture_runs_where_commands_are_short(tmp_path: Path) -> None:
    host = Counting("rc", "", ())
    place = tmp_path / "board"
    place.mkdir()
    capture = Capture(tmp_path / "here", traced=False, place=str(place))
    with captured({"rc": host}, lambda: False, capture) as fetch:
        fetch(capture.folder)
    assert (capture.folder / "rc" / "after-interrupts").stat().st_size > 0
    assert "trace" not in (capture.folder / "rc" / "capture").read_text()
    assert not (capture.folder / "rc" / "trace").exists()
    assert 0 < host.longest < COMMAND_MAX


def test_a_program_that_reads_nothing_is_told_by_its_exit_code() -> None:
    running = LocalHost("rc", "", ()).launch(["/bin/sh", "-c", "exit 3"], b"x" * (1 << 20))
    while (done := running.poll()) is None:
        pass
    assert done.code == 3
