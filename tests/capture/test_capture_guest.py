# SPDX-License-Identifier: BSD-3-Clause
"""The capture script, and `explain` of the pair, on a real kernel: the guest's busybox as root."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bpftrace_package import MEMORY, archive
from lab_kernel import CACHE, kernel
from pair_kernel import boot

from ntbbench.capture.ingest import ingest
from ntbbench.capture.latency_records import DELAY, LENGTH
from ntbbench.capture.script import package_text, script_text
from ntbbench.cli.main import main
from ntbbench.lab.guest_task import Task, record
from ntbbench.lab.packages.modules import Kernel, build
from ntbbench.lab.pair.plan import PairPlan, PairSetup
from ntbbench.lab.qemu import TCG, loopback_machine
from ntbbench.lab.watch import Limits
from ntbbench.pair.setting import Traffic

# Boots a real kernel: `make test-guest`.
pytestmark = pytest.mark.guest

PACKETS = 20  # of each of four QPs
TASK = f"""\
LAB=/sys/kernel/debug/ntb_lab
TRACING=/sys/kernel/tracing
links_are_up() {{
	[ "$(grep -c ' up 1 ' $LAB/state)" = $((2 * QUEUES)) ]
}}
load_loopback
load ntb_lab queues=$QUEUES
until_true "the link did not come up" links_are_up
echo 1 > $LAB/refill
usleep $SETTLE
sh /bin/capture.sh /record/capture 3 2> /said &
until_true "no second in between" [ -e /record/capture/before-stats/0000:00:03.0/qp3 ]
usleep $SETTLE
printf '0 f {PACKETS} 1000\\n' > $LAB/send
wait
cp /said /record/capture/said
ls $TRACING/instances > /record/capture/instances
cat $TRACING/kprobe_events > /record/capture/probes
deliver capture
"""


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the script made while 80 doorbells rang; no vector callbacks."""
    folder = tmp_path_factory.mktemp("capture")
    (folder / "task").write_text(TASK)
    (folder / "capture.sh").write_text(script_text())
    found = kernel()
    built = Kernel("debian:6.12", found.image, found.kbuild, found.source)
    record(
        Task(folder / "task", (), ("capture",), Limits(120), {"QUEUES": 4}),
        folder / "out",
        image=found.image,
        modules=build(CACHE, built, print),
        accel=TCG,
        machine=loopback_machine(),
        programs=(folder / "capture.sh",),
    )
    return folder / "out" / "capture"


def test_events_wakeups_and_runs_of_the_real_kernel(captured: Path) -> None:
    """Four QPs, no callbacks, db_read latched: four wakeups and five runs per doorbell."""
    folder = captured
    for name in ("said", "instances", "probes"):
        assert (folder / name).read_text() == "", name
        (folder / name).unlink()
    measured = ingest([folder])
    assert measured.errors == []
    (trace,) = measured.traces
    assert trace.db_events == 4 * PACKETS
    assert trace.db_events_per_vector == {str(bit): PACKETS for bit in range(4)}
    assert [woken.doorbell for woken in trace.woken] == [4 * PACKETS] * 4
    assert [woken.other for woken in trace.woken] == [PACKETS] * 4
    assert [woken.runs for woken in trace.woken] == [5 * PACKETS] * 4
    receiving = [qp for qp in measured.qps if qp.rx_pkts]
    assert [(qp.qp_num, qp.rx_pkts, qp.runs_low) for qp in receiving] == [
        (qp_num, PACKETS, 5 * PACKETS) for qp_num in range(4)
    ]
    exact = {row.quantity: row.low for row in measured.amplification if len(row.sources) == 1}
    assert exact == {"doorbell wakeups": 4.0, "runs": 5.0}


