# SPDX-License-Identifier: BSD-3-Clause
"""hyperfine: a file of version 1.15, and what it leaves to be told."""

import json
from pathlib import Path
from typing import Any

import pytest
from compare_data import BENCHMARKS, written

from ntbbench.compare.readers.detect import load_variant

FILE = BENCHMARKS / "hyperfine.json"


def commands(*results: dict[str, Any]) -> dict[str, Any]:
    return {"results": [{"command": "x", "times": [0.1, 0.2], **result} for result in results]}


def test_every_run_is_a_process_and_a_sample() -> None:
    variant = load_variant(str(FILE))
    assert list(variant.series) == ["n=1", "n=1:failed", "n=2", "n=2:failed"]
    times = variant.series["n=1"]
    assert (times.unit, times.better, times.cautions) == ("s", "lower", ())
    assert times.samples is not None
    assert times.samples.tolist() == json.loads(FILE.read_text())["results"][0]["times"]
    assert variant.context["command of n=2"] == "sleep 0.02"
    assert (variant.environment, variant.cpu) == ({}, "cpu")


def test_parameters_that_tell_no_commands_apart_are_no_names(tmp_path: Path) -> None:
    for results in (
        ({"parameters": {"n": "1"}}, {"command": "y", "parameters": {"n": "1"}}),
        ({"parameters": {"n": "1"}}, {"command": "y"}),
        ({}, {"command": "y"}),
    ):
        variant = load_variant(written(tmp_path / "r.json", commands(*results)))
        assert list(variant.series) == ["x", "y"]


def test_memory_and_failed_runs(tmp_path: Path) -> None:
    one = {"memory_usage_byte": [1000, 3000], "exit_codes": [1, None, 0, 0]}
    series = load_variant(written(tmp_path / "r.json", commands(one))).series
    memory, failed = series["x:memory"], series["x:failed"]
    assert memory.samples is not None
    assert (memory.samples.tolist(), memory.unit, memory.better) == ([1000, 3000], "B", "lower")
    assert (failed.kind, failed.value, failed.better) == ("exact", 0.5, "lower")


def test_candidates_whose_runs_fail_regress(gated) -> None:
    ran = gated(commands({"exit_codes": [0, 0]}), commands({"exit_codes": [0, 1]}))
    assert (ran.code, ran.comparisons["x:failed"]["verdict"]) == (1, "regressed")
    notes = ran.report["environment"]["notes"]
    assert any(note.startswith("the CPU is not known") for note in notes)


def test_a_command_without_times_is_named(tmp_path: Path) -> None:
    record = commands({"times": None}, {"command": "y"}, {"command": "z", "times": [0.1, None]})
    variant = load_variant(written(tmp_path / "r.json", record))
    assert list(variant.series) == ["y"]
    assert list(variant.unread) == ["x", "z"]
    assert variant.unread["z"] == "sample 2 of 2: null, NaN or infinite"


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (commands({}, {}), "each name once"),
        (commands({"times": None}), "a metric with numbers; none has any"),
        (commands({"times": 7}), "$.results[0].times"),
        (commands({"command": "y"}, {"command": 7}), "$.results[1].command"),
    ],
)
def test_refusals(ntbbench, tmp_path: Path, record: dict[str, Any], told: str) -> None:
    path = written(tmp_path / "r.json", record)
    ran = ntbbench("gate", path, path)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert path in ran.err
    assert told in ran.err
