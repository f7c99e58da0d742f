# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of `ntbbench explain`: measured beside predicted, and the likely causes."""

from msgspec import Struct, field

EXPLAIN_SCHEMA = "ntbbench.explain/1"
INSIDE, EXCESS, FEWER, UNKNOWN = "inside", "excess", "fewer", "unknown"


class VectorRow(Struct, frozen=True, kw_only=True):
    """One vector: its mask, its active QPs, interrupts measured; None: not known."""

    vector: int
    db_vector_mask: str
    fan_out: int | None
    interrupts: int | None
    predicted_schedule_calls: int | None


class QpRow(Struct, frozen=True, kw_only=True):
    """Tasklet runs of one QP: bounds of the model and of the measurement; None: not known."""

    qp_num: int
    predicted_low: int | None
    predicted_high: int | None
    measured_low: int | None
    measured_high: int | None
    verdict: str


class LikelyCause(Struct, frozen=True, kw_only=True):
    """One cause of runs beyond one an interrupt: at most how many, and what speaks for it.

    `at_most` is None where it adds none itself (it changes what the interrupts are).
    """

    code: str
    at_most: int | None
    text: str


class Explanation(Struct, frozen=True, kw_only=True):
    """One capture beside one device. `interrupts` None: not measured.

    `excess`: measured runs (lower bound) beyond one an interrupt; `unexplained`: those beyond the
    model's upper bound. None: not known, as without counters of ntb_transport and without a trace.
    """

    capture: str
    device: str
    source: str
    active_qps: list[int] | None
    interrupts: int | None
    predicted_amplification: float | None
    predicted_runs_low: int | None
    predicted_runs_high: int | None
    measured_runs_low: int | None
    measured_runs_high: int | None
    verdict: str
    excess: int | None
    unexplained: int | None
    vectors: list[VectorRow] = field(default_factory=list)
    qps: list[QpRow] = field(default_factory=list)
    causes: list[LikelyCause] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)


class Explanations(Struct, frozen=True, kw_only=True):
    """Every capture beside every device that it may be of."""

    schema: str = EXPLAIN_SCHEMA
    explanations: list[Explanation] = field(default_factory=list)
