# SPDX-License-Identifier: BSD-3-Clause
"""When a guest counts as hung, and how its kernel is made to show where."""

import os
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.lab import watch
from ntbbench.lab.commands import started
from ntbbench.lab.lab_client import LabPlan
from ntbbench.lab.netdev_client import NetdevPlan
from ntbbench.lab.pair.boot.pair_task import limits
from ntbbench.lab.pair.plan import PairPlan, PairSetup
from ntbbench.lab.watch import Limits, debugger_port, exceeded, hear_last_words, make_kernel_oops
from ntbbench.pair.setting import EP_TO_RC, GAP, Traffic

MEASURED_ASLEEP = 0.045  # s of processor time a second that the guest sleeps
GAPS = st.integers(0, GAP.high)


def pair(gap_us: int, packets: int = 20, flows: int = 1, factor: int = 1) -> Limits:
    return limits(PairPlan(PairSetup(), (Traffic(EP_TO_RC, flows, packets, gap_us),)), factor)


def points(gap_us: int, packets: int = 20) -> Limits:
    return LabPlan(vectors=(0,), queues=2, gap=gap_us, packets=packets).task().limits


def netdev(gap_us: int, packets: int = 20) -> Limits:
    return NetdevPlan(gap=gap_us, packets=packets).task().limits


@pytest.mark.parametrize("lab", [pair, points, netdev])
@given(gaps=st.tuples(GAPS, GAPS), packets=st.integers(1, 1000))
def test_limits_grow_with_the_gap(lab, gaps, packets) -> None:
    low, high = sorted(gaps)
    shorter, longer = lab(low, packets), lab(high, packets)
    slept = (high - low) * 1e-6 * packets
    spare = 1e-6 * slept  # floats
    assert longer.cpu_seconds - shorter.cpu_seconds >= 5 * MEASURED_ASLEEP * slept - spare
    assert longer.idle_seconds - shorter.idle_seconds >= slept - spare


@given(gap=GAPS, packets=st.integers(1, 1000), flows=st.integers(1, 4))
def test_a_pair_may_sleep_each_gap_of_each_flow(gap, packets, flows) -> None:
    slept = gap * 1e-6 * packets * flows
    assert pair(gap, packets, flows).cpu_seconds >= 40 + 6 * MEASURED_ASLEEP * slept
    assert pair(gap, packets, flows, factor=4).cpu_seconds >= 160 + 24 * MEASURED_ASLEEP * slept


SPIN = ["sh", "-c", "while :; do :; done"]
SLEEP = ["sleep", "300"]


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.02)


def test_a_guest_that_burns_processor_time_goes_over_it() -> None:
    with started(SPIN) as child:
        assert exceeded(child, Limits(0.2, idle_seconds=600)) == "0 s of processor time"
        child.kill()


def test_a_guest_that_sleeps_goes_over_the_clock_alone() -> None:
    with started(SLEEP) as child:
        assert exceeded(child, Limits(0.01, idle_seconds=1)) == "1 s"
        child.kill()


def test_a_guest_that_ends_goes_over_nothing() -> None:
    with started(["true"]) as child:
        assert exceeded(child, Limits(60)) == ""
    assert child.returncode == 0


def test_real_time_is_a_multiple_and_what_the_guest_may_sleep() -> None:
    assert Limits(60).seconds == 300
    assert Limits(60, 7).seconds == 307


def test_a_guest_whose_debugger_port_is_silent_is_killed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(watch, "REPLY_SECONDS", 0.1)
    with started(SLEEP) as child, debugger_port(tmp_path) as port:
        hear_last_words(child, port)
    assert child.returncode == -9


def stub(listening: socket.socket, place: int, asked: list[bytes]) -> None:
    """Answer as QEMU's debugger port does, with the processor at `place`."""
    connection, _ = listening.accept()
    with connection:
        for answer in (bytes(128) + place.to_bytes(8, "little") + bytes(24), b"", b""):  # g, M, D
            packet = connection.recv(100)
            if not packet:
                return
            asked.append(packet)
            told = answer.hex() or "OK"
            stopped = "$T02thread:01;#04" if len(asked) == 1 else ""
            connection.sendall(f"+{stopped}${told}#00".encode())


@pytest.mark.parametrize(
    ("place", "asked"),
    [
        (0xFFFFFFFFA0201006, [b"+$g#67", b"+$Mffffffffa0201006,2:0f0b#f7", b"+$D#44"]),
        (0x47E1E3, [b"+$g#67", b"+$D#44"]),
    ],
)
def test_a_guest_in_its_kernel_gets_an_instruction_that_is_none(place, asked, tmp_path) -> None:
    folder = tmp_path / ("long" * 50)  # longer than a socket's address may be
    folder.mkdir()
    got: list[bytes] = []
    with debugger_port(folder) as port, socket.socket(fileno=os.dup(port.descriptor)) as listening:
        thread = threading.Thread(target=stub, args=(listening, place, got), daemon=True)
        thread.start()
        assert make_kernel_oops(port) == (len(asked) == 3)
        thread.join()
    assert got == asked
