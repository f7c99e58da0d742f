# SPDX-License-Identifier: BSD-3-Clause
"""The recordings that come back from a guest: whole and in order, or one line that says why not."""

import base64
import errno
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import GuestError
from ntbbench.lab.guest_task import unpack as unpack_recordings
from ntbbench.lab.qemu import Boot


def packed(**files: str) -> str:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return base64.encodebytes(data.getvalue()).decode()


HEAD = "@@ kernel 6.12.95\n@@ version Linux version 6.12.95 (x)\n"


def test_recordings_are_unpacked(tmp_path: Path) -> None:
    data = f"{HEAD}@@ point one\n{packed(point='vectors=0')}@@ end\n@@ done\n"
    assert unpack_recordings(Boot("", data), ["one"], tmp_path) == "6.12.95"
    assert (tmp_path / "kernel").read_text() == "6.12.95\nLinux version 6.12.95 (x)\n"
    assert (tmp_path / "one" / "point").read_text() == "vectors=0"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", "before it had recorded every point"),
        ("@@ failed cannot load ntb.ko: bad\n", "the guest gave up: cannot load ntb.ko: bad"),
        (f"{HEAD}@@ point one\n{packed(point='x')}@@ end\n", "before it had recorded every"),
        (f"{HEAD}@@ point two\n{packed(point='x')}@@ end\n@@ done\n", "before it had recorded"),
        (f"{HEAD}@@ point one\n{packed(point='x')[:40]}\n@@ end\n@@ done\n", "arrived damaged"),
        (f"{HEAD}@@ point one\nnothing\n@@ end\n@@ done\n", "arrived damaged"),
    ],
)
def test_a_broken_report_of_the_guest_is_told(data: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(GuestError, match=told):
        unpack_recordings(Boot("", data), ["one"], tmp_path)


def test_a_guest_that_gave_up_keeps_what_it_had_recorded(tmp_path: Path) -> None:
    data = f"{HEAD}@@ point one\n{packed(point='x')}@@ end\n@@ failed no receiver\n"
    booted = Boot("", data)
    assert booted.died == "the guest gave up: no receiver"
    assert unpack_recordings(booted, ["one"], tmp_path) == "6.12.95"
    assert (tmp_path / "one" / "point").read_text() == "x"


def test_a_full_disk_leaves_no_half_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two recordings meets it; neither is kept, and the line says where."""
    data = "".join(f"@@ point {name}\n{packed(point='x')}@@ end\n" for name in ("one", "two"))
    extract = tarfile.TarFile.extractall

    def fill_up(archive: tarfile.TarFile, path: Path, **options: Any) -> None:
        extract(archive, path, **options)
        if path.name == "two":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tarfile.TarFile, "extractall", fill_up)
    folder = tmp_path / "kept"
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        unpack_recordings(Boot("", f"{HEAD}{data}@@ done\n"), ["one", "two"], folder)
    assert list(tmp_path.iterdir()) == []
