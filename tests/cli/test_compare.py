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
    *("metric", "base", "candidate", "kind", "verdict", "ratio", "ratio_low", "ratio_high"),
    *("p_value", "p_adjusted", "n_base", "n_candidate", "minimal_detectable_effect", "warnings"),
}
QUIET, SLOW = samples(1, 10), samples(2, 10, 105)
NOISY = samples(3, 10, 100, 9)


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


@pytest.mark.parametrize(
    ("columns", "options", "code", "verdicts"),
    [
        ([QUIET, SLOW], [], 1, ["regressed"]),
        ([QUIET, SLOW], ["--higher-is-better"], 0, ["improved"]),
        ([QUIET, SLOW], ["--threshold", "10%"], 0, ["equivalent"]),
        ([QUIET, SLOW], ["--threshold", "0.1"], 0, ["equivalent"]),
        ([QUIET, SLOW], ["--alpha", "0.00005"], 1, ["regressed"]),  # 10 against 10 reach 1.1e-5
        ([QUIET, NOISY], [], 0, ["inconclusive"]),  # which passes unless it is said to fail
        ([QUIET, NOISY], ["--fail-inconclusive"], 3, ["inconclusive"]),
        ([QUIET, SLOW, NOISY], ["--fail-inconclusive"], 1, ["regressed", "inconclusive"]),
        ([QUIET, SLOW, [None]], ["--fail-inconclusive"], 4, ["regressed", "inconclusive"]),
        ([[1.0], samples(1, 20)], [], 3, ["inconclusive"]),
        ([[1.0, 1.1, 1.2], [9.0, 9.1, 9.2]], [], 3, ["inconclusive"]),  # three can show nothing
    ],
)
def test_verdicts_and_exit_codes(ntbbench, tmp_path, columns, options, code, verdicts) -> None:
    path = runs_csv(tmp_path / "t.csv", dict(zip("abc", columns, strict=False)))
    ran = gate_runs(ntbbench, path, *options)
    report = ran.report
    assert (ran.code, [c["verdict"] for c in report["comparisons"]]) == (code, verdicts)
    assert report["totals"]["missing"] == (code == 4)
    last = report["comparisons"][-1]
    few = min(map(len, columns)) < 4
    if verdicts == ["inconclusive"]:
        assert last["untested"] is True if few else last["runs_needed"] > 50
        assert (last["minimal_detectable_effect"] is None) == few
    if len(columns[0]) == 1:
        assert (last["p_value"], last["ratio_low"], report["family"]["size"]) == (None, None, 0)
    if few and code == 3:
        assert "too-few-samples" in {w["code"] for w in last["warnings"]}
    if verdicts == ["regressed"]:
        assert last["decided_by"] == "test"


@pytest.mark.parametrize("test", ["mann-whitney", "permutation", "welch"])
@pytest.mark.parametrize("pairs", [(), ("--paired",)])
def test_every_test_finds_a_clear_change(ntbbench, tmp_path: Path, test, pairs) -> None:
    for name, centre, code in (("a", 110.0, 1), ("b", 100.0, 0)):
        columns = {"a": samples(1, 12), "b": samples(2, 12, centre)}
        path = runs_csv(tmp_path / f"{name}.csv", columns)
        assert gate_runs(ntbbench, path, "--test", test, *pairs).code == code


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


def test_zero_variance(ntbbench, tmp_path: Path) -> None:
    for level, ratios in ((5.0, [1.0, 1.2]), (0.0, [1.0, None])):
        columns = {"a": [level] * 8, "b": [level] * 8, "c": [6.0] * 8}
        found = gate_runs(ntbbench, runs_csv(tmp_path / "a.csv", columns)).report["comparisons"]
        assert [c["verdict"] for c in found] == ["equivalent", "regressed"]
        assert [c["ratio"] for c in found] == ratios
        assert all("zero-variance" in str(c["warnings"]) for c in found)


@pytest.mark.parametrize(
    ("rows", "options", "code", "counts"),
    [
        ("1,2\n,2\n1.1,2.1\n1.2,\n\n", [], 3, (3, 3)),  # empty cells are missing runs
        ("".join(f"{10 + i / 10},{11 + i / 9}\n" for i in range(8)) + ",12\n13,\n", ["--paired"],
         1, (8, 8)),
        ("1,\n" * 6 + ",2\n" * 6, ["--paired"], 4, (6, 0)),
        ("1,\n" * 6 + ",2\n" * 6, [], 1, (6, 6)),
    ],
)  # fmt: skip
def test_rows_with_gaps(ntbbench, tmp_path: Path, rows, options, code, counts) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"a,b\n{rows}")
    ran = gate_runs(ntbbench, path, *options)
    (only,) = ran.report["comparisons"]
    assert (ran.code, (only["n_base"], only["n_candidate"])) == (code, counts)
    if counts == (8, 8):
        assert "incomplete-pairs" in {w["code"] for w in only["warnings"]}
    if code == 4:
        assert only["reason"] == "no row has a number on both sides"


def test_pairs_see_what_a_common_drift_hides(ntbbench, tmp_path: Path) -> None:
    drift = [100.0 * 1.05**i for i in range(12)]
    noise = samples(4, 12, 1.03, 0.002)
    columns = {"a": drift, "b": [x * r for x, r in zip(drift, noise, strict=True)]}
    path = runs_csv(tmp_path / "t.csv", columns)
    assert gate_runs(ntbbench, path).code == 0
    paired = gate_runs(ntbbench, path, "--paired")
    assert paired.code == 1
    assert paired.report["comparisons"][0]["ratio"] == pytest.approx(1.03, abs=0.003)


