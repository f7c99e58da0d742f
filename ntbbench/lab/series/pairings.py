# SPDX-License-Identifier: BSD-3-Clause
"""Which drivers of a series meet which peers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ntbbench.lab.pair.plan import EP, RC
from ntbbench.lab.pair.sources import DRIVERS
from ntbbench.lab.series.commits import SeriesStep, SeriesSteps
from ntbbench.lab.series.series_scenario import ALL, LAST, SeriesScenario
from ntbbench.pair.drivers.patches import Side

NEW, BASE = "new", "base"


@dataclass(frozen=True)
class Pairing:
    """Two drivers that are booted together, and what runs under them."""

    commit: int
    # what each driver is in the series: new, base, or a peer as it was asked for
    ep: str
    rc: str
    # as `lab pair run` takes it
    ep_driver: str
    rc_driver: str
    tree: Path | None  # whose NTB core, transport and network device run; None: the kernel's
    checked: bool = False  # on the debug kernel
    kernel: str = ""  # as `SeriesStep.kernel`

    @property
    def label(self) -> str:
        """The pairing in words."""
        return f"commit {self.commit}, EP {self.ep}, RC {self.rc}"


def of_commits(asked: SeriesScenario, series: SeriesSteps) -> list[Pairing]:
    """Return the pairings of each commit that applies, its own drivers first; the base first."""
    return [pairing for step in series.applied for pairing in _of_commit(asked, series, step)]


def _of_commit(asked: SeriesScenario, series: SeriesSteps, step: SeriesStep) -> Iterator[Pairing]:
    own = NEW if step.number else BASE
    peers = [*asked.peers, *([BASE] if step.number else [])]
    for ep, rc in ((own, own), *((own, peer) for peer in peers), *((peer, own) for peer in peers)):
        yield _pairing(series, step, ep, rc)


def _pairing(
    series: SeriesSteps, step: SeriesStep, ep: str, rc: str, *, checked: bool = False
) -> Pairing:
    def driver(side: Side, who: str) -> str:
        of = {NEW: step, BASE: series.first}.get(who)
        return who if of is None else driver_of(of, side)

    drivers = driver(EP, ep), driver(RC, rc)
    return Pairing(step.number, ep, rc, *drivers, _tree(series, step), checked, step.kernel)


def driver_of(step: SeriesStep, side: Side) -> str:
    """Return the file of a driver as a commit leaves it."""
    return str(step.files / DRIVERS[side])


def _tree(series: SeriesSteps, step: SeriesStep) -> Path | None:
    return step.files if series.whole else None


def checks(asked: SeriesScenario, series: SeriesSteps) -> list[Pairing]:
    """Return what the debug kernel runs: the last commit, or each and the base."""
    steps = {ALL: series.applied, LAST: series.applied[-1:]}.get(asked.check, ())
    own = ((step, NEW if step.number else BASE) for step in steps)
    return [_pairing(series, step, who, who, checked=True) for step, who in own]


def of_prefixes(
    asked: SeriesScenario, series: SeriesSteps
) -> list[tuple[SeriesStep, SeriesStep, Pairing]]:
    """Return a pairing for each prefix of either half: the commits up to which EP and RC go.

    A half has a prefix for each commit that changes its driver, and that of no commit. What runs
    under them is of the last commit. A series that changes one driver alone has none.
    """
    halves = [_changes(series.applied, side) for side in (EP, RC)]
    if asked.prefixes != ALL or min(map(len, halves)) <= 1:
        return []
    last = series.applied[-1]
    return [
        (
            ep,
            rc,
            Pairing(
                commit=last.number,
                ep=NEW,
                rc=NEW,
                ep_driver=driver_of(ep, EP),
                rc_driver=driver_of(rc, RC),
                tree=_tree(series, last),
                kernel=last.kernel,
            ),
        )
        for ep in halves[0]
        for rc in halves[1]
    ]


def _changes(steps: Sequence[SeriesStep], side: Side) -> list[SeriesStep]:
    """Return the base and each commit that changes the driver of a side."""
    return [step for step in steps if not step.number or DRIVERS[side] in step.names]
