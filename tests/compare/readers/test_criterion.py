# SPDX-License-Identifier: BSD-3-Clause
"""criterion: its folder (of version 0.3.6) and the messages of cargo-criterion."""

import json
import shutil
from pathlib import Path

import pytest
from compare_data import BENCHMARKS

from ntbbench.compare.readers.detect import load_variant

FOLDER, MESSAGES = BENCHMARKS / "criterion", BENCHMARKS / "cargo-criterion.json"
SCAN = Path("scan", "new")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(FOLDER, tmp_path / "criterion")


def test_a_sample_is_the_time_of_an_iteration() -> None:
    variant = load_variant(str(FOLDER))
    assert list(variant.series) == ["bits/flat", "bits/mask/8", "scan"]
    told = json.loads((FOLDER / SCAN / "sample.json").read_text())
    scan = variant.series["scan"]
    assert scan.samples is not None
    assert scan.samples.tolist() == pytest.approx(
        [time * 1e-9 / count for time, count in zip(told["times"], told["iters"], strict=True)]
    )
    assert (scan.unit, scan.better, scan.cautions) == ("s", "lower", ("one-process",))


def test_messages_of_cargo_criterion() -> None:
    series = load_variant(str(MESSAGES)).series
    assert list(series) == ["scan", "cycles"]
    assert series["scan"].samples is not None
    assert series["scan"].samples.tolist() == pytest.approx([4.14e-6, 4.16e-6, 4.15e-6])
    assert (series["cycles"].unit, series["cycles"].better) == ("cycles", "unsaid")


def test_a_benchmark_without_samples_is_named(folder: Path) -> None:
    (folder / SCAN / "sample.json").unlink()
    (folder / "bits/flat/new/sample.json").write_text('{"iters": [1, 0], "times": [1, 2]}')
    variant = load_variant(str(folder))
    assert variant.unread == {
        "bits/flat": "iterations: null, NaN or infinite, or none",
        "scan": "estimates alone, no sample.json",
    }
    assert list(variant.series) == ["bits/mask/8"]


def test_several_folders_are_runs(folder: Path) -> None:
    variant = load_variant(f"{folder},{FOLDER}")
    scan = variant.series["scan"].samples
    assert scan is not None
    assert (len(scan), variant.runs) == (2, 2)


def test_the_last_run_counts_and_its_name_is_what_criterion_says(folder: Path) -> None:
    shutil.copytree(folder / SCAN, folder / "scan" / "base")
    (folder / "bits/flat/new/benchmark.json").unlink()
    assert list(load_variant(str(folder)).series) == ["bits/flat", "bits/mask/8", "scan"]


def test_the_folder_above_may_be_given(folder: Path) -> None:
    assert load_variant(str(folder.parent)).series.keys() == load_variant(str(folder)).series.keys()


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("sample.json", '{"iters": [1]}', "scan/new/sample.json"),
        ("sample.json", "{", "scan/new/sample.json"),
        ("benchmark.json", '{"full_id": "bits/flat"}', "'bits/flat': each name once"),
        ("benchmark.json", "[]", "scan/new/benchmark.json"),
    ],
)
def test_damaged_files_are_named(ntbbench, folder: Path, file: str, text: str, told: str) -> None:
    (folder / SCAN / file).write_text(text)
    ran = ntbbench("gate", folder, FOLDER)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert told in ran.err


def test_a_folder_of_other_files_is_refused(ntbbench, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.json").write_text("{}")
    ran = ntbbench("gate", tmp_path, FOLDER)
    assert (ran.code, "criterion" in ran.err) == (2, True)


def test_a_broken_message_is_named_by_its_line(ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(MESSAGES.read_text() + '{"reason": "benchm')
    ran = ntbbench("gate", path, path)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert f"{path}:4" in ran.err
