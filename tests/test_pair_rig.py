# SPDX-License-Identifier: BSD-3-Clause
"""The pair's rig without a guest: patches, keys, plans, layout, sources, faults."""

import errno
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.errors import InputError
from ntbbench.lab.apt import Package
from ntbbench.lab.cache import Cache
from ntbbench.lab.errors import BuildError, FetchError, GuestError, MissingToolError
from ntbbench.lab.guest import Recordings
from ntbbench.lab.pair import kernel, runner, sources, task
from ntbbench.lab.pair.kernel import PairKernel, fragment, kernel_key, pair_kernel, untaken
from ntbbench.lab.pair.layout import read_sides, write_point, write_state
from ntbbench.lab.pair.machine import accelerator_options, machine
from ntbbench.lab.pair.patches import DRIVERS, carried, check_fits, doorbell_modes
from ntbbench.lab.pair.plan import DriverSource, PairPlan, PairSetup, Traffic
from ntbbench.lab.pair.sources import DebianSource, SourceManifest, driver_source, fetch_source
from ntbbench.lab.qemu import Boot
from ntbbench.lab.words import last_words

# Drivers reduced to what tells the patches apart, written after the series' own diffs.
EP_BEFORE = """
static int epf_ntb_configure_interrupt(struct epf_ntb *ntb)
{
	if (db_count > MAX_DB_COUNT)
		return -EINVAL;
}
static void epf_ntb_cmd_handler(struct work_struct *work)
{
	for (i = 1; i < ntb->db_count; i++) {
		ntb->db |= 1 << (i - 1);
		ntb_db_event(&ntb->ntb, i);
	}
}
static u64 vntb_epf_db_valid_mask(struct ntb_dev *ntb)
{
	return BIT_ULL(ntb_ndev(ntb)->db_count) - 1;
}
static int vntb_epf_peer_db_set(struct ntb_dev *ndev, u64 db_bits)
{
	/* queue_work(peer_db_pending) is what a comment may say */
	return pci_epc_raise_irq(epc, func_no, vfunc_no, PCI_IRQ_MSI, interrupt_num + 1);
}
"""
EP_STEPS: dict[int, tuple[str, str]] = {
    1: ("\treturn pci_epc_raise_irq", "\t/* Legacy mapping: */\n\treturn pci_epc_raise_irq"),
    2: (
        "\treturn pci_epc_raise_irq(",
        "\tatomic64_or(db_bits, &ntb->peer_db_pending);\n\tqueue_work(wq, &ntb->work);\n\treturn (",
    ),
    3: ("i = 1; i < ntb->db_count", "i = EPF_IRQ_DB_START; i < ntb->db_count"),
    4: ("if (db_count > MAX", "if (ntb->db_count < MIN_DB_COUNT || db_count > MAX"),
    5: ("static u64", "if (epf_ntb_epc_attached(ntb))\n\treturn -EOPNOTSUPP;\nstatic u64"),
    6: ("BIT_ULL(ntb_ndev(ntb)->db_count) - 1", "GENMASK_ULL(nr_vec - 1, 0)"),
    7: ("static u64", ".db_vector_count = a, .db_vector_mask = b,\nstatic u64"),
}
RC_BEFORE = """
	int db_val;
static irqreturn_t ntb_epf_vec_isr(int irq, void *dev)
{
	irq_no = irq - pci_irq_vector(ndev->ntb.pdev, 0);
	ntb_db_event(&ndev->ntb, irq_no);
}
static int ntb_epf_peer_db_set(struct ntb_dev *ntb, u64 db_bits)
{
	u32 interrupt_num = ffs(db_bits) + 1;
}
	ndev->db_valid_mask = BIT_ULL(ndev->db_count) - 1;
"""
RC_STEPS: dict[int, tuple[str, str]] = {
    8: ("\tu32 interrupt_num", "\t/* Historically an extra offset */\n\tu32 interrupt_num"),
    9: ("BIT_ULL(ndev->db_count) - 1", "BIT_ULL(ndev->db_count - 1) - 1"),
    10: ("&ndev->ntb, irq_no)", "&ndev->ntb, irq_no - EPF_IRQ_DB_START)"),
    11: ("\tint db_val;", "\tatomic64_t db_val;"),
    12: ("static irq", ".db_vector_count = a, .db_vector_mask = b,\nstatic irq"),
}


def driver(side: str, patches: set[int]) -> str:
    """Return a driver that carries just `patches`."""
    text, steps = (EP_BEFORE, EP_STEPS) if side == "ep" else (RC_BEFORE, RC_STEPS)
    for number in sorted(patches):
        old, new = steps[number]
        text = text.replace(old, new, 1)
    if 3 in patches:
        text = text.replace("&ntb->ntb, i)", "ntb->ntb, i - EPF_IRQ_DB_START)")
    if 11 in patches:
        text = text.replace("irq - pci_irq_vector(ndev->ntb.pdev, 0)", "ctx->irq_no")
    return text


