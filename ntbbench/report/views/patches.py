# SPDX-License-Identifier: BSD-3-Clause
"""The analysis of the series: what each patch changes, what it needs, what the deferral costs."""

from collections.abc import Iterator
from dataclasses import replace

from msgspec.structs import astuple

from ntbbench.pair.host_records import HostElsewhere, HostPatches, HostRaceCost
from ntbbench.pair.joined_hosts import setting_of
from ntbbench.pair.records import (
    Change,
    Failure,
    Half,
    HazardCure,
    OtherSettings,
    PatchEffect,
    PatchesResult,
    RaceCost,
    StormCount,
    UnsafeOrder,
)
from ntbbench.pair.subsets import first_failure, unpatched_failures
from ntbbench.report.document import Column, Document, Sheet, Table, column, words
from ntbbench.report.views.compat import setting_line
from ntbbench.report.views.record_tables import cell_of, cells_of, columns_of, record_table

NOTHING = "nothing to be seen"
CHANGE = Change.__struct_fields__
SAFE = (
    "A subset is safe when no doorbell is lost that arrives without it, against an unpatched and "
    "a fully patched peer, in both directions."
)
HARM = {"link-down": "lose the link", "missed": "lose doorbells", "misrouted": "wake a wrong QP"}
OTHER_SETTINGS = [
    "Smallest sets of patches that break a setting in which the unpatched half works. Slots, "
    "vectors and windows span the broken settings; compat --exhaustive lists them."
]
RACE_CHECK = [
    "With a db_read() that shows the rung bit each doorbell costs one more, empty run of its "
    "tasklet; the numbers in the legacy db_read() send it to whichever QPs they name.",
    "The client that reposts is ntb_netdev: its repost merges with a race check of its own QP.",
]
STORM = [
    "Six doorbells, 1.2 rings per tick; raising an MSI takes a tick, other works run 0..15 ticks "
    "between two runs. The driver's budget is 5."
]


def document(result: PatchesResult | HostPatches) -> Document:
    """Return the report of the series."""
    return Document(
        title="ntbbench patches",
        verdict=verdict_of(result),
        record=result,
        lines=[
            SAFE,
            _needs(result),
            f"Released kernels: {', '.join(map(_safety, result.kernels.items()))}.",
            setting_line(result),
        ],
        blocks=[
            replace(_effects(result), detail=True),
            replace(_requires(result), detail=True),
            record_table("Safe subsets and orders of a half", Half, result.halves),
            _orders(result),
            record_table(
                "Hazards, whoever the peer is, and the smallest sets of patches that remove them",
                HazardCure,
                result.hazard_cures,
            ),
            record_table(
                "Other settings",
                HostElsewhere if isinstance(result, HostPatches) else OtherSettings,
                result.elsewhere,
                OTHER_SETTINGS,
            ),
            record_table(
                "The race check: tasklet runs per doorbell with one packet, by QP",
                HostRaceCost if isinstance(result, HostPatches) else RaceCost,
                result.race_costs,
                RACE_CHECK,
            ),
            *([] if isinstance(result, HostPatches) else [_storm(result)]),
        ],
        sheet=lambda: Sheet(["patch", "side", "subject", *CHANGE], _sheet_rows(result)),
    )


def _storm(result: PatchesResult) -> Table:
    title = f"The deferral under a storm, by budget (seed {result.storm_seed})"
    return record_table(title, StormCount, result.storm, STORM)


def verdict_of(result: PatchesResult | HostPatches) -> str:
    """Return in one sentence whether the series is bisectable, and how many subsets are safe."""
    safe = "hosts" if isinstance(result, HostPatches) else "halves"
    subsets = (
        f"{result.safe_subsets} of {result.subsets} subsets are safe, and safe {safe} fail each "
        f"other in {result.mixed_failures} cases (a pair in a direction)"
    )
    setting = setting_of(result)
    if dead := unpatched_failures(setting):
        return f"Without any patch this setting fails: {', '.join(dead)}. With them: {subsets}"
    failure = first_failure(setting)
    if result.bisectable or failure is None:
        return f"The posted order is {'' if result.bisectable else 'NOT '}bisectable: {subsets}"
    number, found = failure
    return (
        f"The posted order is NOT bisectable: patch {number} and later {HARM[found.verdict]} "
        f"(peer {found.peer}, {found.direction}); {subsets}"
    )


def _needs(result: PatchesResult | HostPatches) -> str:
    """Return in one sentence which patches require others."""
    needs = [
        f"{number} requires {', '.join(map(str, others))}"
        for number, others in result.requires.items()
        if others
    ]
    return (
        f"Patch {'; '.join(needs)}; the others require none."
        if needs
        else "No patch requires another."
    )


def _safety(kernel: tuple[str, bool]) -> str:
    version, safe = kernel
    return f"{version} {'is safe' if safe else 'is NOT SAFE'}"


def _effects(result: PatchesResult | HostPatches) -> Table:
    return Table(
        "What each patch changes",
        columns_of(Change),
        [
            row
            for effect in result.effects
            for row in [*map(cells_of, effect.changes)] or [[*words(NOTHING, "", "")]]
        ],
        ["On top of the patches before it in its half, with an unpatched peer."],
        [
            (f"{effect.patch} {effect.side.upper()}: {effect.subject}", len(effect.changes) or 1)
            for effect in result.effects
        ],
    )


def _requires(result: PatchesResult | HostPatches) -> Table:
    needs = {effect.patch: result.requires.get(str(effect.patch)) for effect in result.effects}
    return Table(
        "What each patch requires",
        [
            column(PatchEffect, "patch"),
            column(PatchEffect, "subject"),
            Column("requires", align="left"),
            Column("smallest safe set", align="left"),
        ],
        [
            [
                *words(effect.patch, effect.subject),
                cell_of([needs[effect.patch]] if needs[effect.patch] else None),
                cell_of(result.minimal.get(str(effect.patch))),
            ]
            for effect in result.effects
        ],
        ["A patch requires another when every safe subset that holds it holds the other too."],
    )


def _orders(result: PatchesResult | HostPatches) -> Table:
    return Table(
        "Unsafe orders",
        [*columns_of(UnsafeOrder), *columns_of(Failure)],
        [
            [*cells_of(order), *cells_of(failure)]
            for order in result.unsafe_orders
            for failure in order.failures
        ],
        ["All other patches of the half applied: what mail or a careless backport could produce."],
        keys=2,
    )


def _sheet_rows(result: PatchesResult | HostPatches) -> Iterator[list[object]]:
    for effect in result.effects:
        for change in [*map(astuple, effect.changes)] or [("", "", "")]:
            yield [effect.patch, effect.side, effect.subject, *change]
