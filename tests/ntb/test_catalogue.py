# SPDX-License-Identifier: BSD-3-Clause
"""What every preset holds, sizes of the endpoint pair, `generic`; the dispatch modes of each.

The facts of each preset, value by value, stand in the golden outputs of `hardware`.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.ntb.catalogue import hardware_names, irq_lines, resolve
from ntbbench.ntb.device import dispatch_map, provision
from ntbbench.ntb.vectormap import VectorMap, bits_of


@pytest.mark.parametrize("name", hardware_names())
def test_what_every_preset_holds(name: str) -> None:
    hardware = resolve(name)
    vector_map = hardware.vector_map
    assert hardware.name == name
    assert vector_map.db_vector_count == hardware.vectors
    shared = 1 << 31 if name == "ntb_hw_intel-gen3-before-6.15" else 0  # the driver's own overlap
    assert hardware.link_mask & vector_map.db_valid_mask == shared
    assert not hardware.reserved_mask & vector_map.db_valid_mask
    assert hardware.lost_mask & ~vector_map.db_valid_mask == 0
    assert name == "generic" or hardware.source.startswith("Linux ")
    assert name == "generic" or "(" in hardware.source, "functions are named"
    for bit in bits_of(vector_map.db_valid_mask):
        source = vector_map.irq_of_bit[bit]
        assert vector_map.db_vector_masks[source] >> bit & 1, "a ring wakes its own QP"


def test_a_line_of_interrupts_has_one_meaning() -> None:
    layouts: dict[str, set[str]] = {}
    for _, lines in irq_lines():
        layouts.setdefault(lines.action, set()).add(lines.layout)
    assert all(len(found) == 1 for found in layouts.values())
    told = [(lines.action, count) for _, lines in irq_lines() for count in lines.counts]
    assert told.count(("ndev_vec_isr", 33)) == 2, "two generations of Intel's, else one device each"
    assert len(told) - 1 == len(set(told))


@pytest.mark.parametrize(
    ("name", "db_count", "valid", "lost", "vectors"),
    [
        ("ntb_hw_epf-legacy", 15, 0x7FFF, [14], 1),
        ("ntb_hw_epf-v4", 15, 0x3FFF, [], 14),
        ("ntb_hw_epf-v4", 31, 0x3FFFFFFF, [], 30),
        ("pci-epf-vntb-legacy", 4, 0xF, [2, 3], 1),
        ("pci-epf-vntb-legacy", 1, 0x1, [0], 1),
        ("pci-epf-vntb-legacy", 32, 0xFFFFFFFF, [30, 31], 1),
        ("pci-epf-vntb-v4", 4, 0x3, [], 2),
        ("pci-epf-vntb-v4", 3, 0x1, [], 1),
        ("pci-epf-vntb-v4", 32, 0x3FFFFFFF, [], 30),
    ],
)
def test_epf_sizes(name: str, db_count: int, valid: int, lost: list[int], vectors: int) -> None:
    hardware = resolve(name, doorbells=db_count, vectors=3)
    assert hardware.doorbells == db_count
    assert hardware.vectors == vectors, "the vector axis is not the driver's to choose"
    assert hardware.vector_map.db_valid_mask == valid
    assert bits_of(hardware.lost_mask) == lost
    assert hardware.refusal is None


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("ntb_hw_epf-legacy", 3, 31),
        ("ntb_hw_epf-v4", 3, 31),
        ("pci-epf-vntb-legacy", 1, 32),
        ("pci-epf-vntb-v4", 3, 32),
    ],
)
def test_a_db_count_that_the_driver_refuses(name: str, low: int, high: int) -> None:
    for db_count in range(1, 65):
        hardware = resolve(name, doorbells=db_count)
        assert (hardware.refusal is None) == (low <= db_count <= high)
        assert hardware.refusal is None or f"not {db_count} (EINVAL)" in hardware.refusal
        assert (hardware.vector_map.db_valid_mask == 0) == (hardware.refusal is not None)


@pytest.mark.parametrize("name", [n for n in hardware_names() if resolve(n).sized == "fixed"])
def test_fixed_devices_ignore_the_axes(name: str) -> None:
    assert resolve(name, doorbells=8, vectors=2) == resolve(name)


@given(st.integers(1, 64), st.integers(1, 64))
def test_generic_bit_to_vector(doorbells: int, vectors: int) -> None:
    vector_map = resolve("generic", doorbells, vectors).vector_map
    shift = -(-doorbells // vectors)
    assert vector_map.db_valid_mask == 2**doorbells - 1
    assert vector_map.db_vector_count == vectors == len(vector_map.irq_masks)
    assert vector_map.db_vector_masks == vector_map.irq_masks
    for bit in range(64):
        assert vector_map.irq_of_bit[bit] == (bit // shift if bit < doorbells else -1)


def test_generic_defaults() -> None:
    assert resolve("generic").doorbells == 16
    assert resolve("generic", doorbells=5).vectors == 5


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        *(
            ("generic", {field: value}, f"^{field}: {value}: a whole number from")
            for field, value in (("doorbells", 0), ("doorbells", 65), ("vectors", 0))
        ),
        ("generic", {"vectors": 65}, "^vectors: 65: a whole number from"),
        ("generic", {"mw_count": -1}, "^mw_count: .* a whole number from"),
        ("ntb_hw_epf_v4", {}, r"did you mean ntb_hw_epf-v4\?"),
        ("zzz", {}, "hardware: 'zzz': unknown; known: generic, "),
    ],
)
def test_a_bad_device_is_one_line(name: str, arguments: dict[str, int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        resolve(name, **arguments)


def test_windows_asked_for_come_with_their_scratchpads() -> None:
    # 16 scratchpads hold the sizes of 6 windows: they must not take back what was asked for.
    own, asked = resolve("ntb_hw_intel-gen1"), resolve("ntb_hw_intel-gen1", mw_count=16)
    assert (own.mw_count, own.spad_count) == (2, 16)
    assert provision(own, "per-vector", 14).reason is not None
    assert provision(asked, "per-vector", 14).queues == 14
    assert provision(asked, "msi", 13).reason is None
    assert resolve("ntb_hw_amd", mw_count=0).mw_count == 0


def amplification(vector_map: VectorMap, active: int) -> list[int]:
    """Return how many active QPs a ring of each active bit wakes."""
    return [
        (vector_map.db_vector_masks[vector_map.irq_of_bit[bit]] & active).bit_count()
        for bit in range(64)
        if active >> bit & 1
    ]


@pytest.mark.parametrize(
    ("name", "dispatch", "woken"),
    [
        ("ntb_hw_intel-gen1", "per-vector", [5, 5, 5, 5, 5, 1]),
        ("ntb_hw_epf-legacy", "per-vector", [4] * 4),
        ("ntb_hw_epf-v4", "per-vector", [1] * 4),
        ("ntb_hw_switchtec", "msi", [1] * 3),
    ],
)
def test_how_many_qps_a_ring_wakes(name: str, dispatch: str, woken: list[int]) -> None:
    vector_map = dispatch_map(resolve(name), dispatch, len(woken))
    assert amplification(vector_map, 2 ** len(woken) - 1) == woken
    assert dispatch != "msi" or vector_map.irq_masks == (1, 2, 4)


@pytest.mark.parametrize("name", hardware_names())
def test_fallback_means_every_bit_on_every_interrupt(name: str) -> None:
    hardware = resolve(name)
    fallback = dispatch_map(hardware, "fallback", 1)
    assert fallback.irq_masks == hardware.vector_map.irq_masks
    assert set(fallback.db_vector_masks) == {hardware.vector_map.db_valid_mask}
    assert fallback.db_vector_count == 1


@pytest.mark.parametrize("call", [provision, dispatch_map])
def test_unknown_mode(call: object) -> None:
    assert callable(call)
    with pytest.raises(InputError, match=r"dispatch: 'msix': unknown; did you mean msi\?"):
        call(resolve("generic"), "msix", 1)


@pytest.mark.parametrize(
    ("name", "dispatch", "queues", "mw_count", "exist", "reason"),
    [
        ("generic", "per-vector", 15, None, 15, None),
        ("generic", "per-vector", 16, None, 1, "ENOSPC: 16 queues requested, 15 possible: door"),
        ("generic", "msi", 14, None, 14, None),
        ("generic", "msi", 15, None, 1, "1 of them for use_msi"),
        ("generic", "msi", 1, 1, 1, "use_msi needs more than one memory window, mw_count is 1"),
        ("generic", "msi", 2, 2, 1, "1 memory window (mw_count 2, the last one kept for MSI)"),
        ("ntb_hw_intel-gen1", "per-vector", 2, None, 2, None),
        ("ntb_hw_intel-gen1", "msi", 1, None, 1, None),
        ("ntb_hw_amd", "per-vector", 2, None, 2, None),
        ("ntb_hw_amd", "msi", 1, None, 1, "8 scratchpads hold the MSI descriptors of 0 QPs"),
        ("ntb_hw_amd-intx", "fallback", 1, None, 0, "db_valid_mask is 0"),
        ("ntb_hw_idt", "fallback", 1, 8, 0, "does not bind (EINVAL)"),
        ("pci-epf-vntb-v4", "per-vector", 5, None, 1, "4 memory windows (mw_count 4)"),
        ("pci-epf-vntb-v4", "per-vector", 13, 60, 13, None),
    ],
)
def test_provision(name, dispatch, queues, mw_count, exist, reason) -> None:
    given = provision(resolve(name, mw_count=mw_count), dispatch, queues)
    assert given.queues == exist
    assert given.active == 2**exist - 1
    if reason is None:
        assert given.reason is None
    else:
        assert given.reason is not None
        assert reason in given.reason
