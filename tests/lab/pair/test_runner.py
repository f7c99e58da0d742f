# SPDX-License-Identifier: BSD-3-Clause
"""What a guest of the pair is told to do, and what it left: results, faults, guests that died."""

import shutil
from dataclasses import replace
from pathlib import Path

import children
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_recordings import DATA, OBSERVED, load, observations

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import GuestError
from ntbbench.lab.guest_task import Recordings
from ntbbench.lab.pair import plan
from ntbbench.lab.pair.boot import pair_task as task
from ntbbench.lab.pair.boot.laid_out import lay_out, read_result, warnings
from ntbbench.lab.pair.boot.left import DriverSource, PairRecordings
from ntbbench.lab.pair.boot.pair_task import accelerator_options, machine
from ntbbench.lab.pair.observed_drivers import observed_driver
from ntbbench.lab.pair.pair_kernel import GUEST
from ntbbench.lab.pair.plan import PairPlan, PairSetup
from ntbbench.lab.pair.points import all_points
from ntbbench.lab.pair.records import FAILED, UNAVAILABLE
from ntbbench.lab.qemu import Boot
from ntbbench.pair.setting import Traffic

WRONG = ("slot 2, db_read after db_clear=0x0", "slot 2, db_read after db_clear=0x1")
TOLD = "EP driver: no known behaviour fits: slot 2, db_read after db_clear: 0x1 instead of 0x0"
RESULT = (
    "ep_qp_count=2\nrc_qp_count=2\nep_queues=2\nrc_queues=2\ndoorbell_irqs=%s\nlink=up\ncause=\n"
)


def set_up(folder: Path, result: str, observed: str = "ep takes db_count 2=no\n") -> None:
    (folder / "setup").mkdir(parents=True)
    for name, text in (("result", result), ("trace", ""), ("observed", observed)):
        (folder / "setup" / name).write_text(text)


def drivers(folder: Path) -> list[DriverSource]:
    return [DriverSource(side, "my.c", "", folder, ()) for side in ("ep", "rc")]


def laid_out(
    folder: Path, *, wrong: bool, died: bool, doorbell: str = "poll", irqs: str = "0"
) -> PairRecordings:
    """Return what comes of a guest that came to its set-up, and hung after it if it `died`."""
    seen = (OBSERVED / "after-after").read_text()
    set_up(folder, RESULT % irqs, seen.replace(*WRONG, 1) if wrong else seen)
    boot = Boot("", "", "55 s of processor time" if died else "")
    plan = PairPlan(PairSetup(doorbell=doorbell), (Traffic(), Traffic("rc-to-ep")))
    return lay_out(plan, drivers(folder), Recordings("7.3.4", folder, boot))


def test_a_hung_guest_whose_driver_is_wrong_is_a_failed_point(tmp_path: Path) -> None:
    recordings = laid_out(tmp_path, wrong=True, died=True)
    points = all_points(recordings)
    assert [point.direction for point in points] == ["ep-to-rc", "rc-to-ep"]
    for point in points:
        assert (point.status, point.agrees, point.notes) == (FAILED, False, [TOLD])
        assert point.cause.startswith("the guest hung: no end after 55 s")


def test_a_hung_guest_whose_drivers_are_right_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="the guest hung: no end after 55 s"):
        laid_out(tmp_path, wrong=False, died=True)


def test_damaged_observations_are_an_error(tmp_path: Path) -> None:
    laid_out(tmp_path, wrong=False, died=False)
    (tmp_path / "setup" / "observed").write_text("ep what is this\n")
    recordings = Recordings("7.3.4", tmp_path, Boot("", ""))
    with pytest.raises(GuestError, match="setup/observed: ep what is this"):
        lay_out(PairPlan(PairSetup()), drivers(tmp_path), recordings)


@pytest.mark.parametrize(
    ("doorbell", "irqs", "available"),
    [("embedded", "0", False), ("embedded", "1", True), ("msi", "0", True), ("poll", "0", True)],
)
def test_an_older_driver_without_the_embedded_doorbell_is_no_finding(
    tmp_path: Path, doorbell: str, irqs: str, available: bool
) -> None:
    """It has interrupts for its doorbells, so only the guest shows that it polls."""
    recordings = laid_out(tmp_path, wrong=False, died=False, doorbell=doorbell, irqs=irqs)
    assert recordings.available is available
    if not available:
        assert {point.status for point in all_points(recordings)} == {UNAVAILABLE}


@pytest.mark.parametrize("wrong", [False, True])
def test_an_unreadable_trace_of_a_wrong_driver_is_a_failed_point(tmp_path, wrong) -> None:
    shutil.copytree(DATA / "after-after", tmp_path / "boot")
    recordings = load(tmp_path / "boot")
    seen = observations("after-after")
    if wrong:
        key, value = WRONG[1].split("=")
        seen["ep"][key] = value
    ep = observed_driver(recordings.ep, recordings.plan.setup, seen)
    recordings = replace(recordings, ep=ep)
    trace = recordings.points[0].folder / "trace"
    trace.write_text("# entries-in-buffer/entries-written: 1/9   #P:1\n" + trace.read_text())
    if not wrong:
        with pytest.raises(GuestError, match="overwritten"):
            all_points(recordings)
        return
    first, *others = all_points(recordings)
    assert (first.status, first.agrees) == (FAILED, False) and "overwritten" in first.cause
    assert [point.status for point in others] == ["ok"] * len(others)


DOWN = "ep_qp_count=4\nrc_qp_count=\nep_queues=4\nrc_queues=4\nlink=down\ncause=a = b\n"


