# SPDX-License-Identifier: BSD-3-Clause
"""asv: a result of version 0.6 with samples, in which a benchmark fails and one is skipped."""

import json
from pathlib import Path
from typing import Any

import pytest
from compare_data import BENCHMARKS, written

from ntbbench.compare.readers.detect import load_variant

FILE = BENCHMARKS / "asv.json"
WALK = "suite.TimeScan.time_walk"


def record(**fields: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(FILE.read_text())
    return read | fields


def one_of(**columns: Any) -> dict[str, Any]:
    """A result of one benchmark with just these columns."""
    return record(result_columns=list(columns), results={"suite.time_x": list(columns.values())})


def test_kinds_units_and_parameters() -> None:
    variant = load_variant(str(FILE))
    assert {
        name: (one.kind, one.unit, one.better, one.cautions) for name, one in variant.series.items()
    } == {
        f"{WALK}(10, 'list')": ("noisy", "s", "lower", ("one-process",)),
        f"{WALK}(10, 'set')": ("noisy", "s", "lower", ("one-process",)),
        f"{WALK}(1000, 'list')": ("noisy", "s", "lower", ("one-process",)),
        "suite.time_sum": ("noisy", "s", "lower", ("one-process",)),
        "suite.mem_list": ("exact", "B", "lower", ()),
        "suite.peakmem_list": ("noisy", "B", "lower", ()),
        "suite.track_wakeups": ("exact", "", "unsaid", ()),
    }
    told = record()["results"]
    samples = variant.series[f"{WALK}(10, 'set')"].samples
    assert samples is not None
    assert samples.tolist() == told[WALK][11][1]
    assert repr(variant.series["suite.track_wakeups"].value) == "42"  # whole, as it was tracked
    assert variant.notes == ()


def test_what_failed_or_was_skipped_is_named() -> None:
    told = "it failed or was skipped"
    names = (f"{WALK}(1000, 'set')", "suite.time_fails", "suite.track_nan")
    assert load_variant(str(FILE)).unread == dict.fromkeys(names, told)


def test_without_samples_the_result_is_one_and_that_is_said(tmp_path: Path) -> None:
    variant = load_variant(written(tmp_path / "r.json", one_of(result=[0.25])))
    samples = variant.series["suite.time_x"].samples
    assert samples is not None
    assert samples.tolist() == [0.25]
    assert "--record-samples" in variant.notes[0]


@pytest.mark.parametrize(
    ("params", "code"), [({"cpu": "Example 2"}, 5), ({"ram": "8"}, 3), ({"os": "Linux 7"}, 3)]
)
def test_machines(gated, params: dict[str, str], code: int) -> None:
    known = {"cpu": "Example 1", "arch": "arm64", "machine": "board", "os": "Linux 6", "ram": "4"}
    assert gated(record(params=known), record(params=known | params)).code == code


def test_a_benchmark_of_another_version_is_told(gated) -> None:
    sides = [one_of(result=[0.25], version=version) for version in ("one", "two")]
    notes = gated(*sides).report["environment"]["notes"]
    assert "version of suite.time_x: 'one' against 'two'" in " ".join(notes)


OLD = {"commit_hash": "abc", "params": {}, "results": {"time_x": 0.1}, "version": 1}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (OLD, "asv update"),
        (record(version=3), "asv update"),
        (one_of(result=[1.0, 2.0]), "2 results and 2 lists of samples"),
        (one_of(result=[1.0], params=[["1"] * 1000] * 30), "one per combination of params"),
        (one_of(result=[1.0], samples=[[1.0], [2.0]]), "1 results and 2 lists of samples"),
        (one_of(result="x"), "$.result"),
    ],
)
def test_refusals(ntbbench, tmp_path: Path, data: dict[str, Any], told: str) -> None:
    path = written(tmp_path / "r.json", data)
    ran = ntbbench("gate", path, FILE)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert path in ran.err
    assert told in ran.err
