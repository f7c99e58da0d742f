# SPDX-License-Identifier: BSD-3-Clause
"""Medians and counts as a base: what a gate still finds, and what it says it cannot."""

import json
from pathlib import Path

import pytest
from golden_cases import INPUTS

BENCH = INPUTS / "bench-base.json"
OWN = ("sweep-base", "simulation-base", "pair-run", "lab-netdev", "series-v1", "pair-hosts")


@pytest.fixture
def baseline(ntbbench, tmp_path: Path):
    def made(result: Path) -> Path:
        path = tmp_path / f"thin-{result.name}"
        ran = ntbbench("show", result, "--medians", "--write", f"json={path}")
        assert ran.code == 0
        return path

    return made


@pytest.mark.parametrize("name", [*OWN, "bench-base"])
def test_a_result_equals_its_own_medians_and_counts(name: str, baseline, ntbbench) -> None:
    result = INPUTS / f"{name}.json"
    ran = ntbbench("gate", baseline(result), result, "--format", "json")
    whole = ntbbench("gate", result, result, "--format", "json").report["comparisons"]
    found = ran.report["comparisons"]
    assert [c["metric"] for c in found] == [c["metric"] for c in whole]
    exact = [c["verdict"] for c in found if c["kind"] == "exact"]
    assert exact == [c["verdict"] for c in whole if c["kind"] == "exact"]
    noisy = [c for c in found if c["kind"] == "noisy"]
    assert {c["verdict"] for c in noisy} <= {"inconclusive"}
    assert ran.code == (3 if noisy else 0)


def test_bounds_meet_a_number_in_a_baseline_too(baseline, ntbbench) -> None:
    """Of two hosts, one way of which is only bounded in the newer result."""
    bounded, exact = INPUTS / "pair-hosts-new.json", INPUTS / "pair-hosts.json"
    ran = ntbbench("gate", baseline(bounded), exact, "--format", "json")
    whole = ntbbench("gate", bounded, exact, "--format", "json")
    verdicts = {c["metric"]: c["verdict"] for c in ran.report["comparisons"]}
    assert verdicts == {c["metric"]: c["verdict"] for c in whole.report["comparisons"]}
    assert ran.code == whole.code == 1  # the old host wakes more queues
    reasons = {c["reason"] for c in ran.report["comparisons"] if c["verdict"] == "inconclusive"}
    assert reasons == {"the bounds overlap"}


def test_a_count_is_gated_and_a_time_is_shown(baseline, ntbbench, tmp_path: Path) -> None:
    base, slow, more = baseline(BENCH), json.loads(BENCH.read_bytes()), tmp_path / "more.json"
    for benchmark in slow["benchmarks"]:
        benchmark["stats"]["data"] = [3 * one for one in benchmark["stats"]["data"]]
    (tmp_path / "slow.json").write_text(json.dumps(slow))
    slow["benchmarks"][0]["extra_info"]["instructions"] += 1
    more.write_text(json.dumps(slow))
    policy = tmp_path / "policy.toml"
    policy.write_text('gate_on = "exact"\n')
    assert ntbbench("gate", base, tmp_path / "slow.json").code == 3
    assert ntbbench("gate", base, tmp_path / "slow.json", "--policy", policy).code == 0
    ran = ntbbench("gate", base, more, "--policy", policy)
    assert ran.code == 1
    assert "+200.0 %" in ran.out  # a change that was not tested is shown all the same


def test_another_machine_is_refused_as_of_the_whole_result(baseline, ntbbench, tmp_path) -> None:
    other = json.loads(BENCH.read_bytes())
    other["machine_info"]["cpu"]["brand_raw"] = "Example 2"
    path = tmp_path / "other.json"
    path.write_text(json.dumps(other))
    assert ntbbench("gate", baseline(BENCH), path).code == 5


def test_thousands_of_rounds_become_one_number(baseline, tmp_path: Path) -> None:
    result = json.loads(BENCH.read_bytes())
    for benchmark in result["benchmarks"]:
        benchmark["stats"]["data"] *= 10_000
    path = tmp_path / "long.json"
    path.write_text(json.dumps(result))
    thin = baseline(path)
    assert thin.stat().st_size < 4000 < path.stat().st_size // 1000
    assert {one["n"] for one in json.loads(thin.read_bytes())["metrics"] if "n" in one} == {120_000}


@pytest.mark.parametrize("value", [-1.0, "1 s", None, 1e300])
def test_a_damaged_median_is_refused(value, baseline, ntbbench, tmp_path: Path) -> None:
    path = baseline(BENCH)
    thin = json.loads(path.read_bytes())
    noisy = next(one for one in thin["metrics"] if one["kind"] == "noisy")
    noisy["value"] = value
    path.write_text(json.dumps(thin))
    ran = ntbbench("gate", path, BENCH)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert f"{path}: {noisy['metric']}" in ran.err
