# SPDX-License-Identifier: BSD-3-Clause
"""What `compat`, `patches` and `doorbell` find: a field is a key of the JSON."""

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from ntbbench.core.fields import axis, count, fact, verdict

COMPAT_SCHEMA = "ntbbench.compat/1"
PATCHES_SCHEMA = "ntbbench.patches/1"
STORY_SCHEMA = "ntbbench.story/1"
SETTING = ("ep_slots", "rc_vectors", "mw_count", "doorbell")

EpSlots = Annotated[int, axis("EP slots", "db_count of the endpoint: all of its interrupt slots")]
RcVectors = Annotated[int, axis("RC vectors", "MSI or MSI-X vectors granted to the root complex")]
MwCount = Annotated[int, axis("windows", "memory windows")]
DoorbellMode = Annotated[str, axis("doorbell", "how rings reach the endpoint")]
Direction = Annotated[str, axis("direction", "who rings whom")]
Side = Annotated[str, axis("side", "ep: pci-epf-vntb, patches 1-7; rc: ntb_hw_epf, patches 8-12")]
Became = Annotated[
    str,
    verdict(
        "verdict",
        "link-down, missed, misrouted, fallback or per-vector; worst first",
        ranks=("link-down", "missed", "misrouted", "fallback", "per-vector"),
    ),
]
Missed = Annotated[int, count("missed", "rings whose queue nothing scheduled", better="lower")]
Misrouted = Annotated[
    int, count("misrouted", "missed rings that scheduled another queue", better="lower")
]
EP = axis("EP", "patches of the endpoint's half (1-7) that are applied; root-fix: bit 0 in slot 1")
RC = axis("RC", "patches of the root complex's half (8-12) that are applied, or root-fix")
CellName = int | str  # a prefix of a half's patches, or "root-fix"


class InSetting(Struct, frozen=True, kw_only=True):
    """A result in one setting of the pair."""

    schema: str
    ep_slots: EpSlots
    rc_vectors: RcVectors
    mw_count: MwCount
    doorbell: DoorbellMode


# `ntbbench compat`


class CompatCell(Struct, frozen=True, kw_only=True):
    """One direction of one pair of drivers, and what becomes of its doorbells."""

    direction: Direction
    ep: Annotated[CellName, EP]
    rc: Annotated[CellName, RC]
    verdict: Became
    amplification: Annotated[
        float | None,  # None: nothing was delivered
        count("amplification", "tasklet_schedule() calls per doorbell interrupt", better="lower"),
    ]
    missed: Missed
    misrouted: Misrouted
    cases: Annotated[int, count("rings", "of one doorbell bit each, one ring per QP")]
    hazards: Annotated[list[str], verdict("hazards", "what may go wrong all the same")]


class BrokenCell(Struct, frozen=True, kw_only=True):
    """A cell of two prefixes that does not work."""

    ep: Annotated[int, EP]
    rc: Annotated[int, RC]
    verdict: Became


class Regression(Struct, frozen=True, kw_only=True):
    """A setting in which 0/0 works and other cells do not."""

    direction: Direction
    ep_slots: EpSlots
    rc_vectors: RcVectors
    mw_count: MwCount
    doorbell: DoorbellMode
    cells: list[BrokenCell]


class Exhaustive(Struct, frozen=True, kw_only=True):
    """All settings, each in both directions."""

    settings: Annotated[int, count("settings", "settings and directions that were searched")]
    working: Annotated[int, count("working settings", "in which 0/0 works")]
    regressions: list[Regression]  # of prefixes
    root_fix_cells: Annotated[  # too many to list
        int, count("root-fix cells", "cells with one root-fix side that do not work")
    ]


class CompatResult(InSetting, frozen=True, kw_only=True, omit_defaults=True):
    """The matrix of prefixes in one setting, and what the search of all settings found."""

    cells: list[CompatCell]
    exhaustive: Exhaustive | UnsetType = UNSET


# `ntbbench patches`


class Change(Struct, frozen=True, kw_only=True):
    """One observation, before and after a patch."""

    what: Annotated[str, axis("observation", "what can be seen of the driver from outside")]
    before: Annotated[str, fact("before", "without the patch")]
    after: Annotated[str, fact("after", "with the patch")]


class PatchEffect(Struct, frozen=True, kw_only=True):
    """What becomes observable with one patch, on top of those before it in its half."""

    patch: Annotated[int, axis("patch", "its number in the posted series")]
    side: Side
    subject: Annotated[str, fact("subject", "of the patch")]
    changes: list[Change]


class Failure(Struct, frozen=True, kw_only=True):
    """One direction in which a subset loses doorbells, and against which peer."""

    patches: list[int]
    peer: Annotated[str, axis("peer", "the patches of the other side")]
    direction: Direction
    verdict: Became
    missed: Missed
    misrouted: Misrouted


class UnsafeOrder(Struct, frozen=True, kw_only=True):
    """A patch without one that it needs, all others of its half applied: a careless backport."""

    patch: Annotated[int, axis("patch", "applied")]
    without: Annotated[int, axis("without", "the patch that is left out")]
    failures: list[Failure]


class HazardCure(Struct, frozen=True, kw_only=True):
    """The smallest sets of patches that free one side of a hazard."""

    side: Side
    hazard: Annotated[str, axis("hazard", "what may go wrong although the doorbell arrives")]
    minimal: Annotated[list[list[int]], fact("removed by", "the smallest sets of patches")]


class Half(Struct, frozen=True, kw_only=True):
    """One half of the series: its subsets and its orders."""

    side: Side
    subsets: Annotated[int, fact("subsets", "of the patches of the half")]
    safe_subsets: Annotated[int, count("safe subsets", "subsets that lose no doorbell")]
    minimal_unsafe: Annotated[
        list[list[int]], fact("smallest unsafe sets", "those without an unsafe set inside")
    ]
    orders: Annotated[int, fact("orders", "permutations of the half")]
    safe_orders: Annotated[int, count("safe orders", "those whose every kernel is safe")]


