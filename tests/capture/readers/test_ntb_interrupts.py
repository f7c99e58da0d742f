# SPDX-License-Identifier: BSD-3-Clause
"""Which interrupts are doorbells: link and event vectors, shared lines, the side that sends."""

import json
from pathlib import Path

import pytest
from captures import CASES, GEN1, PCI, capture, edit, explained, measured, table, with_info

from ntbbench.capture.records import Amplification, Irq, Measured
from ntbbench.cli.main import main

GEN3 = {"count": 31, "vectors": 33, "shift": 1, "valid": 0x7FFFFFFF, "link": 0x180000000}
GEN4 = {"count": 32, "vectors": 33, "shift": 1, "valid": 0xFFFFFFFF, "link": 0x100000000}
MSI = {"count": 15, "vectors": 1, "shift": 16, "valid": 0x7FFF, "link": 0x8000}


def vectors(folder: Path, counts: list[int], action: str = "ndev_vec_isr") -> Path:
    """Write a capture whose lines counted `counts`, beside the QPs of a real recording."""
    return capture(
        folder, [[0, 0] for _ in counts], [[count, 0] for count in counts], action=action
    )


def two_cards(folder: Path, names: tuple[str, str], counts: list[list[int]], action: str) -> None:
    """Write the interrupt lines of two cards, which counted so during the capture."""
    lines = [
        (count, f"PCI-MSIX-{name}   {slot}-edge  {action}")
        for name, own in zip(names, counts, strict=True)
        for slot, count in enumerate(own)
    ]
    for when, factor in (("before", 0), ("after", 1)):
        rows = [(str(40 + i), [count * factor, 0], line) for i, (count, line) in enumerate(lines)]
        (folder / f"{when}-interrupts").write_text(table(["CPU0", "CPU1"], rows))


def doorbells(found: Measured) -> list[int]:
    """Return the slots that are doorbells and counted anything."""
    return [i.slot for i in found.interrupts if i.is_doorbell and i.total and i.slot is not None]


def test_a_line_whose_chip_names_no_device_tells_it_by_its_hwirq() -> None:
    found = measured(CASES / "irq-linkvec")
    assert found.interrupts[0].device == "0000:00:03.0"  # hwirq 49152 = 0x18 << 11


def ratio(found: Measured) -> Amplification:
    (one,) = found.amplification
    return one


@pytest.mark.parametrize(
    ("lines", "facts", "rung", "told"),
    [
        (4, GEN1, {0: 40, 3: 60}, [0]),
        (4, None, {2: 40, 3: 60}, [2]),  # four vectors: no other device has so many
        (33, GEN3, {5: 40, 31: 7, 32: 3}, [5]),
        (33, GEN4, {5: 40, 31: 7, 32: 3}, [5, 31]),
        (33, None, {5: 40, 32: 3}, [5]),  # neither generation has a doorbell on vector 32
        (24, None, {14: 40, 15: 2, 16: 3, 23: 4}, [14]),  # AMD: 15 doorbells, the rest events
        (16, None, {14: 40, 15: 2}, [14]),
    ],
)
def test_vectors_without_a_doorbell_bit(lines, facts, rung, told, tmp_path) -> None:
    folder = vectors(tmp_path / "c", [rung.get(vector, 0) for vector in range(lines)])
    if facts is not None:
        with_info(folder, **facts)
    found = measured(folder)
    assert doorbells(found) == told
    one = ratio(found)
    assert one.interrupts == sum(rung[vector] for vector in told)
    assert one.interrupts_low is None
    assert one.low == 800 / one.interrupts


def test_what_no_file_tells_is_an_upper_bound(tmp_path: Path) -> None:
    """Vector 31 is the link's in one generation and a doorbell in the next."""
    counts = [0] * 33
    counts[5], counts[31] = 40, 10
    one = ratio(measured(vectors(tmp_path / "c", counts)))
    assert (one.interrupts, one.interrupts_low) == (50, 40)
    assert (one.low, one.high) == (800 / 50, 808 / 40)
    assert "line 71, which may be link events" in one.note
    unknown = ratio(measured(vectors(tmp_path / "d", [40, 0, 0, 0, 0, 0, 0])))
    assert (unknown.interrupts, unknown.interrupts_low, unknown.high) == (40, 0, None)


def test_one_vector_for_everything_is_an_upper_bound(tmp_path: Path) -> None:
    folder = with_info(vectors(tmp_path / "c", [200], "ndev_irq_isr"), **MSI)
    one = ratio(measured(folder))
    assert (one.interrupts, one.interrupts_low, one.low, one.high) == (200, 0, 4.0, None)
    folder = with_info(vectors(tmp_path / "d", [200]), **MSI)  # MSI-X with a single vector
    assert ratio(measured(folder)).interrupts_low == 0


def test_each_device_s_lines_are_told_by_its_own_info(tmp_path: Path) -> None:
    """Two cards: of one vector 3 is the link's, of the other vector 1."""
    folder = vectors(tmp_path / "c", [0] * 4)
    second = "0000:81:00.1"
    with_info(folder, **GEN1)
    with_info(folder, second, count=5, vectors=4, shift=5, valid=0x1F, link=0x3E0)
    two_cards(folder, (PCI, second), [[10] * 4] * 2, "ndev_vec_isr")
    told = [(irq.device, irq.slot) for irq in measured(folder).interrupts if irq.is_doorbell]
    assert told == [(PCI, 0), (PCI, 1), (PCI, 2), (second, 0)]


def test_an_info_of_another_card_tells_nothing_of_these_lines(tmp_path: Path) -> None:
    folder = vectors(tmp_path / "c", [10, 0, 0, 0, 0])
    with_info(folder, "0000:81:00.1", **GEN1)
    assert [i.is_upper_bound for i in measured(folder).interrupts] == [True] * 5


