# SPDX-License-Identifier: BSD-3-Clause
"""The capture script, and `explain` of the pair, on a real kernel: the guest's busybox as root."""

import json
from pathlib import Path

import pytest
from lab_kernel import CACHE, kernel
from pair_kernel import boot

from ntbbench.capture.ingest import ingest
from ntbbench.capture.script import script_text
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
