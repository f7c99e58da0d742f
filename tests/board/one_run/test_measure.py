# SPDX-License-Identifier: BSD-3-Clause
"""What the captures of a run say: recordings of Linux 6.12 with a driver of four QPs."""

from pathlib import Path

import pytest

from ntbbench.board.one_run.measure import doorbells
from ntbbench.board.settings import BoardSide

DATA = Path(__file__).parents[2] / "data" / "linux-6.12-ntb-loop"


@pytest.mark.parametrize(
    ("folder", "woken", "runs"),
    [("fallback-four-qps", 4.0, 5.0), ("per-vector-four-qps", 1.0, 2.0)],
)
def test_a_trace_tells_whom_doorbells_wake_and_how_long_they_wait(
    folder: str, woken: float, runs: float
) -> None:
    cautions: list[str] = []
    found = doorbells(DATA / folder, BoardSide(), {"rx_packets": 100.0}, cautions)
    assert cautions == []
    told = {one.name: one.value for one in found}
    assert len(told) == len(found)
    assert (told["effective amplification"], told["amplification"]) == (woken, runs)
    assert 1e-6 < told["doorbell to run p50"] < told["doorbell to run p99"] < 1e-3


def test_a_side_without_a_capture_tells_nothing(tmp_path: Path) -> None:
    assert doorbells(tmp_path / "none", BoardSide(), {"rx_packets": 100.0}, []) == []
