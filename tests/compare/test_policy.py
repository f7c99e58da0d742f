# SPDX-License-Identifier: BSD-3-Clause
"""What a policy says is heeded, and what it leaves out is told in every output."""

import csv
import io
import json
from pathlib import Path

import pytest
from compare_data import pytest_benchmark, written
from compare_runs import FORMATS
from msgspec.structs import replace

from ntbbench.cli.main import main
from ntbbench.compare.calibrate import Calibration, Floor
from ntbbench.compare.policy import Policy, Rule, load_policy
from ntbbench.core.options import kinds
from ntbbench.report.views.calibration import policy_file

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


def test_what_is_ignored_is_listed_with_the_reason_in_every_format(gate, tmp_path: Path) -> None:
    name, page, found = "benches/test_x.py::slow", tmp_path / "p.html", {}
    for form in FORMATS:
        code, found[form], _ = gate(ignoring("*::slow"), "--format", form, "--html", str(page))
        assert code == 0
    for form in ("text", "mail", "md"):
        told = " ".join(found[form].split())
        assert f"{name}: {WHY}" in told and "; 1 ignored by the policy" in told
    assert json.loads(found["json"])["ignored"] == [{"metric": name, "reason": WHY}]
    assert f'message="ignored: {WHY}"' in found["junit"]
    (row,) = [row for row in csv.DictReader(io.StringIO(found["csv"])) if row["metric"] == name]
    assert (row["verdict"], row["reason"], row["ratio"]) == ("ignored", WHY, "")
    assert f"ok 1 {name} # SKIP ignored: {WHY}" in found["ktap"]
    assert name not in found["github"]  # it is no news
    assert f"{name}: {WHY}" in page.read_text()


def test_nothing_but_ignored_metrics_is_said(gate) -> None:
    code, out, _ = gate(ignoring("*"), "--format", "text")
    assert code == 4
    told = "nothing was measured on both sides but what the policy ignores (6)"
    assert told in " ".join(out.split())
    assert out.count(WHY) == 6


def test_the_history_tells_what_it_ignores(gate, ntbbench, tmp_path: Path) -> None:
    gate(ignoring("*::slow"))
    store = ("--store", tmp_path / "s.sqlite")
    assert ntbbench("history", "add", tmp_path / "a.json", "--commit", "c", *store).code == 0
    ran = ntbbench("history", "check", *store, "--policy", tmp_path / "p.toml")
    assert f"the policy ignores benches/test_x.py::slow: {WHY}" in ran.out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("correction = 'bonferroni'", ["correction: 'bonferroni'", "known: bh, holm, none"]),
        ("test = 1", ["test: 1", "mann-whitney, permutation, welch"]),
        ("gate_on = 'noisy'", ["gate_on: 'noisy'", "known: all, exact"]),
        ("alpha = '5%'", ["alpha: '5%'", "a number between 0 and 1"]),
        ("treshold = 1", ["key: 'treshold'", "did you mean threshold?", "resamples"]),
        ("rule = 3", ["rule: 3", "[[rule]]"]),
        ("[[rule]]\nhigher_is_better = true", ["rule 1: key", "better, ignore, metric, pattern"]),
        ("[[rule]]\nmetric = 'x'\nbetter = 'more'", ["rule 1: better: 'more'", "higher, lower"]),
        ("[[rule]]\nthreshold = 0.1", ["rule 1", "exactly one of the keys metric and pattern"]),
        ("[[rule]]\nmetric = 'x'\nignore = ' '", ["rule 1: ignore: ' '", "a text: why"]),
        ("fatal_warnings = ['bimodl']", ["fatal_warnings: 'bimodl'", "did you mean bimodal?"]),
        ("fatal_warnings = 1", ["fatal_warnings: 1", "a list out of too-few-samples"]),
        ("rules = []", ["key: 'rules'", "did you mean rule?"]),
        ("rule = [1]", ["rule: [1]", "[[rule]]"]),
        ("resamples = 1", ["resamples: 1", "200 to 100000"]),
        ("fail_untested = 1", ["fail_untested: 1", "true or false"]),
        ("higher_is_better = true\nlower_is_better = true", ["lower_is_better", "not together"]),
        ("threshold = 2", ["threshold: 2", "for two per cent write 2% or 0.02"]),
        ("alpha = " + "9" * 5000, ["--policy", "numbers of fewer than 300 digits"]),
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
    noisy = [c for c in json.loads(out)["comparisons"] if c["kind"] == "noisy"]
    assert {c["threshold"] for c in noisy} == {0.25}
    assert json.loads(gate("", "--threshold=150%", "--format=json")[1])["threshold"] == 1.5


@pytest.mark.parametrize("value", ["2", "1", "1.0", "-1%", "nan", "wide", "%", "1000%", ""])
def test_a_threshold_that_can_hardly_be_meant_is_refused(gate, value: str) -> None:
    code, out, err = gate("", f"--threshold={value}")
    assert (code, out) == (2, "")
    assert f"--threshold: {value!r}" in err
    assert "write 2% or 0.02" in err


def test_every_key_of_a_policy_is_declared_and_takes_its_default() -> None:
    for section in (Policy(), Rule()):
        declared = kinds(type(section))
        assert tuple(declared) == section.__struct_fields__
        for key, kind in declared.items():
            default = kind.show(getattr(section, key))
            if default is not None:
                assert kind.parse(key, default) == getattr(section, key)


def test_an_empty_list_is_nothing(gate) -> None:
    assert gate("fatal_warnings = []\nignore_environment = []\nrule = []")[0] == 1


def test_calibrate_writes_thresholds_above_a_factor_of_two(tmp_path: Path) -> None:
    floor = Floor(metric="m", noise_floor=1.1, largest_change=1.2, threshold=1.5, false_alarms=0)
    counts = dict.fromkeys(("runs", "metrics", "families", "alarms", "alarms_with_thresholds"), 4)
    floors = [floor, replace(floor, metric="n", threshold=0.9999)]
    found = Calibration(**counts, exact_differences=[], missing=[], zeros=[], floors=floors)
    path = tmp_path / "thresholds.toml"
    path.write_text(policy_file(found))
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


def test_a_rule_that_names_nothing_is_told(gate) -> None:
    text = '[[rule]]\npattern = "*::gone"\nthreshold = 0.1\n'
    told = "note: 1 rule of the policy names no metric of these results: '*::gone'"
    assert told in gate(text)[1]
    assert "note: 2 rules of the policy name" in gate(text + text.replace("pattern", "metric"))[1]
    assert "note: " not in gate(text.replace("gone", "slow"))[1]


def test_a_key_of_no_environment_is_told(gated) -> None:
    told = "--ignore-environment: no environment has the key 'cpu.flag'; did you mean cpu.flags?"
    misspelt, base, other = (
        ("--ignore-environment", "cpu.flag"),
        pytest_benchmark(),
        pytest_benchmark(),
    )
    assert gated(base, base, *misspelt).report["environment"]["notes"] == [told]
    other["machine_info"]["cpu"]["flags"] = ["avx9"]
    ran = gated(base, other, *misspelt)
    assert (ran.code, told in ran.err) == (5, True)
    ran = gated(base, other, "--ignore-environment", "cpu.flags")
    assert (ran.code, "no environment has" in ran.out) == (0, False)


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
