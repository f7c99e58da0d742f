# SPDX-License-Identifier: BSD-3-Clause
"""A byte order mark in front of a text is no part of it, whatever reads the file."""

from pathlib import Path

import pytest
from golden_cases import INPUTS

from ntbbench.compare.policy import load_policy
from ntbbench.core.errors import InputError
from ntbbench.core.input_file import read_input, without_bom
from ntbbench.core.result_file import read_result, schema_of
from ntbbench.core.text_file import read_head, read_lines, read_small, read_toml

MARK = b"\xef\xbb\xbf"


def test_texts_of_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(MARK + b"one\ntwo\xff\n")
    assert read_small(path) == "one\ntwo\\xff\n"
    assert read_head(path, 3) == "one"
    assert [*read_lines(path)] == [(1, "one\n"), (2, "two\\xff\n")]


def test_a_mark_counts_once_and_only_in_front() -> None:
    assert without_bom(MARK + MARK + b"x" + MARK) == MARK + b"x" + MARK
    assert without_bom(b"x") == b"x"


def test_any_file(tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(MARK + b"x")
    assert read_input(path) == b"x"


def test_toml(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_bytes(MARK + b"threshold = 0.05\n")
    assert read_toml("--policy", path) == {"threshold": 0.05}
    assert load_policy(path).threshold == 0.05
    path.write_bytes(b"threshold\n" + MARK)
    with pytest.raises(InputError, match="not TOML"):
        read_toml("--policy", path)


def test_results(ntbbench, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(MARK + (INPUTS / "sweep-base.json").read_bytes())
    assert schema_of(read_result(path), path) == "ntbbench.sweep/1"
    plain = ntbbench("show", INPUTS / "sweep-base.json")
    assert (plain.code, ntbbench("show", path).out) == (0, plain.out)
