# SPDX-License-Identifier: BSD-3-Clause
"""Bit b rings slot b + 2 in either direction: drivers that agree on another one are a finding.

Recordings of the real pair, to which a test adds the doorbell words, or the interrupts, that
drivers with other slots would have shown: the rest of what such a pair does looks right.
"""

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from pair_recordings import DATA, evaluated, load, pair_result
from rendered import rendered

from ntbbench.lab.pair.points import evaluate
from ntbbench.lab.pair.records import PairPoint, PairResult

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
    folder = tmp_path / boot
    shutil.copytree(DATA / boot, folder)
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


def test_two_bits_that_changed_their_slots_do_not(tmp_path: Path) -> None:
    """As many doorbells come to either slot as of any version."""
    swapped = {0: {3}, 1: {2}, 2: {4}, 3: {5}}
    for point in with_slots(tmp_path, "after-after-msi", swapped.__getitem__):
        right = {point.slots_per_number[slot] for slot in ("2", "3", "4", "5")}
        assert len(right) == 1 and not point.agrees
        assert point.notes[:2] == [
            "doorbell bit 0 rang slot 3; slot 2 is expected, by peers of any version",
            "doorbell bit 1 rang slot 2; slot 3 is expected, by peers of any version",
        ]


def test_a_bit_that_rings_a_second_slot_too_does_not(tmp_path: Path) -> None:
    for point in with_slots(tmp_path, "after-after", lambda bit: {bit + 2, 7}):
        assert not point.agrees
        assert point.slots_per_bit["0"] == [2, 7]
        wanted = "slot 2 is expected, by peers of any version"
        assert point.notes[0] == f"doorbell bit 0 rang slot 2, slot 7; {wanted}"


def test_doorbells_that_come_to_no_slot_are_counted(tmp_path: Path) -> None:
    point, *_ = with_slots(tmp_path, "after-after", lambda bit: {bit + 2} if bit else set())
    assert not point.agrees and "0" not in point.slots_per_bit
    rung = point.doorbells_per_qp[0]
    assert any(
        note.startswith(f"doorbell bit 0: {rung} of {rung} came to no slot; slot 2 is expected")
        for note in point.notes
    )


def test_a_slot_beyond_the_endpoints_is_lost_as_of_any_version(tmp_path: Path) -> None:
    """db_count 3 has one doorbell slot: the ring of bit 1 writes nothing, and the model says so."""
    folder = tmp_path / "before-after-slots-3"
    shutil.copytree(DATA / folder.name, folder)
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
    folder = tmp_path / boot
    shutil.copytree(DATA / boot, folder)
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