def test_a_result_says_who_computed_what(tmp_path: Path) -> None:
    (tmp_path / "result").write_text(DOWN)
    assert read_result(tmp_path / "result")["cause"] == "a = b"
    (tmp_path / "result").write_text(DOWN.replace("link=down\n", ""))
    with pytest.raises(GuestError, match="reported no link"):
        read_result(tmp_path / "result")


def test_traffic_that_failed_is_told_in_its_own_words(tmp_path: Path) -> None:
    set_up(tmp_path, DOWN.replace("down", "up"))
    place = tmp_path / Traffic().name
    place.mkdir()
    (place / "sent").write_text("send: Network is unreachable\n")
    recordings = Recordings("7.3.4", tmp_path, Boot("", ""))
    with pytest.raises(GuestError, match="sent: send: Network is unreachable"):
        lay_out(PairPlan(PairSetup()), drivers(tmp_path), recordings)
    kept = lay_out(PairPlan(PairSetup(), may_die=True), drivers(tmp_path), recordings)
    assert kept.died == f"the guest gave up: {place.name}: sent: send: Network is unreachable"
    assert kept.points == ()


def test_the_remark_of_every_boot_is_no_warning() -> None:
    remark = "[    0.47] WARNING: drivers/pci/endpoint/pci-epc-core.c:1089 at __pci_epc_create+0x97"
    other = "[    0.48] WARNING: drivers/pci/endpoint/pci-epc-core.c:1089 at pci_epc_raise_irq+0x9"
    assert warnings(f"{remark}\n{other}\n") == [other.partition("] ")[2]]


@pytest.mark.parametrize("recorded", [False, True])
def test_what_the_oops_of_the_lab_provokes_is_no_warning_of_a_driver(tmp_path, recorded) -> None:
    """A hung guest is given an instruction that is none, and a debug kernel complains of that."""
    own = "[ 1.0] WARNING: pci-epf-vntb.c:9 at vntb_epf_peer_db_set+0x9/0x20\n"
    provoked = (
        "[ 9.0] Oops: invalid opcode: 0000 [#1] SMP KASAN\n"
        "[ 9.0] BUG: sleeping function called from invalid context at exit.c:1\n"
        "[ 9.0] WARNING: kernel/rcu/tree.c:1 at f+0x1/0x2\n"
    )
    if recorded:
        set_up(tmp_path, DOWN)
    hung = Recordings("7.3.4", tmp_path, Boot(own + provoked, "", "9 s of processor time"))
    plan = PairPlan(PairSetup(), may_die=True)
    left = lay_out(plan, drivers(tmp_path), hung)
    assert left.died.startswith("the guest hung: ")
    assert left.warnings == (own.partition("] ")[2].strip(),)


@pytest.mark.parametrize(
    ("setting", "option"),
    [
        ({"ep_slots": -1}, "--ep-slots"),
        ({"queues": 65}, "--queues"),
        ({"queues": 0}, "--queues"),
        ({"doorbell": "intx"}, "--doorbell"),
        ({"cpus": 9}, "--cpus"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, int], option: str) -> None:
    with pytest.raises(InputError, match=f"^{option}: "):
        PairSetup(**setting)  # type: ignore[arg-type]


def test_counting_instructions_takes_one_cpu() -> None:
    with pytest.raises(InputError, match="--cpus: 2: 1 in deterministic mode"):
        PairPlan(PairSetup(cpus=2))


@given(
    st.integers(1, 2),
    st.one_of(st.none(), st.integers(1, 64)),
    st.integers(1, 64),
    st.integers(1, 2000),
)
def test_windows_hold_rings_and_the_trace_holds_a_point(mw_count, queues, flows, packets) -> None:
    setup = PairSetup(mw_count=mw_count, queues=queues)
    size = setup.window_size
    assert size & (size - 1) == 0 and plan.WINDOW_MIN <= size <= plan.WINDOW_MAX
    a_window = -(-min(queues or mw_count, 14) // mw_count)
    if size < plan.WINDOW_MAX:
        assert size // a_window // plan.FRAME >= plan.ENTRIES
    kb = task.trace_kb(PairPlan(setup, (Traffic("ep-to-rc", flows, packets),)))
    assert task.TRACE_KB_MIN <= kb <= task.TRACE_KB_MAX


def test_the_trace_holds_the_polls_between_two_packets() -> None:
    """Each poll leaves the doorbell words: a long gap has many, where the endpoint polls."""
    kb = {
        (gap, mode): task.trace_kb(
            PairPlan(PairSetup(doorbell=mode), (Traffic(packets=200, gap_us=gap),))
        )
        for gap in (12_000, 1_000_000)
        for mode in ("poll", "msi")
    }
    assert kb[1_000_000, "poll"] * 1024 >= 200 * 200 * (task.WORDS_BYTES + task.EVENT_BYTES)
    assert {kb[12_000, "poll"], *(kb[gap, "msi"] for gap in (12_000, 1_000_000))} == {
        task.TRACE_KB_MIN
    }


def test_a_deterministic_machine_takes_no_clock_and_no_chance_from_the_host() -> None:
    words = " ".join(machine(PairSetup(), True).options)
    assert "clock=vm" in words and "rdrand=off" in words and "rdseed=off" in words
    assert "-icount" in accelerator_options(True, True, 1)
    assert machine(PairSetup(), True).devices == ()
    assert machine(PairSetup(doorbell="msi"), True).devices == ("-device", "edu")
    assert "thread=multi" in accelerator_options(False, False, 2)[1]


def test_guest_scripts_are_shell() -> None:
    children.run(["sh", "-n", str(GUEST / "pair")], check=True)
