# SPDX-License-Identifier: BSD-3-Clause
"""The real driver pair in its guest: counts, mixes, modes, links that stay down, and faults."""

import filecmp
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import children
import pytest
from datapath_pair import runs_per_qp, system_of
from lab_kernel import gone, guests_of
from pair_kernel import CACHE, KERNEL, boot, counts, patched_driver, rig

from ntbbench.capture.recording import read_recording
from ntbbench.datapath.engine import ENGINES, simulate
from ntbbench.lab.commands import BuildError, GuestError
from ntbbench.lab.guest_task import Task, record
from ntbbench.lab.pair import runner
from ntbbench.lab.pair.boot import laid_out, pair_task
from ntbbench.lab.pair.boot.left import PairRecordings, PointRecording
from ntbbench.lab.pair.boot.pair_task import machine
from ntbbench.lab.pair.pair_modules import build_pair
from ntbbench.lab.pair.plan import EP, RC, PairPlan, PairSetup
from ntbbench.lab.pair.point_files import read_point_folder
from ntbbench.lab.pair.points import evaluate
from ntbbench.lab.pair.ring_trace_file import WireSlots
from ntbbench.lab.qemu import TCG
from ntbbench.lab.watch import Limits
from ntbbench.pair.setting import Traffic

# Boots a real kernel, and builds it the first time: `make test-guest`.
pytestmark = pytest.mark.guest

QPS = 4
PACKETS = 20  # of a flow; a flow for each QP
BOTH = (Traffic("ep-to-rc", QPS, PACKETS), Traffic("rc-to-ep", QPS, PACKETS))
ON_QP_0 = (Traffic("ep-to-rc", 1, PACKETS), Traffic("rc-to-ep", 1, PACKETS))
# Receive-tasklet runs of one ring on each of the four QPs, by the receiver's driver: facts measured
# before. Before the series every QP runs, and the race check hits whichever db_read() names.
AFTER_RUNS, BEFORE_RC_RUNS, BEFORE_EP_RUNS = 8, 23, 23
EVERY_SLOT = 6  # doorbells of 8 slots: what one ring of the embedded doorbell reports


def plan(ep: str = "after", rc: str = "after", **setting: object) -> PairPlan:
    """Return a boot of both directions with a flow for each of four QPs."""
    return PairPlan(PairSetup(ep_driver=ep, rc_driver=rc, queues=QPS, **setting), BOTH)  # type: ignore[arg-type]


@pytest.fixture(
    scope="module",
    params=[("after", "after"), ("before", "before"), ("after", "before"), ("before", "after")],
    ids="-".join,
)
def mix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PairRecordings:
    """A boot with old or new drivers on either side: a flow for each QP, then one on QP 0."""
    both = replace(plan(*request.param), traffic=(*BOTH, *ON_QP_0))
    return boot(both, tmp_path_factory.mktemp("mix"))


def test_old_and_new_drivers_carry_traffic_both_ways(mix: PairRecordings) -> None:
    recordings, ep, rc = mix, mix.plan.setup.ep_driver, mix.plan.setup.rc_driver
    assert (recordings.link, recordings.cause) == ("up", "")
    # The endpoint driver of 6.12 asks for a workqueue in a way that 7.3 warns of.
    told = [line for line in recordings.warnings if "__alloc_workqueue" not in line]
    assert told == [] and len(recordings.warnings) == (ep == "before")
    assert (recordings.ep_qp_count, recordings.rc_qp_count) == (QPS, QPS)
    assert recordings.ep.patches == (tuple(range(1, 8)) if ep == "after" else ())
    assert recordings.rc.patches == (tuple(range(8, 13)) if rc == "after" else ())
    to_rc, to_ep = (counts(point.folder) for point in recordings.points[: len(BOTH)])
    rung = QPS * PACKETS
    assert to_rc == {
        **dict.fromkeys(("peer_db_set", "raise_irq", "isr", "db_event"), rung),
        "rxc_db": PACKETS * (AFTER_RUNS if rc == "after" else BEFORE_RC_RUNS),
    }
    assert to_ep == {
        **dict.fromkeys(("peer_db_set", "db_event"), rung),
        **dict.fromkeys(("raise_irq", "isr"), 0),
        "rxc_db": PACKETS * (AFTER_RUNS if ep == "after" else BEFORE_EP_RUNS),
    }