class OtherSettings(Struct, frozen=True, kw_only=True):
    """A smallest subset that breaks settings which work without it; ranges span those broken."""

    side: Side
    patches: Annotated[list[int], axis("patches", "a smallest set that breaks a setting")]
    settings: Annotated[int, count("settings", "broken settings, directions and peers")]
    verdicts: Annotated[list[str], verdict("verdict", "what becomes of the doorbells")]
    ep_slots: Annotated[tuple[int, int], fact("slots", "fewest and most EP slots")]
    rc_vectors: Annotated[tuple[int, int], fact("vectors", "fewest and most RC vectors")]
    mw_count: Annotated[tuple[int, int], fact("windows", "fewest and most memory windows")]


class RaceCost(Struct, frozen=True, kw_only=True):
    """Tasklet runs that one spaced doorbell with one packet causes, by the QP that is rung."""

    direction: Direction
    ep: Annotated[str, EP]
    rc: Annotated[str, RC]
    client: Annotated[str, axis("client", "reposts: posts a buffer per packet, as ntb_netdev does")]
    runs: Annotated[
        list[int],
        count("runs on QP 0, 1, ..", "tasklet runs per doorbell", head="runs on QP\n0, 1, .."),
    ]
    race_checks: Annotated[
        list[int], count("race-check hits", "db_read() hits per doorbell", head="race-check\nhits")
    ]


class StormCount(Struct, frozen=True, kw_only=True):
    """What a storm of doorbells did with one budget of the deferred work."""

    budget: Annotated[int, axis("budget", "snapshots that a run of the work may take")]
    rings: Annotated[int, count("rings", "peer_db_set() calls of one bit each")]
    msis: Annotated[int, count("MSIs", "MSIs raised; the other rings coalesced")]
    snapshots: Annotated[int, count("snapshots", "taken by the work", head="snap-\nshots")]
    runs: Annotated[int, count("runs", "runs of the work")]
    longest_run: Annotated[int, count("longest run", "in snapshots", head="longest\nrun")]
    snapshot_latency_mean: Annotated[
        float,
        count(
            "mean wait",
            "snapshots that a ring waits for, the one in hand included",
            unit="snapshots",
            head="mean\nwait,\nsnaps",
        ),
    ]
    snapshot_latency_max: Annotated[
        int, count("longest wait", "of a ring", unit="snapshots", head="longest\nwait,\nsnaps")
    ]
    tick_latency_mean: Annotated[
        float,
        count(
            "mean wait",
            "from the first of the coalesced rings to the MSI",
            unit="ticks",
            head="mean\nwait,\nticks",
        ),
    ]
    tick_latency_max: Annotated[
        int, count("longest wait", "of a ring", unit="ticks", head="longest\nwait,\nticks")
    ]


Requires = dict[str, list[int]]  # patch number: patches it is unsafe without
Minimal = dict[str, list[list[int]]]  # patch number: smallest safe sets that hold it
Bisectable = Annotated[bool, verdict("bisectable", "every prefix of the series is safe")]
Subsets = Annotated[int, count("subsets", "subsets of the series")]
SafeSubsets = Annotated[int, count("safe subsets", "subsets that lose no doorbell")]
MixedFailures = Annotated[
    int, count("mixed failures", "pairs of safe halves that fail each other", better="lower")
]
Kernels = Annotated[dict[str, bool], verdict("kernels", "which released kernels are safe")]


class Dependencies(InSetting, frozen=True, kw_only=True):
    """What the safety of all subsets says; a subset is safe when it loses no doorbell."""

    requires: Requires
    minimal: Minimal
    bisectable: Bisectable
    subsets: Subsets
    safe_subsets: SafeSubsets
    mixed_failures: MixedFailures
    halves: list[Half]
    unsafe_orders: list[UnsafeOrder]
    hazard_cures: list[HazardCure]
    kernels: Kernels


class PatchesResult(Dependencies, frozen=True, kw_only=True):
    """The analysis of the series in one setting."""

    elsewhere: list[OtherSettings]
    effects: list[PatchEffect]
    race_costs: list[RaceCost]
    storm_seed: Annotated[int, axis("seed", "of the storm")]
    storm: list[StormCount]


# `ntbbench doorbell` and `ntbbench compat --explain`


class StoryStep(Struct, frozen=True, kw_only=True):
    """One step of a doorbell."""

    where: Annotated[str, axis("where", "the side and the layer")]
    what: Annotated[str, fact("what happens", "in words")]
    wrong: Annotated[bool, verdict("wrong", "the first step that takes the doorbell off its way")]


class Story(Struct, frozen=True, kw_only=True):
    """One ring, from peer_db_set() to the tasklets."""

    direction: Direction
    ep: Annotated[str, EP]
    rc: Annotated[str, RC]
    bits: Annotated[list[int], axis("bits", "doorbell bits of the one peer_db_set() call")]
    verdict: Annotated[
        str | None, verdict("verdict", "of the cell, over all bits; none for a chosen ring")
    ]
    scheduled: Annotated[
        list[int], fact("scheduled", "QPs whose tasklet was scheduled, merged calls included")
    ]
    runs: Annotated[list[int], fact("runs", "QPs of the tasklet runs, in order")]
    asleep: Annotated[list[int], fact("asleep", "rung QPs that nothing scheduled")]
    steps: list[StoryStep]


class Stories(InSetting, frozen=True, kw_only=True):
    """Rings in one setting."""

    stories: list[Story]
