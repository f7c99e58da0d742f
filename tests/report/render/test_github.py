# SPDX-License-Identifier: BSD-3-Clause
"""The annotations of GitHub Actions: of more findings than it shows the gravest are shown."""

import re
from collections import Counter

import numpy as np
from compare_data import HOSTILE, noisy_sides, samples
from rendered import rendered

from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Report
from ntbbench.compare.series import Series, Variant


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
    found = []
    for line in rendered(report, "github").splitlines():
        match = re.fullmatch(r"::(error|warning|notice) title=([^:,]*)::(.*)", line)
        assert match is not None, line
        found.append((match[1], match[2].replace("%3A", ":"), match[3]))
    return found


def test_regressions_come_before_what_is_missing_and_the_rest_is_counted() -> None:
    found = annotations(report_of())
    errors = [(title, text) for level, title, text in found if level == "error"]
    assert len(errors) == 10
    assert errors[0][0] == "slow"
    assert all(text.startswith("missing: ") for _, text in errors[1:])
    assert found[-1] == (
        "notice", "ntbbench compare",
        "and 3 errors more; the job's summary and the other formats have them",
    )  # fmt: skip


def test_what_is_inconclusive_is_an_error_only_where_it_fails() -> None:
    for fails, level in ((False, "warning"), (True, "error")):
        base, candidate = noisy_sides(open=(samples(3, 8, 100, 20), samples(4, 8, 100, 20)))
        found = annotations(compare(base, [candidate], Policy(fail_inconclusive=fails)))
        assert [(level, "open")] == [(shown, title) for shown, title, _ in found[1:]]


def test_no_level_has_more_than_are_shown() -> None:
    pairs = {f"m{i:02}": (samples(i, 8), samples(i + 50, 8, 80.0)) for i in range(14)}
    base, candidate = noisy_sides(**pairs)
    found = annotations(compare(base, [candidate], Policy()))
    assert Counter(level for level, _, _ in found) == {"notice": 10}
    assert found[-1][2].startswith("and 6 notices more")


def test_titles_name_the_candidate_where_there_are_several() -> None:
    base, candidate = noisy_sides(slow=(samples(1, 8), samples(2, 8, 120.0)))
    others = [candidate, Variant("c", "csv", candidate.series)]
    for sides, titles in ((others, {"slow (b)", "slow (c)"}), (others[:1], {"slow"})):
        found = annotations(compare(base, sides, Policy()))
        assert {title for level, title, _ in found if level == "error"} == titles


def test_a_name_starts_no_other_command() -> None:
    base, candidate = noisy_sides(**{
        name: (samples(1, 8), samples(2, 8, 120.0)) for name in HOSTILE
    })  # fmt: skip
    found = annotations(compare(base, [candidate], Policy()))
    assert sum(level == "error" for level, _, _ in found) == 10
