# SPDX-License-Identifier: BSD-3-Clause
"""What pci-epf-ntb answers when it is asked through the BARs of both hosts, as ntb_bridge asks.

An answer is a key and its words, as in `ntbbench.pair.observations`.
"""

from collections.abc import Iterator
from functools import cache

from ntbbench.pair.drivers.kernel_around import EPF_IRQ_DB_START, SPAD_COUNT
from ntbbench.pair.drivers.pci_epf_ntb import (
    CONFIGURE_DOORBELL,
    CONFIGURE_MW,
    HOSTS,
    LINK_DOWN,
    LINK_UP,
    TEARDOWN_DOORBELL,
    TEARDOWN_MW,
    EpfNtb,
    bound_ntb,
)
from ntbbench.pair.observations import Observations

REGISTERS = ("num_mws", "mw1_offset", "spad_offset", "spad_count", "db_entry_size")
COMMANDS = {"LINK_UP": LINK_UP, "LINK_DOWN": LINK_DOWN}
RINGS_SLOT = " rings slot "  # in a key
PATTERN = 0x600D0000  # that a host writes into scratchpads: any number but 0


@cache
def expected_joint(slots: int, mw_count: int, window_size: int) -> Observations:
    """Return what the guest sees of pci-epf-ntb between two hosts that took every MSI offered.

    slots: its db_count. mw_count, window_size: the memory windows, and the bytes of each.
    """
    raised: list[tuple[int, int]] = []
    ntb = bound_ntb(slots, mw_count, window_size, lambda *msi: raised.append(msi))
    asked = _Asked(ntb, raised, mw_count, window_size)
    for host in HOSTS:
        ntb.command(host, CONFIGURE_DOORBELL, ntb.msis)
    answers = {key: value for host in HOSTS for key, value in asked.of_host(host)}
    for name, command in COMMANDS.items():
        for host in HOSTS:
            answers.update(asked.link(host, name, command))
    return answers


class _Asked:
    """The questions, in the order of ntb_bridge."""

    def __init__(
        self, ntb: EpfNtb, raised: list[tuple[int, int]], mw_count: int, window_size: int
    ) -> None:
        self.ntb = ntb
        self.raised = raised
        self.mw_count = mw_count
        self.window_size = window_size

    def of_host(self, host: int) -> Iterator[tuple[str, str]]:
        """Yield registers, rings, doorbells that are taken away, scratchpads, windows."""
        own, other = _names(host)
        for name in REGISTERS:
            yield f"{own} {name}", str(getattr(self.ntb.interfaces[host].ctrl, name))
        for slot in range(self.ntb.msis):
            yield f"{own}{RINGS_SLOT}{slot}, MSIs", self._rung(host, slot)
        for command, argument in ((TEARDOWN_DOORBELL, 0), (CONFIGURE_DOORBELL, self.ntb.msis)):
            name = "CONFIGURE" if argument else "TEARDOWN"
            status = self.ntb.command(host, command, argument)
            yield f"{own} {name}_DOORBELL, status", str(status)
            rung = self._rung(int(not host), EPF_IRQ_DB_START)
            yield f"{other}{RINGS_SLOT}2 after {name}_DOORBELL, MSIs", rung
        for index in range(SPAD_COUNT):
            self.ntb.write_peer_spad(host, index, PATTERN + index)
        spads = range(SPAD_COUNT)
        right = sum(self.ntb.read_spad(int(not host), i) == PATTERN + i for i in spads)
        yield f"{own} reaches scratchpads of {other}", str(right)
        for window in range(self.mw_count):
            yield from self._window(host, window)

    def _window(self, host: int, window: int) -> Iterator[tuple[str, str]]:
        own, other = _names(host)
        size = self.window_size
        status = self.ntb.command(host, CONFIGURE_MW, window, 0, size)
        yield f"{own} CONFIGURE_MW({window}), status", str(status)
        ends = (self.ntb.write_window(int(not host), window, offset) for offset in (0, size - 4))
        reached = "no" if None in ends else "yes"
        yield f"{other} reaches window {window} of {own}", reached
        status = self.ntb.command(host, CONFIGURE_MW, window, 0, size + 1)
        yield f"{own} CONFIGURE_MW({window}) of a byte more, status", str(status)
        status = self.ntb.command(host, TEARDOWN_MW, window)
        yield f"{own} TEARDOWN_MW({window}), status", str(status)

    def link(self, host: int, name: str, command: int) -> Iterator[tuple[str, str]]:
        """Yield what a host's command does to the link of both."""
        own = _names(host)[0]
        yield f"{own} {name}, status", str(self.ntb.command(host, command))
        both = (int(interface.ctrl.link_up) for interface in self.ntb.interfaces)
        yield f"{own} {name}, link status of both", " ".join(map(str, both))
        yield f"{own} {name}, MSIs", self._seen()

    def _rung(self, host: int, slot: int) -> str:
        self.ntb.write_doorbell(host, slot)
        return self._seen()

    def _seen(self) -> str:
        told = ", ".join(f"{number} at {_names(host)[0]}" for host, number in sorted(self.raised))
        self.raised.clear()
        return told


def _names(host: int) -> tuple[str, str]:
    """Return what a host and the other one are called."""
    return f"host {host + 1}", f"host {2 - host}"
