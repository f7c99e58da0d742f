# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of a replay, from comparison to report: a field is a key of the JSON."""

from msgspec import Struct, field

REPLAY_SCHEMA = "ntbbench.replay/1"
AGREES, EXPLAINED, DISAGREES = "agrees", "explained", "disagrees"  # verdicts of a `ReplayPoint`


class WakeupCauses(Struct, frozen=True, kw_only=True):
    """Wakeups by what put the tasklet on a list."""

    doorbell: int
    race_check: int  # db_read() showed the QP's bit at the end of a run
    budget: int  # the run had consumed rx_max_entry packets
    other: int  # recorded only: neither of these explains it


class Side(Struct, frozen=True, kw_only=True):
    """What happened at the receiving port, as recorded or as predicted; lists are by qp_num."""

    interrupts: int  # doorbell events
    coalesced: int  # rings of a bit whose interrupt was pending
    schedule_calls: int  # of the doorbell callback (recorded: derived, merged ones leave no trace)
    merged: int  # schedule calls that met SCHED set
    wakeups: int  # tasklets put on a list, by any cause
    wakeups_by_cause: WakeupCauses
    runs: int
    wakeups_per_qp: list[int]
    runs_per_qp: list[int]


class Cause(Struct, frozen=True, kw_only=True):
    """One reason for a difference: how much it adds to the recorded side, and what it is."""

    count: int
    text: str
    explained: bool  # False: not what the kernel's rules and the trace's own order give


class Difference(Struct, frozen=True, kw_only=True):
    """A quantity in which recording and prediction differ; the causes add up to the difference."""

    quantity: str
    qp_num: int | None  # None: all QPs together
    recorded: int
    predicted: int
    causes: list[Cause]


class PointRecord(Struct, frozen=True, kw_only=True):
    """What the recording's `point` says."""

    vectors: int
    db_read_latched: bool
    gap_us: int
    packets_per_qp: int
    sending_qps: list[int]


class ReplayPoint(Struct, frozen=True, kw_only=True):
    """One recording beside its prediction.

    `verdict`: `agrees`; `explained` (close rings, and each difference has a cause); `disagrees`.
    """

    name: str
    kernel: str | None
    point: PointRecord
    receiving_port: int
    active_qps: list[int]
    rings: int  # bits rung
    spaced: bool  # each ring is served before the next one
    prediction_uses: list[str]
    verdict: str
    recorded: Side
    predicted: Side
    differences: list[Difference] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)


class ReplayOne(ReplayPoint, frozen=True, kw_only=True):
    """The JSON of one recording."""

    schema: str = REPLAY_SCHEMA


class ReplayMany(Struct, frozen=True, kw_only=True):
    """The JSON of a folder of recordings, in the order of their names."""

    schema: str = REPLAY_SCHEMA
    points: list[ReplayPoint]


Replay = ReplayOne | ReplayMany


def points_of(replay: Replay) -> list[ReplayPoint]:
    """Return the recordings of a replay, of which `ReplayOne` is one itself."""
    return replay.points if isinstance(replay, ReplayMany) else [replay]
