# SPDX-License-Identifier: BSD-3-Clause
"""A change between two single processes: the noise between processes is unknown then."""

from pathlib import Path
from typing import Any

import pytest
from compare_data import iperf3, pytest_benchmark, sweep, written

from ntbbench.compare.policy import ONE_PROCESS_ALLOWANCE, load_policy
from ntbbench.compare.warning_list import ONE_PROCESS, gather_more

NAME = "benches/test_x.py::test_scan"
BELOW, ABOVE = 1 + 0.8 * ONE_PROCESS_ALLOWANCE, 1 + 1.5 * ONE_PROCESS_ALLOWANCE


def records(factor: float, n: int = 50) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        pytest_benchmark(1, n, test_scan=1e-3),
        pytest_benchmark(2, n, test_scan=factor * 1e-3),
    )


def test_a_change_below_the_allowance_is_inconclusive(ntbbench, sides, gated) -> None:
    """Fifty rounds are far apart, and all of one process: they say nothing of the next process."""
    ran = gated(*records(BELOW))
    found = ran.comparisons[NAME]
    assert (ran.code, found["verdict"]) == (0, "inconclusive")
    assert found["p_adjusted"] < 0.001
    assert found["reason"].startswith(f"{ONE_PROCESS}: a change below 75 %")
    (remedy,) = [w["remedy"] for w in found["warnings"] if w["code"] == ONE_PROCESS]
    assert remedy == gather_more("pytest-benchmark")
    assert "ntbbench gate before after" in remedy
    text = ntbbench("gate", *sides(*records(BELOW)), "-v").out
    assert "would settle it" not in text
    told = " ".join(text.split())
    assert "one-process: a change below 75 % may be the noise between" in told
    assert "1 metric of one process is not judged" in told
    assert gated(*records(BELOW), "--fail-inconclusive").code == 3


@pytest.mark.parametrize(
    ("factor", "verdict", "code"),
    [
        *((1 / BELOW, "inconclusive", 0), (1 / ABOVE, "improved", 0), (ABOVE, "regressed", 1)),
        (1.0, "equivalent", 0),
    ],
)
def test_the_allowance_holds_in_either_direction(gated, factor, verdict: str, code: int) -> None:
    ran = gated(*records(factor))
    assert (ran.comparisons[NAME]["verdict"], ran.code) == (verdict, code)


def test_the_policy_states_the_allowance(gated, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    taken = {"0.0": 1, '"5%"': 1, "0.9": 0, '"150%"': 0}
    for text, code in (taken | dict.fromkeys(("2", '"x"', "-0.1", "true"), 2)).items():
        policy.write_text(f"one_process_allowance = {text}")
        ran = gated(*records(BELOW), "--policy", policy)
        assert (ran.code, "one_process_allowance" in ran.err) == (code, code == 2)


def test_few_rounds_far_beyond_the_allowance_are_not_passed(gated) -> None:
    """Item by item: 3 rounds show nothing, 5 rounds ten times slower are an effect or a test."""
    for factor, rounds, code in ((10.0, 3, 3), (BELOW, 3, 3), (10.0, 5, 1)):
        assert gated(*records(factor, rounds)).code == code


def test_five_rounds_of_one_process_wait_for_processes_not_for_rounds(gated) -> None:
    names = {f"t{i}": 1e-3 for i in range(10)}
    slower = names | {"t0": BELOW * 1e-3}
    ran = gated(pytest_benchmark(1, 5, **names), pytest_benchmark(2, 5, **slower))
    found = ran.comparisons["benches/test_x.py::t0"]
    assert (ran.code, found["verdict"]) == (0, "inconclusive")
    assert found["reason"].startswith(ONE_PROCESS)


def test_files_of_several_processes_need_no_allowance(ntbbench, tmp_path: Path) -> None:
    for side, factor in (("a", 1.0), ("b", BELOW)):
        (tmp_path / side).mkdir()
        for i in range(6):
            record = pytest_benchmark(10 * i + ord(side), 9, test_scan=factor * 1e-3)
            written(tmp_path / side / f"{i}.json", record)
    ran = ntbbench("gate", tmp_path / "a", tmp_path / "b", "--format", "json")
    found = ran.comparisons[NAME]
    assert (ran.code, found["verdict"]) == (1, "regressed")
    assert ONE_PROCESS not in {w["code"] for w in found["warnings"]}


def test_one_connection_and_one_sweep_are_one_process(gated) -> None:
    slower = sweep(2, 12)
    for cell in slower["points"]:
        timing = cell["ns_per_dispatch"]
        timing["samples"] = [BELOW * x for x in timing["samples"]]
    name = "generic/fallback/q1/d4/v1/round-robin/drain1:ns_per_dispatch"
    for metric, base, new in (
        ("throughput", iperf3(1e9), iperf3(1e9 / BELOW, 7)), (name, sweep(1, 12), slower)
    ):  # fmt: skip
        ran = gated(base, new)
        assert ran.comparisons[metric]["reason"].startswith(ONE_PROCESS), metric
        assert ran.code == 0


def test_calibrated_thresholds_hold_the_noise_of_processes(ntbbench, gated, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    runs = [written(tmp_path / f"{i}.json", pytest_benchmark(i, 30)) for i in range(6)]
    assert ntbbench("calibrate", *runs, "-o", policy).code == 0
    assert load_policy(policy).one_process_allowance == 0
    assert gated(*records(BELOW), "--policy", policy).code == 1
