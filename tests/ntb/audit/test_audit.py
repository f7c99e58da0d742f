# SPDX-License-Identifier: BSD-3-Clause
"""The audit's rules: a device that breaks exactly one of each, and what the presets break."""

from dataclasses import replace

import pytest

from ntbbench.ntb.audit.audit import audit, findings
from ntbbench.ntb.audit.records import Citation, Conduct, IrqGrant, Rule, Violation
from ntbbench.ntb.audit.vector_rules import conduct_of
from ntbbench.ntb.devices.catalogue import generic, hardware_names, resolve
from ntbbench.ntb.devices.device import Hardware, masked_map
from ntbbench.ntb.vectormap import VectorMap

WHOLE = generic(8, 4)  # two bits a vector
WHOLE_MASKS = (0x03, 0x0C, 0x30, 0xC0)


def with_masks(*masks: int, count: int = 4) -> Hardware:
    """Return WHOLE with other answers of the driver."""
    return replace(WHOLE, vector_map=VectorMap(0xFF, WHOLE_MASKS, count, masks))


# A device (and conduct) for each rule that breaks this rule and no other, and what is said of it.
BROKEN = {
    Rule.COVERAGE: (with_masks(0x03, 0x0C, 0x30, 0x40), Conduct(), "0x80 of db_valid_mask 0xff"),
    Rule.FOREIGN_BIT: (
        replace(with_masks(0x03, 0x0C, 0x30, 0x1C0), link_mask=0x100),
        Conduct(),
        "db_vector_mask(3) 0x1c0 has link bits 0x100",
    ),
    Rule.SLOT: (replace(WHOLE, lost_mask=0x80), Conduct(), "bits 0x80 that no slot"),
    Rule.EVENT_VECTOR: (WHOLE, Conduct(event_vectors=(0, 1, 2, 3, 4)), "vector 4, "),
    Rule.EMPTY_VECTOR: (generic(4, 6), Conduct(), "counts vectors 4 to 5, without"),
    Rule.VECTOR_BOUND: (
        WHOLE,
        Conduct(vectors_taken=5),
        "the vectors 0 to 4, db_vector_count is 4",
    ),
    Rule.IRQ_COUNT: (WHOLE, Conduct(irq_grant=IrqGrant(4, 6, 6)), "4 to 6 interrupts"),
    # Bits 1 and 2 are answered by each other's vector: together the masks still cover all.
    Rule.QP: (
        with_masks(0x05, 0x0A, 0x30, 0xC0),
        Conduct(),
        "QP 1: it raises interrupt 0, whose mask is 0x5; QP 2: it raises interrupt 1",
    ),
}


def rules(violations: tuple[Violation, ...]) -> list[str]:
    return [violation.rule.value for violation in violations]


def test_a_whole_device_breaks_nothing() -> None:
    assert audit(WHOLE, Conduct()) == ()
    assert audit(WHOLE, Conduct(event_vectors=(0, 1, 2, 3), vectors_taken=4)) == ()
    assert audit(WHOLE, Conduct(irq_grant=IrqGrant(4, 4, 4))) == ()


def test_every_rule_has_a_broken_device() -> None:
    assert set(BROKEN) == set(Rule)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_device_breaks_one_rule(rule: Rule) -> None:
    hardware, conduct, words = BROKEN[rule]
    (violation,) = audit(hardware, conduct)
    assert violation.rule is rule
    assert words in violation.detail
    assert violation.where is None


@pytest.mark.parametrize("rule", BROKEN)
def test_a_violation_carries_the_line_of_its_rule(rule: Rule) -> None:
    hardware, conduct, _ = BROKEN[rule]
    line = Citation("7.0", "drivers/odd.c", "odd", 1, "return odd;")
    other = replace(line, line=2)
    lines = dict.fromkeys(Rule, other) | {rule: line}
    (violation,) = audit(hardware, replace(conduct, citations=lines))
    assert violation.where == line


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ({"link_mask": 0x80}, "db_valid_mask 0xff has link bits 0x80"),
        ({"reserved_mask": 0x01}, "db_vector_mask(0) 0x3 has reserved bits 0x1"),
    ],
)
def test_valid_bits_are_no_link_and_not_reserved(device: dict[str, int], words: str) -> None:
    (violation,) = audit(replace(WHOLE, **device), Conduct())  # type: ignore[arg-type]
    assert violation.rule is Rule.FOREIGN_BIT
    assert words in violation.detail


def test_a_bit_beyond_the_valid_ones() -> None:
    (violation,) = audit(with_masks(0x03, 0x0C, 0x30, 0x1C0), Conduct())
    assert "db_vector_mask(3) 0x1c0 has invalid bits 0x100" in violation.detail


def test_a_vector_that_is_not_counted_covers_nothing() -> None:
    found = audit(with_masks(*WHOLE_MASKS, count=3), Conduct())
    assert rules(found) == ["coverage", "event-vector"]
    assert "0xc0 of db_valid_mask" in found[0].detail
    assert "gives 0xc0 for a vector that does not exist" in found[1].effect


def test_a_counted_vector_without_an_interrupt() -> None:
    (violation,) = audit(with_masks(*WHOLE_MASKS, count=5), Conduct())
    assert violation.rule is Rule.EMPTY_VECTOR
    assert "counts vector 4," in violation.detail


def test_a_mask_past_the_end_breaks_the_bound() -> None:
    (violation,) = audit(replace(WHOLE, mask_past_end=0xFF), Conduct())
    assert violation.rule is Rule.VECTOR_BOUND
    assert "vector 4 does not exist and gets mask 0xff" in violation.effect


