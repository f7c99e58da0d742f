# SPDX-License-Identifier: BSD-3-Clause
"""`compare` and `gate` from the command line: the contract of inputs, JSON and exit codes."""

import copy
import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from compare_data import (
    changed,
    compat,
    iperf3,
    iperf3_udp,
    lab,
    pyperf,
    pytest_benchmark,
    runs_csv,
    samples,
    sweep,
    written,
)

from ntbbench.cli.main import main

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


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def report(self) -> dict[str, Any]:
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))

    @property
    def comparisons(self) -> dict[str, dict[str, Any]]:
        return {c["metric"]: c for c in self.report["comparisons"]}


@pytest.fixture
def ntbbench(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


def gate_runs(ntbbench, path: Path, *options: str) -> Ran:
    return ntbbench("gate", "--runs", path, "--format", "json", *options)


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
    assert gate_runs(ntbbench, path, "--alpha", "0.000001").code == 0


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
    assert (ran.code, only["verdict"], only["minimal_detectable_effect"]) == (
        0,
        "inconclusive",
        None,
    )
    assert {w["code"] for w in only["warnings"]} >= {"too-few-samples", "cannot-reach-alpha"}


def test_one_sample_is_inconclusive_with_nulls(ntbbench, tmp_path) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": [1.0], "b": samples(1, 20)})
    ran = gate_runs(ntbbench, path)
    (only,) = ran.report["comparisons"]
    assert (ran.code, only["verdict"]) == (0, "inconclusive")
    assert only["p_value"] is None
    assert only["ratio_low"] is None
    assert ran.report["family"]["size"] == 0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 0),
        ({"runs_per_qp": [100, 100], "tasklet_schedules": 200}, 0),  # fewer: improved
        ({"runs_per_qp": [150, 151]}, 1),
        ({"packets_received": 99}, 1),
        ({"agrees": False}, 1),
        ({"vectors": 2}, 4),  # another point: both are missing on one side
        ({"doorbells_rung": -1}, 2),
    ],
)
def test_lab_results(ntbbench, tmp_path: Path, fields: dict[str, object], code: int) -> None:
    base = written(tmp_path / "a.json", lab())
    new = written(tmp_path / "b.json", lab(**fields) | {"kernel": "7.3"})
    assert ntbbench("gate", base, new).code == code