EBPF_TASK = f"""\
LAB=/sys/kernel/debug/ntb_lab
links_are_up() {{
	[ "$(grep -c ' up 1 ' $LAB/state)" = $((2 * QUEUES)) ]
}}
tar -x -C / -f /bin/bpftrace.tar
rm /bin/bpftrace.tar
export PATH=/bin:/usr/bin LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu:/usr/lib/llvm-14/lib
load_loopback
load ntb_lab queues=$QUEUES
until_true "the link did not come up" links_are_up
echo 1 > $LAB/refill
usleep $SETTLE
mkdir /record/watch
sh /bin/capture.sh /record/capture -- sh /bin/watch.sh 1 2 > /record/watch/lines 2> /said &
LINK_TRIES=6000
until_true "no second in between: $(cat /said)" [ -e /record/capture/before-stats/0000:00:03.0/qp3 ]
usleep $((SETTLE * 10))
printf '0 f {PACKETS} 1000\\n' > $LAB/send
wait
cp /said /record/watch/said
cat /sys/kernel/debug/kprobes/list > /record/watch/probes
deliver capture
deliver watch
"""


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `capture`, with bpftrace in the guest, and `watch`, which was the command of it."""
    folder = tmp_path_factory.mktemp("ebpf")
    (folder / "task").write_text(EBPF_TASK)
    (folder / "capture.sh").write_text(script_text())
    (folder / "watch.sh").write_text(package_text("watch.sh"))
    found = kernel()
    built = Kernel("debian:6.12", found.image, found.kbuild, found.source)
    machine = loopback_machine()
    record(
        Task(folder / "task", (), ("capture", "watch"), Limits(600), {"QUEUES": 4}),
        folder / "out",
        image=found.image,
        modules=build(CACHE, built, print),
        accel=TCG,
        machine=replace(machine, devices=(*machine.devices, "-m", str(MEMORY))),
        programs=(folder / "capture.sh", folder / "watch.sh", archive()),
    )
    return folder / "out"


def test_the_ebpf_program_counts_what_the_trace_shows(counted: Path) -> None:
    """In one capture: 80 doorbells, four wakeups and five runs of each, by both."""
    said = "ntbbench: no interrupt line of an NTB driver\n"  # nothing else is unknown
    assert (counted / "watch/said").read_text() == said
    assert (counted / "watch/probes").read_text() == ""
    measured = ingest([counted / "capture"])
    assert measured.errors == []
    exact = {(row.quantity, row.low, row.high) for row in measured.amplification}
    assert exact >= {("doorbell wakeups", 4.0, 4.0), ("runs", 5.0, 5.0)}
    counts = {(one.name, one.key): one.value for one in measured.counts}
    assert counts["@events", ""] == 4 * PACKETS
    assert counts["@cause", "doorbell"] == 16 * PACKETS
    assert counts["@cause", "run before: race check, repost, budget"] == 4 * PACKETS
    times = {(one.what, Path(one.source).name): one for one in measured.run_times}
    for what, count in ((DELAY, 16 * PACKETS), (LENGTH, 20 * PACKETS)):
        traced, program = times[what, "trace"], times[what, "bpftrace.json"]
        assert traced.count == program.count == count
        assert program.longest_high is not None
        assert 0 < program.p50_low < program.longest_high < 1e-3
    assert not (counted / "capture/doorbell.bt").exists()


def test_the_script_watches_a_real_kernel(counted: Path) -> None:
    """Without a doorbell line (irq_work) the interrupts are not known; runs and packets are."""
    lines = (counted / "watch/lines").read_text().splitlines()
    words = [line.split() for line in lines]
    assert len(words) == 2
    rows = [dict(zip(row[::2], row[1::2], strict=True)) for row in words]
    assert {row["irq/s"] for row in rows} == {"?"}
    received = sum(int(row["rx/s"]) for row in rows)
    assert 2 * PACKETS < received <= 4 * PACKETS  # a look takes a part of a second in the guest
    low = sum(int(row["runs/s"].split("..")[0]) for row in rows)
    assert low == pytest.approx(5 * received, abs=5)
    (interval,) = ingest([counted / "capture"]).intervals
    assert interval.exit_code == 0
    assert interval.seconds is not None
    assert 2 <= interval.seconds < 4


QPS = 4
BOTH = (Traffic("ep-to-rc", QPS, 20), Traffic("rc-to-ep", QPS, 20))


@pytest.mark.parametrize(
    ("setup", "runs"),
    [
        (PairSetup(ep_driver="before", rc_driver="before", queues=QPS), (460, 460)),
        (PairSetup(queues=QPS, doorbell="embedded"), (160, 640)),
    ],
    ids=["before the series", "embedded"],
)
def test_both_directions_are_inside(setup, runs, tmp_path) -> None:
    folder, measured, found = tmp_path / "boot", tmp_path / "m.json", tmp_path / "e.json"
    boot(PairPlan(setup, BOTH), folder)
    assert main(["ingest", str(folder), "-o", str(measured)]) == 0
    assert main(["explain", str(measured), "-o", str(found)]) == 0
    explanations = json.loads(found.read_text())["explanations"]
    told = [(one["verdict"], one["unexplained"], one["interrupts"]) for one in explanations]
    assert told == [("inside", 0, 80)] * 2
    assert tuple(one["measured_runs_low"] for one in explanations) == runs
