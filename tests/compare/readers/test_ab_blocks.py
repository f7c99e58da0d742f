# SPDX-License-Identifier: BSD-3-Clause
"""Both sides of a result of `ab`: what varies is a sample a block, what is exact one value."""

import pytest
from ab_records import ab_result

from ntbbench.ab.records import AbMetric
from ntbbench.compare.readers.ab_blocks import ab_sides

METRICS = (AbMetric(name="t", better="lower"), AbMetric(name="count", better="none", kind="exact"))


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ([(5, 6), (5, 6)], "exact"),
        ([(5, 5), (5, 5)], "exact"),
        ([(5, 6), (5, 7)], "noisy"),  # the candidate's runs do not agree: it is not exact
        ([(5, 6)], "noisy"),  # a single run a side does not tell
    ],
)
def test_a_metric_is_exact_while_the_runs_of_each_side_agree(counts, kind: str) -> None:
    pairs = [((1.0, base), (1.0 + n, new)) for n, (base, new) in enumerate(counts)]
    base, candidate = ab_sides(ab_result(pairs, metrics=METRICS))
    for side, place in ((base, 0), (candidate, 1)):
        found = side.series["count"]
        assert (found.kind, found.better) == (kind, "none")
        if kind == "exact":
            assert (found.value, found.samples) == (counts[0][place], None)
            assert isinstance(found.value, int)
        else:
            assert found.samples is not None
            assert found.samples.tolist() == [pair[place] for pair in counts]
        assert side.series["t"].kind == "noisy"
        assert side.row_numbers.keys() == {n for n, s in side.series.items() if s.kind == "noisy"}