def test_an_interrupt_that_tells_nobody() -> None:
    (violation,) = audit(WHOLE, Conduct(event_vectors=(0, 1, 3)))
    assert "QP 4: it raises interrupt 2, of which the driver tells nobody" in violation.detail


def test_no_doorbell_at_all() -> None:
    empty = replace(WHOLE, vector_map=masked_map(0, [1]))
    assert "qp" in rules(audit(empty, Conduct()))
    assert "qp" not in rules(audit(replace(empty, refusal="does not bind"), Conduct()))


def test_qps_are_those_that_the_windows_and_clients_allow() -> None:
    """QP 6 has no slot: 7 QPs need 7 windows; max_num_clients lifts the limit up to 6 QPs."""
    lost = replace(WHOLE, lost_mask=0xC0)
    assert rules(audit(replace(lost, mw_count=7), Conduct())) == ["slot", "qp"]
    assert rules(audit(replace(lost, mw_count=6), Conduct())) == ["slot"]
    assert rules(audit(replace(lost, mw_count=7), Conduct(), 6)) == ["slot"]
    wider = replace(lost, mw_count=2, lost_mask=0xE0)
    assert rules(audit(wider, Conduct())) == ["slot", "qp"]
    assert rules(audit(wider, Conduct(), 5)) == ["slot"]


# Read in the drivers, Linux 7.3.4 (6.12.95 for the pair before the series), at db_count 16.
PRESETS = {
    "ntb_hw_epf-legacy": ["slot", "event-vector"],
    "ntb_hw_epf-v4": [],
    "pci-epf-vntb-legacy": ["slot", "event-vector"],
    "pci-epf-vntb-v4": [],
    "generic": [],
    "ntb_hw_intel-gen1": ["empty-vector", "vector-bound"],
    "ntb_hw_intel-gen1-erratum": ["empty-vector", "vector-bound"],
    "ntb_hw_intel-gen1-intx": ["vector-bound"],
    "ntb_hw_intel-gen3": ["empty-vector", "vector-bound"],
    "ntb_hw_intel-gen3-intx": ["vector-bound"],
    "ntb_hw_intel-gen4": ["empty-vector", "vector-bound"],
    "ntb_hw_intel-gen4-intx": ["vector-bound"],
    "ntb_hw_amd": ["event-vector", "vector-bound", "irq-count"],
    "ntb_hw_amd-intx": ["event-vector", "vector-bound", "qp"],
    "ntb_hw_switchtec": ["vector-bound"],
    "ntb_hw_switchtec-crosslink": ["vector-bound"],
    "ntb_hw_idt": [],
}


def test_the_presets_are_complete() -> None:
    assert set(PRESETS) == set(hardware_names())


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset(name: str) -> None:
    hardware = resolve(name)
    assert rules(audit(hardware, conduct_of(hardware))) == PRESETS[name]


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "generic"])
@pytest.mark.parametrize("mw_count", [None, 2, 64])
def test_every_violation_of_a_driver_has_its_line(name: str, mw_count: int | None) -> None:
    for db_count in range(1, 65):
        hardware = resolve(name, db_count, mw_count=mw_count)
        if hardware.refusal and hardware.sized == "db_count":
            continue
        for violation in audit(hardware, conduct_of(hardware)):
            assert violation.where is not None
            assert violation.where.file.rpartition("/")[2] in hardware.source or (
                hardware.driver == "ntb_hw_intel"
            )
            assert violation.where.line > 0
            assert violation.where.text == violation.where.text.strip() != ""


def test_switchtec_answers_for_a_second_vector_and_intel_does_not() -> None:
    (switchtec,) = audit(resolve("ntb_hw_switchtec"), conduct_of(resolve("ntb_hw_switchtec")))
    assert "vector 1 does not exist and gets mask 0xfffffff" in switchtec.effect
    assert switchtec.where is not None
    assert switchtec.where.function == "switchtec_ntb_db_vector_mask"
    gen4 = resolve("ntb_hw_intel-gen4")
    assert audit(gen4, conduct_of(gen4))[-1].effect.endswith("gets mask 0x0: harmless")


@pytest.mark.parametrize(
    ("db_count", "lost"), [(1, None), (2, 0), (3, 1), (4, 2), (5, 3), (6, None), (32, None)]
)
def test_the_ep_before_the_series_has_a_qp_without_a_slot(db_count: int, lost: int | None) -> None:
    hardware = resolve("pci-epf-vntb-legacy", db_count)
    found = [v.detail for v in audit(hardware, conduct_of(hardware)) if v.rule is Rule.QP]
    expected = [] if lost is None else [f"QP {lost}: its doorbell bit has no slot"]
    assert found == expected


def test_sizes_are_gathered() -> None:
    def sized(db_count: int) -> tuple[Violation, ...]:
        hardware = resolve("pci-epf-vntb-legacy", db_count)
        return audit(hardware, conduct_of(hardware))

    found = findings((db_count, sized(db_count)) for db_count in range(1, 9))
    by_rule = {finding.violation.rule: finding for finding in found}
    assert list(by_rule) == [Rule.SLOT, Rule.EVENT_VECTOR, Rule.QP]
    assert by_rule[Rule.SLOT].db_counts == tuple(range(1, 9))
    assert by_rule[Rule.EVENT_VECTOR].db_counts == tuple(range(3, 9))
    assert by_rule[Rule.QP].db_counts == (2, 3, 4, 5)
    assert "QP 3" in by_rule[Rule.QP].violation.detail
    (fixed,) = findings([(None, audit(replace(WHOLE, lost_mask=0x80), Conduct()))])
    assert fixed.db_counts == ()
