# SPDX-License-Identifier: BSD-3-Clause
"""Two versions of a series: commits meet by their subjects, points by who met whom."""

from collections.abc import Iterator, Mapping
from typing import Any

from ntbbench.compare.readers.pair_results import HIGHER, Pairs
from ntbbench.compare.readers.results import Results, add
from ntbbench.compare.series import Variant
from ntbbench.core.fields import declared
from ntbbench.lab.series.records import SeriesCommit, SeriesPoint, SeriesResult

ANSWERS = ("applies", "builds", "works", "peers", "api")


class CommitSeries(Pairs):
    """A series, commit by commit: another version of it is what one compares."""

    schema, result, point = "ntbbench.series/1", SeriesResult, SeriesPoint
    name = "{subject}/EP {ep_driver}/RC {rc_driver}/{direction}"
    context = ("kernel", "base")
    also = ("complete", "bisectable", "commits")
    repeats = True  # two commits may have one subject

    def side(self, result: Any, label: str) -> Variant:
        """Return the side; what is unfinished is told by `series:complete`."""
        variant = Results.side(self, result, label)
        return Variant(label, variant.source, {}, variant.environment, variant.context)

    def names(self, result: Any) -> Iterator[str]:
        """Yield a name for each point."""
        return map(self.name_of, result.points)

    def end(self, variant: Variant, result: Any) -> None:
        """Add what is concluded of each commit, and of the series."""
        cautions = () if result.complete else ("unfinished",)
        add(variant, "series:complete", HIGHER, {**_answer(result.complete), "cautions": cautions})
        if result.bisectable is not None:
            add(variant, "series:bisectable", HIGHER, _answer(result.bisectable))
        for commit in result.commits:
            self._add_commit(variant, commit)

    def _add_commit(self, variant: Variant, commit: SeriesCommit) -> None:
        if not commit.number:
            return
        known = declared(SeriesCommit)
        for name in ANSWERS:
            value = getattr(commit, name)
            # a commit that does not build works with nobody: that is no less known
            answer = _answer(bool(value)) if commit.applies or name == "applies" else _answer(False)
            add(variant, f"{commit.subject}:{known[name].title}", HIGHER, answer)
        if commit.check_boot:
            count = {"value": len(commit.checked)}
            add(variant, f"{commit.subject}:findings", {"better": "lower"}, count)


def _answer(value: bool) -> Mapping[str, Any]:
    return {"value": "yes" if value else "no", "rank": int(value)}
