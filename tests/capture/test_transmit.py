# SPDX-License-Identifier: BSD-3-Clause
"""The transmit side: a ring out of `stats`, what was consumed, and which side does not run."""

import json
from pathlib import Path

import pytest
from captures import CASES, FOUR, PCI, capture, set_counters
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.capture.ingest import ingest
from ntbbench.capture.readers.qp_transmit import TxRing, consumed
from ntbbench.capture.records import Measured
from ntbbench.capture.transmit import rings_to_restart, transmit_findings
from ntbbench.cli.main import main

ENTRIES = 15
OTHER = "0000:00:03.0"


def ring(folder: Path, when: str, sent: int, head: int, tail: int, **more: int) -> None:
    """Give QP 0 of a capture a sender's counters; the kernel prints what is free of a ring."""
    path = folder / f"{when}-stats" / PCI / "qp0"
    set_counters(path, tx_pkts=sent, tx_max_entry=ENTRIES, **more)
    text = path.read_text()
    lines = []
    for line in text.split("\n"):
        name = line.partition(" -")[0]
        values = {"tx_index (H)": head, "RRI (T)": tail, "free tx": (tail - head) % ENTRIES}
        lines.append(f"{name} - \t{values[name]}" if name in values else line)
    path.write_text("\n".join(lines))


def measured_of(folder: Path, before: tuple[int, ...], after: tuple[int, ...], **more: int):
    capture(folder, [[0, 0]] * 6, [[1, 0]] * 6)
    ring(folder, "before", *before)
    ring(folder, "after", *after, **more)
    return ingest([folder])


@pytest.mark.parametrize(
    ("before", "after", "more", "code", "who"),
    [
        # sent, tx_index, RRI; full is tx_index == RRI
        ((90, 0, 0), (90, 0, 0), {"tx_ring_full": 400}, "ring-full", "receiver"),
        ((90, 0, 0), (90, 0, 0), {}, "ring-full", "receiver"),
        ((92, 2, 9), (92, 2, 9), {}, "entries-wait", "receiver"),
        ((90, 0, 2), (90, 0, 13), {}, "not-sent", "sender"),
        ((0, 0, 0), (0, 0, 0), {"tx_ring_full": 9}, "stale-tail", "sender"),
        ((0, 0, 0), (0, 0, 0), {}, "stale-tail", "sender"),  # nothing that a remote could consume
        ((0, 0, 14), (300, 0, 0), {"tx_ring_full": 9}, "full-at-times", "receiver"),
        ((0, 0, 14), (300, 0, 3), {}, "full-at-times", "not known"),
        ((0, 0, 14), (0, 0, 14), {"tx_err_no_buf": 4}, "no-queue-entry", "sender"),
        ((0, 0, 14), (9, 9, 20), {}, "beyond-ring", "not known"),
    ],
)
def test_which_side_does_not_run(before, after, more, code, who, tmp_path: Path) -> None:
    measured = measured_of(tmp_path / "c", before, after, **more)
    (found,) = transmit_findings(measured)
    assert (found.qp_num, found.code, found.who) == (0, code, who)


@pytest.mark.parametrize("ends", [((7, 7, 6), (7, 7, 6)), ((7, 7, 6), (77, 2, 1))])
def test_a_sender_that_is_idle_or_goes_on_is_no_finding(ends, tmp_path: Path) -> None:
    measured = measured_of(tmp_path / "c", *ends)
    assert transmit_findings(measured) == []
    assert rings_to_restart(measured) == []


def test_a_public_report_of_a_sender_that_never_sent() -> None:
    """212 million refused sends: its kernel calls the full ring empty, so it is tried for ever."""
    measured = ingest([CASES / "irq-switchtec-crosslink"])
    (qp,) = measured.transmits
    assert (qp.tx_ring_full, qp.tx_pkts, qp.waiting, qp.free) == (212_083_012, 0, 30, 31)
    assert (qp.consumed_low, qp.consumed_high) == (0, 0)
    (found,) = transmit_findings(measured)
    assert (found.code, found.who) == ("stale-tail", "sender")
    assert "before 6.6" in found.text
    assert "calls the full ring empty" in found.text


