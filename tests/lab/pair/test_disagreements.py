# SPDX-License-Identifier: BSD-3-Clause
"""What the model does not allow of a point, what a run left untried, and doorbells in a word.

Bit b rings slot b + 2 in either direction: drivers that agree on another one are a finding. To
recordings of the real pair a test adds the doorbell words, or the interrupts, that drivers with
other slots would have shown: the rest of what such a pair does looks right.
"""

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_recordings import DATA, evaluated, load, pair_result
from rendered import rendered

from ntbbench.lab.pair import points as evaluating
from ntbbench.lab.pair.disagreements import UNPROBED, not_exercised
from ntbbench.lab.pair.point_files import RecordedPoint
from ntbbench.lab.pair.points import evaluate
from ntbbench.lab.pair.predict import measured_verdict, telling
from ntbbench.lab.pair.records import OK, UNAVAILABLE, PairPoint, PairResult
from ntbbench.lab.pair.ring_trace_file import PairTrace, Wake

RING = re.compile(r"(?P<before>.*): peer_db_set: \(ntb_epf.* bits=(?P<bits>0x[0-9a-f]+)\n")
POLL = re.compile(r"(?P<before>.*): poll: .*\n")
Slots = Callable[[int], set[int]]  # of a doorbell bit
APART, BURST = "rc-to-ep-f4-n5-g2000", "rc-to-ep-f4-n12-g0"
SERVED = set(range(2, 8))


def polled(lines: list[str], slots: Slots, served: set[int]) -> Iterator[str]:
    """Yield a trace with the doorbell words after each ring and each poll."""
    held: set[int] = set()

    def words() -> str:
        return ",".join(hex((slot + 1) * (slot in held)) for slot in range(32))

    for line in lines:
        yield line
        if ring := RING.match(line):
            held |= slots(int(ring["bits"], 16).bit_length() - 1)
            yield f"{ring['before']}: rung: (f <- ntb_epf_peer_db_set) slots={{{words()}}}\n"
        elif poll := POLL.match(line):
            held -= served
            yield f"{poll['before']}: served: (f <- epf_ntb_cmd_handler) slots={{{words()}}}\n"


def interrupting(lines: list[str], slots: Slots, _served: set[int]) -> Iterator[str]:
    """Yield a trace with the interrupt of each slot."""
    for line in lines:
        yield line
        if ring := RING.match(line):
            for slot in sorted(slots(int(ring["bits"], 16).bit_length() - 1)):
                yield f"{ring['before']}: slot: (epc_loop_rung+0x0/0x10 [epc_loop]) slot={slot}\n"


SHOWN = {"after-after": polled, "before-before": polled, "after-after-msi": interrupting}


def with_slots(
    tmp_path: Path, boot: str, slots: Slots, served: set[int] = SERVED
) -> list[PairPoint]:
    """Return the points towards the endpoint of a recording that shows these slots."""
    folder = shutil.copytree(DATA / boot, tmp_path / boot)
    for path in folder.glob("rc-to-ep-*/trace"):
        lines = [
            line
            for line in path.read_text().splitlines(keepends=True)
            if not line.startswith("# entries")
        ]
        path.write_text("".join(SHOWN[boot](lines, slots, served)))
    return [point for point in evaluate(load(folder)) if point.direction == "rc-to-ep"]


@pytest.mark.parametrize("boot", list(SHOWN))
def test_the_slots_of_every_version_agree(tmp_path: Path, boot: str) -> None:
    for point in with_slots(tmp_path, boot, lambda bit: {bit + 2}):
        assert point.agrees, point.notes
        assert point.slots_per_bit == {str(bit): [bit + 2] for bit in range(4)}
        assert set(point.slots_per_number) == {"2", "3", "4", "5"}


