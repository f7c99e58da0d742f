# SPDX-License-Identifier: BSD-3-Clause
"""`compare` and `gate` from the command line: exit codes, what is refused, what is no file."""

import copy
import gzip
import json
import os
import threading
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
from golden_cases import INPUTS

QUIET, SLOW = samples(1, 10), samples(2, 10, 105)
NOISY = samples(3, 10, 100, 9)


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
def test_any_change_of_an_exact_metric_is_found(ntbbench, tmp_path, field, value, code, verdict):
    base = changed(sweep(), 0, race_check_runs=7)
    files = two(tmp_path, base, changed(base, 0, **{field: value}))
    ran = ntbbench("gate", *files, "--format=json")
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


def test_another_kernel_is_noted_not_refused(ntbbench, tmp_path: Path) -> None:
    other = sweep()
    other["environment"]["kernel"] = "7.4"
    ran = ntbbench("gate", *two(tmp_path, sweep(), other), "--format", "json")
    assert ran.code == 0
    assert any("7.4" in note for note in ran.report["environment"]["notes"])


def test_other_schemas_are_refused(ntbbench, tmp_path: Path) -> None:
    base, new = two(tmp_path, sweep(), sweep() | {"schema": "ntbbench.sweep/2"})
    assert ntbbench("gate", base, new).code == 5
    assert ntbbench("gate", base, written(tmp_path / "c.json", compat())).code == 5


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


CELLS = (
    "nan",
    "NaN",
    "inf",
    "-Infinity",
    "1e999",
    "two",
    "NA",
    " ",
    "-2",
    "1_000",
    "0x10",
    "\u0663",
)
CELLS += ("\u0663", "1e-320", "1e200", "1.7e308", '"2', "2,3", "\x00", "9" * 200_000)
BAD_RUNS = ["", "\n", "a,a\n1,2\n", "a,\n1,2\n", "a,b\n1\n", "1,2\n3,4\n", "a\nnan\n"]
BAD_RUNS += [f"a,b\n1,{cell}\n" for cell in CELLS]


@pytest.mark.parametrize("text", [*BAD_RUNS, "\udcff\udcfe"], ids=lambda text: repr(text)[:30])
def test_bad_runs_are_one_line_and_exit_2(ntbbench, tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text, errors="surrogateescape")
    ran = gate_runs(ntbbench, tmp_path / "t.csv")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith("ntbbench: ")


def test_one_column_and_empty_columns_are_4_with_json(ntbbench, tmp_path: Path) -> None:
    for name, text in (("one", "a\n1\n2\n"), ("none", "a,b\n"), ("gap", "a,b\n1,\n2,\n")):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        ran = gate_runs(ntbbench, path)
        assert (ran.code, ran.report["exit_code"]) == (4, 4)
        assert ntbbench("compare", "--runs", path).code == 4


@pytest.mark.parametrize("as_runs", [True, False])
def test_a_pipe_and_a_packed_file_end_at_the_largest_size(
    ntbbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_runs: bool
) -> None:
    monkeypatch.setattr("ntbbench.compare.readers.checked.RESULT_MAX", 1000)
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


def test_what_has_no_noisy_metric_tells_of_no_family(ntbbench) -> None:
    result = INPUTS / "pair-run.json"
    ran = ntbbench("gate", result, result, "-v")
    assert ran.code == 0
    assert "family" not in ran.out
