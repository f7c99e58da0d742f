# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of devices and of their audit: a field is a key of the JSON."""

from enum import StrEnum
from typing import Annotated

from msgspec import Struct

from ntbbench.core.fields import axis, count, fact, verdict

HARDWARE_SCHEMA = "ntbbench.hardware/1"
AUDIT_SCHEMA = "ntbbench.audit/1"
NO_SOURCE = "-"  # of a device that no driver makes


class Role(StrEnum):
    """What a doorbell bit is for; the value is what a user reads."""

    QP = "qp"
    SPARE = "spare"
    TOP = "top"
    LINK = "link"
    RESERVED = "reserved"
    OTHER = "other"


class BitRow(Struct, frozen=True, kw_only=True):
    """One bit of the doorbell register."""

    bit: Annotated[int, axis("bit", "its number in db_bits")]
    role: Annotated[Role, fact("role", "qp, spare, top, link, reserved or other")]
    lost: Annotated[bool, fact("lost", "it is valid but has no slot: a ring of it never arrives")]
    interrupt: Annotated[int | None, fact("interrupt", "the interrupt that its ring raises")]
    qp_num: Annotated[int | None, fact("QP", "the QP that it belongs to")]
    wakes: Annotated[
        list[int], fact("wakes", "QPs that one ring of it schedules while all QPs are active")
    ]


class DeviceRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One device as its driver presents it; masks are hexadecimal texts of a u64."""

    name: Annotated[str, axis("name", "of --hardware")]
    driver: Annotated[str, fact("driver", "of the kernel; -: none")]
    description: Annotated[str, fact("what it is")]
    doorbells: Annotated[
        int, fact("doorbells", "of a device of fixed size; db_count of the epf drivers")
    ]
    vectors: Annotated[int, fact("vectors", "what db_vector_count() returns", head="vec-\ntors")]
    db_valid_mask: Annotated[str, fact("db_valid_mask", "the bits that the driver calls doorbells")]
    db_vector_count: Annotated[
        int, fact("db_vector_count", "what ntb_db_vector_count() returns: 1 without callbacks")
    ]
    db_vector_masks: Annotated[
        list[str], fact("db_vector_mask", "what ntb_db_vector_mask() returns for an interrupt")
    ]
    irq_masks: Annotated[
        list[str], fact("raised by bits", "the bits whose ring raises an interrupt")
    ]
    link_mask: Annotated[str, fact("link_mask", "bits that carry link events")]
    reserved_mask: Annotated[str, fact("reserved_mask", "bits that the driver keeps for itself")]
    lost_mask: Annotated[str, fact("lost_mask", "valid bits whose ring never arrives: no slot")]
    callbacks: Annotated[
        bool, fact("callbacks", "the driver has db_vector_count() and db_vector_mask()")
    ]
    db_read: Annotated[
        str,
        fact(
            "db_read()",
            "what it shows of a rung bit until db_clear(): the bit (latched), nothing (zero), or "
            "wrong bits (legacy)",
        ),
    ]
    sized: Annotated[
        str, fact("sized", "fixed, by the driver's db_count, or free: as many as asked for")
    ]
    mw_count: Annotated[
        int | None, fact("windows", "outbound memory windows; null: no limit", head="win-\ndows")
    ]
    spad_count: Annotated[int | None, fact("scratchpads", "null: no limit")]
    qp_count: Annotated[int, fact("QPs", "queue pairs that ntb_transport makes of the device")]
    qp_limit: Annotated[str, fact("limit", "what decides the number of QPs")]
    refusal: Annotated[str | None, fact("refusal", "why ntb_transport gets no such device")]
    source: Annotated[str, fact("source", "where in the kernel the facts were read")]
    bits: Annotated[list[BitRow] | None, fact("bits", "of a device that is drawn")] = None


class HardwareResult(Struct, frozen=True, kw_only=True):
    """Devices: all of them without their bits, or one bit by bit."""

    schema: str = HARDWARE_SCHEMA
    hardware: list[DeviceRow]


class AuditRule(StrEnum):
    """One thing that must hold; the value is what a user reads."""

    COVERAGE = "coverage"
    FOREIGN_BIT = "foreign-bit"
    SLOT = "slot"
    EVENT_VECTOR = "event-vector"
    EMPTY_VECTOR = "empty-vector"
    VECTOR_BOUND = "vector-bound"
    IRQ_COUNT = "irq-count"
    MSI_MASK = "msi-mask"
    QP = "qp"


class Citation(Struct, frozen=True):
    """One line of a driver's source."""

    kernel: Annotated[str, fact("kernel", "the version whose line numbers these are")]
    file: Annotated[str, fact("file", "path in the kernel tree")]
    function: Annotated[str, fact("function", "that the line is in")]
    line: Annotated[int, fact("line", "its number, from 1")]
    text: Annotated[str, fact("text", "the line without its indentation")]


class Violation(Struct, frozen=True, kw_only=True):
    """One rule that a device breaks; `detail` and `effect` are those of the last db_count."""

    rule: Annotated[AuditRule, axis("rule", "the name of what must hold")]
    requirement: Annotated[str, fact("requirement", "what must hold")]
    detail: Annotated[str, fact("detail", "what there is instead, with its numbers")]
    effect: Annotated[str, fact("effect", "what comes of it")]
    db_counts: Annotated[
        list[int], fact("db_counts", "at which it is broken; none: the device has a fixed size")
    ]
    source: Annotated[
        Citation | None, fact("source", "the line that decides; null: no driver makes the device")
    ]


class AuditRow(Struct, frozen=True, kw_only=True):
    """What the audit of one device found."""

    name: Annotated[str, axis("name", "of the device")]
    db_counts: Annotated[
        list[int], fact("db_counts", "that were audited; none: the device has a fixed size")
    ]
    refusal: Annotated[
        str | None, fact("refusal", "why the driver makes no such device, so nothing was audited")
    ]
    violations: Annotated[list[Violation], verdict("violations", "the rules that it breaks")]


class AuditResult(Struct, frozen=True, kw_only=True):
    """The audit of every device, or of one."""

    schema: str = AUDIT_SCHEMA
    violations: Annotated[int, count("violations", "of all devices", better="lower")]
    hardware: list[AuditRow]
