# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a replay, from comparison to report: a field is a key of the JSON."""

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from ntbbench.core.fields import axis, count, fact, verdict

REPLAY_SCHEMA = "ntbbench.replay/1"
AGREES, EXPLAINED, DISAGREES = "agrees", "explained", "disagrees"  # verdicts of a `ReplayPoint`


class WakeupCauses(Struct, frozen=True, kw_only=True):
    """Wakeups by what put the tasklet on a list."""

    doorbell: Annotated[int, count("by doorbell", "by the doorbell callback", better="lower")]
    race_check: Annotated[
        int,
        count("by race check", "db_read() showed the QP's bit at the end of a run", better="lower"),
    ]
    budget: Annotated[
        int, count("by budget", "the run had consumed rx_max_entry packets", better="lower")
    ]
    other: Annotated[
        int, count("by other", "recorded only: none of these explains it", better="lower")
    ]


class Side(Struct, frozen=True, kw_only=True):
    """What happened at the receiving port, as recorded or as predicted; lists are by qp_num."""

    interrupts: Annotated[int, count("interrupts", "doorbell events")]
    coalesced: Annotated[int, count("coalesced", "rings of a bit whose interrupt was pending")]
    schedule_calls: Annotated[
        int,
        count(
            "schedule calls",
            "of the doorbell callback; recorded ones are derived: merged calls leave no trace",
            better="lower",
        ),
    ]
    merged: Annotated[int, count("merged", "schedule calls that met SCHED set")]
    wakeups: Annotated[
        int, count("wakeups", "tasklets put on a list, by any cause", better="lower")
    ]
    wakeups_by_cause: WakeupCauses
    runs: Annotated[int, count("runs", "runs of the receive tasklets", better="lower")]
    wakeups_per_qp: Annotated[list[int], count("wakeups by QP", better="lower")]
    runs_per_qp: Annotated[list[int], count("runs by QP", better="lower")]


class Cause(Struct, frozen=True, kw_only=True):
    """One reason for a difference: how much it adds to the recorded side, and what it is."""

    count: Annotated[int, fact("count", "what it adds to the recorded side")]
    text: Annotated[str, fact("cause")]
    explained: Annotated[
        bool, fact("explained", "the kernel's rules and the trace's own order give it")
    ]


class Difference(Struct, frozen=True, kw_only=True):
    """A quantity in which recording and prediction differ; the causes add up to the difference."""

    quantity: Annotated[str, axis("quantity", "interrupts, wakeups or runs")]
    qp_num: Annotated[int | None, axis("QP", "null: all QPs together")]
    recorded: Annotated[int, fact("recorded")]
    predicted: Annotated[int, fact("predicted")]
    causes: list[Cause]


class PointRecord(Struct, frozen=True, kw_only=True):
    """What the recording's `point` says."""

    vectors: Annotated[int, axis("vectors", "0: no vector callbacks")]
    db_read_latched: Annotated[
        bool, axis("db_read latched", "db_read() shows a rung bit until db_clear()")
    ]
    gap_us: Annotated[int, axis("gap", "between two packets of a sender", unit="us")]
    packets_per_qp: Annotated[int, axis("packets", "of each sending QP")]
    sending_qps: Annotated[list[int], axis("senders", "QPs that send")]


class ReplayPoint(Struct, frozen=True, kw_only=True):
    """One recording beside its prediction; `schema` only where it is alone in its JSON."""

    schema: str | UnsetType = UNSET
    name: Annotated[str, axis("recording")]
    kernel: Annotated[str | None, fact("kernel", "its release, where the recording has it")]
    point: PointRecord
    receiving_port: Annotated[int, fact("receiving port")]
    active_qps: Annotated[list[int], fact("active QPs", "of the receiving port")]
    rings: Annotated[int, count("rings", "bits rung")]
    spaced: Annotated[bool, fact("spaced", "each ring was served before the next one")]
    prediction_uses: Annotated[list[str], fact("prediction uses", "of the recording")]
    verdict: Annotated[
        str,
        verdict(
            "verdict", "agrees; explained: close rings, and each difference has a cause; disagrees"
        ),
    ]
    recorded: Side
    predicted: Side
    differences: list[Difference] = []
    cautions: list[str] = []


class ReplayMany(Struct, frozen=True, kw_only=True):
    """The JSON of a folder of recordings, in the order of their names."""

    schema: str = REPLAY_SCHEMA
    points: list[ReplayPoint]


Replay = ReplayPoint | ReplayMany


def points_of(replay: Replay) -> list[ReplayPoint]:
    """Return the recordings of a replay."""
    return replay.points if isinstance(replay, ReplayMany) else [replay]
