# SPDX-License-Identifier: BSD-3-Clause
"""The records of `ntbbench board`: what a host has, what would be done, every run."""

from typing import Annotated, Any, Literal

from msgspec import Struct

from ntbbench.ab.records import Stopped
from ntbbench.core.fields import axis, fact, series

BOARD_SCHEMA = "ntbbench.board/1"
CHECK_SCHEMA = "ntbbench.board-check/1"
PLAN_SCHEMA = "ntbbench.board-plan/1"
JOURNAL_SCHEMA = "ntbbench.board-journal/1"
Ready = Literal["ok", "note", "missing"]


class BoardFinding(Struct, frozen=True, kw_only=True):
    """One thing that a run needs, or that a reader should know."""

    side: Annotated[str, axis("side", "rc, ep or both")]
    what: Annotated[str, axis("what", "was looked at")]
    ready: Annotated[Ready, fact("ready", "missing: a run would fail")]
    told: Annotated[str, fact("found", "as the host tells it")]
    remedy: Annotated[str, fact("remedy", "what to do; empty: nothing")] = ""


class BoardCheck(Struct, frozen=True, kw_only=True):
    """What is there on both sides and what is missing; nothing was changed."""

    schema: str = CHECK_SCHEMA
    findings: list[BoardFinding]


class BoardChange(Struct, frozen=True, kw_only=True):
    """A command that changes something."""

    side: Annotated[str, axis("side", "rc or ep")]
    when: Annotated[str, axis("when", "before all, for a variant, for a cell, or at the end")]
    command: Annotated[str, fact("command", "a line for /bin/sh")]


class PlannedRun(Struct, frozen=True, kw_only=True):
    """A run that is to come."""

    block: Annotated[int, axis("block", "1 is the first; warm-ups are 0 and below")]
    variant: Annotated[str, axis("variant")]
    cell: Annotated[str, axis("cell", "program, queues, affinity, protocol, flows, direction")]


class BoardSchedule(Struct, frozen=True, kw_only=True):
    """The whole order of runs, the time that it takes, every command that changes something."""

    schema: str = PLAN_SCHEMA
    seed: Annotated[int, fact("seed", "of the order")]
    blocks: Annotated[int, fact("blocks", "at most")]
    seconds: Annotated[float, fact("duration", "at most, without reloads", unit="s")]
    changes: list[BoardChange]
    runs: list[PlannedRun]


class BoardJournal(Struct, kw_only=True):
    """What a run found and has touched: enough to put it back; written before each change."""

    schema: str = JOURNAL_SCHEMA
    token: str  # of the lock on the hosts
    board: dict[str, Any]  # as ntbbench.board.settings reads it
    found: dict[str, dict[str, str]]  # by side: every setting as it was
    lines: dict[str, dict[str, int]]  # by side: interrupt lines
    drivers: dict[str, dict[str, str]]  # by side: kernel and modules
    touched: dict[str, list[str]]  # by side: settings, `load`, `lock`


class BoardCell(Struct, frozen=True, kw_only=True):
    """One combination of what is varied, the variants apart."""

    program: Annotated[str, axis("program")]
    queues: Annotated[int, axis("queues", "0: as found")]
    affinity: Annotated[str, axis("affinity", "of the doorbell interrupts")]
    protocol: Annotated[str, axis("protocol", "of iperf3; empty: another program")] = ""
    flows: Annotated[int, axis("flows", "0: another program than iperf3")] = 0
    direction: Annotated[str, axis("direction", "from-to")]

    @property
    def label(self) -> str:
        """Return the cell in words without blanks."""
        parts = [
            self.program,
            self.protocol,
            f"{self.queues}q" if self.queues else "",
            self.affinity if self.affinity != "found" else "",
            f"{self.flows}f" if self.flows else "",
            self.direction,
        ]
        return " ".join(filter(None, parts))


class BoardMeasure(Struct, frozen=True, kw_only=True):
    """A number of a run."""

    name: Annotated[str, axis("metric")]
    unit: Annotated[str, fact("unit")]
    value: Annotated[float, series("value")]


class BoardRun(Struct, frozen=True, kw_only=True):
    """One run of one cell with one variant."""

    block: Annotated[int, axis("block", "1 is the first; warm-ups are 0 and below")]
    variant: Annotated[str, axis("variant")]
    cell: Annotated[int, axis("cell", "its place in `cells`")]
    place: Annotated[int, fact("place", "of the variant in the block: 1 ran first")]
    started: Annotated[float, fact("started", "after the command began", unit="s")]
    measures: list[BoardMeasure]
    command: Annotated[str, fact("command", "that was timed")]
    packets_per_queue: Annotated[
        list[int], fact("packets by queue", "sent, by the counters of the sender; empty: not known")
    ]
    starts: Annotated[int, fact("starts", "until the flows had every queue that they can")]
    capture: Annotated[str, fact("capture", "folder beside the result")]
    celsius: Annotated[dict[str, float], fact("temperature", "the hottest zone of each side")]
    megahertz: Annotated[dict[str, float], fact("frequency", "of the fastest CPU of each side")]
    cautions: Annotated[list[str], fact("cautions", "what keeps a number from being known")]


class BoardPrediction(Struct, frozen=True, kw_only=True):
    """A number of a cell beside the model and the simulator, which was fitted on one queue alone.

    Amplification is runs of receive tasklets per doorbell interrupt, as counters bound them; the
    effective one is tasklets that doorbells put on a list, as the trace of warm-ups has them. The
    model's number is the QPs that one doorbell wakes.
    """

    cell: Annotated[int, axis("cell", "its place in `cells`")]
    variant: Annotated[str, axis("variant")]
    number: Annotated[str, axis("number", "throughput, amplification, effective amplification")]
    unit: Annotated[str, fact("unit")]
    measured: Annotated[float, fact("measured", "median; of amplification the lower bound")]
    measured_high: Annotated[
        float | None, fact("measured at most", "median of the upper bounds; null: none is known")
    ] = None
    model: Annotated[
        float | None, fact("model", "QPs that a doorbell wakes; null: another number")
    ] = None
    simulated: Annotated[float | None, fact("simulated", "null: it cannot be")] = None
    is_fitted: Annotated[bool, fact("fitted", "the simulator was fitted on this number")] = False


class BoardResult(Struct, frozen=True, kw_only=True):
    """Everything that `board run` measured; verdicts are computed from it."""

    schema: str = BOARD_SCHEMA
    ntbbench_version: str
    board: dict[str, Any]  # as ntbbench.board.settings reads it
    seed: Annotated[int, fact("seed", "of the order in each block")]
    policy: dict[str, Any]  # as ntbbench.compare.policy.Policy reads it
    drivers: Annotated[dict[str, dict[str, str]], fact("drivers", "found before the first run")]
    loaded: Annotated[
        dict[str, dict[str, dict[str, str]]], fact("loaded", "by variant and side, when it was")
    ]
    settings: Annotated[dict[str, dict[str, str]], fact("settings", "found before the first run")]
    stopped: Annotated[Stopped, fact("stopped", "why no more blocks were run")]
    seconds: Annotated[float, fact("seconds", "all runs took, of every part of a resumed one")]
    restored: Annotated[bool, fact("restored", "whether both sides were seen as they were found")]
    cells: list[BoardCell]
    runs: list[BoardRun]
    predictions: list[BoardPrediction] = []

    @property
    def complete(self) -> bool:
        """Tell whether nothing is left to run."""
        return self.stopped not in ("", "interrupted")
