# SPDX-License-Identifier: BSD-3-Clause
"""Files that nobody's tool writes: one line that names the file, exit code 2, and at once.

Each holds what once hung a reader, took gigabytes, or came out of it as an internal error.
"""

import io
import json
import os
import shutil
import sqlite3
import struct
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captures import FOUR
from golden_cases import INPUTS

from ntbbench.cli.main import main
from ntbbench.cli.streams import failed
from ntbbench.core.errors import ExitCode
from ntbbench.core.input_file import BRACKETS_MAX, DEPTH_MAX, VALUES_MAX, check_json

Make = Callable[[Path], object]
HEAD = (
    "              sh-459     [000] d.h1. 4.1: db_event: (ntb_transport_doorbell_callback+0x0/0x10)"
)
BPFTRACE = '{{"type":"map","data":{{"@events":1,"@wake":{{"1":{}}}}}}}\n'


def text(content: str | bytes) -> Make:
    """Return what writes a file of this content."""
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def changed(name: str, *places: tuple[str, Any]) -> Make:
    """Return what writes a golden input, other values at some places of it; `*` is each."""

    def write(path: Path) -> None:
        tree = json.loads((INPUTS / name).read_text())
        for place, value in places:
            *steps, last = place.split(".")
            put(tree, steps, last, value)
        path.write_text(json.dumps(tree))

    return write


def put(tree: Any, steps: list[str], last: str, value: Any) -> None:
    """Set a value below a tree of JSON; DELETE takes it out."""
    if steps:
        for inner in tree if steps[0] == "*" else [tree[steps[0]]]:
            put(inner, steps[1:], last, value)
    else:
        tree[last] = value


def recording(**files: str) -> Make:
    """Return what copies a recording, with other content of some of its files."""

    def write(path: Path) -> None:
        shutil.copytree(FOUR, path)
        for name, content in files.items():
            (path / name).write_text(content)

    return write


def with_pipe(name: str) -> Make:
    """Return what copies a capture, of which one file is a pipe that nobody writes to."""

    def write(path: Path) -> None:
        recording()(path)
        (path / name).unlink()
        os.mkfifo(path / name)

    return write


def qp_lines(ports: int) -> str:
    """Return a `state` of 64 QPs a port, which are too many for an algorithm of n times m."""
    line = "port {} qp {} up 1 tx 0 rx 0 bad 0 ptr {:#x}\n"
    places = ((port, qp) for port in range(ports) for qp in range(64))
    return "".join(line.format(p, q, 0x1000 * (1 + 64 * p + q)) for p, q in places)


def npz(**members: bytes) -> bytes:
    """Return an archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return packed.getvalue()


def npy(header: str) -> bytes:
    """Return a NumPy file of nothing but a header."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def good_npz() -> bytes:
    packed = io.BytesIO()
    np.savez_compressed(packed, time=np.arange(99.0), db_bits=np.full(99, 1, np.uint64))
    return packed.getvalue()


def store(*statements: str) -> Make:
    """Return what copies a store of results, and changes it."""

    def write(path: Path) -> None:
        shutil.copy(INPUTS / "history.sqlite", path)
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return write


