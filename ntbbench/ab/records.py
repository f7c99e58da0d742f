# SPDX-License-Identifier: BSD-3-Clause
"""The records of `ntbbench ab`: every run with its block, and what the machine was like."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Struct, UnsetType

from ntbbench.compare.records import Kind, Own, Side
from ntbbench.core.fields import axis, fact, series

AB_SCHEMA = "ntbbench.ab/1"
# Why no more blocks were run; "": they go on.
Stopped = Literal["", "decided", "max-runs", "max-time", "until", "interrupted"]


class AbCommand(Struct, frozen=True, kw_only=True):
    """One side: what was run, and what it was run in."""

    command: Annotated[str, fact("command", "run without a shell")]
    build: Annotated[str, fact("build", "what built it before the first run; empty: nothing")] = ""
    revision: Annotated[str, fact("revision", "the commit of --git; empty: none")] = ""
    inputs: Annotated[
        dict[str, str] | UnsetType,
        fact("inputs", "SHA-256 of the program, and of the script that it is given, by path"),
    ] = UNSET


class NoiseSource(Struct, frozen=True, kw_only=True):
    """What of a machine disturbs times, as its kernel tells."""

    name: Annotated[str, axis("source", "of noise")]
    value: Annotated[str, fact("value", "as read; `not readable` says why not")]
    advice: Annotated[str, fact("advice", "what would make it quieter; empty: nothing to do")] = ""


class AbMetric(Struct, frozen=True, kw_only=True):
    """A metric of every run."""

    name: Annotated[str, axis("metric")]
    unit: Annotated[str, fact("unit", "empty: none is known")] = ""
    better: Annotated[Own, fact("better", "which way; unsaid: lower, but for --higher-is-better")]
    kind: Annotated[
        Kind, fact("kind", "exact: by its format the same in each run; noisy where a run differs")
    ] = "noisy"


class AbRun(Struct, frozen=True, kw_only=True):
    """One fresh process."""

    block: Annotated[int, axis("block", "1 is the first; warm-ups are 0 and below")]
    side: Annotated[Side, axis("side", "base or candidate")]
    place: Annotated[int, fact("place", "in the block: 1 ran first")]
    started: Annotated[float, fact("started", "after the command began", unit="s")]
    environment_bytes: Annotated[
        int, fact("environment", "length of the variable that moves the stack", unit="B")
    ]
    values: Annotated[list[float], series("values", "of the metrics, in the order of `metrics`")]


class AbResult(Struct, frozen=True, kw_only=True):
    """Everything that `ab` ran; verdicts are computed from it."""

    schema: str = AB_SCHEMA
    ntbbench_version: str
    base: AbCommand
    candidate: AbCommand
    asked: list[str]  # the metrics of --metric
    git: Annotated[str, fact("revisions", "A..B of --git; empty: none")] = ""
    cpu: Annotated[int | None, fact("CPU", "that both sides were pinned to; null: none")] = None
    counter: Annotated[str, fact("counter", "of instructions; empty: none were counted")]
    plan: dict[str, Any]  # the options of the run, as ntbbench.ab.schedule.AbPlan reads them
    policy: dict[str, Any]  # as ntbbench.compare.policy.Policy reads it
    environment: dict[str, Any]
    noise: list[NoiseSource]
    stopped: Annotated[Stopped, fact("stopped", "why no more blocks were run")]
    seconds: Annotated[float, fact("seconds", "all runs took, of every part of a resumed one")]
    metrics: list[AbMetric]
    runs: list[AbRun]

    @property
    def complete(self) -> bool:
        """Tell whether nothing is left to run."""
        return self.stopped not in ("", "interrupted")

    @property
    def blocks(self) -> int:
        """The number of whole blocks, without warm-ups."""
        return sum(run.block > 0 for run in self.runs) // 2