def slots_of(point: PointRecording, *, polled: bool) -> WireSlots:
    return read_point_folder(point.folder, point.traffic, polled=polled).trace.slots


EACH_AT_ITS_SLOT = {(bit, bit + 2): PACKETS for bit in range(QPS)}


def test_bit_b_rings_slot_b_plus_2_in_both_directions(mix: PairRecordings) -> None:
    """The wire contract: of the four mixes each receiver serves what the other rang."""
    for point in mix.points[: len(BOTH)]:
        slots = slots_of(point, polled=point.traffic.receiver == EP)
        assert slots.rung == EACH_AT_ITS_SLOT and not slots.absent
        assert slots.served == {slot: PACKETS for _, slot in EACH_AT_ITS_SLOT}


def test_the_simulators_engines_run_as_often_as_the_kernel(mix: PairRecordings) -> None:
    for point, measured in list(zip(mix.points, evaluate(mix), strict=True))[: len(BOTH)]:
        system = system_of(mix, point)
        for engine in ENGINES:
            assert runs_per_qp(simulate(system, 1, engine)) == measured.runs_per_qp


# Receive-tasklet runs of a doorbell of QP 0, towards the root complex and towards the endpoint.
FACTS = {
    ("after", "after"): (2, 2),
    ("before", "before"): (5, 6),
    ("after", "before"): (5, 2),
    ("before", "after"): (2, 6),
}


def test_a_flow_on_qp_0_costs_what_the_facts_say(mix: PairRecordings) -> None:
    facts = FACTS[mix.plan.setup.ep_driver, mix.plan.setup.rc_driver]
    points = evaluate(mix)[len(BOTH) :]
    for point, runs_a_doorbell in zip(points, facts, strict=True):
        assert point.link == "up" and point.agrees
        assert point.packets_received == point.doorbells_rung == point.events == PACKETS
        assert sum(point.runs_per_qp) == PACKETS * runs_a_doorbell
        assert point.runs_per_qp == point.predicted_runs_per_qp
    assert points[0].msis_raised == PACKETS


def test_recordings_have_the_layout_of_every_doorbell_recording(mix: PairRecordings) -> None:
    for point, port in zip(mix.points[: len(BOTH)], (1, 0), strict=True):
        recording = read_recording(point.folder)
        assert recording.port == port and recording.cautions == ()
        assert [qp.qp_num for qp in recording.qps if qp.is_up] == list(range(QPS))
        assert recording.point.sending_qps == tuple(range(QPS))


def test_two_boots_leave_the_same_files(tmp_path: Path) -> None:
    """About one boot in forty differs by microseconds: a third one then tells which is the odd one.

    QEMU's main loop runs beside its virtual CPU, and a late wakeup of it shifts an interrupt.
    """
    bursts = tuple(Traffic(point.direction, QPS, 50, 0) for point in BOTH)
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for number, folder in enumerate(folders):
        boot(PairPlan(PairSetup(queues=QPS), bursts), folder)
        pairs = [filecmp.dircmp(folder, before) for before in folders[:number]]
        if any(differing(pair) == [] for pair in pairs):
            return
    pytest.fail(f"three boots, three results: {[differing(pair) for pair in pairs]}")


def differing(compared: filecmp.dircmp[str]) -> list[str]:
    """Return the files that are on one side only, or differ; times do not count."""
    _, wrong, errors = filecmp.cmpfiles(
        compared.left, compared.right, compared.common_files, shallow=False
    )
    below = [name for folder in compared.subdirs.values() for name in differing(folder)]
    return [*compared.left_only, *compared.right_only, *wrong, *errors, *below]


@pytest.mark.parametrize(("doorbell", "events"), [("msi", 1), ("embedded", EVERY_SLOT)])
def test_interrupt_doorbells(doorbell: str, events: int, tmp_path: Path) -> None:
    points = boot(plan(doorbell=doorbell), tmp_path).points
    to_rc, to_ep = (counts(point.folder) for point in points)
    assert slots_of(points[1], polled=False).rung == EACH_AT_ITS_SLOT
    assert to_rc["db_event"] == QPS * PACKETS
    assert to_ep["db_event"] == QPS * PACKETS * events
    assert counts(tmp_path / BOTH[1].name)["rxc_db"] == QPS * PACKETS * (
        2 if doorbell == "msi" else 2 * QPS
    )


