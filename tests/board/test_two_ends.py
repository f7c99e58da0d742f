# SPDX-License-Identifier: BSD-3-Clause
"""Two ends of one machine: what is the other end's, and a driver that takes its device along."""

from pathlib import Path
from typing import Any

from fake_host import FakeHost

from ntbbench.board.board_records import BoardJournal
from ntbbench.board.changes import Changer
from ntbbench.board.one_run.measure import own_counts
from ntbbench.board.restoring import put_back
from ntbbench.board.settings import BoardSide, parsed
from ntbbench.board.survey import survey
from ntbbench.capture.ingest import amplifications
from ntbbench.capture.records import Irq, Measured, QpRuns

RC, EP = "0010:00:00.0", "0000:10:00.0"
SIDE = {"host": "local", "netdev": "eth1", "address": "192.0.2.1"}
MODULE = "/root/after/ntb_netdev.ko"


class Endpoint(FakeHost):
    """A host whose driver makes the other one's channels and interrupt lines anew."""

    peer: FakeHost

    def _fresh(self, version: str) -> None:
        super()._fresh(version)
        self.peer.channels, self.peer.affinity = 4, {"60": "0-1", "61": "0-1"}


def joined(folder: Path) -> Changer:
    """Return a board whose root complex was found with two queues, and on one CPU."""
    variants: list[dict[str, Any]] = [{"name": "after", "ep": f"insmod {MODULE}"}]
    table = {"rc": SIDE, "ep": SIDE, "variants": variants, "restore": {"ep": "modprobe ntb_netdev"}}
    board = parsed(table, "")
    rc, ep = FakeHost("rc"), Endpoint("ep")
    ep.peer = rc
    rc.channels, rc.affinity = 2, {"40": "1", "41": "1"}
    hosts = {"rc": rc, "ep": ep}
    now = {side: survey(host, board) for side, host in hosts.items()}
    journal = BoardJournal(
        token="12ab",
        board=board.plain(),
        found={side: one.settings() for side, one in now.items()},
        lines={side: dict(one.lines) for side, one in now.items()},
        drivers={side: one.drivers() for side, one in now.items()},
        touched={},
    )
    return Changer(folder / "board.toml.journal.json", board, dict(hosts), journal, now)


def test_both_ends_are_looked_at_when_one_has_a_new_driver(tmp_path: Path) -> None:
    one = joined(tmp_path)
    one.load(one.board.variants[0], lambda: False)
    assert one.now["rc"].lines == {"pci-vntb:0": 60, "pci-vntb:1": 61}
    assert one.now["rc"].get("channels combined") == "4"


def test_the_driver_comes_back_before_the_other_ends_settings(tmp_path: Path) -> None:
    one = joined(tmp_path)
    one.load(one.board.variants[0], lambda: False)
    one.arrange("rc", 1, "spread")
    put_back(one, tmp_path / "board.toml", print)
    rc = one.hosts["rc"]
    assert isinstance(rc, FakeHost)
    assert (rc.channels, rc.affinity) == (2, {"60": "1", "61": "1"})
    assert not one.path.exists()


def line(label: str, action: str, device: str, total: int) -> Irq:
    return Irq(
        label=label, chip=f"EPC-LOOP-PCI-MSI-{device}", action=action, cpus=["CPU0"],
        per_cpu=[total], total=total, at_least=total, source="after-interrupts", slot=2,
        role="doorbell bit 0", is_doorbell=True, is_link=False, device=device,
    )  # fmt: skip


def runs(device: str, low: int) -> QpRuns:
    return QpRuns(
        device=device, qp_num=0, link="up", rx_pkts=100, tx_pkts=100, rx_max_entry=15,
        runs_low=low, runs_high=low, source="after-stats",
    )  # fmt: skip


def test_the_runs_of_the_other_end_are_not_this_ends() -> None:
    read = Measured(
        interrupts=[line("30", "ntb_epf", RC, 100), line("50", "pci_epf_vntb_db", "", 7)],
        qps=[runs(EP, 300), runs(RC, 200)],
    )
    amplifications(read, "")
    assert read.amplification[0].low == 500 / 107
    own = own_counts(read, BoardSide(irqs="ntb_epf"), RC)
    assert own.amplification[0].low == own.amplification[0].high == 2
    assert own_counts(read, BoardSide(irqs="pci_epf_vntb_db"), EP).amplification[0].low == 300 / 7


def test_a_host_that_tells_no_device_keeps_every_count() -> None:
    read = Measured(interrupts=[line("30", "ntb_epf", RC, 100)], qps=[runs(RC, 200)])
    assert own_counts(read, BoardSide(), "") is read
    assert own_counts(read, BoardSide(), RC) is read
