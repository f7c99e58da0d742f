# SPDX-License-Identifier: BSD-3-Clause
"""What became of the pair's doorbells, in a word: as measured, and where nothing tells."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_recordings import DATA, load

from ntbbench.lab.pair import points as evaluating
from ntbbench.lab.pair.point_files import RecordedPoint
from ntbbench.lab.pair.points import evaluate
from ntbbench.lab.pair.predict import measured_verdict, telling
from ntbbench.lab.pair.ring_trace_file import PairTrace, Wake

QPS = st.frozensets(st.integers(0, 3), min_size=1)
WAKES = st.lists(st.builds(Wake, rung=QPS, ran=QPS.map(set), events=st.just(1)), min_size=1)


@given(WAKES)
def test_verdicts_of_wakes(wakes: list[Wake]) -> None:
    verdict = measured_verdict(PairTrace(wakes=wakes), 4)
    woken = [wake.rung <= wake.ran for wake in wakes]
    assert (verdict in ("missed", "misrouted")) == (not all(woken))
    if all(woken):
        telling = [wake for wake in wakes if len(wake.rung) < 4]
        exact = all(wake.rung == wake.ran for wake in telling)
        assert verdict == (("per-vector" if exact else "fallback") if telling else "works")


def test_a_doubtful_wake_tells_nothing() -> None:
    missed = Wake(rung={0}, doubtful=True)
    served, other = Wake(rung={0}, ran={0}), Wake(rung={1}, ran={1}, doubtful=True)
    assert measured_verdict(PairTrace(wakes=[missed]), 2) == ""
    assert measured_verdict(PairTrace(wakes=[missed, served]), 2) == "per-vector"
    assert measured_verdict(PairTrace(wakes=[served, other]), 2) == ""  # bit 1 might be missed
    assert measured_verdict(PairTrace(), 2) == ""


ALONE, MET = Wake(rung={0}, ran={0}), Wake(rung={0, 1}, ran={0, 1})


@pytest.mark.parametrize(
    ("measured", "predicted", "wakes", "told"),
    [
        ("works", "missed", [MET], ""),
        ("works", "misrouted", [MET], ""),
        ("fallback", "missed", [MET, ALONE], ""),
        ("works", "missed", [ALONE], "works"),
        ("fallback", "missed", [MET, ALONE, Wake(rung={1}, ran={1})], "fallback"),
        ("works", "per-vector", [MET], "works"),
        ("missed", "misrouted", [MET], "missed"),
    ],
)
def test_doorbells_that_always_met_tell_nothing_of_lost_ones(
    measured: str, predicted: str, wakes: list[Wake], told: str
) -> None:
    assert telling(measured, predicted, PairTrace(wakes=wakes)) == told


def test_a_point_whose_lost_doorbells_met_others_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = load(DATA / "before-after-slots-3")
    (missed,) = [point for point in evaluate(recordings) if point.predicted_verdict == "missed"]
    assert missed.agrees and missed.verdict == "missed"
    monkeypatch.setattr(evaluating, "measured_verdict", lambda _trace, _qps: "works")
    read = evaluating.read_point_folder

    def met(*arguments: Any, **options: Any) -> RecordedPoint:
        recorded = read(*arguments, **options)
        recorded.trace.wakes[:] = [MET]
        return recorded

    monkeypatch.setattr(evaluating, "read_point_folder", met)
    (hidden,) = [point for point in evaluate(recordings) if point.predicted_verdict == "missed"]
    assert hidden.agrees and hidden.verdict == ""