@pytest.mark.parametrize("boot", list(SHOWN))
@pytest.mark.parametrize("shift", [-1, 1])
def test_a_pair_that_moved_both_sides_does_not(tmp_path: Path, boot: str, shift: int) -> None:
    """Nothing else differs: they get on with each other, and with no peer of another version."""
    served = {slot + shift for slot in SERVED}
    points = with_slots(tmp_path, boot, lambda bit: {bit + 2 + shift}, served)
    assert len(points) == 2
    for point in points:
        assert not point.agrees
        assert point.slots_per_bit == {str(bit): [bit + 2 + shift] for bit in range(4)}
        first = "slot 1 (reserved)" if shift < 0 else "slot 3"
        told = [
            f"doorbell bit {bit} rang {first if not bit else f'slot {bit + 2 + shift}'}; "
            f"slot {bit + 2} is expected, by peers of any version"
            for bit in range(4)
        ]
        assert point.notes[:4] == told


@pytest.mark.parametrize(
    ("boot", "slots", "told"),
    [
        # as many doorbells come to either slot as of any version
        ("after-after-msi", [{3}, {2}, {4}, {5}], ["0 rang slot 3", "1 rang slot 2"]),
        ("after-after", [{bit + 2, 7} for bit in range(4)], ["0 rang slot 2, slot 7"]),
        ("after-after", [set(), {3}, {4}, {5}], ["0: {0} of {0} came to no slot"]),
    ],
)
def test_bits_with_other_slots_do_not(tmp_path, boot, slots, told) -> None:
    for point in with_slots(tmp_path, boot, slots.__getitem__):
        assert not point.agrees
        assert point.slots_per_bit.get("0", []) == sorted(slots[0])
        for bit, (note, words) in enumerate(zip(point.notes, told, strict=False)):
            rang = words.format(point.doorbells_per_qp[0])
            wanted = f"slot {bit + 2} is expected, by peers of any version"
            assert note == f"doorbell bit {rang}; {wanted}"


def test_a_slot_beyond_the_endpoints_is_lost_as_of_any_version(tmp_path: Path) -> None:
    """db_count 3 has one doorbell slot: the ring of bit 1 writes nothing, and the model says so."""
    folder = shutil.copytree(DATA / "before-after-slots-3", tmp_path / "boot")
    (path,) = folder.glob("rc-to-ep-*/trace")
    lines = [line for line in path.read_text().splitlines(True) if "# entries" not in line]
    path.write_text("".join(polled(lines, lambda bit: set() if bit else {2}, SERVED)))
    (point,) = [point for point in evaluate(load(folder)) if point.direction == "rc-to-ep"]
    assert point.doorbells_per_qp[1] and "1" not in point.slots_per_bit
    assert point.agrees and point.verdict == "missed"


@pytest.mark.parametrize("boot", ["after-after", "before-before"])
def test_an_msi_is_a_slot_towards_the_root_complex(tmp_path: Path, boot: str) -> None:
    for point in evaluated(boot):
        if point.direction == "ep-to-rc" and point.gap_us:
            assert point.slots_per_bit == {str(bit): [bit + 2] for bit in range(4)}
    folder = shutil.copytree(DATA / boot, tmp_path / boot)
    swap = {"3": "4", "4": "3"}
    for path in folder.glob("ep-to-rc-*/trace"):
        text = path.read_text()
        path.write_text(re.sub(r"\bmsi=([34])\n", lambda found: f"msi={swap[found[1]]}\n", text))
    (point,) = [p for p in evaluate(load(folder)) if p.direction == "ep-to-rc" and p.gap_us]
    assert not point.agrees and point.msis_per_number == point.predicted_msis_per_number
    assert point.notes == [
        "doorbell bit 0 rang slot 3 (MSI 4); slot 2 (MSI 3) is expected, by peers of any version",
        "doorbell bit 1 rang slot 2 (MSI 3); slot 3 (MSI 4) is expected, by peers of any version",
    ]


def shifted(tmp_path: Path) -> PairResult:
    points = with_slots(tmp_path, "after-after", lambda bit: {bit + 1}, set(range(1, 7)))
    return msgspec.structs.replace(pair_result(), points=points)


