# SPDX-License-Identifier: BSD-3-Clause
"""What is ignored silences itself alone, and an unfinished result says that it is."""

import copy
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


def sides(path: Path, base: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [written(path / "a.json", base), written(path / "b.json", new)]


def without_points(count: int) -> dict[str, Any]:
    record = sweep()
    record["points"] = record["points"][count:]
    return record


def test_a_point_that_is_gone_is_missing_whatever_is_said_of_its_status(ntbbench, tmp_path) -> None:
    files = sides(tmp_path, sweep(), without_points(2))
    for order in (files, files[::-1]):
        ran = ntbbench("gate", *order, *ignoring(tmp_path, "*:status"), "--format", "json")
        assert ran.code == 4
        gone = {c["metric"].rpartition(":")[0] for c in ran.report["comparisons"] if "missing" in c}
        assert len(gone) == 2
        assert "wakeups" in {c["metric"].rpartition(":")[2] for c in ran.report["comparisons"]}
    ran = ntbbench("gate", *files, "--format", "json")
    assert (ran.code, ran.report["totals"]["missing"]) == (4, 2)  # a point is one finding


def test_ignoring_all_of_a_point_ignores_it(ntbbench, tmp_path: Path) -> None:
    first = "generic/fallback/q1/d4/*"
    files = sides(tmp_path, sweep(), without_points(1))
    assert ntbbench("gate", *files, *ignoring(tmp_path, first)).code == 0
    assert ntbbench("gate", *files, *ignoring(tmp_path, "generic/fallback/q2/*")).code == 4


def unavailable() -> dict[str, Any]:
    record = sweep()
    kept = ("hardware", "dispatch", "queues_requested", "doorbells", "vectors", "workload", "drain")
    point = {key: record["points"][0][key] for key in kept} | {"status": "unavailable"}
    record["points"][0] = point
    return record


def test_a_point_that_became_unavailable_is_told_by_its_counts(ntbbench, tmp_path: Path) -> None:
    files = sides(tmp_path, sweep(), unavailable())
    ran = ntbbench("gate", *files, "--format", "json")
    assert (ran.code, ran.report["totals"]["missing"]) == (1, 0)
    ran = ntbbench("gate", *files, *ignoring(tmp_path, "*:status"), "--format", "json")
    assert (ran.code, ran.report["totals"]["missing"]) == (4, 12)


def test_a_verdict_that_is_ignored_hides_no_amplification(ntbbench, tmp_path: Path) -> None:
    files = sides(tmp_path, compat(), compat(ep7="link-down"))
    assert ntbbench("gate", *files).code == 1
    ran = ntbbench("gate", *files, *ignoring(tmp_path, "*:verdict"), "--format", "json")
    (missing,) = [c["metric"] for c in ran.report["comparisons"] if "missing" in c]
    assert (ran.code, missing) == (4, "rc-to-ep/ep 7/rc 5:amplification")
    same = sides(tmp_path, compat(ep7="link-down"), compat(ep7="link-down"))
    assert ntbbench("gate", *same, *ignoring(tmp_path, "*:verdict")).code == 0


def test_a_count_that_is_called_status_is_no_point(ntbbench, tmp_path: Path) -> None:
    base, new = pytest_benchmark(), pytest_benchmark()
    base["benchmarks"][0]["extra_info"] = {"status": 0, "wakeups": 4}
    new["benchmarks"][0]["extra_info"] = {"wakeups": 400}
    files = sides(tmp_path, base, new)
    policy = ignoring(tmp_path, "*:status")
    ran = ntbbench("gate", *files, *policy, "--format", "json")
    assert (ran.code, ran.report["totals"]["regressed"]) == (1, 1)
    ran = ntbbench("gate", *files, "--format", "json")
    assert (ran.code, ran.report["totals"]["regressed"]) == (4, 1)
    new["benchmarks"][0]["extra_info"] = {"status": 0}
    assert ntbbench("gate", *sides(tmp_path, base, new)).code == 4
    del new["benchmarks"][0]["extra_info"]["status"]
    ran = ntbbench("gate", *sides(tmp_path, base, new), *policy, "--format", "json")
    assert (ran.code, ran.report["totals"]["missing"]) == (4, 1)


def test_what_is_ignored_of_a_lab_hides_nothing_else(ntbbench, tmp_path: Path) -> None:
    files = sides(tmp_path, lab(), lab(agrees=False, runs_per_qp=[150, 151]))
    ran = ntbbench("gate", *files, *ignoring(tmp_path, "*:agrees"), "--format", "json")
    assert (ran.code, ran.report["totals"]["regressed"]) == (1, 1)


def unfinished(record: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(record) | {"complete": False}


@pytest.mark.parametrize("report", FORMATS)
@pytest.mark.parametrize("which", [(True, False), (False, True), (True, True)])
def test_an_unfinished_result_is_told_in_every_format(
    ntbbench, tmp_path: Path, report: str, which: tuple[bool, bool]
) -> None:
    """Also where all else is the same, and once: it holds for every metric."""
    records = [unfinished(sweep()) if cut else sweep() for cut in which]
    for command in ("gate", "compare"):
        ran = ntbbench(command, *sides(tmp_path, *records), "--format", report)
        assert (ran.code, ran.err) == (0, "")
        assert "unfinished" in ran.out
        if report != "csv":
            assert ran.out.count("unfinished") == 1
            named = ", ".join(name for name, cut in zip("ab", which, strict=True) if cut)
            assert f"its guest died: {named}" in " ".join(ran.out.split())
    whole = ntbbench("gate", *sides(tmp_path, sweep(), sweep()), "--format", report)
    assert "unfinished" not in whole.out


def test_an_unfinished_result_is_told_on_the_page(ntbbench, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    files = sides(tmp_path, sweep(), unfinished(sweep()))
    assert ntbbench("gate", *files, "--html", page).code == 0
    assert "unfinished: a result is not complete" in page.read_text()


def test_an_unfinished_result_hides_no_regression(ntbbench, tmp_path: Path) -> None:
    worse = unfinished(sweep(2, 12))
    timing = worse["points"][3]["ns_per_dispatch"]
    timing["samples"] = [x * 10 for x in timing["samples"]]
    worse["points"][2]["wakeups"] += 1
    ran = ntbbench("gate", *sides(tmp_path, sweep(1, 12), worse), "--format", "json")
    assert (ran.code, ran.report["totals"]["regressed"]) == (1, 2)
    assert [w["code"] for w in ran.report["warnings"]] == ["unfinished"]


def test_the_policy_can_refuse_unfinished_results(ntbbench, tmp_path: Path) -> None:
    files = sides(tmp_path, sweep(), unfinished(sweep()))
    for command in ("gate", "compare"):
        ran = ntbbench(command, *files, "--fatal-warning", "unfinished", "--format", "json")
        assert (ran.code, ran.report["exit_code"]) == (3, 3)
        assert "a warning that the policy calls fatal: unfinished" in ran.report["causes"][0]
    worse = unfinished(sweep())
    worse["points"][0]["wakeups"] += 1
    files = sides(tmp_path, sweep(), worse)
    assert ntbbench("gate", *files, "--fatal-warning", "unfinished").code == 1


def test_one_unfinished_run_of_several_is_told(ntbbench, tmp_path: Path) -> None:
    files = sides(tmp_path, sweep(), unfinished(sweep()))
    ran = ntbbench("gate", files[0], ",".join(files), "--format", "json")
    assert [w["code"] for w in ran.report["warnings"]] == ["unfinished"]


def test_an_unfinished_simulation_is_told(ntbbench, tmp_path: Path, result_file: Path) -> None:
    cut = tmp_path / "cut.json"
    text = result_file.read_text()
    assert '"complete":true' in text.replace(" ", "")
    cut.write_text(text.replace('"complete":true', '"complete":false').replace(
        '"complete": true', '"complete": false'
    ))  # fmt: skip
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
