# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of each commit of a series: does it work, with whom, and what did it change."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ntbbench.lab.pair.predict import MISROUTED, MISSED
from ntbbench.lab.pair.records import FAILED, HARMLESS, UNAVAILABLE, PairObserved, PairPoint
from ntbbench.lab.series.pairings import BASE, NEW
from ntbbench.lab.series.records import SeriesCommit, SeriesPoint, SeriesResult

WORKS, NOT_BUILT, DIED = "works", "does not build", "died"
DOWN, LOSES = "link down", "loses packets"
Peers = tuple[str, str]  # what each side is: new, base, or a peer
NONE_BEFORE = "-"


def state_of(points: Sequence[PairPoint]) -> str:
    """Return in a word what becomes of the packets of one boot, of its worst direction.

    Empty: nothing was run.
    """
    if not points:
        return ""
    checks = (
        (NOT_BUILT, any(p.status == UNAVAILABLE for p in points)),
        (DIED, any(p.status == FAILED for p in points)),
        (DOWN, any(p.link != "up" for p in points)),
        (MISROUTED, any(p.verdict == MISROUTED for p in points)),
        (MISSED, any(p.verdict == MISSED for p in points)),
        (LOSES, any(p.packets_received < p.packets_sent or not p.packets_sent for p in points)),
    )
    return next((state for state, found in checks if found), WORKS)


def cause_of_state(points: Iterable[PairPoint]) -> str:
    """Return why the packets of one boot do not all arrive."""
    told = (point.cause or "; ".join(point.notes[:1]) or _lost(point) for point in points)
    return next(filter(None, told), "")


def _told(state: str, points: Iterable[PairPoint]) -> str:
    cause = cause_of_state(points)
    return cause if cause.startswith(state) else f"{state}: {cause}"


def _lost(point: PairPoint) -> str:
    if point.packets_received == point.packets_sent:
        return ""
    return f"{point.direction}: {point.packets_received} of {point.packets_sent} packets arrived"


def by_peers(points: Iterable[SeriesPoint], commit: int) -> dict[Peers, list[SeriesPoint]]:
    """Return the points of a commit, by who met whom."""
    found: dict[Peers, list[SeriesPoint]] = {}
    for point in points:
        if point.commit == commit:
            found.setdefault((point.ep_driver, point.rc_driver), []).append(point)
    return found


def judged(
    commit: SeriesCommit, points: Sequence[SeriesPoint], answered: Sequence[PairObserved]
) -> dict[str, object]:
    """Return what the points say of a commit that applies, as fields of `SeriesCommit`.

    `answered`: what the drivers of the commit before answered the API probe.
    A peer that does not work with the base either is not the commit's fault: of it nothing is
    said. So is one that does not build.
    """
    own = NEW if commit.number else BASE
    met, base = by_peers(points, commit.number), by_peers(points, 0)
    before = by_peers(points, commit.number - 1) if commit.number else {}
    itself = met.pop((own, own), [])
    state = state_of(itself)
    findings = [] if state in {"", WORKS} else [_told(state, itself)]
    broken = [
        f"EP {ep}, RC {rc}: {_told(state_of(found), found)}"
        for (ep, rc), found in met.items()
        if state_of(found) not in {"", WORKS, NOT_BUILT}
        and state_of(_of_base(base, (ep, rc))) == WORKS
    ]
    both = (itself, *met.values()) if state != NOT_BUILT else ()
    measured = [point for found in both for point in found if point.status != UNAVAILABLE]
    api = [f"{one.side.upper()} driver: {told}" for one in commit.observed for told in one.findings]
    return {
        "builds": state != NOT_BUILT if state else None,
        "works": None if state in {"", NOT_BUILT} else state == WORKS,
        "peers": None if state in {"", NOT_BUILT} or not commit.number else not broken,
        "api": not api if commit.observed else None,
        "agrees": all(p.agrees for p in measured) if measured else None,
        "findings": [*findings, *_untold(api, findings), *broken, *_disagreements(measured, api)],
        "changes": [
            *_changes(itself, before.get((NEW, NEW)) or before.get((BASE, BASE)) or []),
            *_other_answers(commit.observed, answered),
        ],
    }


