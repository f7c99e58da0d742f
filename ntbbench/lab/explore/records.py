# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of explored schedules: a field is a key of the JSON."""

from typing import Annotated, Any, Literal

from msgspec import Struct

from ntbbench.core.fields import axis, count, fact
from ntbbench.core.fields import verdict as conclusion

EXPLORE_SCHEMA = "ntbbench.explore/1"
ExploreKind = Literal["explore", "replay"]
EXPLORED: ExploreKind = "explore"
REPLAYED: ExploreKind = "replay"
HUNG, PANICKED, WARNED = "hang", "panic", "warning"
LOST, STUCK, BOUNDS, UNLOAD, HELD = "lost", "stuck", "bounds", "unload", "holds"
ORACLES = (HUNG, PANICKED, LOST, STUCK, WARNED, UNLOAD, BOUNDS)
SIDES = ("ep", "rc")  # by the guest's number
ANY = ""  # the point of a delay at a step, whatever point it is
EACH = 0  # the hit of a delay at every hit


class PacketSender(Struct, frozen=True):
    """A thread that sends."""

    side: int  # of SIDES
    cpu: int  # counted from the one that serves the endpoint
    packets: tuple[tuple[int, int], ...]  # QP, and microseconds after it


class Delay(Struct, frozen=True):
    """A CPU that is held at a point."""

    point: str  # name of a point; ANY: `hit` counts the hits of all points
    hit: int  # which one, from 1; EACH
    us: int


class Action(Struct, frozen=True):
    """Something that is done to a network device while packets fly."""

    side: int
    what: str  # `d`own, `u`p, or a number of channels
    gap_us: int  # before it


class Schedule(Struct, frozen=True):
    """What one run does; nothing in it is left to chance."""

    seed: int
    workload: str
    strategy: str
    senders: tuple[PacketSender, ...]
    delays: tuple[Delay, ...] = ()
    actor_cpu: int = 0
    actions: tuple[Action, ...] = ()

    @property
    def packets(self) -> int:
        """How many it sends."""
        return sum(len(sender.packets) for sender in self.senders)

    @property
    def size(self) -> tuple[int, int, int, int]:
        """How much it does: delays, those at every hit, packets, microseconds; less tells more."""
        every = sum(delay.hit == EACH for delay in self.delays)
        return len(self.delays), every, self.packets, sum(delay.us for delay in self.delays)


class ExploreSeed(Struct, frozen=True, kw_only=True):
    """What one seed came to with one pair of drivers."""

    ep_driver: Annotated[str, axis("EP", "driver of the endpoint, as it was asked for")]
    rc_driver: Annotated[str, axis("RC", "driver of the root complex, as it was asked for")]
    workload: Annotated[str, axis("workload", "what happens while CPUs are held")]
    strategy: Annotated[str, axis("strategy", "how delays are drawn: random, or by priority")]
    seed: Annotated[int, axis("seed", "number that the schedule is drawn from")]
    outcome: Annotated[
        str,
        conclusion(
            "outcome",
            "holds; stuck: packets wait until a later doorbell; lost: not even then; bounds: more "
            "or fewer tasklet runs than the model allows; warning: of the kernel; panic; hang; "
            "unload: a module would not go",
            ranks=(*ORACLES, HELD),
        ),
    ]
    words: Annotated[str, fact("finding", "what was found, in one line")] = ""
    packets: Annotated[int, fact("packets", "sent")] = 0
    delays: Annotated[int, fact("delays", "of the schedule that came about")] = 0
    new_pairs: Annotated[int, fact("new pairs", "of points that met for the first time")] = 0


class StoryLine(Struct, frozen=True):
    """One thing that a CPU did."""

    us: Annotated[float, fact("time", "since the schedule began", unit="us")]
    cpu: Annotated[int, axis("CPU", "that did it")]
    context: Annotated[str, fact("context", "task, softirq or interrupt")]
    text: Annotated[str, fact("what", "that it did")]
    line: Annotated[str, fact("source", "file and line")] = ""
    source: Annotated[str, fact("code", "text of that line")] = ""


class ExploreFinding(Struct, frozen=True, kw_only=True):
    """One seed that failed, made small."""

    ep_driver: str
    rc_driver: str
    seed: int
    oracle: str
    words: str  # in one line
    drawn: Schedule  # as the seed has it
    schedule: Schedule  # the smallest that was found to fail
    failed: int = 0  # runs of `schedule` that failed in a boot of its own
    runs: int = 0  # of it in that boot
    boots: int = 1  # it took so many until one failed
    met: list[bool] = []  # whether each of its delays came about
    story: list[StoryLine] = []
    model: str = ""  # what the model of the drivers says of it


class PlaceInCode(Struct, frozen=True):
    """One point where CPUs are seen and can be held."""

    name: str
    access: str  # r, w, m (reads and writes), - (none)
    operand: tuple[int, int, int, int]  # base, index, scale, displacement
    line: str = ""  # of the source
    source: str = ""  # its text
    hits: int = 0  # in one run without delays
    meets: bool = False  # whether its accesses met those of another CPU or context


class Coverage(Struct, frozen=True, kw_only=True):
    """How much the seeds of one pair of drivers and one workload have met."""

    ep_driver: Annotated[str, axis("EP", "driver of the endpoint")]
    rc_driver: Annotated[str, axis("RC", "driver of the root complex")]
    workload: Annotated[str, axis("workload", "what happens while CPUs are held")]
    strategy: Annotated[str, axis("strategy", "how delays are drawn")]
    seeds: Annotated[int, count("seeds", "that ran", better="none")]
    failed: Annotated[int, count("failed", "seeds that failed", better="lower")]
    boots: Annotated[int, fact("boots", "of the guest")]
    pairs: Annotated[
        int, count("pairs met", "of points whose accesses met, in order", better="none")
    ]
    last_new_seed: Annotated[int, fact("last new pair", "the seed that met it; -1: none did")]
    steps: Annotated[int, fact("steps", "hits of points in a run without delays")]
    bound: Annotated[
        float, fact("PCT bound", "least probability that a seed of pct meets a bug of its depth")
    ]
    points: list[PlaceInCode] = []


class ExploreResult(Struct, frozen=True, kw_only=True):
    """Schedules of the pair on several CPUs, or one of them again."""

    schema: str = EXPLORE_SCHEMA
    kind: ExploreKind = EXPLORED
    kernel: Annotated[str, fact("kernel", "uname -r of the guest")]
    kernel_source: Annotated[str, fact("asked for", "debian:7.3")]
    accelerator: Annotated[str, fact("accelerator", "tcg")]
    deterministic: Annotated[bool, fact("deterministic", "QEMU counts instructions")]
    cpus: Annotated[int, fact("CPUs", "of the guest")]
    environment: dict[str, str] = {}
    sources: Annotated[dict[str, str], fact("sources", "SHA-256 of what ran")] = {}
    checks: Annotated[list[str], fact("debug options", "of the kernel, with --check")] = []
    points: list[ExploreSeed]
    findings: list[ExploreFinding] = []
    coverage: list[Coverage] = []
    complete: bool = True
    warnings: list[str] = []
    scenario: dict[str, Any] = {}