def test_the_real_sender_of_a_recording() -> None:
    """60 packets of one QP, each consumed; the other port's QPs send nothing."""
    measured = ingest([FOUR.parent / "fallback-burst"])
    sent = {(q.device, q.qp_num): (q.tx_pkts, q.consumed_low, q.consumed_high, q.waiting)
            for q in measured.transmits}  # fmt: skip
    assert sent.pop((OTHER, 1)) == (60, 60, 60, 0)
    assert set(sent.values()) == {(0, 0, 0, 0)}
    assert transmit_findings(measured) == []


def test_a_link_that_came_up_is_named_and_nothing_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    capture(folder, [[0, 0]] * 6, [[1, 0]] * 6)
    (folder / "before-stats" / PCI / "qp2").write_text("")
    measured = ingest([folder])
    assert [f.code for f in transmit_findings(measured)] == ["link-changed"]
    (qp,) = (qp for qp in measured.transmits if qp.qp_num == 2)
    assert (qp.tx_pkts, qp.consumed_low, qp.waiting_before) == (None, None, None)


@given(
    entries=st.integers(2, 200),
    sent=st.integers(0, 1000),
    start=st.integers(0, 10**6),
    waits=st.tuples(st.integers(0, 198), st.integers(0, 198)),
    late=st.integers(0, 5),
)
def test_what_was_consumed_is_inside_its_bounds(entries, sent, start, waits, late) -> None:
    """A ring played: `late` packets go out between the lines of the later reading."""
    before, after = (min(wait, entries - 1) for wait in waits)
    gone = before + sent + late - after
    if not 0 <= gone <= before + sent:
        return
    old = TxRing(entries, start % entries, (start - before - 1) % entries, 0)
    head = start + sent + late
    new = TxRing(entries, head % entries, (start - before - 1 + gone) % entries, 0)
    low, high = consumed(old, new, sent)
    assert low is not None
    assert high is not None
    assert low <= gone <= high or late
    assert (high - low) % entries == 0
    if not late:
        assert low == high == gone


def test_explain_answers_and_simulates_the_restart(tmp_path: Path, capsys) -> None:
    measured_of(tmp_path / "c", (0, 0, 14), (300, 0, 3))
    (tmp_path / "c" / "capture").write_text("ntbbench.capture/1\nseconds=2\nelapsed=2.01\n")
    found, shown = tmp_path / "m.json", tmp_path / "e.json"
    assert main(["ingest", str(tmp_path / "c"), "-o", str(found)]) == 0
    capsys.readouterr()
    assert main(["explain", str(found), "--hardware", "ntb_hw_epf-v4", "-v", "-o", str(shown)]) in {
        0,
        1,
    }
    out = capsys.readouterr().out
    assert "a stop each 10 packets, 67 ms" in " ".join(out.split())
    rows = json.loads(shown.read_text())["restarts"]
    by_timer = {(row["entries"], row["timer"]): row for row in rows}
    slow = by_timer[15, "jiffies, HZ=100"]
    fast = by_timer[15, "hrtimer of 250 us"]
    assert (slow["wait_low"], slow["wait_high"], slow["window_size"]) == (0.01, 0.02, 983044)
    assert slow["bits_per_second"] < fast["bits_per_second"]
    assert slow["fast_bits_per_second"] < by_timer[30, "jiffies, HZ=100"]["fast_bits_per_second"]


def test_ingest_shows_each_sender(capsys) -> None:
    assert main(["ingest", str(CASES / "irq-switchtec-crosslink"), "-v"]) == 0
    out = capsys.readouterr().out
    assert "212083012" in out
    assert "30->30/30" in out
    assert main(["ingest", str(CASES / "irq-switchtec-crosslink"), "--format", "csv"]) == 0
    assert '"tx_ring_full","0000:3b:00.1",0,212083012,212083012' in capsys.readouterr().out


def test_an_older_measured_record_has_no_senders() -> None:
    assert Measured().transmits == []
    assert transmit_findings(Measured()) == []
