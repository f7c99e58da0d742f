# SPDX-License-Identifier: BSD-3-Clause
"""Two captures against each other: exact where exact, else bounds that must not overlap."""

import json
import math
from pathlib import Path

import pytest
from captures import PCI, TOOLS, ZERO, capture, set_counters
from hypothesis import given
from hypothesis import strategies as st
from recordings import LOOP_612

from ntbbench.cli.main import main
from ntbbench.compare.bounded import compare_counts
from ntbbench.compare.pairing import Match
from ntbbench.compare.policy import Policy
from ntbbench.compare.readers.detect import load_variant
from ntbbench.compare.series import Series

SLOTS = [[1, 0], [0, 0], [40, 0], [40, 0], [40, 0], [30, 10]]
FALLBACK, PER_VECTOR = LOOP_612 / "fallback-four-qps", LOOP_612 / "per-vector-four-qps"


def judged(capsys, *words: Path | str, command: str = "compare") -> tuple[int, dict[str, dict]]:
    code = main([command, *map(str, words), "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    return code, {one["metric"]: one for one in found["comparisons"]}


def test_a_patch_is_seen_in_two_recordings_of_the_real_kernel(capsys) -> None:
    code, found = judged(capsys, FALLBACK, PER_VECTOR, command="gate")
    assert code == 0
    wakeups = found["doorbell wakeups per interrupt"]
    assert (wakeups["base_value"], wakeups["candidate_value"]) == (4.0, 1.0)
    assert wakeups["verdict"] == "improved"
    runs = found["runs per packet"]
    assert (runs["base_value"], runs["candidate_value"]) == ("5..5.05", "2..2.05")
    assert (runs["verdict"], runs["reason"]) == ("improved", "the bounds do not overlap")
    assert (runs["ratio_low"], runs["ratio_high"]) == (2 / 5.05, 2.05 / 5)
    assert found["doorbell interrupts"]["verdict"] == "equivalent"


def test_the_runs_of_a_qp_stand_below_its_whole_name(capsys) -> None:
    assert main(["compare", str(FALLBACK), str(PER_VECTOR)]) == 0
    assert "  0000:00:04.0 QP 0" in capsys.readouterr().out.splitlines()
    _, found = judged(capsys, FALLBACK, PER_VECTOR)
    assert {"0000:00:04.0 QP 0:runs", "0000:00:04.0 QP 3:runs"} < found.keys()


def test_gate_fails_the_other_way_round(capsys) -> None:
    code, found = judged(capsys, PER_VECTOR, FALLBACK, command="gate")
    assert code == 1
    assert found["runs per packet"]["verdict"] == "regressed"


def test_equal_bounds_are_no_equal_numbers(capsys) -> None:
    code, found = judged(capsys, FALLBACK, FALLBACK, command="gate")
    assert code == 0
    assert found["runs"]["verdict"] == "inconclusive"
    assert found["runs"]["reason"] == "the bounds overlap"
    assert found["runs per interrupt"]["verdict"] == "equivalent"  # exact, by the trace


def test_another_load_is_no_finding_and_costs_compare_by_packet(tmp_path: Path, capsys) -> None:
    """Twice the packets with three times the runs is worse; twice of both is not."""
    base, double, worse = (capture(tmp_path / name, ZERO, SLOTS) for name in "abc")
    before = {"rx_pkts": 1000, "rx_ring_empty": 1000, "rx_max_entry": 255}
    for folder, packets, runs in ((base, 100, 100), (double, 200, 200), (worse, 200, 300)):
        for qp_num in range(4):
            grown = {"rx_pkts": 1000 + packets, "rx_ring_empty": 1000 + runs, "rx_max_entry": 255}
            set_counters(folder / "before-stats" / PCI / f"qp{qp_num}", **before)
            set_counters(folder / "after-stats" / PCI / f"qp{qp_num}", **grown)
    _, found = judged(capsys, base, double)
    assert found["packets received"]["reason"].startswith("another load")
    assert found["runs"]["verdict"] == "inconclusive"
    assert found["runs per packet"]["verdict"] == "equivalent"
    code, found = judged(capsys, base, worse, command="gate")
    assert code == 1
    assert found["runs per packet"]["verdict"] == "regressed"
    assert found["packets received"]["verdict"] == "inconclusive"


def test_other_durations_and_commands_are_told(tmp_path: Path, capsys) -> None:
    for name, seconds, command in (("a", "10.02", "iperf3 -P 1"), ("b", "20.01", "iperf3 -P 4")):
        folder = capture(tmp_path / name, ZERO, SLOTS)
        lines = f"ntbbench.capture/1\ncommand={command}\nelapsed={seconds}\nexit=0\n"
        (folder / "capture").write_text(lines)
        (folder / "stdout").write_text((TOOLS / "iperf3-tcp.json").read_text())
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    notes = " ".join(found["environment"]["notes"])
    assert "10 s" in notes
    assert "20 s" in notes
    assert "iperf3 -P 4" in notes
    (rate,) = (c for c in found["comparisons"] if c["kind"] == "noisy")
    assert rate["verdict"] == "inconclusive"  # one run a side


def test_a_damaged_capture_is_refused(tmp_path: Path, capsys) -> None:
    folder = capture(tmp_path / "a", ZERO, SLOTS)
    (folder / "after-stats" / PCI / "qp0").write_text("NTB QP stats:\nrx_bytes - 1")
    assert main(["compare", str(folder), str(FALLBACK)]) == 2
    assert "a whole capture" in capsys.readouterr().err


def test_a_capture_without_ntb_is_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "c").mkdir()
    for when in ("before", "after"):
        text = (TOOLS / "snapshots" / f"{when}-interrupts").read_text()
        (tmp_path / "c" / f"{when}-interrupts").write_text(text)
    assert main(["compare", str(tmp_path / "c"), str(FALLBACK)]) == 2
    assert "a capture with NTB" in capsys.readouterr().err


def test_what_is_not_known_is_not_compared(tmp_path: Path) -> None:
    folder = capture(tmp_path / "a", ZERO, SLOTS)
    (folder / "before-stats" / PCI / "qp1").write_text("")
    variant = load_variant(str(folder))
    assert set(variant.unknown) >= {"runs", f"{PCI} QP 1:runs"}
    assert "runs per packet" not in variant.series


def test_no_output_writes_over_a_capture(tmp_path: Path, capsys) -> None:
    folder = capture(tmp_path / "a", ZERO, SLOTS)
    page = folder / "after-interrupts"
    assert main(["compare", str(folder), str(FALLBACK), "--html", str(page)]) == 2
    assert "after-interrupts" in capsys.readouterr().err


ends = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted).map(tuple)


