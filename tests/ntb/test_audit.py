# SPDX-License-Identifier: BSD-3-Clause
"""The audit's rules: a device that breaks exactly one of each, and what the presets break.

What each preset breaks stands in the golden outputs of `hardware --audit`.
"""

from dataclasses import replace

import pytest

from ntbbench.ntb.audit import audit, audit_row, device_row, wakeup_groups
from ntbbench.ntb.catalogue import generic, hardware_names, resolve
from ntbbench.ntb.custom import build_device, parse_devices
from ntbbench.ntb.device import Hardware, IrqGrant, VectorRules, masked_map
from ntbbench.ntb.records import AuditRule, BitRow, Citation, Role, Violation
from ntbbench.ntb.vectormap import VectorMap

WHOLE = generic(8, 4)  # two bits a vector
WHOLE_MASKS = (0x03, 0x0C, 0x30, 0xC0)


def with_masks(*masks: int, count: int = 4) -> Hardware:
    """Return WHOLE with other answers of the driver."""
    return replace(WHOLE, vector_map=VectorMap(0xFF, WHOLE_MASKS, count, masks))


def with_rules(**rules: object) -> Hardware:
    return replace(WHOLE, rules=VectorRules(**rules))


# A device for each rule that breaks this rule and no other, and what is said of it.
BROKEN = {
    AuditRule.COVERAGE: (with_masks(0x03, 0x0C, 0x30, 0x40), "0x80 of db_valid_mask 0xff"),
    AuditRule.FOREIGN_BIT: (
        replace(with_masks(0x03, 0x0C, 0x30, 0x1C0), link_mask=0x100),
        "db_vector_mask(3) 0x1c0 has link bits 0x100",
    ),
    AuditRule.SLOT: (replace(WHOLE, lost_mask=0x80), "bits 0x80 that no slot"),
    AuditRule.EVENT_VECTOR: (with_rules(event_vectors=(0, 1, 2, 3, 4)), "vector 4, "),
    AuditRule.EMPTY_VECTOR: (generic(4, 6), "counts vectors 4 to 5, without"),
    AuditRule.VECTOR_BOUND: (
        with_rules(vectors_beyond=1),
        "the vectors 0 to 4, db_vector_count is 4",
    ),
    AuditRule.IRQ_COUNT: (with_rules(irq_grant=IrqGrant(4, 6, 6)), "4 to 6 interrupts"),
    AuditRule.MSI_MASK: (
        replace(generic(60, 60), rules=VectorRules(msi_shift_bits=32)),
        "1 << 58 of 32 bits for its doorbell: bit 26, not bit 58",
    ),
    # Bits 1 and 2 are answered by each other's vector: together the masks still cover all.
    AuditRule.QP: (
        with_masks(0x05, 0x0A, 0x30, 0xC0),
        "QP 1: it raises interrupt 0, whose mask is 0x5; QP 2: it raises interrupt 1",
    ),
}


def rules(violations: tuple[Violation, ...]) -> list[str]:
    return [violation.rule.value for violation in violations]


@pytest.mark.parametrize(
    "given", [{}, {"event_vectors": (0, 1, 2, 3)}, {"irq_grant": IrqGrant(4, 4, 4)}]
)
def test_a_whole_device_breaks_nothing(given: dict[str, object]) -> None:
    assert audit(with_rules(**given)) == ()


def test_every_rule_has_a_broken_device() -> None:
    assert set(BROKEN) == set(AuditRule)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_device_breaks_one_rule_and_carries_its_line(rule: AuditRule) -> None:
    hardware, words = BROKEN[rule]
    (violation,) = audit(hardware)
    assert (violation.rule, violation.source) == (rule, None)
    assert words in violation.detail
    line, other = (Citation("7.0", "drivers/odd.c", "odd", at, "return odd;") for at in (1, 2))
    cited = replace(hardware.rules, citations=dict.fromkeys(AuditRule, other) | {rule: line})
    (violation,) = audit(replace(hardware, rules=cited))
    assert violation.source == line


@pytest.mark.parametrize(
    ("device", "rule", "words"),
    [
        (
            replace(WHOLE, link_mask=0x80),
            AuditRule.FOREIGN_BIT,
            "db_valid_mask 0xff has link bits 0x80",
        ),
        (replace(WHOLE, reserved_mask=1), AuditRule.FOREIGN_BIT, "(0) 0x3 has reserved bits 0x1"),
        (
            with_masks(3, 0xC, 0x30, 0x1C0),
            AuditRule.FOREIGN_BIT,
            "(3) 0x1c0 has invalid bits 0x100",
        ),
        (with_masks(*WHOLE_MASKS, count=5), AuditRule.EMPTY_VECTOR, "counts vector 4,"),
        (
            replace(WHOLE, mask_past_end=0xFF),
            AuditRule.VECTOR_BOUND,
            "vector 4 does not exist and gets mask 0xff",
        ),
        (
            with_rules(event_vectors=(0, 1, 3)),
            AuditRule.QP,
            "QP 4: it raises interrupt 2, which the driver reports to nobody",
        ),
    ],
)
def test_what_breaks_one_rule(device: Hardware, rule: AuditRule, words: str) -> None:
    (violation,) = audit(device)
    assert violation.rule is rule
    assert words in violation.detail + violation.effect