def test_less_work_of_a_lab_for_fewer_packets_is_no_improvement(ntbbench, tmp_path: Path) -> None:
    lost = lab(packets_received=90, runs_per_qp=[140, 140], tasklet_schedules=280)
    base, new = written(tmp_path / "a.json", lab()), written(tmp_path / "b.json", lost)
    ran = ntbbench("gate", base, new, "--format", "json")
    totals = ran.report["totals"]
    assert (ran.code, totals["improved"], totals["regressed"]) == (1, 0, 1)
    assert totals["inconclusive"] == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "a,b\n1,nan\n",
        "a,b\n1,NaN\n",
        "a,b\n1,inf\n",
        "a,b\n1,-Infinity\n",
        "a,b\n1,1e999\n",
        "a,b\n1,two\n",
        "a,b\n1,NA\n",
        "a,b\n1, \n",
        "a,b\n1,-2\n",
        "a,b\n1,1_000\n",
        "a,b\n1,0x10\n",
        "a,b\n1,\u0663\n",
        "a,a\n1,2\n",
        "a,\n1,2\n",
        "a,b\n1,2,3\n",
        "a,b\n1\n",
        "1,2\n3,4\n",
        'a,b\n1,"2\n',
        "a\nnan\n",
    ],
)
def test_bad_runs_are_one_line_and_exit_2(ntbbench, tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    ran = gate_runs(ntbbench, path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err


def test_binary_and_nul_are_bad_input(ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for data in (b"\xff\xfe\x00\x01", b"a,b\n1,\x00\n", b"a,b\n" + b"9" * 200_000 + b",1\n"):
        path.write_bytes(data)
        assert gate_runs(ntbbench, path).code == 2
    assert gate_runs(ntbbench, tmp_path / "none.csv").code == 2
    assert gate_runs(ntbbench, tmp_path).code == 2


def test_one_column_and_empty_columns_are_4_with_json(ntbbench, tmp_path: Path) -> None:
    for name, text in (("one", "a\n1\n2\n"), ("none", "a,b\n"), ("gap", "a,b\n1,\n2,\n")):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        ran = gate_runs(ntbbench, path)
        assert (ran.code, ran.report["exit_code"]) == (4, 4)
        assert ntbbench("compare", "--runs", path).code == 4


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


def test_timed_sweeps(ntbbench, tmp_path: Path) -> None:
    slow = sweep(2, 12)
    timing = slow["points"][3]["ns_per_dispatch"]
    timing["samples"] = [x * 1.1 for x in timing["samples"]]
    base, new = written(tmp_path / "a.json", sweep(1, 12)), written(tmp_path / "b.json", slow)
    ran = ntbbench("gate", base, new, "--format", "json")
    assert ran.code == 1
    worse = [m for m, c in ran.comparisons.items() if c["verdict"] == "regressed"]
    assert worse == ["generic/fallback/q2/d8/v1/round-robin/drain1:ns_per_dispatch"]


def test_pytest_benchmark_and_its_counts(ntbbench, tmp_path: Path) -> None:
    slow = pytest_benchmark(2, test_scan=1.1e-3)
    slow["benchmarks"][0]["extra_info"]["instructions"] = 1001
    base = written(tmp_path / "a.json", pytest_benchmark())
    ran = ntbbench("gate", base, written(tmp_path / "b.json", slow), "--format", "json")
    assert ran.code == 1
    name = "benches/test_x.py::test_scan"
    assert {m: c["kind"] for m, c in ran.comparisons.items()} == {
        name: "noisy",
        f"{name}:instructions": "exact",
        f"{name}:listed": "exact",
    }
    assert {m for m, c in ran.comparisons.items() if c["verdict"] == "regressed"} == {
        name,
        f"{name}:instructions",
    }


def test_counts_in_lists_and_objects_of_extra_info(ntbbench, tmp_path: Path) -> None:
    files = []
    for name, last in (("a", 3), ("b", 4)):
        record = pytest_benchmark()
        record["benchmarks"][0]["extra_info"] = {
            "per_qp": [[1, 2], [last]],
            "of": {"vector": {"0": 7}, "irq": last * 1.5},
            "flag": True,
            "measured": [0.1 * last],
            "words": ["a", 1],
            "empty": [],
            "none": None,
        }
        files.append(written(tmp_path / f"{name}.json", record))
    ran = ntbbench("gate", *files, "--format", "json")
    exact = {
        m.partition("::test_scan:")[2]: c
        for m, c in ran.comparisons.items()
        if ":of" in m or ":per" in m
    }
    assert ran.code == 1
    assert len(ran.comparisons) == 4  # and the timing
    assert {m: c["verdict"] for m, c in exact.items()} == {
        "per_qp": "regressed",
        "of.vector.0": "equivalent",
        "of.irq": "regressed",
    }


def test_pyperf_processes_are_the_samples(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", pyperf())
    new = written(tmp_path / "b.json", pyperf(50, centre=0.12))
    ran = ntbbench("gate", base, new, "--format", "json")
    assert ran.code == 1
    assert (ran.comparisons["bench"]["n_base"], ran.comparisons["bench"]["unit"]) == (10, "s")


def test_mixed_units_are_bad_input(ntbbench, tmp_path: Path) -> None:
    other = pyperf()
    other["metadata"]["unit"] = "byte"
    base, new = written(tmp_path / "a.json", pyperf()), written(tmp_path / "b.json", other)
    ran = ntbbench("gate", base, new)
    assert ran.code == 2
    assert "unit" in ran.err


def test_iperf3_files(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", iperf3(1e9))
    new = written(tmp_path / "b.json", iperf3(0.9e9, 7))
    ran = ntbbench("gate", base, new, "--format", "json")
    assert (ran.code, ran.comparisons["throughput"]["n_base"]) == (1, 10)
    for name, rate in (("x", 1e9), ("y", 1.1e9)):
        (tmp_path / name).mkdir()
        for i in range(6):
            written(tmp_path / name / f"{i}.json", iperf3(rate, i))
    ran = ntbbench("gate", tmp_path / "x", tmp_path / "y", "--format", "json")
    assert ran.comparisons["throughput"]["verdict"] == "improved"
    assert set(ran.comparisons) == {"throughput", "cpu_host", "cpu_remote"}
    joined = ",".join(str(tmp_path / "x" / f"{i}.json") for i in range(6))
    assert ntbbench("gate", joined, tmp_path / "x").code == 0
    several = tmp_path / "several.json"
    several.write_text("\n".join(json.dumps(iperf3(1e9, i)) for i in range(6)))
    assert ntbbench("gate", several, tmp_path / "x").code == 0
    failed = written(tmp_path / "f.json", {"start": {}, "end": {}, "error": "refused"})
    assert ntbbench("gate", base, failed).code == 2


def test_compat_results(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", compat())
    for verdicts, code in (
        ({"ep7": "missed"}, 1),
        ({"ep0": "per-vector"}, 0),
        ({"ep7": "link-down"}, 1),
    ):
        new = written(tmp_path / "b.json", compat(**verdicts))
        assert ntbbench("gate", base, new).code == code
    bad = written(tmp_path / "b.json", compat(ep7="great"))
    assert ntbbench("gate", base, bad).code == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "{",
        '{"schema": "ntbbench.sweep/1", "points": [',
        '{"schema": "ntbbench.sweep/1"}',
        '{"schema": "ntbbench.sweep/1", "points": [{}]}',
        '{"schema": 7}',
        "[1, 2]",
        "[" * 100_000,
        '{"benchmarks": 3, "machine_info": {}}',
        '{"benchmarks": [{"name": "x", "stats": {}}], "machine_info": {}}',
        '{"benchmarks": [{"name": "x", "stats": {"data": [NaN]}}], "machine_info": {}}',
        '{"benchmarks": [{"name": "x", "stats": {"data": [-1]}}], "machine_info": {}}',
        '{"benchmarks": [{"name": "x", "stats": {"data": [1e999]}}], "machine_info": {}}',
        '{"benchmarks": [{"name": "x", "stats": {"data": [1]}}, '
        '{"name": "x", "stats": {"data": [1]}}], "machine_info": {}}',
        '{"benchmarks": [{"name": "x", "stats": {"data": [1]}, "extra_info": {"n": 1e999}}], '
        '"machine_info": {}}',
        '{"benchmarks": [{"name": "x", "stats": {"data": [1]}, "extra_info": {"n": 1'
        + "0" * 400
        + '}}], "machine_info": {}}',
        '{"benchmarks": [{"runs": [{"values": [1]}]}]}',
        '{"start": {}, "end": {}, "intervals": [{"sum": {}}]}',
    ],
)
def test_damaged_results_are_one_line_and_exit_2(ntbbench, tmp_path: Path, text: str) -> None:
    good = written(tmp_path / "a.json", sweep())
    path = tmp_path / "b.json"
    path.write_text(text)
    for order in ((good, path), (path, good)):
        ran = ntbbench("gate", *order, "--format", "json")
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran.err


def test_usage_errors_are_2(ntbbench, tmp_path: Path, capsys) -> None:
    base = written(tmp_path / "a.json", sweep())
    assert ntbbench("gate").code == 2
    assert ntbbench("gate", base).code == 2
    assert ntbbench("gate", base, base, "--alpha", "2").code == 2
    assert ntbbench("gate", base, base, "--write", "pdf=x").code == 2
    assert ntbbench("gate", base, base, "--resamples", "1").code == 2
    with pytest.raises(SystemExit) as stop:
        main(["gate", base, base, "--alpha", "wide"])
    assert stop.value.code == 2
    capsys.readouterr()


def test_policy_files(ntbbench, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    base = written(tmp_path / "a.json", pytest_benchmark(1, fast=1e-3, slow=2e-3))
    new = written(tmp_path / "b.json", pytest_benchmark(5, fast=1.1e-3, slow=2.2e-3))
    policy.write_text('[[rule]]\npattern = "*::slow"\nthreshold = 0.5\n')
    ran = ntbbench("gate", base, new, "--policy", policy, "--format", "json")
    verdicts = {m.rpartition("::")[2]: c["verdict"] for m, c in ran.comparisons.items()}
    assert (verdicts["slow"], verdicts["fast"]) == ("equivalent", "regressed")
    policy.write_text('threshold = 0.3\n[[rule]]\nmetric = "x"\nignore = "flaky"\n')
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


def other_machine(record: dict[str, Any]) -> dict[str, Any]:
    record["metadata"]["cpu_model_name"] = "Example 2"
    return record


def test_bad_input_goes_before_incomparable_environments(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", pyperf())
    bytes_used = other_machine(pyperf())
    bytes_used["metadata"]["unit"] = "byte"
    ran = ntbbench("gate", base, written(tmp_path / "b.json", bytes_used))
    assert (ran.code, "unit of 'bench'" in ran.err) == (2, True)
    fewer = written(tmp_path / "c.json", other_machine(pyperf(processes=9)))
    ran = ntbbench("gate", base, fewer, "--paired")
    assert (ran.code, "--paired" in ran.err) == (2, True)
    assert ntbbench("gate", base, fewer).code == 5


@pytest.mark.parametrize("option", ["--html", "--write"])
def test_an_output_that_cannot_be_written_is_bad_input(ntbbench, tmp_path: Path, option) -> None:
    base = written(tmp_path / "a.json", pyperf())
    new = written(tmp_path / "b.json", other_machine(pyperf()))
    for path in (tmp_path, tmp_path / "none" / "x"):
        ran = ntbbench("gate", base, new, option, f"md={path}" if option == "--write" else path)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"ntbbench: output: '{path}'")


def test_a_policy_that_is_not_there_is_named(ntbbench, tmp_path: Path) -> None:
    runs = runs_csv(tmp_path / "r.csv", {"a": samples(1, 5), "b": samples(2, 5)})
    ran = ntbbench("gate", "--runs", runs, "--policy", tmp_path / "none.toml")
    assert ran.code == 2
    assert ran.err == f"ntbbench: --policy: '{tmp_path / 'none.toml'}': No such file or directory\n"


@pytest.mark.parametrize("old", [True, False])
def test_datagrams_that_did_not_arrive_are_no_throughput(ntbbench, tmp_path: Path, old) -> None:
    sides = []
    for name, lost in (("a", 0.5), ("b", 20.0)):
        runs = [iperf3_udp(1e8, lost + i / 10, old=old) for i in range(6)]
        sides.append(tmp_path / f"{name}.json")
        sides[-1].write_text("\n".join(map(json.dumps, runs)))
    ran = ntbbench("gate", *sides, "--format", "json")
    assert ran.code == 1
    assert {m: c["verdict"] for m, c in ran.comparisons.items()} == {
        "throughput": "regressed",
        "lost_percent": "regressed",
    }
    assert ran.comparisons["throughput"]["ratio"] == pytest.approx(0.804, abs=0.002)
    # What one run's sender sent each second says nothing of what arrived.
    for side in sides:
        side.write_text(side.read_text().splitlines()[0])
    ran = ntbbench("gate", *sides, "--format", "json")
    assert ran.comparisons["throughput"]["n_base"] == 1
    assert ran.comparisons["throughput"]["ratio"] == pytest.approx(0.804, abs=0.002)


def test_both_ways_of_a_bidirectional_run(ntbbench, tmp_path: Path) -> None:
    base, new = iperf3(1e9), iperf3(1e9)
    for record, back in ((base, 2e9), (new, 1e9)):
        for second, rate in zip(
            record["intervals"][:-1], samples(5, 10, back, back / 200), strict=True
        ):
            second["sum_bidir_reverse"] = {"bits_per_second": rate, "seconds": 1.0}
    ran = ntbbench(
        "gate",
        written(tmp_path / "a.json", base),
        written(tmp_path / "b.json", new),
        "--format",
        "json",
    )
    assert {m: c["verdict"] for m, c in ran.comparisons.items()} == {
        "throughput": "equivalent",
        "throughput_reverse": "regressed",
    }


@pytest.mark.parametrize("value", ["1e-320", "1e200", "1.7e308"])
def test_numbers_that_cannot_be_computed_with_are_bad_input(ntbbench, tmp_path, value) -> None:
    runs = tmp_path / "r.csv"
    runs.write_text(f"a,b\n1,2\n1,{value}\n")
    ran = ntbbench("gate", "--runs", runs)
    assert (ran.code, "row 2, column 'b'" in ran.err) == (2, True)
    record = pytest_benchmark(1, 3)
    record["benchmarks"][0]["stats"]["data"][1] = float(value)
    ran = ntbbench("gate", *[written(tmp_path / "a.json", record)] * 2)
    assert (ran.code, "1e-75 to 1e75" in ran.err) == (2, True)


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


def test_pyperf_packs_its_files(ntbbench, tmp_path: Path) -> None:
    packed = tmp_path / "a.json.gz"
    packed.write_bytes(gzip.compress(json.dumps(pyperf()).encode()))
    plain = written(tmp_path / "b.json", pyperf())
    assert ntbbench("gate", packed, plain).code == 0
    whole = packed.read_bytes()
    for damaged in (whole[:-9], whole[:3], whole[:40] + b"xx" + whole[42:]):
        packed.write_bytes(damaged)
        ran = ntbbench("gate", packed, plain)
        assert (ran.code, "gzip" in ran.err) == (2, True)


def test_a_pipe_is_read_once(ntbbench, tmp_path: Path) -> None:
    runs = runs_csv(tmp_path / "r.csv", {"m": samples(1, 8), "k": samples(2, 8)})
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(runs.read_bytes()))
    writer.start()
    ran = ntbbench("gate", pipe, runs)
    writer.join()
    assert (ran.code, ran.err) == (0, "")


def test_rows_that_make_no_pair_at_all_are_told_as_such(ntbbench, tmp_path: Path) -> None:
    runs = tmp_path / "r.csv"
    runs.write_text("a,b\n" + "1,\n" * 6 + ",2\n" * 6)
    ran = gate_runs(ntbbench, runs, "--paired")
    (found,) = ran.report["comparisons"]
    assert (ran.code, found["verdict"]) == (4, "inconclusive")
    assert found["reason"] == "no row has a number on both sides"
    assert gate_runs(ntbbench, runs).code == 1


def test_a_negative_count_is_bad_input(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", sweep())
    ran = ntbbench("gate", base, written(tmp_path / "b.json", changed(sweep(), 0, wakeups=-1)))
    assert (ran.code, ":wakeups: -1: a count" in ran.err) == (2, True)


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


@pytest.mark.parametrize("arguments", [["--runs", "/dev/zero"], ["/dev/zero", "/dev/zero"]])
def test_a_device_is_no_input(ntbbench, arguments: list[str]) -> None:
    ran = ntbbench("gate", *arguments)
    assert (ran.code, ran.err) == (2, "ntbbench: input: '/dev/zero': a file or a pipe, no device\n")


@pytest.mark.parametrize("as_runs", [True, False])
def test_a_pipe_and_a_packed_file_end_at_the_largest_size(
    ntbbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_runs: bool
) -> None:
    monkeypatch.setattr("ntbbench.analyse.sources.checked.LARGEST", 1000)
    text = b"a,b\n" + b"1,2\n" * 400
    packed = tmp_path / "a.json"
    packed.write_bytes(gzip.compress(text))
    ran = ntbbench("gate", packed, packed)
    assert (ran.code, "at most 1000 bytes" in ran.err) == (2, True)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(text))
    writer.start()
    ran = ntbbench("gate", *(["--runs", pipe] if as_runs else [pipe, packed]))
    writer.join()
    assert (ran.code, "at most 1000 bytes" in ran.err) == (2, True)


def test_a_run_that_failed_is_named_by_its_file(ntbbench, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    for i in range(3):
        written(folder / f"{i}.json", iperf3(1e9, i))
    written(folder / "1.json", iperf3(1e9) | {"error": "the server is busy"})
    ran = ntbbench("gate", folder, folder)
    assert (ran.code, ran.out) == (2, "")
    told = f"input: {str(folder / '1.json')!r}: this run of iperf3 failed: the server is busy"
    assert told in ran.err


def test_an_error_of_the_system_names_the_file(ntbbench, tmp_path: Path, monkeypatch) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 8), "b": samples(2, 8)})
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "none" / "summary.md"))
    ran = ntbbench("gate", "--runs", path, "--format", "github")
    assert ran.code == 2
    assert ran.err.endswith("none/summary.md': No such file or directory\n")
    assert "Errno" not in ran.err


@pytest.mark.parametrize("odd", ["environment", "metrics", "count"])
def test_the_file_of_a_folder_that_is_no_run_of_the_same_is_named(
    ntbbench, tmp_path: Path, odd: str
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    for i in range(3):
        written(folder / f"{i}.json", pytest_benchmark(i))
    other = pytest_benchmark(1, **({"renamed": 1e-3} if odd == "metrics" else {}))
    if odd == "environment":
        other["machine_info"]["cpu"]["flags"] = ["avx9"]
    if odd == "count":
        other["benchmarks"][0]["extra_info"]["instructions"] = 7
    written(folder / "1.json", other)
    ran = ntbbench("gate", folder, folder)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"ntbbench: input: {str(folder / '1.json')!r}: the ")


def test_raw_runs_go_with_mail_only(ntbbench, tmp_path: Path) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 8), "b": samples(2, 8)})
    ran = ntbbench("gate", "--runs", path, "--raw")
    told = "ntbbench: --raw: '--format text': goes with --format mail only\n"
    assert (ran.code, ran.err) == (2, told)