SHAPE = "{{'descr': '<f8', 'fortran_order': False, 'shape': {}}}\n"
LOG = "sweep --queues 1 --repeats 0 -o o.json --workload log:{bad}"
NOISY = "(SELECT id FROM metrics WHERE kind = 'noisy')"
LONG = "0x" + "f" * 5000
WORD = f"UPDATE points SET value = 'x' WHERE metric IN {NOISY}"
DEEP = json.loads('{"a":' * 900 + "1" + "}" * 900)
FILES: list[tuple[str, str, Make]] = [
    # Time and nesting.
    ("replay {bad}", "c", recording(point="vectors=0" + " " * 60_000 + "x")),
    ("replay {bad}", "c", recording(point="vectors=0 " + "a= " * 40_000)),
    ("replay {bad}", "c", recording(point="\t" * 60_000 + "=")),
    ("ingest {bad}", "point", text("vectors=0" + " " * 60_000)),
    ("replay {bad}", "c", recording(state=qp_lines(257))),
    ("replay {bad}", "c", recording(state=qp_lines(1) + qp_lines(1))),
    ("replay {bad}", "c", recording(state=qp_lines(258))),
    ("ingest {bad}", "c", with_pipe("before-interrupts")),
    ("ingest {bad}", "c", with_pipe("after-softirqs")),
    ("replay {bad}", "c", with_pipe("trace")),
    ("ingest {bad}", "p", os.mkfifo),
    ("compare {bad} {bad}", "i.json", text('{"start":0} ' + "0 " * 400_000)),
    ("compare {bad} {bad}", "i.json", text('{"start":0}' + "{" * 1000)),
    ("compare {bad} {bad}", "i.json", text("[" * 1000 + "]" * 1000)),
    ("compare {bad} {bad}", "i.json", text('{"a":[' * 70 + "]}" * 70)),
    ("show {bad}", "a.json", changed("sweep-base.json", ("environment", DEEP))),
    ("show {bad}", "a.json", text('{"schema":"ntbbench.sweep/1","points":' + "[" * 10_000)),
    ("show {bad}", "a.json", text(b"[]," * (BRACKETS_MAX + 1))),
    ("compare {bad} {bad}", "a.json", text(b"[" + b"0," * (VALUES_MAX + 1) + b"0]")),
    # Numbers and ranges.
    ("ingest {bad}", "b.json", text(BPFTRACE.format("9" * 400))),
    ("ingest {bad}", "b.json", text(BPFTRACE.format((1 << 53) + 1))),
    ("ingest {bad}", "b.json", text(BPFTRACE.format(-1))),
    ("ingest {bad}", "b.json", text(BPFTRACE.format("[" * 70))),
    ("ingest {bad}", "t", text(f"{HEAD} ctx=0x1 vector=ab\n")),
    ("ingest {bad}", "t", text(f"{HEAD} ctx=0x1 vector=64\n")),
    ("ingest {bad}", "t", text(f"{HEAD} ctx=0x1 vector=0x40\n")),
    ("ingest {bad}", "t", text(f"{HEAD} ctx=0x1 vector={'9' * 40}\n")),
    ("ingest {bad}", "t", text(f"{HEAD} ctx=0x1 vector=-1\n")),
    ("explain {bad}", "m.json", changed("measured.json", ("qps.*.qp_num", 10**13))),
    ("explain {bad}", "m.json", changed("measured.json", ("qps.*.qp_num", -1))),
    ("explain {bad}", "m.json", changed("measured.json", ("qps.*.qp_num", 64))),
    (
        "explain {bad}",
        "m.json",
        changed("measured.json", ("interrupts", []), ("traces.*.db_events_per_vector", {"a": 1})),
    ),
    ("explain {bad}", "m.json", changed("measured.json", ("devices.*.db_valid_mask", LONG))),
    ("compare {good} {bad}", "s.json", changed("simulation-base.json", ("scenario.run", 5))),
    ("compare {good} {bad}", "s.json", changed("simulation-base.json", ("scenario.run", "x"))),
    ("compare {good} {bad}", "s.json", changed("simulation-base.json", ("scenario.run", 10**299))),
    ("gate {base} {base} --policy {bad}", "p.toml", text(f"alpha = 0x{'F' * 4000}\n")),
    ("gate {base} {base} --policy {bad}", "p.toml", text(f"alpha = {'9' * 4000}\n")),
    ("sweep {bad} -o o.json", "s.toml", text(f"queues = 0x{'F' * 4000}\n")),
    ("sweep {bad} -o o.json", "a", text('workload = ["log:a\\u0000.csv"]\n')),
    ("sweep {bad} -o o.json", "s.toml", text(f"queues = {'[' * 1000}\n")),
    ("simulate {bad} -o o.json", "s.toml", text(f"[run]\nseed = 0x{'F' * 4000}\n")),
    ("simulate {bad} -o o.json", "s.toml", text("[run]\nseed = 1979-05-27\n")),
    # Archives and arrays.
    (LOG, "a.npz", text(good_npz()[:60] + b"\xff" * 20 + good_npz()[80:])),
    (LOG, "a.npz", text(npz(time=b"x", db_bits=b"y"))),
    (LOG, "a.npz", text(npz(time=npy(SHAPE.format("(99999999999999,)"))))),
    (LOG, "a.npz", text(good_npz()[:-30])),
    (LOG, "a.npy", text(npy(SHAPE.format("(10**18,)")))),
    (LOG, "a.npy", text(npy(SHAPE.format("(True,)")))),
    (LOG, "a.npy", text(npy(SHAPE.format("(-1,)")))),
    (LOG, "a.npy", text(npy("{'descr': (\n"))),
    (LOG, "a.npy", text(npy("{'descr': '<f8', 'key': 1}\n"))),
    (LOG, "a.npy", text(npy("[" * 500))),
    # Stores.
    ("history show --store {bad}", "h", store("UPDATE points SET value = NULL")),
    ("history check --store {bad}", "h", store("UPDATE points SET value = NULL")),
    ("history show --store {bad}", "h", store(WORD)),
    ("history check --store {bad}", "h", store(WORD)),
    ("history show --store {bad}", "h", store("UPDATE points SET value = 9e999")),
    ("history show --store {bad}", "h", store("UPDATE points SET value = x'00ff'")),
    ("history check --store {bad}", "h", store("UPDATE metrics SET kind = 'other'")),
    ("history check --store {bad}", "h", store("UPDATE results SET label = x'80' WHERE id = 1")),
    ("history show --store {bad}", "h", store("DROP TABLE metrics")),
    ("history show --store {bad}", "h", text(b"SQLite format 3\0" + b"\xff" * 5000)),
    ("history show --store {bad}", "h", os.mkfifo),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FILES)))
