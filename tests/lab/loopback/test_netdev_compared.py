# SPDX-License-Identifier: BSD-3-Clause
"""Flows over ntb_netdev compared and gated like any other result."""

import json
from pathlib import Path
from typing import Any

import pytest
from netdev_flows import FAST, GAP, IN_BOUNDS, SPACED, SPACED_RUNS, point, result

from ntbbench.cli.main import main
from ntbbench.core.result_file import write_json
from ntbbench.lab.netdev_client import predicted_runs


def saved(folder: Path, vectors: int, doorbells: list[int], runs: list[int]) -> Path:
    folder.mkdir()
    spaced = point(folder, vectors, GAP, doorbells, runs)
    fast = point(folder, vectors, 0, FAST, IN_BOUNDS)
    write_json(folder / "net.json", result(spaced, fast))
    return folder / "net.json"


def gated(*paths: Path, report: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the exit code, and each comparison by what is compared; `fast` before a fast one."""
    code = main(["gate", *map(str, paths), "--format", "json", "--write", f"json={report}"])
    found = json.loads(report.read_text())["comparisons"]
    names = [one["metric"].rpartition(":") for one in found]
    keys = [f"fast {name}" if "/fast/" in where else name for where, _, name in names]
    return code, dict(zip(keys, found, strict=True))


def test_a_patch_that_adds_runs_regresses(tmp_path: Path) -> None:
    base = saved(tmp_path / "a", 16, SPACED, predicted_runs(SPACED, 16))
    new = saved(tmp_path / "b", 16, SPACED, SPACED_RUNS)
    code, found = gated(base, new, report=tmp_path / "r.json")
    assert code == 1
    assert {name for name, one in found.items() if one["verdict"] == "regressed"} == {
        "runs", "runs beyond prediction", "agrees",
    }  # fmt: skip
    assert (found["runs"]["base_value"], found["runs"]["candidate_value"]) == (320, 480)
    throughput = found["fast throughput"]
    assert (throughput["kind"], throughput["unit"]) == ("noisy", "bit/s")
    assert found["doorbells"]["verdict"] == "equivalent"


def test_another_hash_of_the_flows_is_no_change(tmp_path: Path) -> None:
    """Each boot hashes them anew: three vectors over four QPs then give another sum of runs."""
    other = [60, 20, 50, 30]
    for vectors in (16, 2, 3, 0):
        paths = [
            saved(tmp_path / f"{vectors}-{i}", vectors, rung, predicted_runs(rung, vectors))
            for i, rung in enumerate((SPACED, other))
        ]
        code, found = gated(*paths, report=tmp_path / "r.json")
        assert code == 3  # the throughput of one boot a side is not tested
        assert ("runs" in found) == (vectors != 3)


def test_several_boots_are_samples_of_the_throughput(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path / f"{side}{i}", 16, SPACED, predicted_runs(SPACED, 16))
        for side in "ab"
        for i in range(3)
    ]
    sides = [",".join(map(str, paths[:3])), ",".join(map(str, paths[3:]))]
    report = tmp_path / "r.json"
    assert main(["gate", *sides, "--write", f"json={report}"]) == 3
    comparisons = json.loads(report.read_text())["comparisons"]
    (throughput,) = [one for one in comparisons if one["metric"].endswith("throughput")]
    assert (throughput["n_base"], throughput["n_candidate"]) == (3, 3)


@pytest.mark.parametrize(("old", "new"), [('"events":160', '"events":-1'), ('"gap_us"', '"gap"')])
def test_a_damaged_result_is_one_line(
    old: str, new: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "a", 16, SPACED, SPACED_RUNS)
    text = path.read_text()
    assert old in text
    bad = tmp_path / "bad.json"
    bad.write_text(text.replace(old, new))
    assert main(["gate", str(path), str(bad)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_emulated_throughput_is_not_compared_with_another(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", 16, SPACED, SPACED_RUNS)
    other = tmp_path / "b.json"
    other.write_text(path.read_text().replace('"tcg"', '"kvm"'))
    assert main(["gate", str(path), str(other)]) == 5
