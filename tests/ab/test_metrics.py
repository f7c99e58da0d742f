# SPDX-License-Identifier: BSD-3-Clause
"""What is read of each run."""

import json
import shutil
import sys
from pathlib import Path
from shlex import quote

import pytest

from ntbbench.ab import metrics
from ntbbench.ab.metrics import CALLGRIND, PERF, Left, RunReader, parse_metric
from ntbbench.ab.process import Job, Ran, run_job
from ntbbench.core.errors import InputError

INPUTS = Path(__file__).parents[1] / "golden/inputs"


def left(stdout: bytes = b"", output: Path | None = None, count: Path = Path("none")) -> Left:
    return Left(Ran(1.5, 0.25, stdout), output, count)


def test_times_and_numbers_that_are_printed() -> None:
    printed = left(b'{"a": [{"b": 2.5}]}')
    reader = RunReader(["wall", "cpu", "json:a.0.b", "wall"], leaves_file=False)
    told = [(about.name, about.unit, about.better, value) for about, value in reader.read(printed)]
    assert told == [
        ("wall", "s", "lower", 1.5),
        ("cpu", "s", "lower", 0.25),
        ("json:a.0.b", "", "unsaid", 2.5),
    ]
    pattern = parse_metric("regex:^took (.*) ms$")
    assert pattern.value(left(b"begin\ntook 1e3 ms\nend\n")) == 1000


def test_without_metric_a_file_is_read_or_the_wall_time() -> None:
    assert [m.name for m in RunReader([], leaves_file=False).metrics] == ["wall"]
    found = RunReader([], leaves_file=True).read(left(output=INPUTS / "bench-base.json"))
    values = {about.name: (about.unit, about.better, value) for about, value in found}
    assert values["benches/test_x.py::test_scan:instructions"] == ("", "unsaid", 1000)
    unit, better, seconds = values["benches/test_x.py::test_scan"]
    assert (unit, better) == ("s", "lower") and seconds == pytest.approx(1.002e-3, rel=1e-2)


def test_json_of_the_file_that_a_run_leaves(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text(json.dumps({"x": 3}))
    reader = RunReader(["json:x"], leaves_file=True)
    assert [value for _, value in reader.read(left(output=file))] == [3]


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("wal", "--metric: 'wal': unknown; did you mean wall?"),
        ("json:", "--metric: 'json:': unknown"),
        ("regex:(", "--metric: 'regex:(': a regular expression: "),
        ("regex:abc", "a pattern with a group"),
    ],
)
def test_a_metric_that_is_none(metric: str, told: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_metric(metric)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("metric", "stdout", "told"),
    [
        ("json:a", b"no json", "a run that leaves JSON: "),
        ("json:a.b", b'{"a": 1}', "there is no 'b'"),
        ("json:0", b"[]", "there is no '0'"),
        ("json:a", b'{"a": true}', "a path to a number; there is True"),
        ("json:a", b'{"a": -1}', "-1.0: zero, or a finite number"),
        ("regex:x(.*)", b"y", "nothing matches"),
        ("regex:x(.*)", b"xyz", "the group is 'yz'"),
        ("regex:x(.*)", b"xnan", "nan: zero, or a finite number"),
    ],
)
def test_a_run_that_gives_no_number(metric: str, stdout: bytes, told: str) -> None:
    with pytest.raises(InputError) as raised:
        RunReader([metric], leaves_file=False).read(left(stdout))
    assert told in str(raised.value)


def test_a_file_that_is_no_result(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("{}")
    with pytest.raises(InputError, match="results of ntbbench"):
        RunReader([], leaves_file=True).read(left(output=file))


def test_instructions_by_callgrind_repeat(tmp_path: Path, monkeypatch) -> None:
    """Where perf counts nothing; valgrind comes with the packages of the tests."""
    monkeypatch.setattr(metrics, "counter", lambda: CALLGRIND)
    reader = RunReader(["instructions"], leaves_file=False)
    assert reader.counter is CALLGRIND
    count = tmp_path / "count"
    words = [*CALLGRIND.wrap(count), "true"]
    ran = run_job(Job("--base", words, None, {}, None, 60), lambda: False)
    ((about, value),) = reader.read(Left(ran, None, count))
    assert about.name == "instructions" and value > 10_000
    with pytest.raises(InputError, match="--metric: 'wall': not beside instructions"):
        RunReader(["instructions", "wall"], leaves_file=False)


def test_what_perf_writes(tmp_path: Path) -> None:
    file = tmp_path / "count"
    file.write_text("# started on Mon\n\n123456,,instructions:u,5,100.00,,\n")
    metric = metrics.Instructions("instructions", PERF)
    assert metric.value(left(count=file)) == 123456
    file.write_text("<not counted>,,instructions:u,0,100.00,,\n")
    with pytest.raises(InputError, match="a count, and perf gave none"):
        metric.value(left(count=file))


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\nexec {quote(sys.executable)} -c {quote(text)}\n")
    path.chmod(0o755)
    return str(path)


def test_which_counter_is_taken(tmp_path: Path, monkeypatch) -> None:
    counts = script(tmp_path / "perf", "import sys; print('7,,instructions:u', file=sys.stderr)")
    tells = script(tmp_path / "deaf", "import sys; print('<not supported>,,', file=sys.stderr)")

    def found(**paths: str | None) -> metrics.Counter:
        monkeypatch.setattr(shutil, "which", paths.get)
        return metrics.counter()

    assert found(perf=counts, valgrind="v") is PERF
    assert found(perf=tells, valgrind="v") is CALLGRIND
    assert found(valgrind="v") is CALLGRIND
    with pytest.raises(InputError, match=r"perf, which counts nothing .* or valgrind"):
        found(perf=tells)
    with pytest.raises(InputError, match=r"perf, which is not installed, or valgrind"):
        found()
