# SPDX-License-Identifier: BSD-3-Clause
"""What a policy says is heeded, and what it leaves out is told in every output."""

import csv
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from compare_data import pytest_benchmark, written
from msgspec.structs import replace

from ntbbench.cli.main import main
from ntbbench.compare.calibrate import Calibration, Floor
from ntbbench.compare.policy import Policy, Rule
from ntbbench.compare.policy_file import KEYS, RULE_KEYS, load_policy
from ntbbench.report.calibration import render_policy

WHY = "flaky since the new board"


@pytest.fixture
def gate(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Gate two results, of which one metric is worse, by a policy."""
    base = written(tmp_path / "a.json", pytest_benchmark(1, fast=1e-3, slow=2e-3))
    new = written(tmp_path / "b.json", pytest_benchmark(5, fast=1e-3, slow=4.4e-3))
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
    told = "nothing was measured on both sides but what the policy ignores (6)"
    assert told in " ".join(out.split())
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


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("correction = 'bonferroni'", ["correction: 'bonferroni'", "one of holm, bh, none"]),
        ("test = 1", ["test: 1", "one of mann-whitney, permutation, welch"]),
        ("gate_on = 'noisy'", ["gate_on: 'noisy'", "one of all, exact"]),
        ("alpha = '5%'", ["alpha: '5%'", "a number between 0 and 1"]),
        ("treshold = 1", ["key: 'treshold'", "did you mean threshold?", "resamples"]),
        ("rule = 3", ["rule: 3", "[[rule]]"]),
        ("[[rule]]\nhigher_is_better = true", ["rule 1: key", "better, ignore, metric, pattern"]),
        ("[[rule]]\nmetric = 'x'\nbetter = 'more'", ["rule 1: better: 'more'", "lower, higher"]),
        ("[[rule]]\nthreshold = 0.1", ["rule 1", "exactly one of the keys metric and pattern"]),
        ("[[rule]]\nmetric = 'x'\nignore = ' '", ["rule 1: ignore: ' '", "a text that says why"]),
        ("fatal_warnings = 'bimodal'", ["fatal_warnings: 'bimodal'", "a list of too-few-samples"]),
        ("threshold = 2", ["threshold: 2", "for two per cent write 2% or 0.02"]),
        ("alpha = " + "9" * 5000, ["--policy", "numbers of at most 4300 digits"]),
        ("threshold = true", ["threshold: True", "write 2% or 0.02"]),
        ("[[rule]]\nmetric = 'x'\nthreshold = 1.0", ["rule 1: threshold: 1.0", "2% or 0.02"]),
    ],
)
def test_an_error_of_a_policy_names_key_value_and_what_is_allowed(gate, text, told) -> None:
    code, out, err = gate(text)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert all(part in err for part in told), err
    assert "`" not in err  # no word of the library that decodes it
    assert "$" not in err


def test_a_policy_takes_thresholds_as_the_command_line_does(gate) -> None:
    for text in ('threshold = "10%"', "threshold = 0.1"):
        assert json.loads(gate(text, "--format", "json")[1])["threshold"] == 0.1
    _, out, _ = gate('[[rule]]\npattern = "*"\nthreshold = "25%"', "--format", "json")
    assert {c["threshold"] for c in json.loads(out)["comparisons"] if c["kind"] == "noisy"} == {
        0.25
    }


@pytest.mark.parametrize("value", ["2", "1", "1.0", "-1%", "nan", "wide", "%", "1000%", ""])
def test_a_threshold_that_can_hardly_be_meant_is_refused(gate, value: str) -> None:
    code, out, err = gate("", f"--threshold={value}")
    assert (code, out) == (2, "")
    assert f"--threshold: {value!r}" in err
    assert "write 2% or 0.02" in err


def test_a_threshold_above_all_doubt_is_taken(gate) -> None:
    assert json.loads(gate("", "--threshold=150%", "--format=json")[1])["threshold"] == 1.5


def test_every_key_of_a_policy_has_its_line() -> None:
    assert tuple(KEYS) == Policy.__struct_fields__
    assert tuple(RULE_KEYS) == Rule.__struct_fields__


def test_calibrate_writes_thresholds_above_a_factor_of_two(tmp_path: Path) -> None:
    floor = Floor(metric="m", noise_floor=1.1, largest_change=1.2, threshold=1.5, false_alarms=0)
    found = Calibration(
        runs=4,
        metrics=1,
        families=2,
        alarms=0,
        alarms_with_thresholds=0,
        exact_differences=[],
        missing=[],
        zeros=[],
        floors=[floor, replace(floor, metric="n", threshold=0.9999)],
    )
    path = tmp_path / "thresholds.toml"
    path.write_text(render_policy(found))
    assert [rule.threshold for rule in load_policy(path).rule] == [1.5, 1.0]


def test_a_fatal_warning_is_named(gate, tmp_path: Path) -> None:
    junit = tmp_path / "j.xml"
    text = 'threshold = "150%"\nfatal_warnings = ["one-process", "forced"]'
    code, out, _ = gate(text, "--write", f"junit={junit}")
    told = "2 carry a warning that the policy calls fatal: one-process"
    assert code == 3
    assert f"exit code of the gate: 3 ({told})" in " ".join(out.split())
    assert "one-process, which the policy calls fatal: all samples" in junit.read_text()
    assert "one-process, which the policy calls fatal" in gate(text, "--format", "github")[1]


@pytest.mark.parametrize(("name", "told"), [("text", "unchanged\n"), ("md", "unchanged.\n")])
def test_one_metric_is_and_two_are(gate, name: str, told: str) -> None:
    assert f"4 exact metrics are {told}" in gate("", "--format", name)[1]
    ignored = ignoring("*slow:*") + ignoring("*:listed*")
    assert f"1 exact metric is {told}" in gate(ignored, "--format", name)[1]


def test_compare_does_not_claim_the_exit_code_of_the_gate(gate, tmp_path: Path, capsys) -> None:
    assert "exit code of the gate: 1 (1 regressed)" in gate("")[1]
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    assert "\nexit code of the gate: 1 (1 regressed)\n" in capsys.readouterr().out


def test_a_rule_that_names_nothing_is_told(gate) -> None:
    text = '[[rule]]\npattern = "*::gone"\nthreshold = 0.1\n'
    told = "note: 1 rule of the policy names no metric of these results: '*::gone'"
    assert told in gate(text)[1]
    assert "note: 2 rules of the policy name" in gate(text + text.replace("pattern", "metric"))[1]
    assert "note: " not in gate(text.replace("gone", "slow"))[1]


def test_a_key_of_no_environment_is_told(gate, capsys, tmp_path: Path) -> None:
    out = gate("", "--ignore-environment", "cpu.flag")[1]
    told = "--ignore-environment: no environment has the key 'cpu.flag'; did you mean cpu.flags?"
    assert told in " ".join(out.split())
    other = pytest_benchmark(5, fast=1e-3, slow=2e-3)
    other["machine_info"]["cpu"]["flags"] = ["avx9"]
    base, new = str(tmp_path / "a.json"), written(tmp_path / "b.json", other)
    assert main(["gate", base, new, "--ignore-environment", "cpu.flag"]) == 5
    assert told in capsys.readouterr().err
    assert main(["gate", base, new, "--ignore-environment", "cpu.flags"]) in (0, 1)
    assert "no environment has" not in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--write=md={}", "--html={}"])
@pytest.mark.parametrize("name", ["a.json", "b.json", "p.toml", "link"])
def test_an_input_is_not_written_over(gate, tmp_path: Path, option: str, name: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a.json")
    before = (tmp_path / "a.json").read_bytes()
    path = tmp_path / name
    code, out, err = gate("", option.format(path))
    assert (code, out) == (2, "")
    assert f"{str(path)!r}: another file: this one is an input" in err
    assert (tmp_path / "a.json").read_bytes() == before


def test_calibrate_writes_over_no_input(tmp_path: Path, capsys) -> None:
    files = [written(tmp_path / f"{i}.json", pytest_benchmark(i)) for i in range(4)]
    assert main(["calibrate", *files, "-o", files[0]]) == 2
    assert "another file: this one is an input" in capsys.readouterr().err
