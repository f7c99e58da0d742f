# SPDX-License-Identifier: BSD-3-Clause
"""`gate --against-history N`: a new result against the last commits of a store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compare_data import changed, pytest_benchmark, sweep, written
from compare_runs import Ran

from ntbbench.compare import history_store
from ntbbench.compare.readers.detect import load_variant

Record = dict[str, Any]
Gate = Callable[..., Ran]
BENCH = "benches/test_x.py::bench"


@pytest.fixture
def gate(ntbbench: Callable[..., Ran], tmp_path: Path) -> Gate:
    """Store records, a commit each, and gate another against them."""
    store = tmp_path / "store.sqlite"

    def run(stored: list[Record], new: Record, *options: object, last: object = 20) -> Ran:
        for number, record in enumerate(stored):
            variant = load_variant(written(tmp_path / "r.json", record))
            history_store.add(store, f"c{number}", variant)
        file = written(tmp_path / "new.json", new)
        chosen = ("--format", "json", *options)
        return ntbbench("gate", "--against-history", last, "--store", store, file, *chosen)

    return run


def levels(*values: float) -> list[Record]:
    return [pytest_benchmark(i, 9, bench=value) for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("now", "code", "verdict"),
    [(1e-3, 0, "equivalent"), (1.1e-3, 1, "regressed"), (0.9e-3, 0, "improved")],
)
def test_a_new_median_is_held_against_those_before(gate: Gate, now: float, code, verdict) -> None:
    ran = gate(levels(*[1e-3] * 20), levels(now)[0])
    found = ran.comparisons[BENCH]
    assert (ran.code, found["verdict"]) == (code, verdict)
    assert (found["base"], found["n_base"], found["n_candidate"]) == ("the last 20 commits", 20, 1)
    assert found["ratio_low"] < now / 1e-3 < found["ratio_high"]


def test_the_report_answers_first(gate: Gate) -> None:
    ran = gate(levels(*[1e-3] * 20), levels(1.1e-3)[0], "--format", "text")
    assert ran.out.startswith("1 of 3 regressed, worst +")
    assert "new against the last 20 commits" in " ".join(ran.out.split())


def test_commits_of_before_a_step_are_not_looked_at(gate: Gate) -> None:
    stored = levels(*[1e-3] * 10, *[1.2e-3] * 12)
    ran = gate(stored, levels(1.2e-3)[0])
    assert (ran.code, ran.comparisons[BENCH]["n_base"]) == (0, 12)
    assert gate([], levels(1.3e-3)[0]).code == 1
    assert gate([], levels(1.0e-3)[0]).comparisons[BENCH]["verdict"] == "improved"
    assert gate([], levels(1.2e-3)[0], last=5).comparisons[BENCH]["n_base"] == 5


def test_too_few_commits_are_3_in_words(gate: Gate) -> None:
    ran = gate(levels(*[1e-3] * 2), levels(1e-3)[0])
    found = ran.comparisons[BENCH]
    assert (ran.code, found["verdict"], found["untested"]) == (3, "inconclusive", True)
    (cause,) = ran.report["causes"]
    assert "1 not tested: only 2 commits since the last step, and it takes" in cause
    assert gate([], levels(1.5e-3)[0]).code == 1  # what is far enough off needs no more


def test_exact_metrics_are_held_against_the_last_commit(gate: Gate) -> None:
    ran = gate([sweep(), changed(sweep(), 0, wakeups=1001)], changed(sweep(), 0, wakeups=1001))
    assert ran.code == 0
    assert gate([], changed(sweep(), 0, wakeups=1002)).code == 1
    assert gate([], sweep()).code == 0


def test_what_one_side_lacks_is_4(gate: Gate) -> None:
    ran = gate(levels(*[1e-3] * 9), pytest_benchmark(1, 9, other=1e-3))
    assert ran.code == 4
    assert {c["missing"] for c in ran.report["comparisons"]} == {"base", "candidate"}


def test_another_machine_is_5_and_some_commits_of_it_are_left_out(gate: Gate) -> None:
    new = levels(1e-3)[0]
    new["machine_info"]["cpu"]["brand_raw"] = "Example 2"
    ran = gate(levels(*[1e-3] * 9), new)
    assert ran.code == 5
    told = "cpu.brand_raw: 'Example 1' against 'Example 2'"
    assert f"9 of the last 9 commits are from another environment ({told}); --force WHY" in ran.err
    ran = gate([], new, "--force", "the same board")
    assert (ran.code, ran.report["environment"]["forced"]) == (0, "the same board")


def test_commits_of_another_machine_are_left_out(gate: Gate) -> None:
    stored = levels(*[2e-3] * 4, *[1e-3] * 10)
    for record in stored[:4]:
        record["machine_info"]["cpu"]["brand_raw"] = "Example 2"
    ran = gate(stored, levels(1e-3)[0])
    assert (ran.code, ran.comparisons[BENCH]["n_base"]) == (0, 10)
    (note,) = ran.report["environment"]["notes"]
    assert note == "4 of the last 14 commits are from another environment, and are left out"


def test_what_the_policy_ignores_of_an_environment_may_differ(gate: Gate, tmp_path: Path) -> None:
    new = levels(1e-3)[0]
    new["machine_info"]["cpu"]["brand_raw"] = "Example 2"
    policy = tmp_path / "policy.toml"
    policy.write_text('ignore_environment = ["cpu.brand_raw"]')
    ran = gate(levels(*[1e-3] * 9), new, "--policy", policy)
    assert (ran.code, ran.comparisons[BENCH]["n_base"]) == (0, 9)
    environment = ran.report["environment"]
    assert (environment["ignored"], environment["notes"]) == (["cpu.brand_raw"], [])
    ran = gate([], new, "--ignore-environment", "cpu.brand_row")
    assert ran.code == 5
    assert "no environment has the key 'cpu.brand_row'; did you mean cpu.brand_raw?" in ran.err


def test_a_cpu_that_is_ignored_takes_with_it_what_stands_for_its_name(gate: Gate) -> None:
    stored, new = levels(*[1e-3] * 9), levels(1e-3)[0]
    for record in (*stored, new):
        del record["machine_info"]["cpu"]["brand_raw"]
    new["machine_info"]["node"] = "other"
    assert gate(stored, new).code == 5
    assert gate([], new, "--ignore-environment", "cpu.brand_raw").code == 0
    assert gate([], new, "--ignore-environment", "node").code == 0


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--paired",), "--paired: True: not with --against-history"),
        (("--by", "hardware"), "--by: 'hardware': not with --against-history"),
        (("--against-history", "x"), "--against-history: 'x': a number of commits, 1 or more"),
        (("--match", "x=a:b"), "--match: 'x=a:b': not with --against-history"),
    ],
)
def test_what_does_not_go_with_it_is_refused(gate: Gate, options, error: str) -> None:
    ran = gate(levels(1e-3), levels(1e-3)[0], *options)
    assert (ran.code, error in ran.err) == (2, True)


def test_it_takes_one_result(ntbbench: Callable[..., Ran], tmp_path: Path) -> None:
    file = written(tmp_path / "new.json", levels(1e-3)[0])
    ran = ntbbench("gate", file, file, "--against-history", 5)
    assert (ran.code, "RESULT: " in ran.err, "one result" in ran.err) == (2, True, True)


def test_a_quantile_is_refused_for_the_store_has_medians(gate: Gate) -> None:
    ran = gate(levels(*[1e-3] * 20), levels(1e-3)[0], "--quantile", "p90")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "--quantile: 'p90': p50 with --against-history" in ran.err
