# SPDX-License-Identifier: BSD-3-Clause
"""What `compat`, `patches` and `doorbell` find with `--function ntb`: ntb_hw_epf on two hosts.

As `ntbbench.pair.records`, whose EP and RC are host 1 and host 2 here.
"""

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from ntbbench.core.fields import axis, count, fact, verdict
from ntbbench.pair.records import (
    Became,
    Bisectable,
    CellName,
    Direction,
    Half,
    HazardCure,
    Kernels,
    Minimal,
    Misrouted,
    Missed,
    MixedFailures,
    MwCount,
    PatchEffect,
    Requires,
    SafeSubsets,
    Side,
    StoryStep,
    Subsets,
    UnsafeOrder,
)

HOST_COMPAT_SCHEMA = "ntbbench.compat-ntb/1"
HOST_PATCHES_SCHEMA = "ntbbench.patches-ntb/1"
HOST_STORY_SCHEMA = "ntbbench.story-ntb/1"
HOST_SETTING = ("ep_slots", "mw_count", "irq_type", "host1_vectors", "host2_vectors")

OF_HOST = "patches of its ntb_hw_epf (8-12) that are applied; root-fix: bit 0 in slot 1"
HOST1, HOST2 = axis("host 1", OF_HOST), axis("host 2", OF_HOST)
GRANTED = "MSI or MSI-X vectors granted"
Host1Vectors = Annotated[int, axis("host 1 vectors", GRANTED)]
Host2Vectors = Annotated[int, axis("host 2 vectors", GRANTED)]


class InHostSetting(Struct, frozen=True, kw_only=True):
    """A result in one setting of two hosts that pci-epf-ntb joins."""

    schema: str
    ep_slots: Annotated[
        int, axis("slots", "db_count of pci-epf-ntb: the interrupt slots of either host")
    ]
    mw_count: MwCount
    irq_type: Annotated[str, axis("interrupts", "what the two controllers offer: msi or msix")]
    host1_vectors: Host1Vectors
    host2_vectors: Host2Vectors


# `ntbbench compat`


class HostCell(Struct, frozen=True, kw_only=True):
    """One direction of one pair of hosts, and what becomes of its doorbells."""

    direction: Direction
    host1: Annotated[CellName, HOST1]
    host2: Annotated[CellName, HOST2]
    verdict: Became
    amplification: Annotated[
        float | None,  # None: nothing was delivered
        count("amplification", "tasklet_schedule() calls per doorbell interrupt", better="lower"),
    ]
    missed: Missed
    misrouted: Misrouted
    cases: Annotated[int, count("rings", "of one doorbell bit each, one ring per QP")]
    hazards: Annotated[list[str], verdict("hazards", "what may go wrong all the same")]


class BrokenHosts(Struct, frozen=True, kw_only=True):
    """A cell of two prefixes that does not work."""

    host1: Annotated[int, HOST1]
    host2: Annotated[int, HOST2]
    verdict: Became


class HostRegression(Struct, frozen=True, kw_only=True):
    """Vectors and windows with which 0/0 works and other cells do not."""

    direction: Direction
    host1_vectors: Host1Vectors
    host2_vectors: Host2Vectors
    mw_count: MwCount
    cells: list[BrokenHosts]


class HostExhaustive(Struct, frozen=True, kw_only=True):
    """All numbers of vectors and windows, each in both directions."""

    settings: Annotated[int, count("settings", "settings and directions that were searched")]
    working: Annotated[int, count("working settings", "in which 0/0 works")]
    regressions: list[HostRegression]  # of prefixes
    root_fix_cells: Annotated[  # too many to list
        int, count("root-fix cells", "cells with one root-fix host that do not work")
    ]


class HostCompat(InHostSetting, frozen=True, kw_only=True, omit_defaults=True):
    """The matrix of prefixes in one setting, and what the search of all settings found."""

    cells: list[HostCell]
    exhaustive: HostExhaustive | UnsetType = UNSET


# `ntbbench patches`


class HostElsewhere(Struct, frozen=True, kw_only=True):
    """A smallest subset that breaks settings which work without it; ranges span those broken."""

    side: Side
    patches: Annotated[list[int], axis("patches", "a smallest set that breaks a setting")]
    settings: Annotated[int, count("settings", "broken settings, directions and peers")]
    verdicts: Annotated[list[str], verdict("verdict", "what becomes of the doorbells")]
    host1_vectors: Annotated[tuple[int, int], fact("host 1 vectors", "fewest and most")]
    host2_vectors: Annotated[tuple[int, int], fact("host 2 vectors", "fewest and most")]
    mw_count: Annotated[tuple[int, int], fact("windows", "fewest and most memory windows")]


class HostRaceCost(Struct, frozen=True, kw_only=True):
    """Tasklet runs that one spaced doorbell with one packet causes, by the QP that is rung."""

    direction: Direction
    host1: Annotated[str, HOST1]
    host2: Annotated[str, HOST2]
    client: Annotated[str, axis("client", "reposts: posts a buffer per packet, as ntb_netdev does")]
    runs: Annotated[
        list[int],
        count("runs on QP 0, 1, ..", "tasklet runs per doorbell", head="runs on QP\n0, 1, .."),
    ]
    race_checks: Annotated[
        list[int], count("race-check hits", "db_read() hits per doorbell", head="race-check\nhits")
    ]


class HostDependencies(InHostSetting, frozen=True, kw_only=True):
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


class HostPatches(HostDependencies, frozen=True, kw_only=True):
    """The analysis of the hosts' half of the series in one setting."""

    elsewhere: list[HostElsewhere]
    effects: list[PatchEffect]
    race_costs: list[HostRaceCost]


# `ntbbench doorbell` and `ntbbench compat --explain`


class HostStory(Struct, frozen=True, kw_only=True):
    """One ring, from peer_db_set() to the tasklets."""

    direction: Direction
    host1: Annotated[str, HOST1]
    host2: Annotated[str, HOST2]
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


class HostStories(InHostSetting, frozen=True, kw_only=True):
    """Rings in one setting."""

    stories: list[HostStory]
