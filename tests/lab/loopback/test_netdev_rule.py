# SPDX-License-Identifier: BSD-3-Clause
"""Flows over ntb_netdev without a guest: what counters show, and in which words."""

import csv
import io
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from netdev_flows import (
    FAST,
    FAST_RUNS,
    GAP,
    IN_BOUNDS,
    SPACED,
    SPACED_RUNS,
    counters,
    point,
    result,
)

from ntbbench.lab.lab_errors import GuestError
from ntbbench.lab.loopback.netdev_flows import evaluate
from ntbbench.lab.loopback.netdev_rule import likely_cause, predicted_runs, run_bounds
from ntbbench.report.lab_netdev import FORMATS

NOT_UNDER = "the doorbell callback scheduled a QP whose bit is not under its vector"


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_spaced_point_that_disagrees_prints_its_difference_and_the_likely_cause(
    tmp_path: Path,
) -> None:
    one = point(tmp_path, 16, GAP, SPACED, SPACED_RUNS)
    assert (one.agrees, one.checked) == (False, "exact")
    assert one.difference_per_qp == [60, 50, 30, 20]
    text = words(FORMATS["text"](result(one)))
    assert "vectors-16-spaced: DISAGREES" in text
    assert "difference by QP: +60, +50, +30, +20 (all: +160)" in text
    assert f"likely cause: 1 run a doorbell more, not of the QP that rang: {NOT_UNDER}" in text
    assert NOT_UNDER in FORMATS["md"](result(one))


def test_a_fast_point_is_counted_apart_and_not_called_predicted(tmp_path: Path) -> None:
    """Nearly three runs an event where the spaced ones are two: some order of doorbells may."""
    spaced = point(tmp_path, 16, GAP, SPACED, predicted_runs(SPACED, 16))
    fast = point(tmp_path, 16, 0, FAST, IN_BOUNDS)
    assert (fast.agrees, fast.checked, fast.predicted_runs_per_qp) == (True, "bounds", None)
    for style in ("text", "md"):
        text = words(FORMATS[style](result(spaced, fast)))
        assert "the model agrees in 1 of 1 spaced point" in text
        assert "1 of 1 fast in bounds, their runs not predicted" in text
        assert "as it must be" not in text
    text = FORMATS["text"](result(spaced, fast))
    assert "vectors-16-fast: no packet lost, runs in bounds (not predicted" in text
    assert text.isascii() and max(map(len, text.splitlines())) <= 80


def test_a_fast_point_beyond_every_order_or_with_a_lost_packet_disagrees(tmp_path: Path) -> None:
    beyond = point(tmp_path, 16, 0, FAST, FAST_RUNS)
    (note,) = beyond.notes
    assert note == "runs of QP 1: 2200; any order of these doorbells gives 1 .. 1819"
    lost = point(tmp_path, 0, 0, FAST, [3800] * 4, lost=2)
    assert lost.notes == ["3200 packets sent, 3200 doorbells, 3198 received"]
    assert not beyond.agrees and not lost.agrees


@pytest.mark.parametrize(
    ("doorbells", "runs", "vectors", "told"),
    [
        (SPACED, SPACED_RUNS, 16, NOT_UNDER),
        (SPACED, predicted_runs(SPACED, 0), 16, "as without vector callbacks"),
        (SPACED, [150, 90, 60, 180], 16, "1 run a packet more of its own QP"),
        ([40] * 4, [120] * 4, 16, "or the doorbell callback schedules 1 QP too many"),
        (SPACED, SPACED, 16, "1 run a packet fewer of its own QP"),
        (SPACED, [80, 60, 40, 120], 16, "skipped a QP under its vector"),
        (SPACED, [101, 60, 40, 120], 16, "no single cause"),
        ([40, 0], [80, 3], 16, "no single cause"),
    ],
)
def test_likely_causes(doorbells: list[int], runs: list[int], vectors: int, told: str) -> None:
    assert told in likely_cause(doorbells, runs, vectors)


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=14), st.integers(0, 16))
def test_the_prediction_lies_within_the_bounds(doorbells: list[int], vectors: int) -> None:
    least, most = run_bounds(doorbells, doorbells, vectors, 31)
    for low, runs, high in zip(least, predicted_runs(doorbells, vectors), most, strict=True):
        assert low <= runs <= high


def test_no_link_is_told(tmp_path: Path) -> None:
    folder = counters(tmp_path / "r", [4], [8])
    for path in folder.glob("*-stats/*/qp0"):
        path.write_text("")
    with pytest.raises(GuestError, match="flows x: no QP of the receiving port has a link"):
        evaluate(folder, "x", 16, GAP, flows=1)


def test_text_names_the_tree_and_the_cautions(tmp_path: Path) -> None:
    one = point(tmp_path, 16, GAP, SPACED, predicted_runs(SPACED, 16))
    text = FORMATS["text"](result(one, warnings=("gave 1 of the 4 queues asked for",)))
    assert "its NTB files from --source /home/me/linux" in words(text)
    assert "caution: gave 1 of the 4 queues asked for" in text
    own = msgspec.structs.replace(result(one), source_tree="")
    assert "--source" not in FORMATS["text"](own)


def test_csv_has_a_row_a_qp(tmp_path: Path) -> None:
    both = result(
        point(tmp_path, 16, GAP, SPACED, SPACED_RUNS), point(tmp_path, 16, 0, FAST, FAST_RUNS)
    )
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](both))))
    assert [row["difference"] for row in rows] == ["60", "50", "30", "20", "", "", "", ""]
    assert [row["most_runs"] for row in rows[4:]] == ["3032", "1819", "2425", "2425"]
