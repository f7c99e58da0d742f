# SPDX-License-Identifier: BSD-3-Clause
"""A change between two single processes: the noise between processes is unknown then."""

from pathlib import Path

import pytest
from compare_data import iperf3, pytest_benchmark, sweep, written

from ntbbench.compare.policy import ONE_PROCESS_ALLOWANCE, load_policy
from ntbbench.compare.warning_list import GATHER, ONE_PROCESS, gather_more

NAME = "benches/test_x.py::test_scan"
BELOW, ABOVE = 1 + 0.8 * ONE_PROCESS_ALLOWANCE, 1 + 1.5 * ONE_PROCESS_ALLOWANCE


def files(tmp_path: Path, factor: float, n: int = 50) -> tuple[str, str]:
    base = written(tmp_path / "a.json", pytest_benchmark(1, n, test_scan=1e-3))
    new = written(tmp_path / "b.json", pytest_benchmark(2, n, test_scan=factor * 1e-3))
    return base, new


def test_a_change_below_the_allowance_is_inconclusive(ntbbench, tmp_path: Path) -> None:
    """Fifty rounds are far apart, and all of one process: they say nothing of the next process."""
    ran = ntbbench("gate", *files(tmp_path, BELOW), "--format", "json")
    found = ran.comparisons[NAME]
    assert (ran.code, found["verdict"]) == (0, "inconclusive")
    assert found["p_adjusted"] < 0.001
    assert found["reason"].startswith(f"{ONE_PROCESS}: a change below 75 %")
    remedies = [w["remedy"] for w in found["warnings"] if w["code"] == ONE_PROCESS]
    assert remedies == [gather_more("pytest-benchmark")]
    assert "ntbbench gate before after" in remedies[0]
    text = ntbbench("gate", *files(tmp_path, BELOW)).out
    assert "one-process: a change below 75 % may be the noise between" in " ".join(text.split())
    assert "would settle it" not in text
    for form in ("text", "mail", "md", "json"):
        told = " ".join(ntbbench("gate", *files(tmp_path, BELOW), "--format", form).out.split())
        assert "1 metric of one process is not judged" in told, form
        assert "pytest --benchmark-json=after/$i.json" in told.replace("\\$", "$"), form
    assert ntbbench("gate", *files(tmp_path, BELOW), "--fail-inconclusive").code == 3


def test_the_allowance_holds_in_either_direction(ntbbench, tmp_path: Path) -> None:
    for factor, verdict, code in (
        (1 / BELOW, "inconclusive", 0), (1 / ABOVE, "improved", 0), (ABOVE, "regressed", 1)
    ):  # fmt: skip
        ran = ntbbench("gate", *files(tmp_path, factor), "--format", "json")
        assert (ran.comparisons[NAME]["verdict"], ran.code) == (verdict, code)


def test_no_change_of_one_process_is_equivalent_still(ntbbench, tmp_path: Path) -> None:
    ran = ntbbench("gate", *files(tmp_path, 1.0), "--format", "json")
    assert ran.comparisons[NAME]["verdict"] == "equivalent"


def test_the_policy_states_the_allowance(ntbbench, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    for text, code in (("0.0", 1), ('"5%"', 1), ("0.9", 0), ('"150%"', 0)):
        policy.write_text(f"one_process_allowance = {text}")
        assert ntbbench("gate", *files(tmp_path, BELOW), "--policy", policy).code == code
    for text in ("2", '"x"', "-0.1", "true"):
        policy.write_text(f"one_process_allowance = {text}")
        ran = ntbbench("gate", *files(tmp_path, BELOW), "--policy", policy)
        assert ran.code == 2
        assert "one_process_allowance" in ran.err


def test_few_rounds_far_beyond_the_allowance_are_not_passed(ntbbench, tmp_path: Path) -> None:
    """Item by item: 3 rounds show nothing, 5 rounds ten times slower are an effect or a test."""
    assert ntbbench("gate", *files(tmp_path, 10.0, 3)).code == 3
    assert ntbbench("gate", *files(tmp_path, BELOW, 3)).code == 3
    assert ntbbench("gate", *files(tmp_path, 10.0, 5)).code == 1


def test_five_rounds_of_one_process_wait_for_processes_not_for_rounds(
    ntbbench, tmp_path: Path
) -> None:
    names = {f"t{i}": 1e-3 for i in range(10)}
    base = written(tmp_path / "a.json", pytest_benchmark(1, 5, **names))
    new = written(tmp_path / "b.json", pytest_benchmark(2, 5, **names | {"t0": BELOW * 1e-3}))
    ran = ntbbench("gate", base, new, "--format", "json")
    found = ran.comparisons["benches/test_x.py::t0"]
    assert (ran.code, found["verdict"]) == (0, "inconclusive")
    assert found["reason"].startswith(ONE_PROCESS)


def test_files_of_several_processes_need_no_allowance(ntbbench, tmp_path: Path) -> None:
    sides = []
    for side, factor in (("a", 1.0), ("b", BELOW)):
        (tmp_path / side).mkdir()
        sides.append(tmp_path / side)
        for i in range(6):
            record = pytest_benchmark(10 * i + ord(side), 9, test_scan=factor * 1e-3)
            written(tmp_path / side / f"{i}.json", record)
    ran = ntbbench("gate", *sides, "--format", "json")
    found = ran.comparisons[NAME]
    assert (ran.code, found["verdict"]) == (1, "regressed")
    assert ONE_PROCESS not in {w["code"] for w in found["warnings"]}


def test_one_connection_and_one_sweep_are_one_process(ntbbench, tmp_path: Path) -> None:
    pairs = {
        "throughput": (iperf3(1e9), iperf3(1e9 / BELOW, 7)),
        "generic/fallback/q1/d4/v1/round-robin/drain1:ns_per_dispatch": (
            sweep(1, 12),
            sweep(2, 12),
        ),
    }
    for name, (base, new) in pairs.items():
        for cell in new.get("points", []):
            timing = cell["ns_per_dispatch"]
            timing["samples"] = [BELOW * x for x in timing["samples"]]
        paths = written(tmp_path / "a.json", base), written(tmp_path / "b.json", new)
        ran = ntbbench("gate", *paths, "--format", "json")
        assert ran.comparisons[name]["reason"].startswith(ONE_PROCESS), name
        assert ran.code == 0


def test_calibrated_thresholds_hold_the_noise_of_processes(ntbbench, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    runs = [written(tmp_path / f"{i}.json", pytest_benchmark(i, 30)) for i in range(6)]
    assert ntbbench("calibrate", *runs, "-o", policy).code == 0
    assert load_policy(policy).one_process_allowance == 0
    assert ntbbench("gate", *files(tmp_path, BELOW), "--policy", policy).code == 1


@pytest.mark.parametrize("source", [*GATHER, "csv"])
def test_each_format_says_how_to_run_more(source: str) -> None:
    assert gather_more(source).endswith("the same for before/; ntbbench gate before after")