@given(base=ends, candidate=ends, better=st.sampled_from(["lower", "higher", "none"]))
def test_a_change_is_one_whatever_the_numbers_within_the_bounds_are(base, candidate, better):
    left, right = (
        Series(metric="m", kind="exact", better=better, value=low,
               bounds=None if low == high else (low, high))
        for low, high in (base, candidate)
    )  # fmt: skip
    found = compare_counts(
        Match(metric="m", base_label="a", candidate_label="b", base=left, candidate=right), Policy()
    )
    verdicts = {
        _verdict(x, y, better)
        for x in range(base[0], base[1] + 1)
        for y in range(candidate[0], candidate[1] + 1)
    }
    expected = verdicts.pop() if len(verdicts) == 1 else "inconclusive"
    assert found.verdict == expected
    for x in {*base} - {0}:
        for y in candidate:
            low = -math.inf if found.ratio_low is None else found.ratio_low
            high = math.inf if found.ratio_high is None else found.ratio_high
            assert low <= y / x <= high


def _verdict(base: int, candidate: int, better: str) -> str:
    if base == candidate:
        return "equivalent"
    gained = candidate < base if better == "lower" else candidate > base
    return "improved" if gained and better != "none" else "regressed"


@pytest.mark.parametrize("high", [None, 9])
def test_without_an_upper_bound_no_change_upward_can_be_denied(high) -> None:
    left = Series(metric="m", kind="exact", better="lower", value=5, bounds=(5, high))
    right = Series(metric="m", kind="exact", better="lower", value=7)
    found = compare_counts(
        Match(metric="m", base_label="a", candidate_label="b", base=left, candidate=right), Policy()
    )
    assert found.verdict == "inconclusive"
    assert found.base_value == ("5..9" if high else ">=5")
