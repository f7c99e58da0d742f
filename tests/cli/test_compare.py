# SPDX-License-Identifier: BSD-3-Clause
"""`compare` and `gate` from the command line: the contract of inputs, JSON and exit codes."""

import copy
import json
from pathlib import Path

import pytest
from compare_data import (
    changed,
    compat,
    iperf3,
    pytest_benchmark,
    runs_csv,
    samples,
    sweep,
    written,
)
from compare_runs import gate_runs

FIELDS = {
    "metric",
    "base",
    "candidate",
    "kind",
    "verdict",
    "ratio",
    "ratio_low",
    "ratio_high",
    "p_value",
    "p_adjusted",
    "n_base",
    "n_candidate",
    "minimal_detectable_effect",
    "warnings",
}


def test_json_of_runs_is_the_contract(ntbbench, tmp_path: Path) -> None:
    path = runs_csv(
        tmp_path / "t.csv", {"a": samples(1, 12), "b": samples(2, 12), "c": samples(3, 9, 108)}
    )
    ran = ntbbench("compare", "--runs", path, "--format", "json")
    assert ran.code == 0
    report = ran.report
    assert report["schema"] == "ntbbench.compare/1"
    assert {"size": 2, "correction": "holm", "alpha": 0.05}.items() <= report["family"].items()
    assert all(set(c) >= FIELDS for c in report["comparisons"])
    same, slower = report["comparisons"]
    assert (same["base"], same["candidate"], same["kind"]) == ("a", "b", "noisy")
    assert same["verdict"] == "equivalent"
    assert (slower["verdict"], slower["n_base"], slower["n_candidate"]) == ("regressed", 12, 9)
    assert slower["ratio_low"] <= slower["ratio"] <= slower["ratio_high"]
    assert slower["ratio"] == pytest.approx(1.08, abs=0.01)
    assert slower["p_adjusted"] == pytest.approx(2 * slower["p_value"])


def test_regression_fails_the_gate_and_higher_is_better_turns_it(ntbbench, tmp_path) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 10), "b": samples(2, 10, 105)})
    assert gate_runs(ntbbench, path).code == 1
    turned = gate_runs(ntbbench, path, "--higher-is-better")
    assert (turned.code, turned.report["comparisons"][0]["verdict"]) == (0, "improved")


def test_threshold_and_alpha_are_heeded(ntbbench, tmp_path) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 10), "b": samples(2, 10, 105)})
    assert gate_runs(ntbbench, path, "--threshold", "10%").code == 0
    assert gate_runs(ntbbench, path, "--threshold", "0.1").report["threshold"] == 0.1
    strict = gate_runs(ntbbench, path, "--alpha", "0.00005")  # 10 against 10 reach 1.1e-5
    assert (strict.code, strict.report["comparisons"][0]["decided_by"]) == (1, "test")


def test_inconclusive_passes_unless_it_is_said_to_fail(ntbbench, tmp_path) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 6, 100, 9), "b": samples(2, 6, 100, 9)})
    ran = gate_runs(ntbbench, path)
    (only,) = ran.report["comparisons"]
    assert (ran.code, only["verdict"]) == (0, "inconclusive")
    assert only["minimal_detectable_effect"] > 0.05
    assert only["runs_needed"] > 50
    assert gate_runs(ntbbench, path, "--fail-inconclusive").code == 3


def test_three_runs_can_show_nothing(ntbbench, tmp_path) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": [1.0, 1.1, 1.2], "b": [9.0, 9.1, 9.2]})
    ran = gate_runs(ntbbench, path)
    (only,) = ran.report["comparisons"]
    assert (ran.code, only["verdict"], only["untested"]) == (3, "inconclusive", True)
    assert only["minimal_detectable_effect"] is None
    assert {w["code"] for w in only["warnings"]} >= {"too-few-samples", "cannot-reach-alpha"}


def test_one_sample_is_inconclusive_with_nulls(ntbbench, tmp_path) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": [1.0], "b": samples(1, 20)})
    ran = gate_runs(ntbbench, path)
    (only,) = ran.report["comparisons"]
    assert (ran.code, only["verdict"], only["untested"]) == (3, "inconclusive", True)
    assert only["p_value"] is None
    assert only["ratio_low"] is None
    assert ran.report["family"]["size"] == 0


