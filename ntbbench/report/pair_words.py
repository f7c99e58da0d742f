# SPDX-License-Identifier: BSD-3-Clause
"""How the reports of the pair say points, counts and what the model says of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath

from msgspec.structs import replace

from ntbbench.lab.pair.records import FAILED, OK, UNAVAILABLE, PairPoint, PairResult
from ntbbench.pair.drivers.patches import number_ranges
from ntbbench.report.wording import ascii_only, plural

WIDTH = 80
NAME_WIDTH = 6  # that any table has room for, of a driver's name
NONE = "none"
NOTE = """\
doorbells: peer_db_set() calls of the sender; MSIs: raised towards the root complex; events: calls \
of ntb_transport's doorbell callback; runs: of all receive tasklets of the receiver. model: what \
the comparison says. It agrees where every count is as predicted; where doorbells meet it only \
bounds them, and a range is the fewest and the most that it allows."""
AGREES, BOUNDED, DISAGREES, NOT_RUN = "agrees", "in bounds", "DISAGREES", "not run"
DIED = "failed"
JUDGED = {
    AGREES: "the model agrees",
    BOUNDED: "within the model's bounds",
    DISAGREES: "the model DISAGREES",
    NOT_RUN: UNAVAILABLE,
    DIED: "the guest failed",
}


def headline(result: PairResult) -> str:
    """Return in one sentence what was run and how many points agree, or why nothing was run."""
    measured = [point for point in result.points if point.status != UNAVAILABLE]
    missing = len(result.points) - len(measured)
    why = "; ".join(dict.fromkeys(p.cause for p in result.points if p.status == UNAVAILABLE))
    text = f"Linux {result.kernel} ({result.kernel_source}, {_machine(result)}): "
    if missing and not measured:
        text += f"nothing was run, {plural(missing, 'point')} unavailable: {why}"
    else:
        agreed = sum(point.agrees is True for point in measured)
        text += f"the model agrees in {agreed} of {plural(len(measured), 'point')}"
        bounded = sum(judgement(point) == BOUNDED for point in measured)
        text += f", in {bounded} of them only within bounds" if bounded else ""
        failed = sum(point.status == FAILED for point in measured)
        text += f"; in {failed} the guest failed" if failed else ""
        text += f"; {missing} unavailable: {why}" if missing else ""
    return text if result.complete else f"{text}; not finished"


def untried(result: PairResult) -> list[str]:
    """Return in one line what no point tried; nothing where everything was."""
    return [f"not exercised: {'; '.join(result.not_exercised)}"] if result.not_exercised else []


def _machine(result: PairResult) -> str:
    """Return what ran the guest, and whether its clock makes two runs equal."""
    how = f"emulated by QEMU's {result.accelerator}" if result.accelerator == "tcg" else "on KVM"
    return how + (", counting instructions" if result.deterministic else ", not deterministic")


def has_counts(point: PairPoint) -> bool:
    """Return whether a point was measured over a link that is up."""
    return point.status == OK and point.link == "up"


def judgement(point: PairPoint) -> str:
    """Return what the comparison with the model says of a point."""
    if point.status == UNAVAILABLE:
        return NOT_RUN
    if point.status == FAILED:
        return DIED
    if not point.agrees:
        return DISAGREES
    return AGREES if point.spaced or point.link == "down" else BOUNDED


def between(low: int, high: int) -> str:
    """Return what the model allows: one number, or the first and the last of a range."""
    return str(low) if low == high else f"{low}-{high}"


def outside(measured: int, low: int, high: int) -> int:
    """Return by how much a count is above or below what the model allows; 0: it is neither."""
    return measured - min(max(measured, low), high)


def difference(measured: int, low: int, high: int) -> str:
    """Return how a count differs from what the model allows."""
    by = outside(measured, low, high)
    inside = "0" if low == high else "within"
    return f"{by:+d}" if by else inside


