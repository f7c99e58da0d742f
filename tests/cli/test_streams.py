# SPDX-License-Identifier: BSD-3-Clause
"""No locale and no name turns a verdict into an internal error."""

import io
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from compare_data import runs_csv, samples
from compare_runs import FORMATS

from ntbbench.cli.main import main

NAMES = {"base é": samples(1, 8), "門鈴 \U0001f514": samples(2, 8, 120.0)}


def out_of(encoding: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, bytes]:
    """Run a command whose standard streams have this encoding."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding))
    code = main(arguments)
    sys.stdout.flush()
    return code, raw.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "euc-jp"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_exit_code_is_the_gates_in_every_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, name: str
) -> None:
    path = str(runs_csv(tmp_path / "t.csv", NAMES))
    code, raw = out_of(encoding, monkeypatch, "gate", "--runs", path, "--format", name)
    assert code == 1
    text = raw.decode("utf-8")  # ASCII elsewhere, which is UTF-8 too
    if name == "json":
        report = json.loads(text)
        assert [report["base"], *report["candidates"]] == list(NAMES)
    elif name == "junit":
        assert ET.fromstring(raw)[0].get("classname") == list(NAMES)[1]
    elif encoding != "utf-8":
        assert text.isascii()


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_file_name_that_is_no_text_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    name = os.fsdecode(os.fsencode(tmp_path / "a") + b"\xff.csv")
    runs_csv(Path(name), NAMES)
    for format_ in FORMATS:
        code, _ = out_of(
            encoding, monkeypatch, "gate", name, "--format", format_, "--force", "\udcfe"
        )
        assert code == 1


def test_an_error_about_a_name_is_one_line_in_every_locale(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ntbbench.cli.main", "show", "門\udcff.json"],
        env=os.environ | {"PYTHONIOENCODING": "ascii:strict"},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)
    assert rb"\u9580" in done.stderr