def test_it_is_refused_in_one_line(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words, name, make = FILES[number]
    monkeypatch.chdir(tmp_path)
    make(Path(name))
    good, base = INPUTS / "simulation-base.json", INPUTS / "bench-base.json"
    assert main(words.format(bad=name, good=good, base=base).split()) == ExitCode.BAD_INPUT
    out, err = capfd.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("ntbbench: ") and name in line and line.isprintable()
    assert not out or words.startswith("ingest")
    assert not Path("o.json").exists()


def test_what_is_large_and_whole_is_read() -> None:
    """A bracket in a text nests nothing, however many there are."""
    check_json(json.dumps(["[" * 5000, '\\"[{' * 900, "9" * 200]).encode(), "a")
    check_json(b"[" * (DEPTH_MAX - 1) + b"]" * (DEPTH_MAX - 1), "a")


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_to_look_at_a_store_writes_nothing(
    journal: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "h.sqlite"
    store()(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    before = path.read_bytes(), path.stat().st_mtime_ns
    for action in ("show", "check", "export"):
        assert main(["history", action, "--store", str(path)]) == ExitCode.OK
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [file.name for file in tmp_path.iterdir()] == ["h.sqlite"]
    assert capfd.readouterr().out


ODD = os.fsdecode(b"odd-\xff\x1b[31m.json")  # neither UTF-8 nor for a terminal


@pytest.mark.parametrize("form", ["text", "md", "mail", "csv", "json", "html"])
def test_a_name_that_is_no_text_loses_no_report(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(FOUR, ODD)
    words = ["ingest", ODD, "--format", form, "-o", "m.json", "--write", f"{form}=page"]
    assert main(words) == ExitCode.OK
    out, err = capfd.readouterr()
    assert "\x1b" not in err and Path("page").read_text()
    assert form == "csv" or "\x1b" not in out  # a CSV is for programs
    assert main(["show", "m.json"]) == ExitCode.OK


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (MemoryError(), [], ExitCode.BAD_INPUT),
        (MemoryError(), ["show", "a.json"], ExitCode.BAD_INPUT),
        (RecursionError("deep"), ["show", "--x=a.json"], ExitCode.BAD_INPUT),
        (OverflowError("int"), ["sweep", "--workload", "log:a.json"], ExitCode.BAD_INPUT),
        (sqlite3.OperationalError("locked"), ["compare", "b,a.json"], ExitCode.BAD_INPUT),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no"), ["show", "a.json"], ExitCode.BAD_INPUT),
        (OverflowError("int"), ["hardware", "\0"], ExitCode.INTERNAL),
        (TypeError("x"), ["show", "a.json"], ExitCode.INTERNAL),
    ],
)
def test_the_last_resort_names_the_files(
    error: Exception, words: list[str], code: int, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").touch()
    assert failed(error, words) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert ("a.json: " in line) is (code == ExitCode.BAD_INPUT and bool(words))
    assert type(error).__name__ in line
