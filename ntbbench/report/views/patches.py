# SPDX-License-Identifier: BSD-3-Clause
"""The analysis of the series: what each patch changes, what it needs, what the deferral costs."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from msgspec import Struct
from msgspec.structs import astuple

from ntbbench.core.fields import declared
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
)
from ntbbench.report.document import Column, Document, Sheet, Table, column, number, words
from ntbbench.report.views.compat import setting_line

NOTHING = "nothing to be seen"
CHANGE = Change.__struct_fields__
STORM = [name for name in StormCount.__struct_fields__ if name != "longest_run"]


def document(result: PatchesResult) -> Document:
    """Return the report of the series."""
    blocks = [make(result) for make in TABLES]
    return Document(
        title="ntbbench patches",
        verdict=verdict_of(result),
        record=result,
        lines=[
            "A subset is safe when it loses no doorbell against an unpatched and a fully patched "
            "peer, in both directions.",
            f"Released kernels: {', '.join(map(_safety, result.kernels.items()))}.",
            setting_line(result),
        ],
        blocks=blocks,
        sheet=lambda: Sheet(["patch", "side", "subject", *CHANGE], _sheet_rows(result)),
    )


def verdict_of(result: PatchesResult) -> str:
    """Return in one sentence whether the series is bisectable, and how many subsets are safe."""
    return (
        f"The posted order is {'' if result.bisectable else 'NOT '}bisectable: "
        f"{result.safe_subsets} of {result.subsets} subsets are safe, and {result.mixed_failures} "
        "pairs of safe halves fail each other"
    )


def _safety(kernel: tuple[str, bool]) -> str:
    version, safe = kernel
    return f"{version} {'is safe' if safe else 'is NOT SAFE'}"


def _columns(record: type[Struct], *names: str) -> list[Column]:
    """Return the columns of fields; those of lists are shown in words."""
    numbers = {name for name, about in declared(record).items() if about.type in (int, float)}
    columns = {name: column(record, name) for name in names}
    return [c if name in numbers else replace(c, align="left") for name, c in columns.items()]


def _effects(result: PatchesResult) -> Table:
    return Table(
        "What each patch changes",
        _columns(Change, *CHANGE),
        [
            words(*row)
            for effect in result.effects
            for row in [*map(astuple, effect.changes)] or [(NOTHING, "", "")]
        ],
        ["On top of the patches before it in its half, with an unpatched peer."],
        [
            (f"{effect.patch} {effect.side.upper()}: {effect.subject}", len(effect.changes) or 1)
            for effect in result.effects
        ],
    )


def _requires(result: PatchesResult) -> Table:
    return Table(
        "What each patch requires",
        [
            *_columns(PatchEffect, "patch", "subject"),
            Column("requires", align="left"),
            Column("smallest safe set", align="left"),
        ],
        [
            words(
                effect.patch,
                effect.subject,
                _sets(filter(None, [result.requires.get(str(effect.patch))])) or "-",
                _sets(result.minimal.get(str(effect.patch), [])),
            )
            for effect in result.effects
        ],
        ["A patch requires another when every safe subset that holds it holds the other too."],
    )


def _halves(result: PatchesResult) -> Table:
    return Table(
        "Safe subsets and orders",
        _columns(Half, "side", "safe_subsets", "safe_orders", "minimal_unsafe"),
        [
            words(
                half.side.upper(),
                f"{half.safe_subsets} of {half.subsets}",
                f"{half.safe_orders} of {half.orders}",
                _sets(half.minimal_unsafe) or "-",
            )
            for half in result.halves
        ],
        ["An order is safe when every kernel on the way is."],
    )


def _orders(result: PatchesResult) -> Table:
    names = [name for name in declared(Failure) if name != "peer"]
    return Table(
        "Unsafe orders",
        [Column("order", align="left"), *_columns(Failure, "peer", *names)],
        [
            words(
                f"{order.patch} without {order.without}",
                *(getattr(failure, name) for name in ("peer", *names)),
            )
            for order in result.unsafe_orders
            for failure in order.failures
        ],
        ["All other patches of the half applied: what mail or a careless backport could produce."],
    )


def _cures(result: PatchesResult) -> Table:
    return Table(
        "Hazards, and the smallest sets of patches that remove them",
        _columns(HazardCure, "side", "hazard", "minimal"),
        [
            words(cure.side.upper(), cure.hazard, _sets(cure.minimal))
            for cure in result.hazard_cures
        ],
        ["No matter who the peer is."],
    )


def _elsewhere(result: PatchesResult) -> Table:
    spans = ("ep_slots", "rc_vectors", "mw_count")
    return Table(
        "Other settings",
        _columns(OtherSettings, "patches", "verdicts", "settings", *spans),
        [
            words(
                _sets([found.patches]),
                "/".join(found.verdicts),
                found.settings,
                *(_span(getattr(found, name)) for name in spans),
            )
            for found in result.elsewhere
        ],
        [
            "Smallest sets of patches that break a setting in which the unpatched half works. "
            "Slots, vectors and windows span the broken settings; compat --exhaustive lists them."
        ],
    )


def _race(result: PatchesResult) -> Table:
    return Table(
        "The race check: tasklet runs per doorbell with one packet, by QP",
        [
            *_columns(RaceCost, "direction", "client"),
            Column("EP / RC", "the patches of either side", align="left"),
            *_columns(RaceCost, "runs", "race_checks"),
        ],
        [
            words(
                cost.direction,
                cost.client,
                f"{cost.ep} / {cost.rc}",
                ", ".join(map(str, cost.runs)),
                ", ".join(map(str, cost.race_checks)),
            )
            for cost in result.race_costs
        ],
        [
            "With a db_read() that shows the rung bit each doorbell costs one more, empty run of "
            "its tasklet; the numbers in the legacy db_read() send it to whichever QPs they name.",
            "The client that reposts is ntb_netdev: its repost merges with a race check of its own "
            "QP.",
        ],
        keys=2,
    )


def _storm(result: PatchesResult) -> Table:
    return Table(
        "The deferral under a storm, by budget",
        _columns(StormCount, *STORM),
        [
            [
                number(value, ".2f" if isinstance(value, float) else "d")
                for value in (getattr(count, name) for name in STORM)
            ]
            for count in result.storm
        ],
        [
            f"Seed {result.storm_seed}, six doorbells, 1.2 rings per tick; raising an MSI takes a "
            "tick, other works run 0..15 ticks between two runs. The driver's budget is 5."
        ],
    )


TABLES = (_effects, _requires, _halves, _orders, _cures, _elsewhere, _race, _storm)


def _sheet_rows(result: PatchesResult) -> Iterator[list[object]]:
    for effect in result.effects:
        for change in [*map(astuple, effect.changes)] or [("", "", "")]:
            yield [effect.patch, effect.side, effect.subject, *change]


def _sets(sets: Iterable[Iterable[int]]) -> str:
    return " or ".join(f"{{{', '.join(map(str, numbers))}}}" for numbers in sets)


def _span(ends: tuple[int, int]) -> str:
    low, high = ends
    return str(low) if low == high else f"{low}-{high}"