def allowed_runs(point: PairPoint) -> tuple[int, int]:
    """Return the fewest and the most runs that the model allows, all QPs together."""
    if point.spaced:
        return (sum(point.predicted_runs_per_qp),) * 2
    return sum(point.least_runs_per_qp), sum(point.most_runs_per_qp)


def named(result: PairResult) -> PairResult:
    """Return the result with each driver's path cut to the shortest tail that no other one has."""
    points = result.points
    drivers = {name for point in points for name in (point.ep_driver, point.rc_driver)}
    tails = {name: _tail(name, drivers - {name}) for name in drivers}
    shown = [
        replace(point, ep_driver=tails[point.ep_driver], rc_driver=tails[point.rc_driver])
        for point in points
    ]
    return replace(result, points=shown)


def _tail(name: str, others: set[str]) -> str:
    """Return as many of the last parts of a path as tell it from the others."""
    parts = PurePath(name).parts
    for count in range(1, len(parts)):
        if not any(PurePath(other).parts[-count:] == parts[-count:] for other in others):
            return str(PurePath(*parts[-count:]))
    return name


def fitting(shown: Callable[[int], str], names: Iterable[str]) -> str:
    """Return a table that cuts names to a width, with the greatest width that fits the page."""
    longest = max((len(ascii_only(name)) for name in names), default=NAME_WIDTH)
    tables = (shown(width) for width in range(longest, NAME_WIDTH, -1))
    whole = (table for table in tables if max(map(len, table.splitlines())) <= WIDTH)
    return next(whole, None) or shown(NAME_WIDTH)


def short_name(name: str, width: int) -> str:
    """Return a driver's name cut to what a table holds; titles have it whole."""
    name = ascii_only(name)
    return name if len(name) <= width else f"{name[: width - 2]}.."


def title(point: PairPoint) -> str:
    """Return what a point is of, in one line."""
    setting = (
        f"{point.direction}, EP {point.ep_driver}, RC {point.rc_driver}, "
        f"{point.ep_slots} slots, {plural(point.mw_count, 'window')}, {point.doorbell}"
    )
    if point.queues is not None:
        setting += f", max_num_clients {point.queues}"
    if not has_counts(point):
        return f"{setting}: {JUDGED[judgement(point)]}"
    sent = f"{plural(point.flows, 'flow')} of {plural(point.packets, 'packet')}"
    return f"{setting}: {sent}, {point.gap_us} us apart: {JUDGED[judgement(point)]}"


def patches_text(patches: list[int]) -> str:
    """Return patch numbers as a person writes them: none, 9-11, 1-7, 2,3,7."""
    return number_ranges(patches) or "none"


def behaviours(point: PairPoint) -> Iterator[str]:
    """Yield what either driver behaves as; of a result that has not observed it, its patches."""
    if not point.ep_behaves and not point.rc_behaves:
        ep, rc = patches_text(point.ep_patches), patches_text(point.rc_patches)
        yield f"patches: EP {ep}, RC {rc} (not observed)"
        return
    for side, words in (("EP", point.ep_behaves), ("RC", point.rc_behaves)):
        yield f"{side} behaves as: {words or 'not observed'}"


def slots_text(slots: list[int]) -> str:
    """Return the slots that one doorbell bit rang: 2, 2+3; ? is a word that is no slot's."""
    return "+".join("?" if slot < 0 else str(slot) for slot in slots)


def warned(point: PairPoint) -> list[str]:
    """Return what the kernel complained of, each line once with how often it came."""
    return [
        f"the kernel warned{f' {count} times' if count > 1 else ''}: {line}"
        for line, count in Counter(point.warnings).items()
    ]


def qp_counts(ep: int | None, rc: int | None) -> str:
    """Return both sides' qp_count; a side without a device has none."""
    if ep is None and rc is None:
        return NONE
    return ", ".join(
        f"{side} {NONE if count is None else count}" for side, count in (("EP", ep), ("RC", rc))
    )
