# SPDX-License-Identifier: BSD-3-Clause
"""The annotations of GitHub Actions: of more findings than it shows the gravest are shown."""

import re
from collections import Counter

import numpy as np
from compare_data import noisy_sides, samples

from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Report
from ntbbench.compare.series import Series, Variant
from ntbbench.report.comparison import FORMATS


def report_of(policy: Policy = Policy()) -> Report:  # noqa: B008 -- frozen
    """Twelve metrics that the candidate lacks, and behind them one of each verdict."""
    pairs = {
        "slow": (samples(1, 8), samples(2, 8, 120.0)),
        "open": (samples(3, 8, 100, 20), samples(4, 8, 100, 20)),
        "fast": (samples(5, 8), samples(6, 8, 80.0)),
    }
    base, candidate = noisy_sides(**pairs)
    gone = {
        f"gone{i:02}": Series(metric=f"gone{i:02}", kind="noisy", samples=np.ones(8))
        for i in range(12)
    }
    return compare(Variant("a", "csv", gone | base.series), [candidate], policy)


def annotations(report: Report) -> list[tuple[str, str, str]]:
    lines = FORMATS["github"](report).splitlines()
    found = [re.fullmatch(r"::(\w+) title=([^:,]*)::(.*)", line) for line in lines]
    return [(m[1], m[2].replace("%3A", ":"), m[3]) for m in found if m is not None]


def test_a_regression_is_shown_before_what_is_missing() -> None:
    found = annotations(report_of())
    errors = [title for level, title, _ in found if level == "error"]
    assert len(errors) == 10
    assert errors[0] == "regressed: slow"
    assert all(title.startswith("missing: ") for title in errors[1:])


def test_what_is_left_out_is_counted() -> None:
    assert annotations(report_of())[-1] == (
        "notice",
        "ntbbench: and 3 more",
        "and 3 missing; the job's summary and --write csv=FILE have more",
    )


def test_what_is_inconclusive_is_an_error_only_where_it_fails() -> None:
    for fails, level in ((False, "warning"), (True, "error")):
        base, candidate = noisy_sides(open=(samples(3, 8, 100, 20), samples(4, 8, 100, 20)))
        report = compare(base, [candidate], Policy(fail_inconclusive=fails))
        assert [(level, "inconclusive: open")] == [
            (shown, title) for shown, title, _ in annotations(report)[1:]
        ]


def test_no_level_has_more_than_are_shown() -> None:
    pairs = {f"m{i:02}": (samples(i, 8), samples(i + 50, 8, 80.0)) for i in range(14)}
    base, candidate = noisy_sides(**pairs)
    found = annotations(compare(base, [candidate], Policy()))
    assert Counter(level for level, _, _ in found) == {"notice": 10}
    assert found[-1][1] == "ntbbench: and 6 more"


def test_titles_name_the_candidate_where_there_are_several() -> None:
    base, candidate = noisy_sides(slow=(samples(1, 8), samples(2, 8, 120.0)))
    other = Variant("c", "csv", base.series)
    titles = [title for _, title, _ in annotations(compare(base, [candidate, other], Policy()))]
    assert "regressed: slow (b)" in titles
    alone = [title for _, title, _ in annotations(compare(base, [candidate], Policy()))]
    assert "regressed: slow" in alone
