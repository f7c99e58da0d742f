# SPDX-License-Identifier: BSD-3-Clause
"""Google Benchmark: a file of version 1.7.1, in which a benchmark fails and a counter is NaN."""

import json
from pathlib import Path
from typing import Any

import pytest
from compare_data import BENCHMARKS, written

from ntbbench.compare.readers.detect import load_variant
from ntbbench.core.errors import InputError

FILE = BENCHMARKS / "google-benchmark.json"
COPY, SLOW = "BM_Copy/64", "BM_Slow/real_time"


def entries(*benchmarks: dict[str, Any], **context: Any) -> dict[str, Any]:
    usual = {"name": "BM_A", "run_type": "iteration", "real_time": 2.0, "cpu_time": 1.0}
    told = {"host_name": "board", "num_cpus": 4, **context}
    return {"context": told, "benchmarks": [{**usual, **one} for one in benchmarks]}


def test_repetitions_are_samples_and_aggregates_are_left_out() -> None:
    variant = load_variant(str(FILE))
    assert {
        name: (one.unit, one.better, len(one.samples)) if one.samples is not None else ()
        for name, one in variant.series.items()
    } == {
        f"{COPY}:real_time": ("s", "lower", 3),
        f"{COPY}:cpu_time": ("s", "lower", 3),
        f"{COPY}:bits": ("", "unsaid", 3),
        f"{COPY}:bytes_per_second": ("B/s", "higher", 3),
        f"{COPY}:items_per_second": ("1/s", "higher", 3),
        f"{SLOW}:real_time": ("s", "lower", 3),
        f"{SLOW}:cpu_time": ("s", "lower", 3),
    }
    assert {one.cautions for one in variant.series.values()} == {("one-process",)}


@pytest.mark.parametrize(("name", "size"), [(COPY, 1e-9), (SLOW, 1e-6)])
def test_times_are_seconds(name: str, size: float) -> None:
    told = [
        line.split(": ")[1].rstrip(",\n")
        for line in FILE.read_text().partition(f'"run_name": "{name}"')[2].splitlines()
        if '"real_time"' in line
    ]
    samples = load_variant(str(FILE)).series[f"{name}:real_time"].samples
    assert samples is not None
    assert samples.tolist() == [float(text) * size for text in told[:3]]


def test_what_failed_and_what_is_no_number_are_named() -> None:
    assert load_variant(str(FILE)).unread == {
        "BM_Fails": "it failed: no device",
        f"{SLOW}:nan": "sample 1 of 3: null, NaN or infinite",
    }


def test_the_context_is_the_environment() -> None:
    variant = load_variant(str(FILE))
    assert variant.environment == {"library_build_type": "debug"}
    assert (variant.machine["host_name"], variant.machine["num_cpus"]) == ("board", "2")
    assert "level" in variant.machine["caches"]
    assert set(variant.context) == {"mhz_per_cpu", "cpu_scaling_enabled"}


@pytest.mark.parametrize(
    ("context", "code"),
    [
        ({"num_cpus": 8}, 5),
        ({"library_build_type": "release"}, 5),
        ({"host_name": "other"}, 5),
        ({"mhz_per_cpu": 900, "cpu_scaling_enabled": True, "commit": "abc"}, 0),
    ],
)
def test_other_machines_and_builds_are_refused(gated, context: dict[str, Any], code: int) -> None:
    five = [{"real_time": 2.0, "cpu_time": 1.0}] * 5
    ran = gated(entries(*five, library_build_type="debug"),
                entries(*five, **{"library_build_type": "debug", **context}))  # fmt: skip
    assert ran.code == code


def test_aggregates_alone_are_refused_by_the_option(ntbbench) -> None:
    path = BENCHMARKS / "google-aggregates.json"
    ran = ntbbench("gate", path, FILE)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.endswith(": leave out --benchmark_report_aggregates_only\n")


def test_a_benchmark_with_aggregates_alone_is_named(tmp_path: Path) -> None:
    mean = {"name": "BM_B_mean", "run_name": "BM_B", "run_type": "aggregate"}
    big_o = {"name": "BM_A_BigO", "run_name": "BM_C", "run_type": "aggregate"}
    record = entries({}, mean | {"aggregate_name": "mean"}, big_o | {"aggregate_name": "BigO"})
    variant = load_variant(written(tmp_path / "r.json", record))
    assert list(variant.unread) == ["BM_B"]
    assert list(variant.series) == ["BM_A:real_time", "BM_A:cpu_time"]


def test_a_counter_below_zero_is_named_and_a_time_below_it_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "r.json", entries({"lead": -1.0}))
    told = "sample 1 of 1: -1.0 is not zero, or a finite number from 1e-75 to 1e75"
    assert load_variant(path).unread == {"BM_A:lead": told}
    path = written(tmp_path / "r.json", entries({"cpu_time": -1.0}))
    with pytest.raises(InputError, match="BM_A:cpu_time: -1e-09: zero, or a finite number"):
        load_variant(path)


def test_newer_versions_skip(tmp_path: Path) -> None:
    record = entries({}, {"name": "BM_S", "skipped": True, "skip_message": "no ring"})
    assert load_variant(written(tmp_path / "r.json", record)).unread == {
        "BM_S": "it failed: no ring"
    }


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (entries({"time_unit": "fortnight"}), "benchmarks[0].time_unit"),
        (entries({}, {"name": 3}), "$.benchmarks[1].name"),
        (entries({"real_time": None, "cpu_time": None}), "BM_A:real_time"),
    ],
)
def test_refusals(ntbbench, tmp_path: Path, record: dict[str, Any], told: str) -> None:
    path = written(tmp_path / "r.json", record)
    ran = ntbbench("gate", path, path)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert told in ran.err


def test_an_empty_file_has_measured_nothing(gated) -> None:
    assert gated(entries(), json.loads(json.dumps(entries()))).code == 4
