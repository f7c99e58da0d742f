# SPDX-License-Identifier: BSD-3-Clause
"""What the guest's probe should find of a driver, held against plain arithmetic on bits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_strategies import subsets, unpatched, whole

from ntbbench.pair.drivers.patches import driver
from ntbbench.pair.drivers.pci_epf_vntb import Doorbell
from ntbbench.pair.observations import (
    PROBED,
    RINGS,
    Observations,
    expected_observations,
    expected_operations,
    expected_probe,
    normalised,
)

SLOTS = {"ep": st.integers(3, 32), "rc": st.integers(4, 32)}
SIDES = st.sampled_from(["ep", "rc"])
EVERY_SLOT = frozenset(range(32))


def bits_of(mask: int) -> list[int]:
    return [bit for bit in range(64) if mask >> bit & 1]


def slots(mask: int) -> str:
    return " ".join(str(bit + 2) for bit in bits_of(mask))


def probed(side: str, count: int, doorbell: Doorbell = Doorbell.POLL) -> Observations:
    return expected_probe(whole(side), count, doorbell, EVERY_SLOT)


@given(st.data(), SIDES, st.sampled_from([Doorbell.POLL, Doorbell.MSI]))
def test_a_whole_receiver_keeps_each_bit_until_it_is_cleared(data, side, doorbell) -> None:
    count = data.draw(SLOTS[side])
    found = probed(side, count, doorbell)
    bits = min(RINGS, count - 2)
    for bit in range(1, bits):
        for one, other in ((bit, bit - 1), (0, bit)):
            both = 1 << one | 1 << other
            told = f"{both:#x} {1 << other:#x} 0x0"
            assert found[f"bits {one} and {other}, db_read as they are cleared"] == told
    rung = 0x15 & (1 << bits) - 1
    assert found["bits 0x15 at once, vectors"] == " ".join(map(str, bits_of(rung)))
    left = [rung, rung & ~4, rung & ~4, rung & ~5, 0]
    assert found["bits 0x15 at once, db_read as they are cleared"] == " ".join(map(hex, left))
    assert (found[PROBED], found["slot 2 masked, vectors"]) == ("0", "0")


@given(st.data())
def test_a_whole_endpoint_rings_the_bits_of_its_mask_and_no_other(data) -> None:
    count = data.draw(SLOTS["ep"])
    valid, found = (1 << count - 2) - 1, probed("ep", count)
    for name, told in found.items():
        if name.startswith("peer_db_set(") and name.endswith(", slots"):
            # the second ring comes before the work of the first has run
            masks = name.removesuffix(", slots").removeprefix("peer_db_set").split(", then ")
            rung = 0
            for mask in masks:
                rung |= int(mask.strip("()"), 16)
            assert told == slots(rung & valid)
        elif name.startswith("peer_db_set("):
            assert told == "0"


@given(st.data())
def test_a_whole_root_complex_rings_the_lowest_bit_of_each_ring(data) -> None:
    count = data.draw(SLOTS["rc"])
    for name, told in probed("rc", count).items():
        if not name.startswith("peer_db_set("):
            continue
        masks = name.removesuffix(", slots").removeprefix("peer_db_set").split(", then ")
        lowest = [bits_of(int(mask.strip("()"), 16))[0] for mask in masks]
        fitting = [bit for bit in lowest if bit + 2 < count]
        if name.endswith(", slots"):
            assert told == " ".join(str(slot) for slot in sorted(bit + 2 for bit in fitting))
        else:
            assert told == ("0" if len(fitting) == len(lowest) else "-22")


@given(st.data(), SIDES)
def test_a_probe_of_any_patches_adds_questions_and_changes_none(data, side) -> None:
    own = driver(side, data.draw(subsets(side)))
    count = data.draw(st.integers(3, 16) if side == "ep" else st.integers(4, 16))
    asked = (own, count, data.draw(st.sampled_from(list(Doorbell))), EVERY_SLOT)
    plain, more = expected_observations(*asked), expected_probe(*asked)
    assert not plain.keys() & more.keys()
    assert normalised(more) == more


def test_before_the_series_a_second_bit_is_lost() -> None:
    found = expected_probe(unpatched("rc"), 16, Doorbell.POLL, EVERY_SLOT)
    assert found["bits 0 and 2, db_read as they are cleared"] == "0x5 0x0 0x0"
    found = expected_probe(unpatched("ep"), 8, Doorbell.POLL, EVERY_SLOT)
    assert found["peer_db_set(0x15), slots"] == "2"
    assert found["peer_db_set(0x1), then (0x4), slots"] == "2 4"
    assert found["peer_db_set(0x100000)"] == "-22"  # MSI 23 of 16


@pytest.mark.parametrize("side", ["ep", "rc"])
@pytest.mark.parametrize("windows", [1, 2])
def test_operations_name_every_window_and_its_size(side: str, windows: int) -> None:
    found = expected_operations(side, windows, 1 << 20)
    assert found["mw_count"] == found["peer_mw_count"] == str(windows)
    sizes = [value for key, value in found.items() if key.startswith("mw_get_align(")]
    assert sizes == ["0 0x1000 0x1 0x100000"] * windows
    assert found["peer_spad_write, right"] == found["spad_count"] == "64"
    assert all(found[f"window {n} reaches the peer"] == "yes" for n in range(windows))
