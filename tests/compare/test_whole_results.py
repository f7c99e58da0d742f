# SPDX-License-Identifier: BSD-3-Clause
"""What is ignored silences itself alone, and an unfinished result says that it is."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from compare_data import compat, lab, pytest_benchmark, sweep, written
from compare_runs import FORMATS

from ntbbench.cli.main import main


def ignoring(path: Path, *patterns: str) -> list[str]:
    text = "".join(f'[[rule]]\npattern = "{p}"\nignore = "we know"\n' for p in patterns)
    (path / "p.toml").write_text(text)
    return ["--policy", str(path / "p.toml")]


def without_points(count: int) -> dict[str, Any]:
    record = sweep()
    record["points"] = record["points"][count:]
    return record


def test_a_point_that_is_gone_is_missing_whatever_is_said_of_its_status(gated, tmp_path) -> None:
    both = sweep(), without_points(2)
    for pair in (both, both[::-1]):
        ran = gated(*pair, *ignoring(tmp_path, "*:status"))
        gone = {m.rpartition(":")[0] for m, c in ran.comparisons.items() if "missing" in c}
        assert (ran.code, len(gone)) == (4, 2)
        assert "wakeups" in {metric.rpartition(":")[2] for metric in ran.comparisons}
    ran = gated(*both)
    assert (ran.code, ran.report["totals"]["missing"]) == (4, 2)  # a point is one finding


def test_ignoring_all_of_a_point_ignores_it(gated, tmp_path: Path) -> None:
    for pattern, code in (("generic/fallback/q1/d4/*", 0), ("generic/fallback/q2/*", 4)):
        ran = gated(sweep(), without_points(1), *ignoring(tmp_path, pattern))
        assert ran.code == code


def unavailable() -> dict[str, Any]:
    record = sweep()
    kept = ("hardware", "dispatch", "queues_requested", "doorbells", "vectors", "workload", "drain")
    point = {key: record["points"][0][key] for key in kept} | {"status": "unavailable"}
    record["points"][0] = point
    return record


def test_a_point_that_became_unavailable_is_told_by_its_counts(gated, tmp_path: Path) -> None:
    for options, expected in (([], (1, 0)), (ignoring(tmp_path, "*:status"), (4, 12))):
        ran = gated(sweep(), unavailable(), *options)
        assert (ran.code, ran.report["totals"]["missing"]) == expected


def test_a_verdict_that_is_ignored_hides_no_amplification(gated, tmp_path: Path) -> None:
    down, policy = compat(ep7="link-down"), ignoring(tmp_path, "*:verdict")
    assert gated(compat(), down).code == 1
    ran = gated(compat(), down, *policy)
    missing = [metric for metric, c in ran.comparisons.items() if "missing" in c]
    assert (ran.code, missing) == (4, ["rc-to-ep/ep 7/rc 5:amplification"])
    assert gated(down, down, *policy).code == 0


def test_a_count_that_is_called_status_is_no_point(gated, tmp_path: Path) -> None:
    base, new = pytest_benchmark(), pytest_benchmark()
    policy = ignoring(tmp_path, "*:status")
    base["benchmarks"][0]["extra_info"] = {"status": 0, "wakeups": 4}
    for counts, options, code, regressed, missing in (
        ({"wakeups": 400}, policy, 1, 1, 0),
        ({"wakeups": 400}, [], 4, 1, 1),
        ({"status": 0}, [], 4, 0, 1),
        ({}, policy, 4, 0, 1),
    ):
        new["benchmarks"][0]["extra_info"] = counts
        ran = gated(base, new, *options)
        totals = ran.report["totals"]
        assert (ran.code, totals["regressed"], totals["missing"]) == (code, regressed, missing)


def test_what_is_ignored_of_a_lab_hides_nothing_else(gated, tmp_path: Path) -> None:
    worse = lab(agrees=False, runs_per_qp=[150, 151])
    ran = gated(lab(), worse, *ignoring(tmp_path, "*:agrees"))
    assert (ran.code, ran.report["totals"]["regressed"]) == (1, 1)


def unfinished(record: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(record) | {"complete": False}


@pytest.mark.parametrize("report", FORMATS)
@pytest.mark.parametrize("which", ["a", "b", "ab"])
def test_an_unfinished_result_is_told_in_every_format(
    ntbbench, sides, tmp_path: Path, report: str, which: str
) -> None:
    """Also where all else is the same, and once: it holds for every metric."""
    files = sides(*(unfinished(sweep()) if side in which else sweep() for side in "ab"))
    page = tmp_path / "page.html"
    for command in ("gate", "compare"):
        ran = ntbbench(command, *files, "--format", report, "--html", page)
        assert (ran.code, ran.err) == (0, "")
        assert "unfinished: a result is not complete" in page.read_text()
        if report == "csv":
            assert "unfinished" in ran.out
            continue
        assert ran.out.count("unfinished") == 1
        assert f"its guest died: {', '.join(which)}" in " ".join(ran.out.split())
    whole = ntbbench("gate", *sides(sweep(), sweep()), "--format", report)
    assert "unfinished" not in whole.out


def test_an_unfinished_result_hides_no_regression(gated) -> None:
    worse = unfinished(sweep(2, 12))
    timing = worse["points"][3]["ns_per_dispatch"]
    timing["samples"] = [x * 10 for x in timing["samples"]]
    worse["points"][2]["wakeups"] += 1
    ran = gated(sweep(1, 12), worse)
    assert (ran.code, ran.report["totals"]["regressed"]) == (1, 2)
    assert [w["code"] for w in ran.report["warnings"]] == ["unfinished"]


def test_the_policy_can_refuse_unfinished_results(ntbbench, sides, gated) -> None:
    refuse, worse = ("--fatal-warning", "unfinished"), unfinished(sweep())
    for command in ("gate", "compare"):
        ran = ntbbench(command, *sides(sweep(), worse), *refuse, "--format", "json")
        assert (ran.code, ran.report["exit_code"]) == (3, 3)
        assert "a warning that the policy calls fatal: unfinished" in ran.report["causes"][0]
    worse["points"][0]["wakeups"] += 1
    assert gated(sweep(), worse, *refuse).code == 1


def test_one_unfinished_run_of_several_is_told(ntbbench, sides) -> None:
    files = sides(sweep(), unfinished(sweep()))
    ran = ntbbench("gate", files[0], ",".join(files), "--format", "json")
    assert [w["code"] for w in ran.report["warnings"]] == ["unfinished"]


def test_an_unfinished_simulation_is_told(ntbbench, tmp_path: Path, result_file: Path) -> None:
    cut = tmp_path / "cut.json"
    text, count = re.subn(r'("complete": ?)true', r"\1false", result_file.read_text())
    cut.write_text(text)
    assert count == 1
    assert "unfinished" in ntbbench("compare", result_file, cut).out
    assert "unfinished" not in ntbbench("compare", result_file, result_file).out


def test_histories_and_calibrations_say_it_too(tmp_path: Path, capsys) -> None:
    cut = written(tmp_path / "cut.json", unfinished(sweep()))
    store = str(tmp_path / "s.sqlite")
    assert main(["history", "add", cut, "--commit", "one", "--store", store]) == 0
    told = "ntbbench: 'cut': unfinished: a result is not complete"
    assert capsys.readouterr().err.startswith(told)
    whole = written(tmp_path / "whole.json", sweep())
    assert main(["calibrate", cut, whole, whole, whole]) == 0
    assert capsys.readouterr().err.startswith(told)
