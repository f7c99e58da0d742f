# SPDX-License-Identifier: BSD-3-Clause
"""`go test -bench`: an output of Go 1.19, and what the format allows beside it."""

from pathlib import Path

import pytest
from compare_data import BENCHMARKS

from ntbbench.compare.readers.detect import load_variant
from ntbbench.compare.readers.go_test import tidied
from ntbbench.compare.series import Variant

FILE = BENCHMARKS / "go-test.txt"
HEAD = "goos: linux\ngoarch: arm64\npkg: example.com/x\ncpu: Example 1\n"


def loaded(path: Path, text: str) -> Variant:
    path.write_text(text)
    return load_variant(str(path))


def samples(variant: Variant, metric: str) -> list[float]:
    found = variant.series[metric].samples
    assert found is not None
    return found.tolist()


def test_units_directions_and_samples() -> None:
    variant = load_variant(str(FILE))
    name = "example.com/scan.Scan/size=64-2"
    of_one = {
        key.removeprefix(f"{name}:"): (one.unit, one.better)
        for key, one in variant.series.items()
        if key.startswith(name)
    }
    assert of_one == {
        "sec/op": ("s", "lower"),
        "B/s": ("B/s", "higher"),
        "p99-sec": ("s", "unsaid"),
        "wakeups/op": ("wakeups", "unsaid"),
        "B/op": ("B", "lower"),
        "allocs/op": ("allocs", "lower"),
    }
    assert len(variant.series) == 13
    assert samples(variant, f"{name}:sec/op")[:2] == pytest.approx([55.38e-9, 65.14e-9])
    assert samples(variant, f"{name}:B/s")[0] == pytest.approx(1155.71e6)
    assert {one.cautions for one in variant.series.values()} == {("one-process",)}
    assert variant.environment == {"goos": "linux", "goarch": "amd64", "cpu": "Example CPU"}


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("ns/op", ("sec/op", 1e-9)), ("MB/s", ("B/s", 1e6)), ("p99-ns", ("p99-sec", 1e-9)),
     ("ops/ns", ("ops/sec", 1e9)), ("bits", ("bits", 1.0))],
)  # fmt: skip
def test_units_become_si(unit: str, expected: tuple[str, float]) -> None:
    assert tidied(unit) == (expected[0], pytest.approx(expected[1]))


@pytest.mark.parametrize("mark", ["PASS\nok  \texample.com/x\t0.1s\n", ""])
def test_runs_one_after_another_are_processes(tmp_path: Path, mark: str) -> None:
    run = f"{HEAD}BenchmarkA-4 10 {{}} ns/op\nBenchmarkA-4 10 3 ns/op\n{mark}"
    several = "".join(run.format(value) for value in (1, 5, 1, 5, 1))
    variant = loaded(tmp_path / "r.txt", several)
    metric = "example.com/x.A-4:sec/op"
    assert samples(variant, metric) == pytest.approx([2e-9, 4e-9, 2e-9, 4e-9, 2e-9])
    assert variant.series[metric].cautions == ("averaged-by-process",)
    few = loaded(tmp_path / "f.txt", run.format(1) * 2)
    assert samples(few, metric) == pytest.approx([2e-9, 2e-9])
    one = loaded(tmp_path / "o.txt", run.format(1))
    assert samples(one, metric) == pytest.approx([1e-9, 3e-9])
    assert one.series[metric].cautions == ("one-process",)


def test_unit_lines(tmp_path: Path) -> None:
    result = "BenchmarkA 10 1 ns/op 7 steps/op 4 rings {} odd\n"
    units = "Unit steps/op better=higher\nUnit rings assume=exact better=lower\n"
    text = f"{units}Unit odd assume=exact\n{result.format(1)}{result.format(2)}"
    variant = loaded(tmp_path / "r.txt", text)
    rings = variant.series["A:rings"]
    assert (rings.kind, rings.value, rings.better) == ("exact", 4, "lower")
    assert variant.series["A:steps/op"].better == "higher"
    assert variant.unread == {"A:odd": "the file calls it exact, and its values differ"}


def test_what_is_no_result_is_left_out_or_named(tmp_path: Path) -> None:
    text = f"=== RUN TestX\nBenchmarkV\nBenchmarkV: said 3 times 4\ncommit: abc\n{HEAD}"
    text += (
        "BenchmarkA-4 10 1 ns/op\nBenchmarkB-4 10 1 ns/op tail\nBenchmarkC-4 10 NaN x\n--- FAIL\n"
    )
    variant = loaded(tmp_path / "r.txt", text)
    assert list(variant.series) == ["example.com/x.A-4:sec/op"]
    assert list(variant.unread) == ["example.com/x.B-4", "example.com/x.C-4:x"]
    assert "line 10 " in variant.unread["example.com/x.B-4"]
    assert variant.context == {"commit": "abc"}


def test_results_of_two_machines_in_a_file_are_refused(ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_text(f"{HEAD}BenchmarkA 1 2 ns/op\ncpu: Example 2\nBenchmarkA 1 2 ns/op\n")
    ran = ntbbench("gate", path, FILE)
    assert (ran.code, ran.out) == (2, "")
    assert "cpu: 'Example 2': one machine in a file" in ran.err


def test_a_folder_of_outputs_is_a_process_each(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.txt").write_text(f"{HEAD}BenchmarkA 1 {number + 1} ns/op\n")
    variant = load_variant(str(tmp_path))
    assert samples(variant, "example.com/x.A:sec/op") == pytest.approx(
        [1e-9 * n for n in range(1, 7)]
    )