def test_missing_goes_before_a_regression(ntbbench, tmp_path: Path) -> None:
    path = runs_csv(
        tmp_path / "t.csv", {"a": samples(1, 10), "b": samples(2, 10, 120), "c": [None]}
    )
    ran = gate_runs(ntbbench, path, "--fail-inconclusive")
    assert ran.code == 4
    assert [c["verdict"] for c in ran.report["comparisons"]] == ["regressed", "inconclusive"]
    assert ran.report["totals"]["missing"] == 1


def test_a_regression_goes_before_an_inconclusive_one(ntbbench, tmp_path: Path) -> None:
    path = runs_csv(
        tmp_path / "t.csv",
        {"a": samples(1, 10), "b": samples(2, 10, 120), "c": samples(3, 10, 100, 9)},
    )
    assert gate_runs(ntbbench, path, "--fail-inconclusive").code == 1


def test_empty_cells_are_missing_runs(ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n,2\n1.1,2.1\n1.2,\n\n")
    (only,) = gate_runs(ntbbench, path).report["comparisons"]
    assert (only["n_base"], only["n_candidate"]) == (3, 3)


def test_pairs_see_what_a_common_drift_hides(ntbbench, tmp_path: Path) -> None:
    drift = [100.0 * 1.05**i for i in range(12)]
    noise = samples(4, 12, 1.03, 0.002)
    columns = {"a": drift, "b": [x * r for x, r in zip(drift, noise, strict=True)]}
    path = runs_csv(tmp_path / "t.csv", columns)
    assert gate_runs(ntbbench, path).code == 0
    paired = gate_runs(ntbbench, path, "--paired")
    assert paired.code == 1
    assert paired.report["comparisons"][0]["ratio"] == pytest.approx(1.03, abs=0.003)


def test_rows_with_a_gap_make_no_pair(ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "".join(f"{10 + i / 10},{11 + i / 9}\n" for i in range(8))
    path.write_text(f"a,b\n{rows},12\n13,\n")
    (only,) = gate_runs(ntbbench, path, "--paired").report["comparisons"]
    assert (only["n_base"], only["n_candidate"]) == (8, 8)
    assert "incomplete-pairs" in {w["code"] for w in only["warnings"]}


def test_several_candidates_are_one_family(ntbbench, tmp_path: Path) -> None:
    files = [
        written(tmp_path / f"{name}.json", pytest_benchmark(seed, x=1e-3, y=2e-3))
        for seed, name in enumerate(("base", "one", "two"))
    ]
    report = ntbbench("gate", *files, "--format", "json").report
    assert report["family"]["size"] == 4
    assert report["candidates"] == ["one", "two"]


def test_any_change_of_an_exact_metric_is_a_finding(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", sweep())
    assert ntbbench("gate", base, base).code == 0
    for field, value, code, verdict in (
        ("wakeups", 1001, 1, "regressed"),
        ("wakeups", 999, 0, "improved"),
        ("amplification", 1.0000001, 1, "regressed"),
        ("rings", 999, 1, "regressed"),
        ("queues", 0, 1, "regressed"),
    ):
        new = written(tmp_path / "b.json", changed(sweep(), 0, **{field: value}))
        ran = ntbbench("gate", base, new, "--format", "json")
        odd = [c for c in ran.report["comparisons"] if c["verdict"] != "equivalent"]
        assert [(c["verdict"], c["kind"]) for c in odd] == [(verdict, "exact")]
        assert odd[0]["metric"].endswith(f":{field}")
        assert ran.code == code


def test_a_point_missing_on_either_side_is_4(ntbbench, tmp_path: Path) -> None:
    whole = sweep()
    part = copy.deepcopy(whole)
    del part["points"][2]
    files = written(tmp_path / "a.json", whole), written(tmp_path / "b.json", part)
    for order in (files, files[::-1]):
        ran = ntbbench("gate", *order, "--format", "json")
        assert ran.code == 4
        assert ran.report["totals"]["missing"] == 1
        assert ntbbench("compare", *order).code == 4


def test_an_unavailable_point_is_a_regression_not_a_gap(ntbbench, tmp_path: Path) -> None:
    lost = sweep()
    lost["points"][1] = {
        key: lost["points"][1][key]
        for key in (
            "hardware",
            "dispatch",
            "queues_requested",
            "queues",
            "doorbells",
            "vectors",
            "workload",
            "drain",
        )
    } | {"status": "unavailable", "reason": "ENOSPC: few"}
    base, new = written(tmp_path / "a.json", sweep()), written(tmp_path / "b.json", lost)
    ran = ntbbench("gate", base, new, "--format", "json")
    assert ran.code == 1
    assert ran.report["totals"]["regressed"] == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("cpu", "model"), "Example 2"),
        (("cpu", "flags"), ["sse2"]),
        (("compiler", "name"), "clang"),
        (("compiler", "flags"), "-O3"),
    ],
)
def test_other_environments_are_refused_unless_forced(ntbbench, tmp_path, path, value) -> None:
    other = sweep()
    other["environment"][path[0]][path[1]] = value
    base, new = written(tmp_path / "a.json", sweep()), written(tmp_path / "b.json", other)
    refused = ntbbench("gate", base, new, "--format", "json")
    assert refused.code == 5
    assert ".".join(path) in refused.err
    assert ntbbench("compare", base, new).code == 5
    forced = ntbbench("gate", base, new, "--format", "json", "--force", "counts only")
    assert forced.code == 0
    assert forced.report["environment"]["forced"] == "counts only"
    assert ntbbench("gate", base, new, "--ignore-environment", ".".join(path)).code == 0
    assert ntbbench("gate", base, new, "--force", " ").code == 2