def test_a_mode_that_the_driver_lacks_boots_nothing(tmp_path: Path) -> None:
    recordings = boot(plan(ep="before", doorbell="msi"), tmp_path / "none")
    assert not recordings.available and recordings.points == ()
    assert "6.12.95" in recordings.cause and "no msi doorbells, only poll" in recordings.cause
    assert not (tmp_path / "none").exists()


def test_a_link_that_stays_down_is_a_result(tmp_path: Path) -> None:
    recordings = boot(plan(ep_slots=4), tmp_path)
    assert (recordings.link, recordings.ep_qp_count, recordings.rc_qp_count) == ("down", 1, QPS)
    assert recordings.cause == (
        "ntb_transport computed 1 QPs on the endpoint, 4 on the root complex"
    )
    assert [point.link for point in recordings.points] == ["down", "down"]
    assert not (recordings.points[0].folder / "trace").exists()


def test_an_endpoint_that_does_not_bind_is_a_result(tmp_path: Path) -> None:
    recordings = boot(plan(ep_slots=2), tmp_path)
    assert (recordings.link, recordings.ep_qp_count, recordings.rc_qp_count) == ("down", None, None)
    assert recordings.cause == "pci-epf-vntb refuses db_count=2"


def test_vectors_are_spread_over_the_cpus(tmp_path: Path) -> None:
    setup = PairSetup(queues=QPS, cpus=2)
    boot(PairPlan(setup, (Traffic("ep-to-rc", QPS, 5),), deterministic=False), tmp_path)
    place = tmp_path / Traffic("ep-to-rc", QPS, 5).name
    lines = (place / "trace").read_text().splitlines()
    cpus = [line.split("[")[1][:3] for line in lines if ": isr:" in line]
    assert len(cpus) == QPS * 5
    assert set(cpus) == {"000", "001"}


INSTANCES = """
mkdir -p /config /record/instances
mount -t configfs config /config
load epc_loop "instances=2 doorbell=msi"
cd /config/pci_ep/controllers
for controller in *; do echo 1 > $controller/start; done
until_true "no host bus" [ -d /sys/class/pci_bus/0011:00 ]
ls -d /config/pci_ep/controllers/* /sys/class/pci_bus/001* > /record/instances/made
for controller in *; do echo 0 > $controller/start; done
cd /sys/bus/platform/drivers/epc_loop
for device in epc_loop.*; do echo $device > unbind; done
cd /
rmmod epc_loop || finish "failed epc_loop does not unload"
dmesg > /record/instances/dmesg
deliver instances
"""


def test_instances_have_a_bus_and_a_doorbell_each(tmp_path: Path) -> None:
    script = tmp_path / "instances.sh"
    script.write_text(INSTANCES)
    setup = PairSetup(doorbell="msi")
    two = machine(setup, True)
    lab = rig()
    ep, rc = lab.drivers(setup)
    recordings = record(
        Task(script, (), ("instances",), Limits(60), {}),
        tmp_path / "out",
        image=lab.kernel.image,
        modules=build_pair(CACHE, lab.kernel, ep, rc, tree=None, say=print),
        accel=TCG,
        machine=replace(two, devices=(*two.devices, *two.devices)),
    )
    made = (recordings.folder / "instances" / "made").read_text().split()
    assert [path.rpartition("/")[2] for path in made] == [
        *("epc_loop.0", "epc_loop.1"),
        *("0010:00", "0011:00"),
    ]
    assert laid_out.warnings(recordings.boot.console) == []


def test_modules_and_programs_of_the_guests_are_in_the_kernels_style() -> None:
    checkpatch = rig().kernel.kbuild / "scripts" / "checkpatch.pl"
    sources = sorted(Path(runner.__file__).parents[1].rglob("guest/*.[ch]"))
    assert {path.parents[1].name for path in sources} == {"lab", "pair", "explore"}
    for source in sources:
        command = ["perl", str(checkpatch), "--no-tree", "--strict", "--file", str(source)]
        told = children.run(command, capture_output=True, text=True, check=False)
        assert "0 errors, 0 warnings, 0 checks" in told.stdout, told.stdout


# --- faults --------------------------------------------------------------------------------------