def test_gen3_before_its_masks_were_mended(tmp_path: Path) -> None:
    """Bit 31 is in both masks: the link's, as the driver mended in 6.15 has it."""
    folder = vectors(tmp_path / "c", [0] * 31 + [9, 0])
    with_info(folder, **{**GEN3, "count": 32, "valid": 0xFFFFFFFF})
    found = measured(folder)
    assert found.devices[0].db_valid_mask == "0x7fffffff"
    assert doorbells(found) == []
    assert any("0x80000000" in caution for caution in found.cautions)


def test_switchtec_tells_the_link_by_message(tmp_path: Path) -> None:
    folder = vectors(tmp_path / "c", [20, 4], "switchtec_ntb_doorbell")
    for when in ("before", "after"):
        edit(
            folder / f"{when}-interrupts",
            "1-edge      switchtec_ntb_doorbell",
            "1-edge      switchtec_ntb_message",
        )
    found = measured(folder)
    told = [(irq.action, irq.is_doorbell, irq.is_link) for irq in found.interrupts]
    assert told == [
        ("switchtec_ntb_doorbell", True, False), ("switchtec_ntb_message", False, True),
    ]  # fmt: skip
    assert (ratio(found).interrupts, ratio(found).interrupts_low) == (20, None)


def test_link_and_reserved_slots_of_the_pair(tmp_path: Path) -> None:
    for action in ("ntb_epf", "pci_epf_vntb_db"):
        found = measured(vectors(tmp_path / action, [5, 6, 40], action))
        assert doorbells(found) == [2]
        assert [irq.is_link for irq in found.interrupts] == [True, False, False]
        assert ratio(found).interrupts == 40


def shared(folder: Path, line: str, count: int) -> Path:
    """Write a capture whose only NTB line is shared: `line` is what follows the counts."""
    vectors(folder, [0], "ndev_irq_isr")
    for when, counted in (("before", 0), ("after", count)):
        (folder / f"{when}-interrupts").write_text(
            table(["CPU0", "CPU1"], [("16", [counted, 0], line)])
        )
    return folder


@pytest.mark.parametrize(
    ("line", "others"),
    [
        ("IO-APIC  16-fasteoi   ndev_irq_isr, nvme0q0", ["nvme0q0"]),
        ("IR-IO-APIC  16-fasteoi   switchtec_ntb_doorbell, eth0", ["eth0"]),
        ("GICv3 90 Level     uart-pl011, ntb_irq_idt", ["uart-pl011"]),
        ("PCI-MSI 49152-edge  ndev_irq_isr, ndev_irq_isr", ["ndev_irq_isr"]),  # two cards
    ],
)
def test_what_is_derived_of_a_shared_line_is_a_bound_too(line, others, tmp_path) -> None:
    """Runs per doorbell are at least runs / interrupts; no upper bound is known."""
    found = measured(shared(tmp_path / "c", line, 200))
    (irq,) = [i for i in found.interrupts if i.slot is not None]
    assert irq.others == others
    one = ratio(found)
    assert (one.interrupts, one.interrupts_low, one.low, one.high) == (200, 0, 4.0, None)
    assert others[0] in one.note


def test_explain_does_not_miss_runs_for_interrupts_of_others(tmp_path: Path) -> None:
    """None of the line's interrupts need be NTB's: QPs that did not run are inside the model."""
    folder = shared(tmp_path / "c", "IO-APIC  16-fasteoi   ndev_irq_isr, eth0", 5000)
    for when in ("before", "after"):
        for path in (folder / f"{when}-stats" / PCI).iterdir():
            path.write_text((folder / "before-stats" / PCI / path.name).read_text())
    code, (one,) = explained(folder, "--hardware", "ntb_hw_intel-gen1-intx")
    assert (code, one["verdict"], one["predicted_runs_low"]) == (0, "inside", 0)
    assert any("shared with eth0" in caution for caution in one["cautions"])


def test_two_cards_vectors_add_up_in_explain(tmp_path: Path) -> None:
    """Both ring vector 0; that of the second card must not stand for both."""
    folder = vectors(tmp_path / "c", [0] * 6, "ntb_epf")
    rung = [[0, 0, count, 0, 0, 0] for count in (30, 10)]
    two_cards(folder, ("0000:01:00.0", "0000:02:00.0"), rung, "ntb_epf")
    _, (one,) = explained(folder, "--hardware", "ntb_hw_epf-v4")
    assert [(row["vector"], row["interrupts"]) for row in one["vectors"]] == [(0, 40)]


def test_a_file_of_an_older_ntbbench_still_counts_its_link_lines(tmp_path: Path) -> None:
    """Before `is_link`, every line that is no doorbell was taken for the link's."""
    explained(vectors(tmp_path / "c", [5, 0, 160], "ntb_epf"))
    saved, target = tmp_path / "m.json", tmp_path / "e.json"
    record = json.loads(saved.read_text())
    new = {"is_link", "is_upper_bound", "others", "device"}
    assert new <= record["interrupts"][0].keys() <= set(Irq.__struct_fields__)
    for irq in record["interrupts"]:
        for name in new:
            del irq[name]
    saved.write_text(json.dumps(record))
    assert main(["explain", str(saved), "--hardware", "ntb_hw_epf-legacy", "-o", str(target)]) == 0
    (one,) = json.loads(target.read_text())["explanations"]
    texts = [cause["text"] for cause in one["causes"] if cause["code"] == "link-interrupts"]
    assert [text[:13] for text in texts] == ["5 interrupts "]