def test_another_kernel_is_noted_not_refused(ntbbench, tmp_path: Path) -> None:
    other = sweep()
    other["environment"]["kernel"] = "7.4"
    base, new = written(tmp_path / "a.json", sweep()), written(tmp_path / "b.json", other)
    ran = ntbbench("gate", base, new, "--format", "json")
    assert ran.code == 0
    assert any("7.4" in note for note in ran.report["environment"]["notes"])


def test_other_schemas_are_refused(ntbbench, tmp_path: Path) -> None:
    newer = sweep() | {"schema": "ntbbench.sweep/2"}
    base, new = written(tmp_path / "a.json", sweep()), written(tmp_path / "b.json", newer)
    assert ntbbench("gate", base, new).code == 5
    assert ntbbench("gate", new, new).code == 2
    assert ntbbench("gate", base, written(tmp_path / "c.json", compat())).code == 5
    foreign = written(tmp_path / "d.json", {"schema": "ntbbench.replay/1"})
    assert ntbbench("gate", base, foreign).code == 2


def test_policy_files(ntbbench, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    base = written(tmp_path / "a.json", pytest_benchmark(1, fast=1e-3, slow=2e-3))
    new = written(tmp_path / "b.json", pytest_benchmark(5, fast=1.2e-3, slow=2.4e-3))
    free = "one_process_allowance = 0.0\n"
    policy.write_text(f'{free}[[rule]]\npattern = "*::slow"\nthreshold = 0.5\n')
    ran = ntbbench("gate", base, new, "--policy", policy, "--format", "json")
    verdicts = {m.rpartition("::")[2]: c["verdict"] for m, c in ran.comparisons.items()}
    assert (verdicts["slow"], verdicts["fast"]) == ("equivalent", "regressed")
    policy.write_text(free + 'threshold = 0.3\n[[rule]]\nmetric = "x"\nignore = "flaky"\n')
    assert ntbbench("gate", base, new, "--policy", policy).code == 0
    assert ntbbench("gate", base, new, "--policy", policy, "--threshold", "0.01").code == 1
    policy.write_text('gate_on = "exact"\n')
    assert ntbbench("gate", base, new, "--policy", policy, "--fail-inconclusive").code == 0
    policy.write_text('fatal_warnings = ["one-process"]\nthreshold = 0.3\n')
    assert ntbbench("gate", base, new, "--policy", policy).code == 3
    for text in (
        "alpha = 2",
        "alpha = 'x'",
        "speed = 1",
        "a = [",
        "[[rule]]\nthreshold = 1",
        'fatal_warnings = ["odd"]',
    ):
        policy.write_text(text)
        assert ntbbench("gate", base, new, "--policy", policy).code == 2


def test_zero_variance(ntbbench, tmp_path: Path) -> None:
    flat = runs_csv(tmp_path / "a.csv", {"a": [5.0] * 8, "b": [5.0] * 8, "c": [6.0] * 8})
    ran = gate_runs(ntbbench, flat)
    assert [c["verdict"] for c in ran.report["comparisons"]] == ["equivalent", "regressed"]
    assert all("zero-variance" in str(c["warnings"]) for c in ran.report["comparisons"])
    zero = runs_csv(tmp_path / "b.csv", {"a": [0.0] * 8, "b": [0.0] * 8, "c": [6.0] * 8})
    ran = gate_runs(ntbbench, zero)
    assert [c["verdict"] for c in ran.report["comparisons"]] == ["equivalent", "regressed"]
    assert ran.report["comparisons"][1]["ratio"] is None


@pytest.mark.parametrize("test", ["mann-whitney", "permutation", "welch"])
@pytest.mark.parametrize("pairs", [(), ("--paired",)])
def test_every_test_finds_a_clear_change(ntbbench, tmp_path: Path, test, pairs) -> None:
    path = runs_csv(tmp_path / "a.csv", {"a": samples(1, 12), "b": samples(2, 12, 110)})
    assert gate_runs(ntbbench, path, "--test", test, *pairs).code == 1
    same = runs_csv(tmp_path / "b.csv", {"a": samples(1, 12), "b": samples(2, 12)})
    assert gate_runs(ntbbench, same, "--test", test, *pairs).code == 0


def test_a_count_that_becomes_null_is_missing(ntbbench, tmp_path: Path) -> None:
    files = [
        written(tmp_path / f"{i}.json", changed(sweep(), 0, race_check_runs=count))
        for i, count in enumerate((7, None))
    ]
    assert ntbbench("gate", *files).code == 4
    assert ntbbench("gate", files[1], files[1]).code == 0


@pytest.mark.parametrize("exponent", [-75, 74])
def test_the_largest_and_smallest_numbers_compare(ntbbench, tmp_path: Path, exponent: int) -> None:
    unit = 10.0**exponent
    columns = {"a": samples(1, 8), "b": samples(2, 8, 110.0)}
    scaled = {name: [v / 100 * unit * 2 for v in values] for name, values in columns.items()}
    runs = runs_csv(tmp_path / "r.csv", scaled)
    for options in ([], ["--paired"], ["--test", "welch"], ["--test", "permutation"]):
        ran = gate_runs(ntbbench, runs, *options)
        (found,) = ran.report["comparisons"]
        assert (ran.code, found["verdict"]) == (1, "regressed")
        assert found["ratio"] == pytest.approx(1.1, abs=0.02)


def test_rows_that_make_no_pair_at_all_are_told_as_such(ntbbench, tmp_path: Path) -> None:
    runs = tmp_path / "r.csv"
    runs.write_text("a,b\n" + "1,\n" * 6 + ",2\n" * 6)
    ran = gate_runs(ntbbench, runs, "--paired")
    (found,) = ran.report["comparisons"]
    assert (ran.code, found["verdict"]) == (4, "inconclusive")
    assert found["reason"] == "no row has a number on both sides"
    assert gate_runs(ntbbench, runs).code == 1


def test_higher_is_better_leaves_what_a_format_says(ntbbench, tmp_path: Path) -> None:
    sides = []
    for name, cpu in (("a", 40.0), ("b", 60.0)):
        runs = [iperf3(1e9, i) for i in range(6)]
        for i, run in enumerate(runs):
            run["end"]["cpu_utilization_percent"] = {"host_total": cpu + i / 10, "remote_total": 50}
        sides.append(tmp_path / f"{name}.json")
        sides[-1].write_text("\n".join(map(json.dumps, runs)))
    ran = ntbbench("gate", *sides, "--higher-is-better", "--format", "json")
    assert (ran.code, ran.comparisons["cpu_host"]["verdict"]) == (1, "regressed")
    more = written(tmp_path / "m.json", changed(sweep(), 0, wakeups=1001))
    base = written(tmp_path / "s.json", sweep())
    assert ntbbench("gate", base, more, "--higher-is-better").code == 1
    faster = pytest_benchmark(2, test_scan=1.1e-3)
    base = written(tmp_path / "p.json", pytest_benchmark())
    new = written(tmp_path / "q.json", faster)
    assert ntbbench("gate", base, new, "--higher-is-better").code == 0


def test_raw_runs_go_with_mail_only(ntbbench, tmp_path: Path) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 8), "b": samples(2, 8)})
    ran = ntbbench("gate", "--runs", path, "--raw")
    told = "ntbbench: --raw: '--format text': goes with --format mail only\n"
    assert (ran.code, ran.err) == (2, told)
