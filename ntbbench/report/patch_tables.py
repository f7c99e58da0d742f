# SPDX-License-Identifier: BSD-3-Clause
"""The tables of `ntbbench patches`: headers and rows of text, the same in every format."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ntbbench.pair.series.analysis import PatchesResult

SIDE_NAMES = {"ep": "EP", "rc": "RC"}
NOTHING = "nothing to be seen"


@dataclass(frozen=True)
class PatchTable:
    """One table of the report: what it shows, its columns and rows, and how wide each may be.

    `widths` are of columns in plain text; None: as wide as needed.
    """

    name: str  # an identifier
    title: str
    intro: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int | None, ...]


def tables(result: PatchesResult) -> list[PatchTable]:
    """Return the tables of a result, in the order of the report."""
    return [make(result) for make in MAKERS]


def verdict_lines(result: PatchesResult) -> list[str]:
    """Return the answers in words: bisectable or not, how many subsets are safe."""
    kernels = ", ".join(
        f"{version} {'is safe' if safe else 'is NOT SAFE'}"
        for version, safe in result.kernels.items()
    )
    return [
        "The posted order is bisectable: every kernel on the way is safe."
        if result.bisectable
        else "The posted order is NOT bisectable: a kernel on the way is unsafe.",
        f"{result.safe_subsets} of {result.subsets} subsets are safe: against an unpatched and a "
        "fully patched peer nothing is missed, misrouted or link-down, in both directions.",
        f"Of all safe halves paired with each other, {result.mixed_failures} pairs fail.",
        f"Released kernels: {kernels}.",
    ]


def _effects(result: PatchesResult) -> PatchTable:
    body: list[tuple[str, ...]] = []
    for effect in result.effects:
        name = f"{effect.patch} {SIDE_NAMES[effect.side]}"
        if not effect.changes:
            body.append((name, NOTHING, "", ""))
        for place, change in enumerate(effect.changes):
            body.append((name if place == 0 else "", change.what, change.before, change.after))
    return PatchTable(
        "effects",
        "What each patch changes",
        "On top of the patches before it in its half, with an unpatched peer.",
        ("patch", "what can be seen", "before", "after"),
        tuple(body),
        (6, 30, 17, 17),
    )


def _requires(result: PatchesResult) -> PatchTable:
    subjects = {str(effect.patch): effect.subject for effect in result.effects}
    body = tuple(
        (number, subjects[number], _set(needs) if needs else "-", _sets(result.minimal[number]))
        for number, needs in result.requires.items()
    )
    return PatchTable(
        "requires",
        "What each patch requires",
        "A patch requires another when every safe subset that holds it holds the other too.",
        ("patch", "subject", "requires", "smallest safe set"),
        body,
        (6, 38, 8, 18),
    )


def _halves(result: PatchesResult) -> PatchTable:
    body = tuple(
        (
            SIDE_NAMES[half.side],
            f"{half.safe_subsets} of {half.subsets}",
            f"{half.safe_orders} of {half.orders}",
            _sets(half.minimal_unsafe) or "-",
        )
        for half in result.halves
    )
    return PatchTable(
        "halves",
        "Safe subsets and orders",
        "An order is safe when every kernel on the way is.",
        ("half", "safe subsets", "safe orders", "smallest unsafe sets"),
        body,
        (None,) * 4,
    )


def _orders(result: PatchesResult) -> PatchTable:
    body = tuple(
        (
            f"{order.patch} without {order.without}",
            failure.direction,
            failure.peer,
            failure.verdict,
            str(failure.missed),
            str(failure.misrouted),
        )
        for order in result.unsafe_orders
        for failure in order.failures
    )
    return PatchTable(
        "orders",
        "Unsafe orders",
        "All other patches of the half applied: what mail or a careless backport could produce.",
        ("order", "direction", "peer", "verdict", "missed", "misrouted"),
        body,
        (None,) * 6,
    )


def _cures(result: PatchesResult) -> PatchTable:
    body = tuple(
        (SIDE_NAMES[cure.side], cure.hazard, _sets(cure.minimal)) for cure in result.hazard_cures
    )
    return PatchTable(
        "cures",
        "Hazards, and the smallest sets of patches that remove them",
        "No matter who the peer is.",
        ("side", "hazard", "removed by"),
        body,
        (None,) * 3,
    )


def _elsewhere(result: PatchesResult) -> PatchTable:
    body = tuple(
        (
            _set(found.patches),
            "/".join(found.verdicts),
            str(found.settings),
            _span(found.ep_slots),
            _span(found.rc_vectors),
            _span(found.mw_count),
        )
        for found in result.elsewhere
    )
    return PatchTable(
        "elsewhere",
        "Other settings",
        "Smallest sets of patches that break a setting in which the unpatched half works. Slots, "
        "vectors and windows span the broken settings; `compat --exhaustive` lists them.",
        ("patches", "verdict", "settings", "slots", "vectors", "windows"),
        body,
        (None,) * 6,
    )


def _race(result: PatchesResult) -> PatchTable:
    body = tuple(
        (
            cost.direction,
            cost.client,
            f"{cost.ep} / {cost.rc}",
            _numbers(cost.runs),
            _numbers(cost.race_checks),
        )
        for cost in result.race_costs
    )
    return PatchTable(
        "race",
        "The race check: tasklet runs of one doorbell with one packet, by QP",
        "With a db_read() that shows the rung bit a doorbell costs one more, empty run of its "
        "tasklet; the numbers in the legacy db_read() send it to whichever QPs they name. "
        "`reposts` is ntb_netdev, whose repost merges with a race check of its own QP.",
        ("direction", "client", "EP / RC", "runs on QP 0, 1, ..", "race-check hits"),
        body,
        (None, None, 16, None, None),
    )


def _storm(result: PatchesResult) -> PatchTable:
    body = tuple(
        (
            str(count.budget),
            str(count.rings),
            str(count.msis),
            str(count.snapshots),
            str(count.runs),
            f"{count.snapshot_latency_mean:.2f} / {count.snapshot_latency_max}",
            f"{count.tick_latency_mean:.2f} / {count.tick_latency_max}",
        )
        for count in result.storm
    )
    return PatchTable(
        "storm",
        "The deferral under a storm, by budget",
        f"Seed {result.storm_seed}, six doorbells, 1.2 rings a tick; raising an MSI takes a tick, "
        "other works run 0..15 ticks between two runs. Waiting in snapshots counts the one in "
        "hand. The driver's budget is 5.",
        ("budget", "rings", "MSIs", "snapshots", "runs", "wait, snapshots", "wait, ticks"),
        body,
        (None,) * 7,
    )


MAKERS: tuple[Callable[[PatchesResult], PatchTable], ...] = (
    _effects,
    _requires,
    _halves,
    _orders,
    _cures,
    _elsewhere,
    _race,
    _storm,
)


def _set(numbers: Iterable[int]) -> str:
    return "{" + ", ".join(map(str, numbers)) + "}"


def _sets(sets: Iterable[Iterable[int]]) -> str:
    return " or ".join(_set(numbers) for numbers in sets)


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _span(ends: tuple[int, int]) -> str:
    low, high = ends
    return str(low) if low == high else f"{low}-{high}"
