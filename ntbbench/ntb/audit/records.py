# SPDX-License-Identifier: BSD-3-Clause
"""The audit's rules, a driver's conduct with its source lines, and what is found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Rule(StrEnum):
    """One thing that must hold; the value is what a user reads."""

    COVERAGE = "coverage"
    FOREIGN_BIT = "foreign-bit"
    SLOT = "slot"
    EVENT_VECTOR = "event-vector"
    EMPTY_VECTOR = "empty-vector"
    VECTOR_BOUND = "vector-bound"
    IRQ_COUNT = "irq-count"
    QP = "qp"


# What each rule asks for. Source: include/linux/ntb.h (ntb_db_event, ntb_db_vector_count,
# ntb_db_vector_mask, ntb_db_valid_mask), drivers/ntb/ntb_transport.c (ntb_transport_probe).
MEANINGS = {
    Rule.COVERAGE: "the vectors' masks together cover db_valid_mask",
    Rule.FOREIGN_BIT: "no vector covers a link bit, a reserved bit, or one outside db_valid_mask",
    Rule.SLOT: "every bit of db_valid_mask has an interrupt slot of its own",
    Rule.EVENT_VECTOR: "ntb_db_event() gets vectors below db_vector_count",
    Rule.EMPTY_VECTOR: "db_vector_count counts doorbell vectors only",
    Rule.VECTOR_BOUND: "db_vector_mask() takes the vectors below db_vector_count and no other",
    Rule.IRQ_COUNT: "the driver goes by the number of interrupts that it was granted",
    Rule.QP: "the ring of every QP that ntb_transport creates reaches that QP",
}


@dataclass(frozen=True)
class Citation:
    """One line of a driver's source.

    Parameters
    ----------
    kernel : the version whose line numbers these are.
    file : path in the kernel tree.
    function : the function that the line is in.
    line : its number, from 1.
    text : the line without its indentation.
    """

    kernel: str
    file: str
    function: str
    line: int
    text: str


@dataclass(frozen=True)
class IrqGrant:
    """How many interrupts a driver may be granted, and the number that it goes by.

    Parameters
    ----------
    low, high : the range that it asks for.
    kept : the number that it keeps, whatever it was granted.
    """

    low: int
    high: int
    kept: int


@dataclass(frozen=True)
class Conduct:
    """What a driver does with vector numbers, beyond its map.

    Parameters
    ----------
    event_vectors : vectors that it passes to ntb_db_event(); None: of each interrupt source that
        has a valid bit its number, or 0 alone where there are no vector callbacks.
    vectors_taken : db_vector_mask() looks at the vectors from 0 up to this one, exclusive, and
        refuses the others; None: db_vector_count.
    irq_grant : None: it goes by what it was granted.
    citations : the line that decides over a rule.
    """

    event_vectors: tuple[int, ...] | None = None
    vectors_taken: int | None = None
    irq_grant: IrqGrant | None = None
    citations: Mapping[Rule, Citation] = field(default_factory=dict)


@dataclass(frozen=True)
class Violation:
    """One rule that one device breaks.

    Parameters
    ----------
    rule : what should hold.
    detail : what there is instead, with its numbers.
    effect : what comes of it.
    where : the line of the driver; None: no driver makes this device.
    """

    rule: Rule
    detail: str
    effect: str
    where: Citation | None


@dataclass(frozen=True)
class Finding:
    """A violation and the sizes at which a device has it.

    Parameters
    ----------
    violation : at the last of `db_counts`.
    db_counts : ascending; empty for a device that has no db_count.
    """

    violation: Violation
    db_counts: tuple[int, ...]


@dataclass(frozen=True)
class DeviceAudit:
    """What the audit of one device found.

    Parameters
    ----------
    name : of the device.
    db_counts : the sizes looked at; empty for a device that has no db_count.
    findings : in the order of `Rule`.
    refusal : why the driver makes no device of the size asked for, so that there was nothing to
        look at; None: it makes one.
    """

    name: str
    db_counts: tuple[int, ...]
    findings: tuple[Finding, ...]
    refusal: str | None
