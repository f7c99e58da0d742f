# SPDX-License-Identifier: BSD-3-Clause
"""What a policy says is heeded, and what it leaves out is told in every output."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from compare_data import pytest_benchmark, written

from ntbbench.cli.main import main

WHY = "flaky since the new board"


@pytest.fixture
def gate(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Gate two results, of which one metric is worse, by a policy."""
    base = written(tmp_path / "a.json", pytest_benchmark(1, fast=1e-3, slow=2e-3))
    new = written(tmp_path / "b.json", pytest_benchmark(5, fast=1e-3, slow=2.2e-3))
    policy = tmp_path / "p.toml"

    def run(text: str, *options: str) -> tuple[int, str, str]:
        policy.write_text(text)
        code = main(["gate", base, new, "--policy", str(policy), *options])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def ignoring(pattern: str) -> str:
    return f'[[rule]]\npattern = "{pattern}"\nignore = "{WHY}"\n'


@pytest.mark.parametrize("name", ["text", "mail", "md"])
def test_what_is_ignored_is_listed_with_the_reason(gate, name: str) -> None:
    code, out, _ = gate(ignoring("*::slow"), "--format", name)
    assert code == 0
    assert f"benches/test_x.py::slow: {WHY}" in " ".join(out.split())
    assert "; 1 ignored by the policy" in " ".join(out.split())


def test_records_hold_what_is_ignored(gate, tmp_path: Path) -> None:
    page, junit = tmp_path / "p.html", tmp_path / "j.xml"
    outputs = ["--write", f"junit={junit}", "--html", str(page)]
    _, out, _ = gate(ignoring("*::slow"), "--format", "json", *outputs)
    assert json.loads(out)["ignored"] == [{"metric": "benches/test_x.py::slow", "reason": WHY}]
    suite = ET.parse(junit).getroot()
    (case,) = [c for c in suite if c.get("name") == "benches/test_x.py::slow"]
    assert case.find("skipped").get("message") == f"ignored: {WHY}"  # type: ignore[union-attr]
    assert (suite.get("tests"), suite.get("skipped")) == (str(len(suite)), "1")
    assert f"benches/test_x.py::slow: {WHY}" in page.read_text()


def test_csv_has_a_row_for_what_is_ignored(gate) -> None:
    _, out, _ = gate(ignoring("*::slow"), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    (row,) = [row for row in rows if row["metric"] == "benches/test_x.py::slow"]
    assert (row["verdict"], row["reason"], row["ratio"]) == ("ignored", WHY, "")


def test_nothing_but_ignored_metrics_is_said(gate) -> None:
    code, out, _ = gate(ignoring("*"), "--format", "text")
    assert code == 4
    assert "nothing was measured on both sides but what the policy ignores (6)" in out
    assert out.count(WHY) == 6


def test_of_many_the_first_are_listed_and_the_rest_counted(gate, tmp_path: Path) -> None:
    many = {f"bench{i:02}": 1e-3 for i in range(15)}
    for seed, name in ((1, "a.json"), (2, "b.json")):
        written(tmp_path / name, pytest_benchmark(seed, **many))
    _, out, _ = gate(ignoring("*"))
    assert out.count(WHY) == 20
    assert "and 25 more, which --format json names" in out


def test_the_history_tells_what_it_ignores(gate, capsys, tmp_path: Path) -> None:
    gate(ignoring("*::slow"))
    store = str(tmp_path / "s.sqlite")
    assert (
        main(["history", "add", str(tmp_path / "a.json"), "--commit", "c", "--store", store]) == 0
    )
    main(["history", "check", "--store", store, "--policy", str(tmp_path / "p.toml")])
    assert f"note: the policy ignores benches/test_x.py::slow: {WHY}" in capsys.readouterr().out
