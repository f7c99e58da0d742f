# SPDX-License-Identifier: BSD-3-Clause
"""What pci-epf-ntb answers through the BARs of both hosts, held against plain arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.pair.joint_answers import expected_joint

MIB = 1 << 20


def msis(slots: int) -> int:
    """The MSIs of either host: a power of two that holds every slot."""
    return next(count for count in (1, 2, 4, 8, 16, 32) if count >= slots)


@given(st.integers(1, 32), st.integers(1, 4), st.sampled_from([MIB, 2 * MIB, 4 * MIB]))
def test_each_slot_is_the_msi_after_its_number_and_windows_lie_behind_the_doorbells(
    slots: int, windows: int, size: int
) -> None:
    found = expected_joint(slots, windows, size)
    for one, other in ((1, 2), (2, 1)):
        rings = [key for key in found if key.startswith(f"host {one} rings slot ")]
        assert len(rings) == msis(slots) + 2  # and slot 2 without doorbells, and with them again
        for slot in range(msis(slots)):
            told = found[f"host {one} rings slot {slot}, MSIs"]
            assert told == f"{slot + 1} at host {other}"
        assert found[f"host {one} rings slot 2 after TEARDOWN_DOORBELL, MSIs"] == ""
        again = f"3 at host {other}" if msis(slots) > 2 else ""
        assert found[f"host {one} rings slot 2 after CONFIGURE_DOORBELL, MSIs"] == again
        assert found[f"host {one} num_mws"] == str(windows)
        offset = int(found[f"host {one} mw1_offset"])
        assert offset % size == 0 and slots * 4096 <= offset < slots * 4096 + size
        assert found[f"host {one} reaches scratchpads of host {other}"] == "64"
        for window in range(windows):
            assert found[f"host {one} CONFIGURE_MW({window}), status"] == "1"
            assert found[f"host {other} reaches window {window} of host {one}"] == "yes"
            assert found[f"host {one} CONFIGURE_MW({window}) of a byte more, status"] == "2"


@pytest.mark.parametrize(
    ("command", "status", "raised"),
    [
        ("host 1 LINK_UP", "0 0", ""),
        ("host 2 LINK_UP", "1 1", "1 at host 1, 1 at host 2"),
        ("host 1 LINK_DOWN", "0 0", "1 at host 1, 1 at host 2"),
        ("host 2 LINK_DOWN", "0 0", "1 at host 1, 1 at host 2"),
    ],
)
def test_the_link_takes_both_hosts(command: str, status: str, raised: str) -> None:
    found = expected_joint(8, 2, MIB)
    assert found[f"{command}, status"] == "1"
    assert found[f"{command}, link status of both"] == status
    assert found[f"{command}, MSIs"] == raised