@given(st.sets(st.integers(1, 7)))
def test_any_patches_of_the_endpoint_are_told(
    tmp_path_factory: pytest.TempPathFactory, patches: set[int]
) -> None:
    path = tmp_path_factory.mktemp("ep") / "pci-epf-vntb.c"
    path.write_text(driver("ep", patches))
    assert carried("ep", path) == tuple(sorted(patches))


@given(st.sets(st.integers(8, 12)))
def test_any_patches_of_the_root_complex_are_told(
    tmp_path_factory: pytest.TempPathFactory, patches: set[int]
) -> None:
    path = tmp_path_factory.mktemp("rc") / "ntb_hw_epf.c"
    path.write_text(driver("rc", patches))
    assert carried("rc", path) == tuple(sorted(patches))


def test_comments_carry_no_patch(tmp_path: Path) -> None:
    path = tmp_path / "pci-epf-vntb.c"
    path.write_text(f"{driver('ep', set())}/*\n{driver('ep', set(range(2, 8)))}*/\n")
    assert carried("ep", path) == ()


def test_doorbell_modes_are_those_that_the_code_has(tmp_path: Path) -> None:
    path = tmp_path / "pci-epf-vntb.c"
    for more, modes in (
        ("", ("poll",)),
        ("/* pci_epf_alloc_doorbell() */", ("poll",)),
        ("ret = pci_epf_alloc_doorbell(epf, n);", ("poll", "msi")),
        ("pci_epf_alloc_doorbell(epf, n); db_msg[0].irq_flags;", ("poll", "msi", "embedded")),
    ):
        path.write_text(driver("ep", set()) + more)
        assert doorbell_modes("ep", path) == modes


@pytest.mark.parametrize(
    ("spec", "patches", "fits"),
    [
        ("before", (), True),
        ("before", (9, 10, 11), False),
        ("after", (8, 9, 10, 11, 12), True),
        ("after", (9, 10, 11), False),
        ("some/file.c", (9,), True),
    ],
)
def test_a_source_must_fit_its_name(spec: str, patches: tuple[int, ...], fits: bool) -> None:
    if fits:
        check_fits("rc", spec, "linux-source-6.12 6.12.118-1", patches)
        return
    with pytest.raises(InputError) as caught:
        check_fits("rc", spec, "linux-source-6.12 6.12.118-1", patches)
    assert str(caught.value).startswith(f"--rc-driver: '{spec}': linux-source-6.12 6.12.118-1")
    assert "carries patches 9 10 11" in str(caught.value)


# --- sources ------------------------------------------------------------------------------------


