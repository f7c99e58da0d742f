# SPDX-License-Identifier: BSD-3-Clause
"""pci-epf-ntb against what the kernel's own text says, and against a model of maps."""

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ntbbench.core.errors import InputError
from ntbbench.pair.drivers.kernel_around import DriverError, Hazard
from ntbbench.pair.drivers.pci_epf_ntb import (
    CONFIGURE_DOORBELL,
    CONFIGURE_MW,
    LINK_DOWN,
    LINK_UP,
    STATUS_ERROR,
    STATUS_NONE,
    STATUS_OK,
    TEARDOWN_DOORBELL,
    TEARDOWN_MW,
    EpfNtb,
    bound_ntb,
)

MIB = 1 << 20
PAGE = 4096


class BridgeMachine(RuleBasedStateMachine):
    """Commands and writes of both hosts; the oracle keeps what each mapped."""

    @initialize(slots=st.integers(1, 32))
    def set_up(self, slots: int) -> None:
        self.raised: list[tuple[int, int]] = []
        self.expected: list[tuple[int, int]] = []
        self.ntb = bound_ntb(slots, 4, MIB, lambda *msi: self.raised.append(msi))
        self.offered = next(n for n in (1, 2, 4, 8, 16, 32) if n >= slots)
        self.mapped = [0, 0]
        self.wants = [False, False]
        self.up = False
        self.lost = 0

    @rule(host=st.integers(0, 1), count=st.integers(0, 40), msix=st.booleans())
    def configure(self, host: int, count: int, msix: bool) -> None:
        status = self.ntb.command(host, CONFIGURE_DOORBELL, count | msix << 16)
        taken = 0 < count <= self.offered
        assert status == (STATUS_OK if taken else STATUS_ERROR)
        if taken:
            self.mapped[host] = count

    @rule(host=st.integers(0, 1))
    def tear_down(self, host: int) -> None:
        self.ntb.command(host, TEARDOWN_DOORBELL)
        self.mapped[host] = 0

    @rule(host=st.integers(0, 1), slot=st.integers(0, 31))
    def ring(self, host: int, slot: int) -> None:
        self.ntb.write_doorbell(host, slot)
        if slot < self.mapped[1 - host]:
            self.expected.append((1 - host, slot + 1))
        else:
            self.lost += 1

    @rule(host=st.integers(0, 1), up=st.booleans())
    def link(self, host: int, up: bool) -> None:
        """The link comes up with the second host; any host takes it down, and both are told."""
        self.ntb.command(host, LINK_UP if up else LINK_DOWN)
        self.wants[host] = up
        if all(self.wants) or not up:
            self.up = up
            self.expected += [(0, 1), (1, 1)]

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "ntb"):
            return
        assert self.raised == self.expected
        assert len(self.ntb.lost) == self.lost
        assert [one.ctrl.link_up for one in self.ntb.interfaces] == [self.up] * 2


TestBridgeMachine = BridgeMachine.TestCase
TestBridgeMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def bridge(align: int = PAGE, **numbers: int) -> EpfNtb:
    ntb = EpfNtb(lambda *_: None, align=align)
    for attribute, value in ({"num_mws": 2, "spad_count": 64} | numbers).items():
        ntb.store(attribute, str(value))
    return ntb


@pytest.mark.parametrize(
    ("align", "entry", "spads", "doorbells", "bar2"),
    [
        # the control region, then scratchpads at their size; doorbells, then the first window
        (PAGE, PAGE, PAGE, MIB, 2 * MIB),
        (0, 4, 512, MIB, 2 * MIB),
    ],
)
def test_layout(align, entry, spads, doorbells, bar2) -> None:
    ntb = bridge(align, db_count=8, mw1=MIB, mw2=MIB // 2)
    ntb.bind()
    one, two = ntb.interfaces
    assert (one.ctrl, one.bars) == (two.ctrl, two.bars)
    assert (one.ctrl.db_entry_size, one.ctrl.spad_offset) == (entry, spads)
    assert one.ctrl.mw1_offset == doorbells
    assert (one.bars[2], one.bars[3]) == (bar2, MIB // 2)


def test_a_window_that_is_no_power_of_two_puts_the_offset_inside_the_doorbells() -> None:
    """ALIGN() is used with the window's size: 3 MiB is not one that it can take."""
    ntb = bridge(db_count=8, mw1=3 * MIB)
    ntb.bind()
    assert ntb.interfaces[0].ctrl.mw1_offset % (3 * MIB) != 0


@pytest.mark.parametrize(
    ("attribute", "text", "allowed"),
    [
        ("db_count", "33", True),  # only bind looks at it
        ("db_count", "-1", False),
        ("db_count", "4294967296", False),
        ("num_mws", "5", False),
        ("mw2", "4096", True),
        ("mw3", "4096", False),  # num_mws is 2
    ],
)
def test_configfs(attribute, text, allowed) -> None:
    ntb = bridge()
    if allowed:
        ntb.store(attribute, text)
        return
    with pytest.raises(DriverError) as refused:
        ntb.store(attribute, text)
    assert refused.value.code == errno.EINVAL


def test_no_such_attribute() -> None:
    with pytest.raises(InputError, match="db_count"):
        bridge().store("db_cuont", "4")


@pytest.mark.parametrize(
    ("db_count", "checked", "refused"),
    [(0, True, True), (0, False, False), (1, True, False), (32, True, False), (33, False, True)],
)
def test_bind_judges_db_count(db_count, checked, refused) -> None:
    ntb = bridge(db_count=db_count, mw1=MIB, mw2=MIB)
    ntb.zero_checked = checked
    if refused:
        with pytest.raises(DriverError, match="out of range"):
            ntb.bind()
    else:
        ntb.bind()


@given(
    host=st.integers(0, 1),
    window=st.integers(0, 1),
    address=st.integers(0, 1 << 40),
    size=st.integers(1, 2 * MIB),
    offset=st.integers(-1, 2 * MIB),
)
def test_a_window_leads_to_what_the_other_host_mapped(host, window, address, size, offset) -> None:
    ntb = bound_ntb(8, 2, MIB, lambda *_: None)
    status = ntb.command(host, CONFIGURE_MW, window, address, size)
    assert status == (STATUS_OK if size <= MIB else STATUS_ERROR)
    inside = size <= MIB and 0 <= offset < size
    assert ntb.write_window(1 - host, window, offset) == (address + offset if inside else None)
    assert ntb.write_window(host, window, offset) is None
    ntb.command(host, TEARDOWN_MW, window)
    assert ntb.write_window(1 - host, window, offset) is None


def test_the_number_of_a_window_is_not_checked() -> None:
    """epf_ntb_configure_mw() indexes mws_size[] and epf_ntb_bar[] with what the host wrote."""
    ntb = bound_ntb(8, 4, MIB, lambda *_: None)
    ntb.command(0, CONFIGURE_MW, 4, 0, PAGE)
    assert ntb.sanitizer.hazards == {Hazard.OUT_OF_RANGE}


def test_scratchpads_are_the_other_hosts_peers() -> None:
    ntb = bound_ntb(8, 1, MIB, lambda *_: None)
    ntb.write_spad(0, 3, 7)
    ntb.write_peer_spad(1, 4, 9)
    assert (ntb.read_spad(0, 3), ntb.read_spad(0, 4), ntb.read_spad(1, 3)) == (7, 9, 0)
    with pytest.raises(InputError, match="0 to 63"):
        ntb.read_spad(0, 64)


def test_an_unknown_command_has_no_status() -> None:
    assert bound_ntb(8, 1, MIB, lambda *_: None).command(0, 7) == STATUS_NONE
