# SPDX-License-Identifier: BSD-3-Clause
"""What `lab pair explore` and `replay-schedule` refuse before anything is booted."""

import json
from pathlib import Path

import pytest

from ntbbench.cli.main import main

FOUND = Path(__file__).parents[1] / "golden" / "inputs" / "explore.json"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["explore", "--seeds", "5", "--minutes", "1"], "--minutes: 1: not with --seeds"),
        (["explore", "--cpus", "5"], "--cpus"),
        (["explore", "--workload", "traffic,none"], "--workload"),
        (["explore", "--strategy", "luck"], "--strategy"),
        (["explore", "--compare", "no-such-file.c"], "--compare"),
        (["replay-schedule", str(FOUND), "--seed", "7"], "--seed"),
        (["replay-schedule", str(FOUND), "--driver", str(FOUND)], "--driver"),
    ],
)
def test_bad_input_is_refused(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "pair", *words]) == 2
    error = capsys.readouterr().err
    assert told.partition(":")[0] in error and error.count("\n") == 1


def test_a_result_without_a_finding_has_no_schedule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(FOUND.read_text()) | {"findings": []}
    (tmp_path / "found.json").write_text(json.dumps(found))
    assert main(["lab", "pair", "replay-schedule", str(tmp_path / "found.json")]) == 2
    assert "with a finding" in capsys.readouterr().err


def test_the_gate_goes_seed_by_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A seed that failed and holds is better; one that held and fails is a regression."""
    found = json.loads(FOUND.read_text())
    points = [point | {"outcome": "holds", "words": ""} for point in found["points"]]
    sound = tmp_path / "sound.json"
    sound.write_text(json.dumps(found | {"points": points, "findings": []}))
    assert main(["gate", str(FOUND), str(sound)]) == 0
    assert main(["gate", str(sound), str(FOUND)]) == 1
    assert "traffic/random/seed 0:outcome" in capsys.readouterr().out