def test_a_driver_that_does_not_build_names_its_line(tmp_path: Path) -> None:
    driver = patched_driver(tmp_path, EP, lambda text: f"{text}\nint broken(;\n")
    number = len(driver.read_text().splitlines())
    modules = set((CACHE.root / "modules").iterdir())
    with pytest.raises(BuildError, match=rf"pci-epf-vntb\.c:{number}:.*error:"):
        boot(plan(ep=str(driver)), tmp_path / "out")
    assert set((CACHE.root / "modules").iterdir()) == modules


def in_the_handler(folder: Path, statement: str) -> Path:
    """Return a ntb_hw_epf whose interrupt handler begins with `statement`."""
    opening = "static irqreturn_t ntb_epf_vec_isr(int irq, void *dev)\n{"
    return patched_driver(
        folder, RC, lambda text: text.replace(opening, f"{opening}\n\t{statement}")
    )


def test_a_guest_that_panics_is_told_in_one_line(tmp_path: Path) -> None:
    driver = in_the_handler(tmp_path, "WRITE_ONCE(*(int *)8, irq);")
    with pytest.raises(GuestError, match=r"panicked: BUG: kernel NULL .*; RIP: .*ntb_epf_vec_isr"):
        boot(plan(rc=str(driver)), tmp_path / "out")
    assert guests_of(os.getpid()) == []


LINK_ENABLE = (
    "static int ntb_epf_link_enable(struct ntb_dev *ntb,\n"
    "\t\t\t       enum ntb_speed max_speed,\n"
    "\t\t\t       enum ntb_width max_width)\n{"
)


def on_the_link(folder: Path, statements: str) -> Path:
    """Return a ntb_hw_epf that begins to enable its link, in its probe, with `statements`."""
    return patched_driver(
        folder, RC, lambda text: text.replace(LINK_ENABLE, f"{LINK_ENABLE}\n\t{statements}")
    )


LOOKS = 3  # at a CPU that is idle most of the time: a tick, or the endpoint's poll, may be running


@pytest.mark.parametrize(
    ("hang", "statements", "told"),
    [
        # with interrupts on and off; the last is blocked, and the CPU idle
        (on_the_link, "while (ntb) cpu_relax();", "was in ntb_epf_link_enable() of ntb_hw_epf"),
        (in_the_handler, "while (irq) cpu_relax();", "was in ntb_epf_vec_isr() of ntb_hw_epf"),
        (on_the_link, "set_current_state(TASK_UNINTERRUPTIBLE); schedule();", "the CPU was idle; "),
    ],
)
def test_a_guest_that_hangs_tells_where(hang, statements, told, tmp_path, monkeypatch) -> None:
    driver = hang(tmp_path, statements)
    # a healthy boot comes to the first packet, and to the end without a link, in less
    monkeypatch.setattr(pair_task, "limits", lambda _plan, _factor: Limits(12))
    lines = []
    while len(lines) < LOOKS and not any(told in line for line in lines):
        with pytest.raises(GuestError) as caught:
            boot(plan(rc=str(driver)), tmp_path / f"out{len(lines)}")
        lines.append(str(caught.value))
    begins = "the guest hung: no end after 12 s of processor time: "
    assert all(line.startswith(begins) and "\n" not in line for line in lines)
    assert told in lines[-1], lines
    assert guests_of(os.getpid()) == []


def test_memory_that_is_not_set_aside_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("ntbbench.lab.pair.boot.pair_task.POOL", "1M$0x1f000000")
    with pytest.raises(GuestError, match=r"gave up: .*epc_loop"):
        boot(plan(), tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_no_guest_and_no_half_cache_outlive_an_interrupt(
    number: int, code: int, tmp_path: Path
) -> None:
    rig()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = ["lab", "pair", "run", "--kernel", KERNEL, "--packets", "2000"]
    output = tmp_path / "x.json"
    with children.started(
        [*children.NTBBENCH, *words, "-o", str(output)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    ) as lab:
        assert lab.stderr is not None
        while not (guests := guests_of(lab.pid)):
            assert lab.poll() is None
        lab.send_signal(number)
        told = lab.stderr.read()
        assert lab.wait() == code
    assert told.splitlines()[-1].endswith("interrupted") and "Traceback" not in told
    assert all(gone(guest) for guest in guests)
    assert not output.exists()
    assert not list((CACHE.root / "modules").glob(".new-*"))
    assert not list(scratch.iterdir())
