# SPDX-License-Identifier: BSD-3-Clause
"""Recordings of the real pair beside the model: counts, verdicts, links, and what must differ."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs
from pair_recordings import BOOTS, DATA, evaluated, load

from ntbbench.lab.commands import GuestError
from ntbbench.lab.pair.points import evaluate
from ntbbench.lab.pair.records import UNAVAILABLE, PairPoint

MIXES = ["before-before", "before-after", "after-before", "after-after"]
RUNNING = [boot for boot in BOOTS if "slots-4" not in boot and "slots-2" not in boot]


def spaced(boot: str, direction: str):
    (found,) = [p for p in evaluated(boot) if p.direction == direction and p.gap_us]
    return found


@pytest.mark.parametrize("boot", BOOTS)
def test_the_model_agrees_with_the_kernel(boot: str) -> None:
    for point in evaluated(boot):
        assert point.agrees, (point.name, point.notes)


@pytest.mark.parametrize("boot", RUNNING)
def test_spaced_points_are_equal_and_bursts_in_bounds(boot: str) -> None:
    for point in evaluated(boot):
        assert point.link == "up" and point.doorbells_rung == point.packets_sent > 0
        if point.spaced:
            assert point.runs_per_qp == point.predicted_runs_per_qp
            assert point.events_per_vector == point.predicted_events_per_vector
            assert point.msis_raised == point.predicted_msis
            assert point.msis_per_number == point.predicted_msis_per_number
        else:
            runs = zip(
                point.least_runs_per_qp, point.runs_per_qp, point.most_runs_per_qp, strict=True
            )
            assert all(low <= count <= high for low, count, high in runs)
            assert point.packets_received == point.packets_sent


@pytest.mark.parametrize(
    ("boot", "direction", "runs"),
    [
        ("after-after", "ep-to-rc", {0: 2, 1: 2, 2: 2, 3: 2}),
        ("before-before", "ep-to-rc", {0: 5, 1: 6, 2: 6, 3: 6}),
        ("after-before", "ep-to-rc", {0: 5, 1: 6, 2: 6, 3: 6}),
        ("before-after", "ep-to-rc", {0: 2, 1: 2, 2: 2, 3: 2}),
    ],
)
def test_runs_a_doorbell_are_those_of_the_facts(boot, direction, runs) -> None:
    """After the series 2 a doorbell; before it 5 for QP 0 and 6 for the others."""
    point = spaced(boot, direction)
    assert point.spaced
    rung = enumerate(point.doorbells_per_qp)
    assert sum(point.runs_per_qp) == sum(runs[qp_num] * count for qp_num, count in rung)
    assert point.msis_raised == point.events == point.doorbells_rung


@pytest.mark.parametrize(("boot", "offset"), [("after-after", 0), ("before-before", 2)])
def test_vectors_are_counted_from_0_after_and_are_slots_before(boot, offset) -> None:
    for direction in ("ep-to-rc", "rc-to-ep"):
        point = spaced(boot, direction)
        rung = {str(q + offset) for q, count in enumerate(point.doorbells_per_qp) if count}
        assert set(point.events_per_vector) == rung
    rung = enumerate(spaced(boot, "ep-to-rc").doorbells_per_qp)
    numbers = {str(bit + 3): count for bit, count in rung if count}
    assert spaced(boot, "ep-to-rc").msis_per_number == numbers


@pytest.mark.parametrize("boot", MIXES)
def test_verdicts_follow_the_receiving_driver(boot: str) -> None:
    ep, rc = boot.split("-")
    words = {"before": "fallback", "after": "per-vector"}
    assert spaced(boot, "ep-to-rc").verdict == words[rc]
    assert spaced(boot, "rc-to-ep").predicted_verdict == words[ep]


def test_polls_gather_rings_of_the_same_bit() -> None:
    """2 ms apart and polled every 6 ms: fewer callbacks than rings where QPs are few."""
    burst = [p for p in evaluated("after-after") if p.direction == "rc-to-ep" and not p.gap_us]
    (point,) = burst
    assert point.events < point.doorbells_rung
    assert point.runs_per_qp == point.predicted_runs_per_qp


def test_the_embedded_doorbell_reports_six_vectors_a_ring() -> None:
    for point in evaluated("after-after-embedded"):
        assert point.events == 6 * point.doorbells_rung
        assert sum(point.runs_per_qp) == 8 * point.doorbells_rung
        assert point.predicted_verdict == "fallback"


def test_an_msi_a_slot_is_one_vector_a_ring() -> None:
    point = spaced("after-after-msi", "rc-to-ep")
    assert point.events == point.doorbells_rung
    assert point.verdict == "per-vector"


def test_a_link_that_stays_down_says_who_computed_what() -> None:
    for point in evaluated("after-after-slots-4"):
        assert (point.link, point.predicted_link) == ("down", "down")
        assert (point.ep_qp_count, point.rc_qp_count) == (1, 2)
        assert "qp_count 1 on EP (doorbell bits: ilog2(db_valid_mask 0x3) = 1)" in point.cause
        assert point.runs_per_qp == [] and point.doorbells_rung == 0


def test_fewer_qps_than_asked_for_have_a_cause() -> None:
    recordings = load(DATA / "after-after")
    assert recordings.plan.setup.queues == 4
    assert {point.cause for point in evaluate(recordings)} == {""}
    # above what db_count 8 gives: the windows limit it
    setup = structs.replace(recordings.plan.setup, queues=20)
    asked = replace(recordings, plan=replace(recordings.plan, setup=setup))
    for point in evaluate(asked):
        assert point.queues_open == 4
        assert point.cause.startswith("4 of 20 QPs: the model has 2 on EP (")
        assert "mw_count 2" in point.cause


def test_a_refused_bind_is_a_point_with_the_errno() -> None:
    for point in evaluated("after-after-slots-2"):
        assert (point.ep_qp_count, point.rc_qp_count) == (None, None)
        assert "-EINVAL: DB count 2 out of range (3 - 32)" in point.cause


def test_an_old_endpoint_loses_rings_beyond_its_db_count() -> None:
    """db_count 3 and two windows: two QPs, and one doorbell slot for them."""
    (point,) = [p for p in evaluated("before-after-slots-3") if p.direction == "rc-to-ep"]
    assert point.link == "up"
    assert (point.verdict, point.predicted_verdict) == ("missed", "missed")
    assert point.events == point.doorbells_per_qp[0]


def test_an_unavailable_mode_is_a_point_of_its_own() -> None:
    recordings = load(DATA / "after-after")
    cause = "pci-epf-vntb of 6.12.95 has only the poll"
    missing = replace(recordings, available=False, link="down", cause=cause, points=())
    for point in evaluate(missing):
        assert (point.status, point.link, point.cause) == (UNAVAILABLE, "down", cause)
        assert point.agrees is None and point.runs_per_qp == []


def test_a_driver_that_is_not_what_it_says_disagrees() -> None:
    """The recording of an old root complex under the patches of a new one must not pass."""
    recordings = load(DATA / "after-before")
    wrong = replace(recordings, rc=replace(recordings.rc, patches=(8, 9, 10, 11, 12)))
    (point,) = [p for p in evaluate(wrong) if p.direction == "ep-to-rc" and p.gap_us]
    assert not point.agrees
    assert any(note.startswith("runs of QP") for note in point.notes)
    assert any("events of vector" in note for note in point.notes)
    assert "the doorbells are fallback, the model says per-vector" in point.notes


def test_a_link_that_the_model_says_is_up_disagrees_when_it_is_down() -> None:
    recordings = load(DATA / "after-after")
    points = tuple(replace(point, link="down") for point in recordings.points)
    down = replace(recordings, link="down", cause="no QP came up", points=points)
    assert not any(point.agrees for point in evaluate(down))


def copied(tmp_path: Path, boot: str) -> Path:
    shutil.copytree(DATA / boot, tmp_path / boot)
    return tmp_path / boot


def test_msis_of_other_numbers_disagree_in_a_burst_too(tmp_path: Path) -> None:
    """The number is the wire contract: a pair that moved both sides would not meet old peers."""
    folder = copied(tmp_path, "after-after")
    for path in folder.glob("ep-to-rc-*/trace"):
        text = path.read_text()
        moved = re.sub(r"\bmsi=(\d+)", lambda found: f"msi={int(found[1]) - 1}", text)
        assert moved != text
        path.write_text(moved)
    points = [point for point in evaluate(load(folder)) if point.direction == "ep-to-rc"]
    assert {point.spaced for point in points} == {True, False}
    for point in points:
        assert not point.agrees
        assert any(note.startswith("MSI number 2: ") for note in point.notes)


def doctored(folder: Path, point: str, change: Callable[[list[str]], list[str]]) -> PairPoint:
    """Return a point of a recording whose trace `change` has changed, line by line."""
    path = folder / point / "trace"
    lines = [line for line in path.read_text().splitlines(True) if not line.startswith("# entries")]
    changed = change(lines)
    assert changed != lines
    path.write_text("".join(changed))
    (found,) = [p for p in evaluate(load(folder)) if p.name == point]
    return found


def last_of(lines: list[str], words: str) -> int:
    return max(number for number, line in enumerate(lines) if words in line)


BURST, POLLED_BURST, APART = "ep-to-rc-f4-n12-g0", "rc-to-ep-f4-n12-g0", "ep-to-rc-f4-n5-g2000"
MORE, LATE = (
    "came once more than it was asked for until then",
    "did not come after it was asked for",
)
Change = Callable[[list[str]], list[str]]


def lose(words: str, which: int) -> Change:
    """Return what takes one of the lines with these words away."""

    def change(lines: list[str]) -> list[str]:
        number = [n for n, line in enumerate(lines) if words in line][which]
        return lines[:number] + lines[number + 1 :]

    return change


def raise_msi_early(lines: list[str]) -> list[str]:
    extra = lines[last_of(lines, "msi=3\n")]
    first = next(number for number, line in enumerate(lines) if ": peer_db_set:" in line)
    return [*lines[:first], extra, *lines[first:]]


def raise_twice(lines: list[str]) -> list[str]:
    return [line for one in lines for line in [one] * (1 + (": raise_irq:" in one))]


def poll_again(lines: list[str]) -> list[str]:
    """A slot is found twice, as with a driver that does not clear it."""
    extra = lines[last_of(lines, "vector=2\n")]
    first = next(number for number, line in enumerate(lines) if "vector=2\n" in line)
    return [*lines[: first + 1], extra, *lines[first + 1 :]]


@pytest.mark.parametrize(
    ("boot", "point", "change", "note"),
    [
        # patch 2 may raise fewer MSIs than there were doorbells, one after each bit's last
        ("after-after", BURST, lose("msi=3\n", -1), f"MSI number 3: {LATE}"),
        ("before-after", BURST, lose("msi=3\n", -1), "MSI number 3: 11, possible are 12 .. 12"),
        ("after-after", BURST, raise_msi_early, f"MSI number 3: {MORE}"),
        ("before-after", BURST, raise_msi_early, "MSI number 3: 13, possible are 12 .. 12"),
        ("after-after", BURST, raise_twice, f"MSI number 3: {MORE}"),
        ("after-after", POLLED_BURST, poll_again, f"events of vector 2: {MORE}"),
        # the last one of an interrupt; of a poll the first, for a later ring may be wiped
        ("after-after", BURST, lose("vector=2\n", -1), f"events of vector 2: {LATE}"),
        ("after-after", POLLED_BURST, lose("vector=2\n", 0), f"events of vector 2: {LATE}"),
        ("after-after", APART, lose("rxc_db:", 0), "its counters"),
    ],
)
def test_a_point_with_an_event_too_few_or_too_many_disagrees(
    tmp_path: Path, boot: str, point: str, change: Change, note: str
) -> None:
    found = doctored(copied(tmp_path, boot), point, change)
    assert not found.agrees
    assert any(note in told for told in found.notes)


def test_a_burst_says_how_far_it_may_coalesce() -> None:
    """One MSI a bit at least with patch 2, one a doorbell without it."""
    for boot, least in (("after-after", 4), ("before-after", 48)):
        (point,) = [p for p in evaluated(boot) if p.name == BURST]
        assert (point.least_msis, point.most_msis) == (least, 48)
        assert (point.least_events, point.most_events) == (4, point.msis_raised)
    for point in (spaced("after-after", "ep-to-rc"), spaced("after-after", "rc-to-ep")):
        assert point.least_msis == point.most_msis == point.predicted_msis
        assert point.least_events == point.most_events == point.predicted_events


def counting(tmp_path: Path, **counts: str) -> list[PairPoint]:
    """Return the points of a recording whose traffic counted so."""
    folder = copied(tmp_path, "after-after")
    for name, text in counts.items():
        for path in folder.glob(f"*/{name}"):
            path.write_text(text)
    return evaluate(load(folder))


def test_a_packet_that_is_lost_disagrees(tmp_path: Path) -> None:
    assert not any(point.agrees for point in counting(tmp_path, received="1\n"))


def test_a_sender_that_gave_up_says_of_how_many(tmp_path: Path) -> None:
    for point in counting(tmp_path, sent="7 5.0\n"):
        asked = point.flows * point.packets
        assert f"7 of {asked} packets sent: the sender's queue stayed stopped" in point.notes


@pytest.mark.parametrize(
    ("sent", "received", "note"),
    [
        (21, 21, "1 of 21 packets sent rang no doorbell"),
        (19, 19, "doorbells more than packets sent: 1"),
        (20, 21, "packets received more than sent: 1"),
    ],
)
def test_packets_and_doorbells_that_are_not_one_for_one_are_told(
    tmp_path: Path, sent: int, received: int, note: str
) -> None:
    told = counting(tmp_path, sent=f"{sent} 5.0\n", received=f"{received} 5.0\n")
    points = [point for point in told if point.doorbells_rung == 20]
    assert points
    for point in points:
        assert any(told.startswith(note) for told in point.notes), point.notes
    assert not any(" more than " in told for told in spaced("after-after", "ep-to-rc").notes)


@pytest.mark.parametrize(
    ("name", "text"),
    [("trace", "not a trace\n"), ("sent", "many\n"), ("state", "port 0\n"), ("received", "")],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str, text: str) -> None:
    folder = copied(tmp_path, "after-after")
    for path in folder.glob(f"*-g0/{name}"):
        path.write_text(text)
    with pytest.raises(GuestError, match=r"recording (ep-to-rc|rc-to-ep)-") as told:
        evaluate(load(folder))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("boot", "shown", "told"),
    [
        ("after-after", "ep db_read=0x0\nrc db_read=0x0\n", {}),
        # bits that no QP has stay set where one word rings all of them
        ("after-after-embedded", "ep db_read=0x30\nrc db_read=0x0\n", {}),
        ("after-after", "ep db_read=0x5\nrc db_read=0x0\n", {"rc-to-ep": "0x5"}),
        ("after-after", "ep db_read=0x0\nrc db_read=0x2\n", {"ep-to-rc": "0x2"}),
        ("before-before", "ep db_read=0x10\nrc db_read=0x6\n", {}),  # no bit of theirs is a QP's
        ("after-after", "", {}),
    ],
)
def test_a_bit_that_no_race_check_has_cleared_is_told(tmp_path, boot, shown, told) -> None:
    folder = copied(tmp_path, boot)
    for point in folder.glob("*-to-*"):
        (point / "registers").write_text(shown)
    for point in evaluate(load(folder)):
        bits = told.get(point.direction)
        at_rest = [note for note in point.notes if "at rest" in note]
        assert at_rest == (
            [f"db_read shows {bits} at rest: the race check of these QPs cleared nothing"]
            if bits
            else []
        )
        assert point.agrees == (not bits)


@pytest.mark.parametrize(
    ("side", "counter", "told"),
    [
        ("0000:10:00.0", "tx_pkts", "20 doorbells of 23 packets in the sender's rings"),
        ("0010:00:00.0", "rx_err_ver", "rx_err_ver: 3: the receiver took what was no new packet"),
    ],
)
def test_a_counter_that_no_correct_transport_shows_is_told(tmp_path, side, counter, told) -> None:
    folder = copied(tmp_path, "after-after")
    point = folder / "ep-to-rc-f4-n5-g2000"
    path = point / "after-stats" / side / "qp1"
    lines = path.read_text().splitlines(keepends=True)
    (number,) = (n for n, line in enumerate(lines) if line.startswith(counter))
    head, count = lines[number].rsplit(maxsplit=1)
    path.write_text("".join([*lines[:number], f"{head}\t{int(count) + 3}\n", *lines[number + 1 :]]))
    points = {point.name: point for point in evaluate(load(folder))}
    changed = points.pop("ep-to-rc-f4-n5-g2000")
    assert not changed.agrees and changed.notes[0].startswith(told)
    assert all(point.agrees for point in points.values())
