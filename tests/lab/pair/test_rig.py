# SPDX-License-Identifier: BSD-3-Clause
"""The pair's rig without a guest: plans, the machine, the layout of recordings, faults."""

import shutil
import subprocess
from pathlib import Path

import pytest
from captures import FOUR, PCI, set_counters
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.lab.lab_errors import BuildError, GuestError
from ntbbench.lab.machine.console import last_words
from ntbbench.lab.machine.guest_task import Recordings
from ntbbench.lab.machine.qemu import Boot
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.pair import pair_task as task
from ntbbench.lab.pair import runner
from ntbbench.lab.pair.drivers.pair_kernel import PairKernel
from ntbbench.lab.pair.drivers.sources import DebianSource, SourceManifest
from ntbbench.lab.pair.drivers.text_patches import DRIVERS
from ntbbench.lab.pair.pair_machine import accelerator_options, machine
from ntbbench.lab.pair.plan import DriverSource, PairPlan, PairSetup, Traffic
from ntbbench.lab.pair.recording.layout import read_sides, write_point, write_state


@pytest.mark.parametrize(
    ("setting", "option"),
    [
        ({"ep_slots": 33}, "--ep-slots"),
        ({"ep_slots": -1}, "--ep-slots"),
        ({"mw_count": 3}, "--mw-count"),
        ({"mw_count": 0}, "--mw-count"),
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
def test_windows_hold_rings_and_the_trace_holds_a_point(
    mw_count: int, queues: int | None, flows: int, packets: int
) -> None:
    setup = PairSetup(mw_count=mw_count, queues=queues)
    size = task.window_size(setup)
    assert size & (size - 1) == 0 and task.WINDOW_MIN <= size <= task.WINDOW_MAX
    a_window = -(-min(queues or mw_count, 14) // mw_count)
    if size < task.WINDOW_MAX:
        assert size // a_window // task.FRAME >= task.ENTRIES
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


# --- layout -------------------------------------------------------------------------------------

SETUP_TRACE = """\
  ln-50  [000] ..Zff  0.57: set_ctx: (x [ntb]) ntb=0xa8 ctx=0xc0 dev="0000:10:00.0"
  kworker/0:1-10  [000] ..Zff  0.58: set_ctx: (x [ntb]) ntb=0xb8 ctx=0xd0 dev="0010:00:00.0"
  insmod-60  [000] .....  0.67: create_queue: (y [ntb_transport]) dev="0000:10:00.0"
  insmod-60  [000] .....  0.67: queue_created: (z <- y) qp=0x100
  insmod-60  [000] .....  0.67: create_queue: (y [ntb_transport]) dev="0010:00:00.0"
  insmod-60  [000] .....  0.67: queue_created: (z <- y) qp=0x200
  ntb_flow-69  [000] .....  0.69: create_queue: (y [ntb_transport]) dev="0000:10:00.0"
  ntb_flow-69  [000] .....  0.69: queue_created: (z <- y) qp=0x140
  ntb_flow-69  [000] .....  0.69: create_queue: (y [ntb_transport]) dev="0000:10:00.0"
  ntb_flow-69  [000] .....  0.69: queue_created: (z <- y) qp=0x0
"""


def write_stats(folder: Path, packets: dict[tuple[str, str], tuple[int, int]]) -> None:
    for (device, qp), (sent, received) in packets.items():
        place = folder / device
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(FOUR / "after-stats" / PCI / "qp0", place / qp)
        set_counters(place / qp, rx_pkts=received, tx_pkts=sent)


def test_sides_and_qps_come_from_the_trace_of_the_setup(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(SETUP_TRACE)
    sides = read_sides(tmp_path / "trace")
    assert sides["ep"].ctx == 0xC0 and sides["ep"].qps == (0x100, 0x140)
    assert sides["rc"].ntb == 0xB8 and sides["rc"].qps == (0x200,)
    point = tmp_path / "point"
    write_stats(point / "before-stats", {("0000:10:00.0", "qp1"): (2, 0)})
    write_stats(
        point / "after-stats",
        {("0000:10:00.0", "qp1"): (7, 0), ("0010:00:00.0", "qp0"): (0, 5)},
    )
    (point / "after-stats" / "0000:10:00.0" / "qp0").touch()  # without a link
    write_state(point, sides)
    assert (point / "state").read_text().splitlines() == [
        "port 0 qp 0 up 0 tx 0 rx 0 bad 0 ptr 0x100",
        "port 0 qp 1 up 1 tx 7 rx 0 bad 0 ptr 0x140",
        "port 1 qp 0 up 1 tx 0 rx 5 bad 0 ptr 0x200",
    ]
    sides_of = {
        side: DriverSource(side, "after", "", tmp_path, patches)
        for side, patches in (("ep", (1, 2)), ("rc", (9, 11, 12)))
    }
    write_point(point, PairSetup(), Traffic(), sides_of)
    told = dict(line.split("=", 1) for line in (point / "point").read_text().splitlines())
    assert (
        told["sending_qps"] == "1" and told["vectors"] == "14" and told["rc_patches"] == "9 11 12"
    )


def test_a_qp_that_no_one_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(SETUP_TRACE)
    write_stats(tmp_path / "after-stats", {("0010:00:00.0", "qp1"): (1, 1)})
    with pytest.raises(GuestError, match="that no one created"):
        write_state(tmp_path, read_sides(tmp_path / "trace"))


RESULT = "ep_qp_count=4\nrc_qp_count=\nep_queues=4\nrc_queues=4\nlink=down\ncause=a = b\n"


def test_a_result_says_who_computed_what(tmp_path: Path) -> None:
    (tmp_path / "result").write_text(RESULT)
    assert runner.read_result(tmp_path / "result")["cause"] == "a = b"
    (tmp_path / "result").write_text(RESULT.replace("link=down\n", ""))
    with pytest.raises(GuestError, match="reported no link"):
        runner.read_result(tmp_path / "result")


def test_traffic_that_failed_is_told_in_its_own_words(tmp_path: Path) -> None:
    setup = tmp_path / "setup"
    setup.mkdir()
    (setup / "result").write_text(RESULT.replace("down", "up"))
    (setup / "trace").write_text(SETUP_TRACE)
    (setup / "observed").write_text("ep takes db_count 2=no\n")
    place = tmp_path / Traffic().name
    place.mkdir()
    (place / "sent").write_text("send: Network is unreachable\n")
    drivers = [DriverSource(side, "after", "", tmp_path, ()) for side in ("ep", "rc")]
    recordings = Recordings("7.3.4", tmp_path, Boot("", ""))
    with pytest.raises(GuestError, match="sent: send: Network is unreachable"):
        runner.lay_out(PairPlan(PairSetup()), *drivers, recordings)
    kept = runner.lay_out(PairPlan(PairSetup(), may_die=True), *drivers, recordings)
    assert kept.died == f"the guest gave up: {place.name}: sent: send: Network is unreachable"
    assert kept.points == ()


def test_the_remark_of_every_boot_is_no_warning() -> None:
    remark = "[    0.47] WARNING: drivers/pci/endpoint/pci-epc-core.c:1089 at __pci_epc_create+0x97"
    other = "[    0.48] WARNING: drivers/pci/endpoint/pci-epc-core.c:1089 at pci_epc_raise_irq+0x9"
    assert runner.warnings(f"{remark}\n{other}\n") == [other.partition("] ")[2]]


@pytest.mark.parametrize("recorded", [False, True])
def test_what_the_oops_of_the_lab_provokes_is_no_warning_of_a_driver(
    tmp_path: Path, recorded: bool
) -> None:
    """A hung guest is given an instruction that is none, and a debug kernel complains of that."""
    own = "[ 1.0] WARNING: pci-epf-vntb.c:9 at vntb_epf_peer_db_set+0x9/0x20\n"
    provoked = (
        "[ 9.0] Oops: invalid opcode: 0000 [#1] SMP KASAN\n"
        "[ 9.0] BUG: sleeping function called from invalid context at exit.c:1\n"
        "[ 9.0] WARNING: kernel/rcu/tree.c:1 at f+0x1/0x2\n"
    )
    if recorded:
        (tmp_path / "setup").mkdir()
        (tmp_path / "setup" / "result").write_text(RESULT)
        (tmp_path / "setup" / "trace").write_text(SETUP_TRACE)
        (tmp_path / "setup" / "observed").write_text("ep takes db_count 2=no\n")
    drivers = [DriverSource(side, "after", "", tmp_path, ()) for side in ("ep", "rc")]
    hung = Recordings("7.3.4", tmp_path, Boot(own + provoked, "", "9 s of processor time"))
    plan = PairPlan(PairSetup(), may_die=True)
    laid_out = runner.lay_out(plan, *drivers, hung)
    assert laid_out.died.startswith("the guest hung: ")
    assert laid_out.warnings == (own.partition("] ")[2].strip(),)


def test_the_place_of_a_panic_is_that_of_its_cause() -> None:
    console = (
        "[ 1.0] RIP: 0010:__pci_epc_create+0x97/0x140\n"
        "[ 2.0] BUG: kernel NULL pointer dereference, address: 0000000000000020\n"
        "[ 2.0] RIP: 0010:klist_put+0x1b/0xa0\n"
        "[ 2.1] Kernel panic - not syncing: Fatal exception\n"
    )
    assert last_words(console) == (
        "BUG: kernel NULL pointer dereference, address: 0000000000000020; "
        "RIP: 0010:klist_put+0x1b/0xa0; Kernel panic - not syncing: Fatal exception"
    )
    assert Boot(console, "").died.startswith("the guest panicked: BUG: kernel NULL pointer")
    assert Boot("all is well\n", "").died == ""


def test_the_rig_is_a_kernel_that_is_named() -> None:
    stack = runner.PairStack(
        PairKernel("debian:7.3", "run", Path("k"), DebianSource(Path("s"), None)),  # type: ignore[arg-type]
        Path("tree"),
    )
    assert stack.source == Path("tree")


def test_guest_scripts_are_shell() -> None:
    guest = Path(runner.__file__).parent / "guest"
    subprocess.run(["sh", "-n", str(guest / "pair")], check=True)


@pytest.mark.parametrize(
    ("own", "file", "told"),
    [(True, "msi.c", True), (True, "pci-epf-vntb.c", False), (False, "msi.c", False)],
)
def test_a_tree_whose_stack_is_for_another_kernel_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool, file: str, told: bool
) -> None:
    def fails(*_: object) -> Path:
        raise BuildError(f"tree: {file}:109:9: error: implicit declaration")

    monkeypatch.setattr(runner, "build_modules", fails)
    manifest = SourceManifest(package="linux-source-7.3", version="7.3.4-1", sha256="0")
    built = PairKernel("debian:7.3", "run", tmp_path, DebianSource(tmp_path, manifest))
    stack = runner.PairStack(built, tmp_path if own else None)
    ep, rc = (
        DriverSource(side, "after", "here", tmp_path / Path(name).name, ())
        for side, name in DRIVERS.items()
    )
    with pytest.raises(BuildError, match=f"{file}:109") as error:
        runner.build_pair(Cache(tmp_path), stack, ep, rc, print)
    hint = "a kernel of linux-source-7.3 7.3.4-1; --ep-driver and --rc-driver take"
    assert (hint in str(error.value)) == told
