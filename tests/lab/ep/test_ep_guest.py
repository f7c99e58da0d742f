# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's pci_endpoint_test on the software endpoint controller, in a real kernel."""

from pathlib import Path

import pytest
from pair_kernel import CACHE, rig

from ntbbench.cli.main import main
from ntbbench.core.result_file import load_as
from ntbbench.lab.ep.ep_files import EP_TEST, HOST_TEST, fetch_endpoint_tests
from ntbbench.lab.ep.records import EP_SCHEMA, SKIPPED, EpPart, EpResult
from ntbbench.lab.selftest.records import FAILED, KNOWN, NOT_RUN, PASSED

# Boots a kernel that is built once: `make test-guest`.
pytestmark = pytest.mark.guest

UNALIGNED = "unaligned=no,align=64K"
NO_IRQ = "msix=no,doorbell=no,intx=no,reserved=1,3"
SMALL = "windows=1,window=64K,64bit=2,fixed=4:1M,doorbell=embedded,msi=no"
WORDS = ("READ", "WRITE", "COPY")
TRANSFERS = [f"pci_ep_data_transfer.memcpy.{word}_TEST" for word in WORDS]


def outcome(folder: Path, code: int, *words: str) -> dict[str, dict[str, EpPart]]:
    """Return the parts of each controller, by their names; none is lost."""
    out = folder / "ep.json"
    assert main(["lab", "ep", "-o", str(out), *words]) == code
    result = load_as(out, EP_SCHEMA, EpResult)
    found: dict[str, dict[str, EpPart]] = {text: {} for text in result.controllers}
    for part in result.parts:
        found[part.controller][part.name] = part
    assert len({len(parts) for parts in found.values()}) == 1
    return found


def failures(parts: dict[str, EpPart]) -> dict[str, str]:
    return {name: part.errno for name, part in parts.items() if part.status == FAILED}


def test_the_plain_controller_passes_all_but_what_no_controller_can(tmp_path: Path) -> None:
    parts = outcome(tmp_path, 0)["plain"]
    by_status = {
        status: {name for name, part in parts.items() if part.status == status}
        for status in (PASSED, SKIPPED, KNOWN, NOT_RUN, FAILED)
    }
    assert {*TRANSFERS, "rebind", "pcie_ep_doorbell.DOORBELL_TEST"} < by_status[PASSED]
    assert len(by_status[PASSED]) == 15
    assert all("SUBRANGE" in name for name in by_status[SKIPPED])
    assert by_status[KNOWN] == {"pci_ep_data_transfer.dma.READ_TEST"}
    assert all(".dma." in name for name in by_status[NOT_RUN])
    assert not by_status[FAILED]


def test_where_a_feature_is_taken_away_the_driver_says_so(tmp_path: Path) -> None:
    words = [f"--features={text}" for text in (UNALIGNED, NO_IRQ, SMALL)]
    found = outcome(tmp_path, 1, *words)
    assert failures(found[UNALIGNED]) == dict.fromkeys(TRANSFERS, "EIO")
    assert failures(found[NO_IRQ]) == {
        "pci_ep_basic.LEGACY_IRQ_TEST": "ENOSPC",
        "pci_ep_basic.MSIX_TEST": "EINVAL",
        "pcie_ep_doorbell.DOORBELL_TEST": "EINVAL",
    }
    reserved = found[NO_IRQ]["pci_ep_bar.BAR3.BAR_TEST"]
    assert (reserved.status, reserved.reason) == (SKIPPED, "BAR is reserved")
    # one window is no two for a copy; larger transfers go through it piece by piece
    assert failures(found[SMALL]) == {
        "pci_ep_basic.MSI_TEST": "EINVAL",
        "pci_ep_data_transfer.memcpy.COPY_TEST": "EIO",
    }
    assert found[SMALL]["pci_ep_bar.BAR3.BAR_TEST"].reason == "BAR is disabled"


def edited(folder: Path, name: str, old: str, new: str) -> Path:
    """Return a driver of the kernel's with one edit."""
    tests = fetch_endpoint_tests(CACHE, rig().kernel, lambda _line: None)
    text = (tests / name).read_text()
    assert text.count(old) == 1
    path = folder / Path(name).name
    path.write_text(text.replace(old, new))
    return path


def test_drivers_of_ones_own_are_told_what_they_do_wrong(tmp_path: Path) -> None:
    # writes one byte more than the host has mapped; forgets to unmap
    write = "memcpy_toio(map.virt_addr, buf, map_size);"
    ep = edited(tmp_path, EP_TEST.path, write, write.replace("map_size", "map_size + 1"))
    unmap = "dma_unmap_single(dev, orig_phys_addr, size + alignment,\n\t\t\t DMA_FROM_DEVICE);"
    host = edited(tmp_path, HOST_TEST.path, unmap, "")
    words = ("--ep-driver", str(ep), "--host-driver", str(host), "--bar-sizes", "2:64K,4:8M")
    parts = outcome(tmp_path, 1, *words)["plain"]
    assert "the endpoint writes 1 bytes from" in parts[TRANSFERS[0]].reason
    assert "mapped" in parts["rebind"].reason
    assert parts["pci_ep_bar.BAR4.BAR_TEST"].status == PASSED