def test_every_format_tells_which_bit_rang_which_slot(tmp_path: Path) -> None:
    result = shifted(tmp_path)
    told = "doorbell bit 0 rang slot 1 (reserved); slot 2 is expected, by peers of any version"
    for name in ("text", "md", "html", "json"):
        assert told in " ".join(rendered(result, name).replace("&#x27;", "'").split())
    text = " ".join(rendered(result, "text").split())
    assert "slots by doorbell bit: 0: 1, 1: 2, 2: 3, 3: 4 (expected 0: 2, 1: 3, 2: 4, 3: 5)" in text
    assert f"doorbells by slot: 1: {result.points[0].slots_per_number['1']}, 2: " in text
    (row, *_) = csv.DictReader(io.StringIO(rendered(result, "csv")))
    assert row["slots_per_bit"] == "0:1 1:2 2:3 3:4"
    assert row["slots_per_number"].split()[0].startswith("1:")
    right = rendered(pair_result("before-before"), "text")
    assert "slots by doorbell bit: 0: 2, 1: 3, 2: 4, 3: 5 (as expected)" in " ".join(right.split())


def apart(boot: str) -> list[PairPoint]:
    return [point for point in evaluated(boot) if point.gap_us or point.link == "down"]


def changed(points: list[PairPoint], **fields: Any) -> list[PairPoint]:
    return [msgspec.structs.replace(point, **fields) for point in points]


# Four QPs, eight slots, both directions, polled, and the slots seen, which that lab did not.
AFTER = changed(apart("after-after"), slots_per_number={"2": 5, "3": 5, "4": 5, "5": 5})
BITS, MEET = "doorbell bits 4-5 that no QP has (--queues)", "doorbells that meet (--gap 0)"
MODES = "the endpoint's doorbell modes msi and embedded (--doorbell)"
TO_RC, TO_EP = AFTER


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (AFTER, [BITS, MEET, MODES]),
        ([TO_RC], ["doorbells towards the endpoint (--direction rc-to-ep)", BITS, MEET]),
        ([TO_EP], ["doorbells towards the root complex (--direction ep-to-rc)", BITS, MEET, MODES]),
        (changed(AFTER, ep_slots=6), [MEET, MODES]),
        (changed(AFTER, ep_slots=7), ["doorbell bit 4 that no QP has (--queues)", MEET, MODES]),
        (
            [*AFTER, *changed(AFTER, ep_slots=9)],
            ["doorbell bits that no QP has (--queues)", MEET, MODES],
        ),
        (
            [TO_RC, *changed([TO_EP], doorbells_per_qp=[5, 0, 5, 0])],
            ["rc-to-ep: the doorbell of QP 1, 3 (--flows)", BITS, MEET, MODES],
        ),
        (changed(AFTER, gap_us=0), [BITS, "doorbells that do not meet (--gap)", MODES]),
        ([TO_RC, *changed([TO_EP], gap_us=0)], [BITS, MODES]),
        (
            [*AFTER, *changed(AFTER, doorbell="msi"), *changed(AFTER, doorbell="embedded")],
            [BITS, MEET],
        ),
        (
            changed(AFTER, slots_per_number={}),
            [
                "ep-to-rc: which slots its doorbells rang",
                "rc-to-ep: which slots its doorbells rang",
                *(BITS, MEET, MODES),
            ],
        ),
        (changed(AFTER, status=UNAVAILABLE), []),
        ([], []),
    ],
)
def test_what_is_left(points: list[PairPoint], told: list[str]) -> None:
    assert not_exercised(points, probed=True) == told
    unasked = [UNPROBED] if any(point.status == OK for point in points) else []
    assert not_exercised(points, probed=False) == told + unasked


def test_a_link_that_is_down_exercises_no_doorbell() -> None:
    told = not_exercised(apart("after-after-slots-4"), probed=True)
    assert told[:2] == [
        "doorbells ep-to-rc where the link is down",
        "doorbells rc-to-ep where the link is down",
    ]


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
