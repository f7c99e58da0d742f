# SPDX-License-Identifier: BSD-3-Clause
"""Sources of the pair in a cache: drivers reduced to what tells their patches apart."""

from pathlib import Path

import msgspec
import pytest

from ntbbench.lab.packages.apt import Package
from ntbbench.lab.pair import sources
from ntbbench.lab.pair.sources import DRIVERS, DebianSource, SourceManifest

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
