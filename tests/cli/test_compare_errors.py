# SPDX-License-Identifier: BSD-3-Clause
"""Bad input of `compare` and `gate`: one line, exit code 2; usage, files that are none."""

import gzip
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from compare_data import (
    changed,
    iperf3,
    pyperf,
    pytest_benchmark,
    runs_csv,
    samples,
    sweep,
    written,
)
from compare_runs import gate_runs


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "a,b\n1,nan\n",
        "a,b\n1,NaN\n",
        "a,b\n1,inf\n",
        "a,b\n1,-Infinity\n",
        "a,b\n1,1e999\n",
        "a,b\n1,two\n",
        "a,b\n1,NA\n",
        "a,b\n1, \n",
        "a,b\n1,-2\n",
        "a,b\n1,1_000\n",
        "a,b\n1,0x10\n",
        "a,b\n1,\u0663\n",
        "a,a\n1,2\n",
        "a,\n1,2\n",
        "a,b\n1,2,3\n",
        "a,b\n1\n",
        "1,2\n3,4\n",
        'a,b\n1,"2\n',
        "a\nnan\n",
    ],
)
def test_bad_runs_are_one_line_and_exit_2(ntbbench, tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    ran = gate_runs(ntbbench, path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err


def test_binary_and_nul_are_bad_input(ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for data in (b"\xff\xfe\x00\x01", b"a,b\n1,\x00\n", b"a,b\n" + b"9" * 200_000 + b",1\n"):
        path.write_bytes(data)
        assert gate_runs(ntbbench, path).code == 2
    assert gate_runs(ntbbench, tmp_path / "none.csv").code == 2
    assert gate_runs(ntbbench, tmp_path).code == 2


def test_one_column_and_empty_columns_are_4_with_json(ntbbench, tmp_path: Path) -> None:
    for name, text in (("one", "a\n1\n2\n"), ("none", "a,b\n"), ("gap", "a,b\n1,\n2,\n")):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        ran = gate_runs(ntbbench, path)
        assert (ran.code, ran.report["exit_code"]) == (4, 4)
        assert ntbbench("compare", "--runs", path).code == 4


def test_mixed_units_are_bad_input(ntbbench, tmp_path: Path) -> None:
    other = pyperf()
    other["metadata"]["unit"] = "byte"
    base, new = written(tmp_path / "a.json", pyperf()), written(tmp_path / "b.json", other)
    ran = ntbbench("gate", base, new)
    assert ran.code == 2
    assert "unit" in ran.err


def test_usage_errors_are_2(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", sweep())
    assert ntbbench("gate").code == 2
    assert ntbbench("gate", base).code == 2
    assert ntbbench("gate", base, base, "--alpha", "2").code == 2
    assert ntbbench("gate", base, base, "--write", "pdf=x").code == 2
    assert ntbbench("gate", base, base, "--resamples", "1").code == 2
    assert ntbbench("gate", base, base, "--alpha", "wide").code == 2
    assert "did you mean welch?" in ntbbench("gate", base, base, "--test", "welsh").err
    assert "did you mean junit?" in ntbbench("gate", base, base, "--format", "junits").err


def other_machine(record: dict[str, Any]) -> dict[str, Any]:
    record["metadata"]["cpu_model_name"] = "Example 2"
    return record


def test_bad_input_goes_before_incomparable_environments(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", pyperf())
    bytes_used = other_machine(pyperf())
    bytes_used["metadata"]["unit"] = "byte"
    ran = ntbbench("gate", base, written(tmp_path / "b.json", bytes_used))
    assert (ran.code, "unit of 'bench'" in ran.err) == (2, True)
    fewer = written(tmp_path / "c.json", other_machine(pyperf(processes=9)))
    ran = ntbbench("gate", base, fewer, "--paired")
    assert (ran.code, "--paired" in ran.err) == (2, True)
    assert ntbbench("gate", base, fewer).code == 5


@pytest.mark.parametrize("option", ["--html", "--write"])
def test_an_output_that_cannot_be_written_is_bad_input(ntbbench, tmp_path: Path, option) -> None:
    base = written(tmp_path / "a.json", pyperf())
    new = written(tmp_path / "b.json", other_machine(pyperf()))
    for path in (tmp_path, tmp_path / "none" / "x"):
        ran = ntbbench("gate", base, new, option, f"md={path}" if option == "--write" else path)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"ntbbench: {option}: '{path}'")


def test_a_policy_that_is_not_there_is_named(ntbbench, tmp_path: Path) -> None:
    runs = runs_csv(tmp_path / "r.csv", {"a": samples(1, 5), "b": samples(2, 5)})
    ran = ntbbench("gate", "--runs", runs, "--policy", tmp_path / "none.toml")
    assert ran.code == 2
    assert ran.err == f"ntbbench: --policy: '{tmp_path / 'none.toml'}': No such file or directory\n"


@pytest.mark.parametrize("value", ["1e-320", "1e200", "1.7e308"])
def test_numbers_that_cannot_be_computed_with_are_bad_input(ntbbench, tmp_path, value) -> None:
    runs = tmp_path / "r.csv"
    runs.write_text(f"a,b\n1,2\n1,{value}\n")
    ran = ntbbench("gate", "--runs", runs)
    assert (ran.code, "row 2, column 'b'" in ran.err) == (2, True)
    record = pytest_benchmark(1, 3)
    record["benchmarks"][0]["stats"]["data"][1] = float(value)
    ran = ntbbench("gate", *[written(tmp_path / "a.json", record)] * 2)
    assert (ran.code, "1e-75 to 1e75" in ran.err) == (2, True)


def test_a_negative_count_is_bad_input(ntbbench, tmp_path: Path) -> None:
    base = written(tmp_path / "a.json", sweep())
    ran = ntbbench("gate", base, written(tmp_path / "b.json", changed(sweep(), 0, wakeups=-1)))
    assert (ran.code, ":wakeups: -1: a count" in ran.err) == (2, True)


@pytest.mark.parametrize("arguments", [["--runs", "/dev/zero"], ["/dev/zero", "/dev/zero"]])
def test_a_device_is_no_input(ntbbench, arguments: list[str]) -> None:
    ran = ntbbench("gate", *arguments)
    assert (ran.code, ran.err) == (2, "ntbbench: input: '/dev/zero': a file or a pipe, no device\n")


@pytest.mark.parametrize("as_runs", [True, False])
def test_a_pipe_and_a_packed_file_end_at_the_largest_size(
    ntbbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_runs: bool
) -> None:
    monkeypatch.setattr("ntbbench.compare.readers.checked.LARGEST", 1000)
    text = b"a,b\n" + b"1,2\n" * 400
    packed = tmp_path / "a.json"
    packed.write_bytes(gzip.compress(text))
    ran = ntbbench("gate", packed, packed)
    assert (ran.code, "at most 1000 bytes" in ran.err) == (2, True)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(text))
    writer.start()
    ran = ntbbench("gate", *(["--runs", pipe] if as_runs else [pipe, packed]))
    writer.join()
    assert (ran.code, "at most 1000 bytes" in ran.err) == (2, True)


def test_a_run_that_failed_is_named_by_its_file(ntbbench, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    for i in range(3):
        written(folder / f"{i}.json", iperf3(1e9, i))
    written(folder / "1.json", iperf3(1e9) | {"error": "the server is busy"})
    ran = ntbbench("gate", folder, folder)
    assert (ran.code, ran.out) == (2, "")
    told = f"input: {str(folder / '1.json')!r}: this run of iperf3 failed: the server is busy"
    assert told in ran.err


def test_an_error_of_the_system_names_the_file(ntbbench, tmp_path: Path, monkeypatch) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 8), "b": samples(2, 8)})
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "none" / "summary.md"))
    ran = ntbbench("gate", "--runs", path, "--format", "github")
    assert ran.code == 2
    told = "none/summary.md': cannot be written: No such file or directory\n"
    assert ran.err.endswith(told)
    assert "Errno" not in ran.err


@pytest.mark.parametrize("odd", ["environment", "metrics", "count"])
def test_the_file_of_a_folder_that_is_no_run_of_the_same_is_named(
    ntbbench, tmp_path: Path, odd: str
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    for i in range(3):
        written(folder / f"{i}.json", pytest_benchmark(i))
    other = pytest_benchmark(1, **({"renamed": 1e-3} if odd == "metrics" else {}))
    if odd == "environment":
        other["machine_info"]["cpu"]["flags"] = ["avx9"]
    if odd == "count":
        other["benchmarks"][0]["extra_info"]["instructions"] = 7
    written(folder / "1.json", other)
    ran = ntbbench("gate", folder, folder)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"ntbbench: input: {str(folder / '1.json')!r}: the ")
