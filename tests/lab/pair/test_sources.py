# SPDX-License-Identifier: BSD-3-Clause
"""Where the pair's code comes from: patches found in drivers, sources, the kernel's build."""

import errno
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.lab.lab_errors import BuildError, FetchError, MissingToolError
from ntbbench.lab.packages.apt import Package
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.pair import pair_kernel as kernel
from ntbbench.lab.pair import sources
from ntbbench.lab.pair.pair_kernel import fragment, kernel_key, pair_kernel, untaken
from ntbbench.lab.pair.sources import (
    DRIVERS,
    DebianSource,
    SourceManifest,
    carried,
    driver_source,
    fetch_source,
)

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
	ret = ntb_register_device(&ndev->ntb);
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
	ret = ntb_register_device(&ndev->ntb);
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


def test_a_kernel_is_kept_by_source_configuration_flags_and_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    other = DebianSource(source.folder, msgspec.structs.replace(source.manifest, sha256="1" * 64))
    keys = [kernel_key(source, "run"), kernel_key(source, "check"), kernel_key(other, "run")]
    monkeypatch.setattr(kernel, "fragment", lambda variant: f"{fragment(variant)}CONFIG_NEW=y\n")
    keys.append(kernel_key(source, "run"))
    monkeypatch.undo()
    monkeypatch.setattr(kernel, "QUICK", "-O2")
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


@pytest.fixture
def few_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for no more than such a tree takes: flex, bison and xz are those of `make test-guest`."""
    monkeypatch.setattr(kernel, "PROGRAMS", ("gcc", "make"))
    monkeypatch.setattr(sources, "program", lambda name: name)


@pytest.mark.usefixtures("few_programs")
def test_a_kernel_that_does_not_build_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    source.package.touch()

    def tree(deb: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "Makefile").write_text(
            'allnoconfig:\n\t@echo "kernel/x.c:1: error: $(KCFLAGS)" >&2; false\n'
        )

    monkeypatch.setattr(kernel, "unpack_tree", tree)
    monkeypatch.setenv("KCFLAGS", "-O9")
    told = re.escape(f"7.3.4-1: kernel/x.c:1: error: {kernel.QUICK}")
    with pytest.raises(BuildError, match=f"{told}$"):
        pair_kernel(Cache(tmp_path), "debian:7.3", print)
    assert list((tmp_path / kernel.KERNELS).iterdir()) == []


def debian_offers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let Debian offer one source, whose package holds no tree; return what is fetched of it."""
    fetched: list[str] = []

    class Debian:
        def __init__(self, root: Path) -> None:
            self.root = root

        def update(self) -> None:
            pass

        def download(self, package: Package, folder: Path) -> Path:
            fetched.append(package.version)
            (folder / "fetched.deb").write_bytes(b"package")
            return folder / "fetched.deb"

    package = Package("linux-source-7.3", "7.3.4-1", (), (), 0)
    monkeypatch.setattr(sources, "Archive", Debian)
    monkeypatch.setattr(sources, "newest", lambda _archive, _wanted: package)
    return fetched


@pytest.mark.usefixtures("few_programs")
def test_a_source_is_fetched_once_for_its_files_and_its_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = debian_offers(monkeypatch)

    def unpack(_deb: Path, names: tuple[str, ...], folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()

    def tree(deb: Path, folder: Path) -> None:
        assert deb.read_bytes() == b"package"
        folder.mkdir()
        (folder / "Makefile").write_text("allnoconfig:\n\t@false\n")

    monkeypatch.setattr(sources, "unpack_files", unpack)
    monkeypatch.setattr(kernel, "unpack_tree", tree)
    for _ in range(2):
        with pytest.raises(BuildError):
            pair_kernel(Cache(tmp_path), "debian:7.3", print)
    assert fetched == ["7.3.4-1"]


def test_a_missing_xz_is_told_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = debian_offers(monkeypatch)
    with pytest.raises(MissingToolError, match="xz: not found"):
        fetch_source(Cache(tmp_path), "7.3", print)
    assert fetched == []


@pytest.mark.usefixtures("few_programs")
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
