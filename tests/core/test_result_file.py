# SPDX-License-Identifier: BSD-3-Clause
"""Result files: whole or not at all, and one clear line about every bad one."""

import json
import os
import stat
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from report_records import ok, result, story, timing, unavailable
from sweep_commands import load_result

from ntbbench.core.errors import InputError
from ntbbench.core.result_file import (
    check_writable,
    new_run,
    read_result,
    schema_of,
    write_bytes,
    write_json,
    write_new_json,
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    before = story()
    write_json(path, before)
    assert load_result(path) == before
    assert schema_of(read_result(path), path) == "ntbbench.sweep/1"


def test_a_point_is_a_line_and_untimed_points_have_no_timing(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json(path, result([ok(), ok(ns=timing(3.0)), unavailable()]))
    lines = path.read_text().splitlines()
    points = [json.loads(line.rstrip(",")) for line in lines if line.startswith('{"status"')]
    assert [point["status"] for point in points] == ["ok", "ok", "unavailable"]
    assert "ns_per_dispatch" not in points[0]
    assert set(points[1]["ns_per_dispatch"]) == {"median", "low", "high", "samples"}
    assert "reason" in points[2]
    assert json.loads(path.read_text())["points"] == points


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"run\.json.*No space left on device"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    versions = [bytes([65 + number]) * 200_000 for number in range(2)]
    write_bytes(path, versions[0])
    writer = threading.Thread(target=lambda: [write_bytes(path, v) for v in versions * 10])
    writer.start()
    seen = set()
    while writer.is_alive():
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= set(versions)


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "run.json", b"{}")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o640


def test_a_link_keeps_pointing_at_its_file(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_bytes(b"old")
    link = tmp_path / "link.json"
    link.symlink_to("real.json")
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "real.json").read_bytes() == b"new"


def test_a_device_is_written_to_not_replaced(tmp_path: Path) -> None:
    null = Path("/dev/null")
    check_writable(null)
    write_bytes(null, b"gone")
    assert stat.S_ISCHR(null.stat().st_mode)


def test_a_link_to_a_pipe_is_written_through(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    link = tmp_path / "stdout"
    link.symlink_to(f"/proc/self/fd/{writer}")  # as /dev/stdout is, in a pipeline
    check_writable(link)
    write_bytes(link, b"whole")
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"whole"
    assert link.is_symlink()


def test_a_dash_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be a file named `-`, where its user expects stdout."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="/dev/stdout prints it"):
        check_writable(Path("-"))
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to("circle")
    loop = "Too many levels of symbolic links"
    for refused, path, reason in (
        *((check_writable, circle, loop), (load_result, circle, loop), (read_result, circle, loop)),
        (lambda path: write_bytes(path, b""), circle, loop),
        (load_result, tmp_path / "none.json", "No such file or directory"),
        (read_result, tmp_path, "Is a directory"),
    ):
        with pytest.raises(InputError, match=reason):
            refused(path)


def test_new_runs_never_share_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "runs"
    paths = set()
    for _ in range(3):
        paths.add(path := new_run(folder, "sweep"))
        path.write_text("{}")
        assert path.name.startswith("sweep-2") and path.parent == folder
    assert len(paths) == 3
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        new_run(path / "runs", "sweep")


def test_no_two_programs_get_one_name(tmp_path: Path) -> None:
    """Both were given the name before either had written it."""
    path = tmp_path / "sweep-1.json"
    written = [write_new_json(path, story()) for _ in range(3)]
    assert [one.name for one in written] == ["sweep-1.json", "sweep-1-2.json", "sweep-1-3.json"]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    with pytest.raises(InputError, match="cannot be written"):
        write_new_json(tmp_path / "none" / "a.json", story())


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
def test_a_file_written_anew_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    path.chmod(mode)
    write_bytes(path, b"new")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", mode)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/run.json", "No such file or directory"),
        ("file/run.json", "Not a directory"),
        ("folder", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("run.json", None),
    ],
)
def test_checking_an_output_leaves_no_trace(tmp_path: Path, name: str, reason: str | None) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=reason) if reason else nullcontext():
        check_writable(tmp_path / name)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


GOOD = '{"schema": "ntbbench.sweep/1", "environment": {}, "scenario": {}, "points": []}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not whole JSON"),
        (GOOD[:-10], "not whole JSON"),
        ("[" * 100_000, "fewer than 60 brackets in each other"),
        (GOOD.replace("{}", '{"a": ' + "[" * 100_000, 1), "fewer than 60 brackets"),
        (GOOD.replace("{}", '{"a": ' + "[" * 5000 + "]" * 5000 + "}"), "fewer than 60 brackets"),
        (GOOD.replace("[]", '[{"status": ' + "9" * 400 + "}]"), "numbers of fewer than 300 digits"),
        ('{"schema": "\xff"}', "not whole JSON"),
        ("[]", "a result of ntbbench: a JSON object with a schema"),
        ('"text"', "a result of ntbbench: a JSON object with a schema"),
        ('{"name": "other"}', "a result of ntbbench: a JSON object with a schema"),
        ('{"schema": 1}', "a result of ntbbench: a JSON object with a schema"),
        (GOOD.replace("/1", "/2"), "schema 'ntbbench.sweep/1'"),
        (GOOD.replace("sweep", "replay"), "schema 'ntbbench.sweep/1'"),
        (GOOD.replace("[]", "[1]"), "damaged: Expected `object`, got `int`"),
        (GOOD.replace("[]", '[{"status": "fine"}]'), "damaged: Invalid value 'fine'"),
        (GOOD.replace("[]", '[{"status": "ok"}]'), "damaged: Object missing required field"),
        (GOOD.replace('"points": []', '"x": 1'), "damaged: .*missing required field `points`"),
    ],
)
def test_a_bad_file_gets_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=reason) as caught:
        load_result(path)
    assert "run.json" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_fields_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(GOOD.replace('"points"', '"more": 1, "points"'))
    assert load_result(path).points == []
