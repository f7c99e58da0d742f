# SPDX-License-Identifier: BSD-3-Clause
"""Dispatch modes, and what a device gives in each."""

import pytest

from ntbbench.core.errors import InputError
from ntbbench.ntb.catalogue import hardware_names, resolve
from ntbbench.ntb.device import dispatch_map, provision
from ntbbench.ntb.vectormap import VectorMap


def amplification(vector_map: VectorMap, active: int) -> list[int]:
    """Return how many active QPs a ring of each active bit wakes."""
    return [
        (vector_map.db_vector_masks[vector_map.irq_of_bit[bit]] & active).bit_count()
        for bit in range(64)
        if active >> bit & 1
    ]


def test_per_vector_is_what_the_driver_reports() -> None:
    gen1 = resolve("ntb_hw_intel-gen1")
    assert amplification(dispatch_map(gen1, "per-vector", 6), 0x3F) == [5, 5, 5, 5, 5, 1]
    legacy = resolve("ntb_hw_epf-legacy")
    assert amplification(dispatch_map(legacy, "per-vector", 4), 0xF) == [4] * 4
    series = resolve("ntb_hw_epf-v4")
    assert amplification(dispatch_map(series, "per-vector", 4), 0xF) == [1] * 4


@pytest.mark.parametrize("name", hardware_names())
def test_fallback_means_every_bit_on_every_interrupt(name: str) -> None:
    hardware = resolve(name)
    fallback = dispatch_map(hardware, "fallback", 1)
    assert fallback.irq_masks == hardware.vector_map.irq_masks
    assert set(fallback.db_vector_masks) == {hardware.vector_map.db_valid_mask}
    assert fallback.db_vector_count == 1


def test_msi_is_one_interrupt_a_qp() -> None:
    vector_map = dispatch_map(resolve("ntb_hw_switchtec"), "msi", 3)
    assert vector_map.irq_masks == vector_map.db_vector_masks == (1, 2, 4)
    assert amplification(vector_map, 7) == [1, 1, 1]


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
def test_provision(
    name: str, dispatch: str, queues: int, mw_count: int | None, exist: int, reason: str | None
) -> None:
    given = provision(resolve(name, mw_count=mw_count), dispatch, queues)
    assert given.queues == exist
    assert given.active == 2**exist - 1
    if reason is None:
        assert given.reason is None
    else:
        assert given.reason is not None
        assert reason in given.reason
