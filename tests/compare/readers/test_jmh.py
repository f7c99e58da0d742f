# SPDX-License-Identifier: BSD-3-Clause
"""JMH: a file of four benchmarks, written by hand in the form of version 1.36."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from compare_data import BENCHMARKS

from ntbbench.compare.readers.detect import load_variant

FILE = BENCHMARKS / "jmh.json"
RECORD: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
RINGS = "org.example.Rings"


def edited(path: Path, index: int, **fields: Any) -> str:
    record = copy.deepcopy(RECORD)
    record[index].update(fields)
    path.write_text(json.dumps(record), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "samples", "unit", "better", "cautions"),
    [
        # Means of the forks (250.5, 252.5, 245 ops/ms) and (249.5, 253, 257).
        ("scan/queues=4/thrpt", [748e3 / 3, 759.5e3 / 3], "ops/s", "higher",
         ("averaged-by-process",)),
        ("scan/queues=4/thrpt:gc.alloc.rate.norm", [48.0] * 2, "B", "lower",
         ("averaged-by-process",)),
        ("ring/threads=2/avgt", [3.5e-6, 3.25e-6], "s", "lower", ("one-process",)),
        ("ring/sample", [2.5e-6, 3e-6], "s", "lower", ("one-process",)),
    ],
)  # fmt: skip
def test_iterations_of_forks(
    name: str, samples: list[float], unit: str, better: str, cautions: tuple[str, ...]
) -> None:
    series = load_variant(str(FILE)).series[f"{RINGS}.{name}"]
    assert series.samples is not None
    assert series.samples.tolist() == pytest.approx(samples)
    assert (series.unit, series.better, series.cautions) == (unit, better, cautions)


def test_what_follows_the_throughput_is_left_out_and_nan_is_named() -> None:
    variant = load_variant(str(FILE))
    assert len(variant.series) == 4
    assert variant.unread == {f"{RINGS}.lost/ss": "sample 1 of 1: null, NaN or infinite"}


def test_a_fork_is_a_sample_where_there_are_enough(tmp_path: Path) -> None:
    forks = {"scoreUnit": "ops/s", "rawData": [[n, n + 2] for n in range(1, 6)]}
    series = load_variant(edited(tmp_path / "r.json", 0, primaryMetric=forks)).series
    scan = series[f"{RINGS}.scan/queues=4/thrpt"]
    assert scan.samples is not None
    assert (scan.samples.tolist(), scan.cautions) == ([2, 3, 4, 5, 6], ("averaged-by-process",))


def test_the_machine_and_its_settings() -> None:
    variant = load_variant(str(FILE))
    assert variant.environment == {
        "vmName": "OpenJDK 64-Bit Server VM",
        "jvmArgs": "-Xmx1g",
        "measurementBatchSize": "1",
    }
    assert variant.context["jdkVersion"] == "17.0.15"


@pytest.mark.parametrize(
    ("fields", "code"), [({"jvmArgs": ["-Xint"]}, 5), ({"jdkVersion": "21"}, 3)]
)
def test_other_flags_are_refused_and_another_jdk_is_told(
    ntbbench, tmp_path: Path, fields: dict[str, Any], code: int
) -> None:
    ran = ntbbench("gate", FILE, edited(tmp_path / "r.json", 0, **fields))
    assert ran.code == code  # 3: a sample mode of two iterations shows nothing


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"benchmark": 3}, "$[1].benchmark"),
        ({"mode": "sample", "threads": 1}, "each name once"),
        ({"primaryMetric": {"rawData": [[{}]]}}, "$[1].primaryMetric.rawData[0][0]"),
    ],
)
def test_refusals(ntbbench, tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    ran = ntbbench("gate", FILE, edited(tmp_path / "r.json", 1, **fields))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert told in ran.err


def test_a_benchmark_without_raw_data_is_named(tmp_path: Path) -> None:
    path = edited(tmp_path / "r.json", 0, primaryMetric={"scoreUnit": "ops/s"})
    assert f"{RINGS}.scan/queues=4/thrpt" in load_variant(path).unread
