# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of `ntbbench explain`; null is not known."""

from typing import Annotated

from msgspec import Struct, field

from ntbbench.core.fields import axis, fact, verdict

EXPLAIN_SCHEMA = "ntbbench.explain/1"
INSIDE, EXCESS, FEWER, UNKNOWN = "inside", "excess", "fewer", "unknown"

Verdict = Annotated[
    str,
    verdict(
        "verdict",
        "inside the bounds of the model; excess, fewer: more, fewer runs than it allows; unknown",
    ),
]


class VectorRow(Struct, frozen=True, kw_only=True):
    """One vector: its mask, its active QPs, its interrupts."""

    vector: Annotated[int, axis("vector")]
    db_vector_mask: Annotated[str, fact("mask", "doorbell bits of the vector")]
    fan_out: Annotated[int | None, fact("active QPs", "active QPs under the mask")]
    interrupts: Annotated[int | None, fact("interrupts", "measured")]
    predicted_schedule_calls: Annotated[
        int | None, fact("predicted calls", "tasklet_schedule() calls of its interrupts")
    ]


class QpRow(Struct, frozen=True, kw_only=True):
    """Receive-tasklet runs of one QP: bounds of the model and of the measurement."""

    qp_num: Annotated[int, axis("QP", "qp_num of ntb_transport")]
    predicted_low: Annotated[int | None, fact("predicted", "runs that the model allows")]
    predicted_high: Annotated[int | None, fact("predicted at most")]
    measured_low: Annotated[int | None, fact("measured", "runs")]
    measured_high: Annotated[int | None, fact("measured at most")]
    verdict: Verdict


class LikelyCause(Struct, frozen=True, kw_only=True):
    """One cause of more than one run per interrupt, and what speaks for it."""

    code: Annotated[str, axis("cause")]
    at_most: Annotated[
        int | None, fact("at most", "runs that it adds; null: it changes what the interrupts are")
    ]
    text: Annotated[str, fact("reason", "what speaks for it")]


class Explanation(Struct, frozen=True, kw_only=True):
    """One capture beside one device."""

    capture: Annotated[str, axis("capture")]
    device: Annotated[str, axis("device", "the preset, or that it was rebuilt from the capture")]
    source: Annotated[str, fact("source", "where the facts of the device stand")]
    active_qps: Annotated[list[int] | None, fact("active QPs", "by qp_num")]
    interrupts: Annotated[int | None, fact("interrupts", "doorbell interrupts measured")]
    predicted_amplification: Annotated[
        float | None,
        fact("calls per interrupt", "tasklet_schedule() calls per doorbell interrupt, predicted"),
    ]
    predicted_runs_low: Annotated[int | None, fact("predicted runs", "that the model allows")]
    predicted_runs_high: Annotated[int | None, fact("predicted runs at most")]
    measured_runs_low: Annotated[int | None, fact("measured runs", "of all QPs")]
    measured_runs_high: Annotated[int | None, fact("measured runs at most")]
    verdict: Verdict
    excess: Annotated[int | None, fact("excess", "measured runs beyond one per interrupt")]
    unexplained: Annotated[
        int | None, fact("unexplained", "measured runs beyond the most that the model allows")
    ]
    vectors: list[VectorRow] = field(default_factory=list)
    qps: list[QpRow] = field(default_factory=list)
    causes: list[LikelyCause] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)


class Explanations(Struct, frozen=True, kw_only=True):
    """Every capture beside every device that it may be of."""

    schema: str = EXPLAIN_SCHEMA
    explanations: list[Explanation] = field(default_factory=list)