def test_several_candidates_are_one_family(ntbbench, tmp_path: Path) -> None:
    files = [
        written(tmp_path / f"{name}.json", pytest_benchmark(seed, x=1e-3, y=2e-3))
        for seed, name in enumerate(("base", "one", "two"))
    ]
    report = ntbbench("gate", *files, "--format", "json").report
    assert report["family"]["size"] == 4
    assert report["candidates"] == ["one", "two"]


def two(path: Path, base: dict, new: dict) -> list[str]:
    return [written(path / "a.json", base), written(path / "b.json", new)]


@pytest.mark.parametrize(
    ("field", "value", "code", "verdict"),
    [
        ("wakeups", 1000, 0, ""),
        ("wakeups", 1001, 1, "regressed"),
        ("wakeups", 999, 0, "improved"),
        ("amplification", 1.0000001, 1, "regressed"),
        ("rings", 999, 1, "regressed"),
        ("queues", 0, 1, "regressed"),
        ("race_check_runs", None, 4, "inconclusive"),  # a count that became null is missing
    ],
)
def test_any_change_of_an_exact_metric_is_a_finding(
    ntbbench, tmp_path: Path, field: str, value: float | None, code: int, verdict: str
) -> None:
    base = changed(sweep(), 0, race_check_runs=7)
    ran = ntbbench(
        "gate", *two(tmp_path, base, changed(base, 0, **{field: value})), "--format=json"
    )
    odd = [c for c in ran.report["comparisons"] if c["verdict"] != "equivalent"]
    assert (ran.code, [c["verdict"] for c in odd]) == (code, [verdict] * bool(verdict))
    assert all(c["metric"].endswith(f":{field}") and c["kind"] == "exact" for c in odd)


def test_a_point_missing_on_either_side_is_4(ntbbench, tmp_path: Path) -> None:
    whole = sweep()
    part = copy.deepcopy(whole)
    del part["points"][2]
    files = two(tmp_path, whole, part)
    for order in (files, files[::-1]):
        ran = ntbbench("gate", *order, "--format", "json")
        assert (ran.code, ran.report["totals"]["missing"]) == (4, 1)
        assert ntbbench("compare", *order).code == 4


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
    files = two(tmp_path, sweep(), other)
    refused = ntbbench("gate", *files, "--format", "json")
    assert refused.code == 5
    assert ".".join(path) in refused.err
    assert ntbbench("compare", *files).code == 5
    forced = ntbbench("gate", *files, "--format", "json", "--force", "counts only")
    assert forced.code == 0
    assert forced.report["environment"]["forced"] == "counts only"
    assert ntbbench("gate", *files, "--ignore-environment", ".".join(path)).code == 0
    assert ntbbench("gate", *files, "--force", " ").code == 2


def test_another_kernel_is_noted_not_refused(ntbbench, tmp_path: Path) -> None:
    other = sweep()
    other["environment"]["kernel"] = "7.4"
    ran = ntbbench("gate", *two(tmp_path, sweep(), other), "--format", "json")
    assert ran.code == 0
    assert any("7.4" in note for note in ran.report["environment"]["notes"])


def test_other_schemas_are_refused(ntbbench, tmp_path: Path) -> None:
    base, new = two(tmp_path, sweep(), sweep() | {"schema": "ntbbench.sweep/2"})
    assert ntbbench("gate", base, new).code == 5
    assert ntbbench("gate", new, new).code == 2
    assert ntbbench("gate", base, written(tmp_path / "c.json", compat())).code == 5
    foreign = written(tmp_path / "d.json", {"schema": "ntbbench.replay/1"})
    assert ntbbench("gate", base, foreign).code == 2


@pytest.mark.parametrize(
    ("policy", "options", "code"),
    [
        ('one_process_allowance = 0.0\n[[rule]]\npattern = "*::slow"\nthreshold = 0.5', [], 1),
        ('one_process_allowance = 0.0\nthreshold = 0.3\n[[rule]]\nmetric = "x"\nignore = "y"', [],
         0),
        ("one_process_allowance = 0.0\nthreshold = 0.3", ["--threshold", "0.01"], 1),
        ('gate_on = "exact"', ["--fail-inconclusive"], 0),
        ('fatal_warnings = ["one-process"]\nthreshold = 0.3', [], 3),
    ],
)  # fmt: skip
def test_policy_files(ntbbench, tmp_path: Path, policy: str, options, code: int) -> None:
    (tmp_path / "p.toml").write_text(policy)
    base = pytest_benchmark(1, fast=1e-3, slow=2e-3)
    files = two(tmp_path, base, pytest_benchmark(5, fast=1.2e-3, slow=2.4e-3))
    ran = ntbbench("gate", *files, "--policy", tmp_path / "p.toml", "--format", "json", *options)
    assert ran.code == code
    if "*::slow" in policy:
        verdicts = {m.rpartition("::")[2]: c["verdict"] for m, c in ran.comparisons.items()}
        assert (verdicts["slow"], verdicts["fast"]) == ("equivalent", "regressed")


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
    more = two(tmp_path, sweep(), changed(sweep(), 0, wakeups=1001))
    assert ntbbench("gate", *more, "--higher-is-better").code == 1
    faster = two(tmp_path, pytest_benchmark(), pytest_benchmark(2, test_scan=1.1e-3))
    assert ntbbench("gate", *faster, "--higher-is-better").code == 0


def test_raw_runs_go_with_mail_only(ntbbench, tmp_path: Path) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 8), "b": samples(2, 8)})
    ran = ntbbench("gate", "--runs", path, "--raw")
    told = "ntbbench: --raw: '--format text': goes with --format mail only\n"
    assert (ran.code, ran.err) == (2, told)