def test_a_vector_that_is_not_counted_covers_nothing() -> None:
    found = audit(with_masks(*WHOLE_MASKS, count=3))
    assert rules(found) == ["coverage", "event-vector"]
    assert "0xc0 of db_valid_mask" in found[0].detail
    assert "gives 0xc0 for a vector that does not exist" in found[1].effect


def test_no_doorbell_at_all() -> None:
    empty = replace(WHOLE, vector_map=masked_map(0, [1]))
    assert "qp" in rules(audit(empty))
    assert "qp" not in rules(audit(replace(empty, refusal="does not bind")))


def test_qps_are_those_that_the_windows_and_clients_allow() -> None:
    """QP 6 has no slot: 7 QPs need 7 windows; max_num_clients lifts the limit up to 6 QPs."""
    lost = replace(WHOLE, lost_mask=0xC0)
    assert rules(audit(replace(lost, mw_count=7))) == ["slot", "qp"]
    assert rules(audit(replace(lost, mw_count=6))) == ["slot"]
    assert rules(audit(replace(lost, mw_count=7), 6)) == ["slot"]
    wider = replace(lost, mw_count=2, lost_mask=0xE0)
    assert rules(audit(wider)) == ["slot", "qp"]
    assert rules(audit(wider, 5)) == ["slot"]


@pytest.mark.parametrize("name", [name for name in hardware_names() if name != "generic"])
@pytest.mark.parametrize("mw_count", [None, 2, 64])
def test_every_violation_of_a_driver_has_its_line(name: str, mw_count: int | None) -> None:
    for db_count in range(1, 65):
        hardware = resolve(name, db_count, mw_count=mw_count)
        if hardware.refusal and hardware.sized == "db_count":
            continue
        for violation in audit(hardware):
            where = violation.source
            assert where is not None
            named = where.file.rpartition("/")[2] in hardware.source
            assert named or hardware.driver == "ntb_hw_intel"
            assert where.line > 0
            assert where.text == where.text.strip() != ""


@pytest.mark.parametrize(
    ("db_count", "lost"), [(1, None), (2, 0), (3, 1), (4, 2), (5, 3), (6, None), (32, None)]
)
def test_the_ep_before_the_series_has_a_qp_without_a_slot(db_count: int, lost: int | None) -> None:
    found = [
        v.detail for v in audit(resolve("pci-epf-vntb-legacy", db_count)) if v.rule is AuditRule.QP
    ]
    expected = [] if lost is None else [f"QP {lost}: its doorbell bit has no slot"]
    assert found == expected


def test_sizes_are_gathered() -> None:
    name = "pci-epf-vntb-legacy"
    row = audit_row(name, [(count, resolve(name, count)) for count in range(1, 9)], 0)
    assert (row.name, row.db_counts, row.refusal) == (name, [*range(1, 9)], None)
    by_rule = {violation.rule: violation for violation in row.violations}
    assert list(by_rule) == [AuditRule.SLOT, AuditRule.EVENT_VECTOR, AuditRule.QP]
    assert by_rule[AuditRule.SLOT].db_counts == [*range(1, 9)]
    assert by_rule[AuditRule.EVENT_VECTOR].db_counts == [*range(3, 9)]
    assert by_rule[AuditRule.QP].db_counts == [2, 3, 4, 5]
    assert "QP 3" in by_rule[AuditRule.QP].detail
    (fixed,) = audit_row("x", [(None, replace(WHOLE, lost_mask=0x80))], 0).violations
    assert fixed.db_counts == []
    refused = audit_row(name, [(40, resolve(name, 40))], 0)
    assert (refused.violations, refused.db_counts) == ([], [])
    assert "not 40 (EINVAL)" in str(refused.refusal)


def bits_of(hardware: Hardware, clients: int = 0) -> list[BitRow]:
    row = device_row(hardware, clients, drawn=True)
    assert row.bits is not None
    return row.bits


def roles(text: str) -> list[str]:
    ((name, device),) = parse_devices([text]).items()
    return [bit.role.value for bit in bits_of(build_device(name, device))]


def test_roles_of_bits() -> None:
    assert roles("a:masks=0x2d,link_mask=0x40") == [
        *("qp", "other", "qp", "qp", "other", "top", "link")
    ]
    assert roles("a:doorbells=4,mw_count=1") == ["qp", "spare", "spare", "top"]
    assert roles("a:doorbells=40").count("qp") == 32


def test_roles_of_devices() -> None:
    bits = bits_of(resolve("ntb_hw_intel-gen1-erratum"))
    assert [bit.role for bit in bits[12:]] == [Role.SPARE, Role.TOP, Role.RESERVED, Role.LINK]
    assert [bit.interrupt for bit in bits[12:]] == [2, 2, 2, 3]
    bits = bits_of(resolve("pci-epf-vntb-legacy", doorbells=4))
    assert [(bit.role, bit.lost) for bit in bits] == [
        *((Role.QP, False), (Role.QP, False), (Role.QP, True), (Role.TOP, True))
    ]


def test_which_qps_wake_together() -> None:
    gen1 = resolve("ntb_hw_intel-gen1", mw_count=64)
    assert wakeup_groups(bits_of(gen1, 12)) == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9), (10, 11)]