def _disagreements(points: Iterable[SeriesPoint], told: Collection[str]) -> Iterable[str]:
    """Return the first note of each point that is not as the model says, but for what is told."""
    return dict.fromkeys(
        f"EP {point.ep_driver}, RC {point.rc_driver}, {point.direction}: {note}"
        for point in points
        if point.agrees is False
        for note in [note for note in point.notes if note not in told][:1]
    )


def _untold(api: Iterable[str], findings: Sequence[str]) -> list[str]:
    """Return what the API probe found that is not told as the cause of something worse."""
    return [told for told in api if not any(told in finding for finding in findings)]


def _other_answers(now: Iterable[PairObserved], before: Iterable[PairObserved]) -> Iterator[str]:
    """Yield what each driver answers otherwise than at the commit before."""
    old = {one.side: one.observations for one in before}
    for one in now:
        was = old.get(one.side, one.observations)
        keys = [
            key
            for key in {**one.observations, **was}
            if _answer(one.observations, key) != _answer(was, key)
        ]
        if keys:
            told = f"{keys[0]} {_answer(one.observations, keys[0])}, was {_answer(was, keys[0])}"
            count = f"{len(keys)} of {len(one.observations)} answers differ"
            yield f"{one.side.upper()} driver: {count}, first: {told}"


def _answer(observations: Mapping[str, str], key: str) -> str:
    return observations.get(key) or NONE_BEFORE


def _of_base(base: Mapping[Peers, list[SeriesPoint]], peers: Peers) -> list[SeriesPoint]:
    """Return the points of the base in the commit's place."""
    ep, rc = (BASE if who == NEW else who for who in peers)
    return base.get((ep, rc), [])


def _changes(now: Sequence[PairPoint], before: Sequence[PairPoint]) -> Iterator[str]:
    """Yield what is another than at the commit before, with its own drivers on both sides."""
    old = {point.direction: point for point in before}
    for point in now:
        was = old.get(point.direction)
        if was is None or UNAVAILABLE in {was.status, point.status}:
            continue
        for name, value, other in zip(_NAMES, _values(point), _values(was), strict=True):
            if value != other:
                yield f"{point.direction}: {name} {value}, was {other}"


_NAMES = ("link", "runs per doorbell", "MSIs", "events", "QPs EP/RC", "kernel warnings")


def _values(point: PairPoint) -> tuple[str, ...]:
    return (
        point.link,
        per_doorbell(point),
        str(point.msis_raised),
        str(point.events),
        f"{point.ep_qp_count}/{point.rc_qp_count}",
        str(sum(HARMLESS.match(line) is None for line in point.warnings)),
    )


def per_doorbell(point: PairPoint) -> str:
    """Return how often receive tasklets ran for each doorbell, in words."""
    if not point.doorbells_rung or point.link != "up":
        return NONE_BEFORE
    return f"{sum(point.runs_per_qp) / point.doorbells_rung:.2f}"


def is_bisectable(commits: Sequence[SeriesCommit]) -> bool | None:
    """Return whether each commit applies, builds and works by itself; None: not all were run."""
    own = [commit for commit in commits if commit.number]
    if any(not commit.applies or commit.builds is False or commit.works is False for commit in own):
        return False
    return True if own and all(commit.works for commit in own) else None


def is_sound(result: SeriesResult) -> bool:
    """Tell whether nothing is wrong with a series, with any peer, by the model or the check."""
    own = [commit for commit in result.commits if commit.number]
    judged_well = all(c.works and c.peers and c.api and c.agrees and not c.checked for c in own)
    return judged_well and not broken_prefixes(result)


def broken_prefixes(result: SeriesResult) -> list[tuple[str, str, str]]:
    """Return the prefixes of EP and RC that do not work with each other, and how."""
    states = ((*prefix, state_of(points)) for prefix, points in by_prefix(result).items())
    return [broken for broken in states if broken[2] != WORKS]


def by_prefix(result: SeriesResult) -> dict[Peers, list[SeriesPoint]]:
    """Return the points by the commits up to which EP and RC go."""
    found: dict[Peers, list[SeriesPoint]] = {}
    for point in result.prefixes:
        found.setdefault((point.ep_driver, point.rc_driver), []).append(point)
    return found
