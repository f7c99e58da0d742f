# SPDX-License-Identifier: BSD-3-Clause
"""`lab doctor`: what this machine lacks, and the one command that brings it."""

from pathlib import Path

import pytest

from ntbbench.cli.main import main


def test_doctor_names_what_is_missing_and_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ntbbench.lab.commands.SYSTEM_FOLDERS", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["lab", "doctor", "--cache", str(tmp_path / "cache")]) == 1
    told = capsys.readouterr().out
    for program, brings in (("qemu-system-x86_64", "qemu-system-x86"), ("cpio", "cpio"),
                            ("busybox", "busybox-static")):  # fmt: skip
        assert f"MISSING  {program}: " in told
        assert brings in told.splitlines()[-1]
    assert "apt-get install" in told.splitlines()[-1]
    assert told.splitlines()[-1].endswith("&& ntbbench lab fetch --kernel debian:6.12")