def debian_source(root: Path, version: str, patches: bool) -> DebianSource:
    """Put a fetched source into the cache at `root`."""
    folder = root / "sources" / version
    for side, name in DRIVERS.items():
        (folder / name).parent.mkdir(parents=True)
        every = {"ep": set(range(1, 8)), "rc": set(range(8, 13))}[side]
        (folder / name).write_text(driver(side, every if patches else set()))
    manifest = SourceManifest(package="linux-source-7.3", version=version, sha256="0" * 64)
    (folder / sources.MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return DebianSource(folder, manifest)


def test_drivers_are_named_by_word_file_or_tree(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    new = debian_source(tmp_path, "7.3.4-1", patches=True)
    old = debian_source(tmp_path, "6.12.95-1", patches=False)
    file = old.folder / DRIVERS["rc"]
    for spec, patches, origin in (
        ("after", (8, 9, 10, 11, 12), "linux-source-7.3 7.3.4-1"),
        ("before", (), "linux-source-7.3 6.12.95-1"),
        (str(file), (), str(file)),
        (str(old.folder), (), str(file)),
    ):
        found = driver_source(cache, "rc", spec, new, print)
        assert (found.spec, found.patches, found.origin) == (spec, patches, origin)
        assert found.path.is_file()


@pytest.mark.parametrize("given", ["/nowhere.c", "a-folder", "empty.c"])
def test_what_is_no_driver_is_refused(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-folder").mkdir()
    Path("empty.c").touch()
    with pytest.raises(InputError, match="--ep-driver: "):
        driver_source(Cache(tmp_path), "ep", given, debian_source(tmp_path, "7.3.4-1", True), print)


def test_a_cached_source_needs_no_network(tmp_path: Path) -> None:
    debian_source(tmp_path, "7.3.3-1", patches=True)
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    assert fetch_source(Cache(tmp_path), "7.3", print) == source


def test_a_damaged_source_is_one_line(tmp_path: Path) -> None:
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    (source.folder / sources.MANIFEST).write_text("{")
    with pytest.raises(FetchError, match="remove its folder and fetch again"):
        fetch_source(Cache(tmp_path), "7.3", print)


# --- kernel -------------------------------------------------------------------------------------


def test_a_kernel_is_kept_by_source_configuration_and_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    other = DebianSource(source.folder, msgspec.structs.replace(source.manifest, sha256="1" * 64))
    keys = [kernel_key(source, "run"), kernel_key(source, "check"), kernel_key(other, "run")]
    monkeypatch.setattr(kernel, "fragment", lambda variant: f"{fragment(variant)}CONFIG_NEW=y\n")
    keys.append(kernel_key(source, "run"))
    assert len(set(keys)) == len(keys)
    monkeypatch.undo()
    assert kernel_key(source, "run") == keys[0]


def test_options_that_the_source_drops_are_named() -> None:
    asked = 'CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D="text"\n# a comment\n'
    assert untaken(asked, 'CONFIG_A=y\nCONFIG_B=m\nCONFIG_D="text"\n') == []
    got = "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=y\n"
    assert untaken(asked, got) == ["CONFIG_A=y", "CONFIG_B=m", "CONFIG_C=n", 'CONFIG_D="text"']


@pytest.mark.parametrize("spec", ["debian:6.12", "7.3", "debian:7.2"])
def test_kernels_that_the_rig_does_not_know_are_refused(spec: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--kernel: "):
        pair_kernel(Cache(tmp_path), spec, print)


def test_a_machine_without_the_tools_is_told_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian_source(tmp_path, "7.3.4-1", patches=True)
    monkeypatch.setattr(kernel, "PROGRAMS", ("no-such-program",))
    with pytest.raises(MissingToolError, match="no-such-program: not found"):
        pair_kernel(Cache(tmp_path), "debian:7.3", print)


def test_a_kernel_that_does_not_build_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    source.package.touch()

    def tree(deb: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "Makefile").write_text(
            'allnoconfig:\n\t@echo "kernel/x.c:1: error: no" >&2; false\n'
        )

    monkeypatch.setattr(kernel, "unpack_tree", tree)
    with pytest.raises(BuildError, match=r"7\.3\.4-1: kernel/x\.c:1: error: no"):
        pair_kernel(Cache(tmp_path), "debian:7.3", print)
    assert list((tmp_path / kernel.KERNELS).iterdir()) == []


def test_a_source_is_fetched_once_for_its_files_and_its_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    class Debian:
        def __init__(self, root: Path) -> None:
            self.root = root

        def update(self) -> None:
            pass

        def download(self, package: Package, folder: Path) -> Path:
            fetched.append(package.version)
            (folder / "fetched.deb").write_bytes(b"package")
            return folder / "fetched.deb"

    def unpack(_deb: Path, names: tuple[str, ...], folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()

    def tree(deb: Path, folder: Path) -> None:
        assert deb.read_bytes() == b"package"
        folder.mkdir()
        (folder / "Makefile").write_text("allnoconfig:\n\t@false\n")

    package = Package("linux-source-7.3", "7.3.4-1", (), (), 0)
    monkeypatch.setattr(sources, "Archive", Debian)
    monkeypatch.setattr(sources, "newest", lambda _archive, _wanted: package)
    monkeypatch.setattr(sources, "unpack_files", unpack)
    monkeypatch.setattr(kernel, "unpack_tree", tree)
    for _ in range(2):
        with pytest.raises(BuildError):
            pair_kernel(Cache(tmp_path), "debian:7.3", print)
    assert fetched == ["7.3.4-1"]


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    source.package.touch()

    def tree(deb: Path, folder: Path) -> None:
        folder.mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kernel, "unpack_tree", tree)
    with pytest.raises(FetchError, match=r"pair-kernels/.*: the disk is full; nothing was kept"):
        pair_kernel(Cache(tmp_path), "debian:7.3", print)
    assert list((tmp_path / kernel.KERNELS).iterdir()) == []


# --- plans and machine --------------------------------------------------------------------------


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
        place.joinpath(qp).write_text(f"rx_pkts - \t{received}\ntx_pkts - \t{sent}\n")


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
        side: DriverSource(side, "after", "", tmp_path, patches, ("poll",))
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
    place = tmp_path / Traffic().name
    place.mkdir()
    (place / "sent").write_text("send: Network is unreachable\n")
    drivers = [DriverSource(side, "after", "", tmp_path, (), ("poll",)) for side in ("ep", "rc")]
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
    drivers = [DriverSource(side, "after", "", tmp_path, (), ("poll",)) for side in ("ep", "rc")]
    hung = Recordings("7.3.4", tmp_path, Boot(own + provoked, "", "9 s of processor time"))
    laid_out = runner.lay_out(PairPlan(PairSetup()), *drivers, hung)
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
        DriverSource(side, "after", "here", tmp_path / Path(name).name, (), ("poll",))
        for side, name in DRIVERS.items()
    )
    with pytest.raises(BuildError, match=f"{file}:109") as error:
        runner.build_pair(Cache(tmp_path), stack, ep, rc, print)
    hint = "a kernel of linux-source-7.3 7.3.4-1; --ep-driver and --rc-driver take"
    assert (hint in str(error.value)) == told
