# SPDX-License-Identifier: BSD-3-Clause
"""The record of a series, of the outcomes that there are; and the outcomes of a record."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from ntbbench.lab.pair.matrix import failures
from ntbbench.lab.pair.records import PairObserved
from ntbbench.lab.series.commits import SeriesStep, SeriesSteps
from ntbbench.lab.series.judge import is_bisectable, judged
from ntbbench.lab.series.pairings import BASE, NEW, Pairing, checks, of_commits, of_prefixes
from ntbbench.lab.series.records import SeriesCommit, SeriesPoint, SeriesResult
from ntbbench.lab.series.series_run import BootOutcome, Built, SeriesLab, unnamed
from ntbbench.lab.series.series_scenario import SeriesScenario


def wanted(asked: SeriesScenario, series: SeriesSteps) -> list[Pairing]:
    """Return every pairing of a series, in the order in which they are booted."""
    prefixes = [pairing for _, _, pairing in of_prefixes(asked, series)]
    return [*of_commits(asked, series), *checks(asked, series), *prefixes]


@dataclass(frozen=True)
class KnownSeries:
    """What is known of a series: built and booted, perhaps not all of it."""

    lab: SeriesLab
    series: SeriesSteps
    built: Built
    outcomes: Mapping[str, BootOutcome]

    def result(self, *, complete: bool) -> SeriesResult:
        """Return the record."""
        asked = self.lab.asked
        points = [
            point
            for pairing in of_commits(asked, self.series)
            for point in self._points(pairing, self.series.steps[pairing.commit].subject)
        ]
        prefixes = [
            replace(point, ep_driver=str(ep.number), rc_driver=str(rc.number))
            for ep, rc, pairing in of_prefixes(asked, self.series)
            for point in self._points(pairing, "")
        ]
        commits = [self._commit(step, points) for step in self.series.steps]
        return SeriesResult(
            scenario=msgspec.to_builtins(asked),
            **self.lab.facts(),
            base=self.series.base,
            whole=self.series.whole,
            complete=complete,
            bisectable=is_bisectable(commits),
            boots=len(self.outcomes),
            commits=commits,
            points=points,
            prefixes=prefixes,
            no_patch=list(self.series.left_out),
        )

    def _points(self, pairing: Pairing, subject: str) -> Iterator[SeriesPoint]:
        """Yield the points of a pairing; of one that was not booted yet, none."""
        key = self.built.digests.get(pairing, "")
        outcome = self.outcomes.get(key, BootOutcome(()))
        points = outcome.points
        if pairing in self.built.causes:
            points = self.lab.unbuilt(pairing, self.built.causes[pairing])
        for point in points:
            named: dict[str, Any] = {"ep_driver": pairing.ep, "rc_driver": pairing.rc}
            named |= {"commit": pairing.commit, "subject": subject, "boot": key}
            known = {name: value for name, value in asdict(point).items() if name not in named}
            yield SeriesPoint(**{**known, **named, "cause": unnamed(point.cause, pairing)})

    def _observed(self, step: SeriesStep) -> list[PairObserved]:
        """Return what the drivers of a commit answered, each with the other."""
        who = NEW if step.number else BASE
        own = (p for p in of_commits(self.lab.asked, self.series) if p.commit == step.number)
        keys = (self.built.digests.get(pairing, "") for pairing in own)
        outcome = self.outcomes.get(next(keys, ""), BootOutcome(()))
        return [replace(one, driver=who) for one in outcome.observed]

    def _commit(self, step: SeriesStep, points: list[SeriesPoint]) -> SeriesCommit:
        commit = SeriesCommit(
            number=step.number,
            subject=step.subject,
            commit=step.commit,
            files=list(step.names),
            left_out=list(step.left_out),
            kernel=step.kernel,
            applies=step.folder is not None,
            findings=[f"does not apply: {step.refused}"] if step.refused else [],
        )
        if step.folder is None:
            return commit
        before = self._observed(self.series.steps[step.number - 1]) if step.number else []
        commit = replace(commit, observed=self._observed(step))
        commit = replace(commit, **judged(commit, points, before))
        for pairing in checks(self.lab.asked, self.series):
            key = self.built.digests.get(pairing, "")
            if pairing.commit == step.number and key in self.outcomes:
                found = [
                    replace(finding, boot=unnamed(finding.boot, pairing))
                    for finding in self.outcomes[key].findings
                ]
                commit = replace(commit, check_boot=key, checked=found)
        return commit


def outcomes_of(result: SeriesResult) -> dict[str, BootOutcome]:
    """Return what a result holds, by digest; a boot whose guest died is to be tried again."""
    found: dict[str, dict[str, SeriesPoint]] = {}
    for point in (*result.points, *result.prefixes):
        if point.boot:
            found.setdefault(point.boot, {}).setdefault(point.direction, point)
    answers = {
        point.boot: result.commits[point.commit].observed
        for point in result.points
        if {point.ep_driver, point.rc_driver} <= {NEW if point.commit else BASE}
    }
    boots = {
        boot: BootOutcome(list(points.values()), observed=answers.get(boot, ()))
        for boot, points in found.items()
        if not failures(points.values())
    }
    checked = (commit for commit in result.commits if commit.check_boot)
    return boots | {commit.check_boot: BootOutcome((), commit.checked) for commit in checked}
