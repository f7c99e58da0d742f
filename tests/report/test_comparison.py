# SPDX-License-Identifier: BSD-3-Clause
"""A comparison in every format: hostile names, what fails, which way is better, its page."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from compare_data import HOSTILE, noisy_sides, runs_csv, samples, sweep, written
from compare_runs import FORMATS
from hypothesis import given
from hypothesis import strategies as st
from pages import OpenPage
from rendered import rendered

from ntbbench.cli.main import main
from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.records import Comparison, Report
from ntbbench.compare.series import Series, Variant
from ntbbench.core.fields import Better
from ntbbench.report.render import renderer
from ntbbench.report.views import comparison_words
from ntbbench.report.views.comparison import document

WAYS: tuple[Better, ...] = ("lower", "higher", "none")


def variants() -> tuple[Variant, ...]:
    sides = []
    for label, factor in (("base", 1.0), (HOSTILE[0], 1.1), ("\x1b]0;x\x07", 1.0)):
        series: dict[str, Series] = {}
        for index, name in enumerate(HOSTILE):
            values = np.array(samples(index + int(factor * 100), 8, 100 * factor))
            series[name] = Series(metric=name, kind="noisy", unit="s", samples=values)
            exact = f"{name}:count"
            series[exact] = Series(metric=exact, kind="exact", value=f"{HOSTILE[1]}{factor}")
        sides.append(Variant(label, "csv", series))
    return tuple(sides)


@pytest.fixture(scope="module")
def hostile() -> Report:
    base, *candidates = variants()
    candidates[1].series.pop(HOSTILE[2])
    return compare(base, candidates, Policy())


@pytest.mark.parametrize("name", FORMATS)
def test_no_control_character_gets_out(name: str, hostile: Report) -> None:
    text = rendered(hostile, name)
    if name == "json":
        assert json.loads(text)["comparisons"][1]["metric"] == f"{HOSTILE[0]}:count"
        text = text.replace("\u202e", "")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)


def test_csv_has_a_row_a_comparison_and_no_formula(hostile: Report) -> None:
    rows = list(csv.reader(io.StringIO(rendered(hostile, "csv")), strict=True))
    assert len(rows) == 1 + len(hostile.comparisons)
    assert {len(row) for row in rows} == {len(rows[0])}
    names = {row[0] for row in rows[1:]}
    assert not any(name.startswith(("=", "+", "-", "@")) for name in names)


def test_junit_parses_and_counts(hostile: Report) -> None:
    suite = ET.fromstring(rendered(hostile, "junit"))
    cases = suite.findall("testcase")
    assert int(suite.get("tests", "")) == len(hostile.comparisons) == len(cases)
    assert int(suite.get("failures", "")) == hostile.totals.regressed > 0
    assert int(suite.get("errors", "")) == hostile.totals.missing == 1
    assert f"{HOSTILE[0]}:count" in {case.get("name") for case in cases}
    assert {case.get("classname") for case in cases} == {HOSTILE[0], "\\x1b]0;x\\x07"}


def test_ktap_has_a_subtest_a_candidate(hostile: Report) -> None:
    lines = rendered(hostile, "ktap").splitlines()
    assert lines[0] == "KTAP version 1"
    assert sum("# Subtest: " in line for line in lines) == len(hostile.candidates)
    results = [line for line in lines if re.match(r"  (not )?ok ", line)]
    assert len(results) == len(hostile.comparisons)
    failed = hostile.totals.regressed + hostile.totals.missing
    assert sum(line.startswith("  not ok ") for line in results) == failed


def test_job_summary_is_appended(ntbbench, tmp_path: Path, monkeypatch) -> None:
    summary, junit = tmp_path / "summary.md", tmp_path / "junit.xml"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 8), "b": samples(2, 8, 120)})
    ran = ntbbench("gate", "--runs", path, "--format", "github", "--write", f"junit={junit}")
    assert ran.code == 1 and ran.out.startswith("::notice")
    assert summary.read_text().startswith("before\n### ntbbench")
    assert ET.fromstring(junit.read_text()).get("failures") == "1"


def test_page_of_hostile_names(open_page: OpenPage, tmp_path: Path, hostile: Report) -> None:
    path = tmp_path / "page.html"
    path.write_text(renderer("html")(document(hostile, variants())), encoding="utf-8")
    page = open_page(path)
    listed = [c for c in hostile.comparisons if c.kind == "noisy" or c.verdict != "equivalent"]
    assert page.locator("table tbody tr").count() == len(listed) == 30
    assert page.locator("script", has_text="alert(1)").count() <= 1  # plotly's data, inert JSON
    assert HOSTILE[0] in page.locator("table tbody").inner_text()


def test_page_of_a_sweep(open_page: OpenPage, tmp_path: Path) -> None:
    slow = sweep(2, 12)
    slow["points"][5]["ns_per_dispatch"]["samples"] = samples(9, 12, 20.0, 0.02)
    slow["points"][1]["missed"] = 3
    files = [written(tmp_path / "a.json", sweep(1, 12)), written(tmp_path / "b.json", slow)]
    path = tmp_path / "page.html"
    assert main(["gate", *files, "--html", str(path)]) == 1
    page = open_page(path)
    rows = page.locator("table tbody tr")
    assert rows.count() == 8  # six timings, one count that changed, and the mean of the timings
    assert "REGRESSED" in rows.first.inner_text()  # in capitals: fails the gate
    cells = page.evaluate(
        "() => { const f = document.getElementById('heatmap-0');"
        " return (f.data ?? f.querySelector('.js-plotly-plot').data)[0].z; }"
    )
    assert [value for line in cells for value in line].count(4) == 2  # two cells are regressed
    missed = page.locator("table tbody tr", has_text="missed")
    assert missed.count() == 1 and missed.locator("td").all_inner_texts()[3:5] == ["0", "3"]
    # Not the window but the page becomes narrow, as when a scroll bar takes its room.
    page.evaluate("document.body.style.width = '400px'")
    page.wait_for_timeout(500)
    widths = page.evaluate(
        "() => [...document.querySelectorAll('.plot')].map(p => "
        "[p.clientWidth, p.querySelector('.main-svg').clientWidth])"
    )
    assert len(widths) > 2
    assert all(plot == drawn < 400 for plot, drawn in widths), widths


def test_a_saved_comparison_is_shown_as_it_was(ntbbench, tmp_path: Path) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 8), "b": samples(2, 8, 120)})
    saved = tmp_path / "saved.json"
    ran = ntbbench("gate", "--runs", path, "--write", f"json={saved}")
    assert ntbbench("show", saved).out == ran.out


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["a/q1/d4/x:ns", "a/q2/d4/x:ns", "a/q2/d8/x:ns"], ["q1/d4", "q2/d4", "q2/d8"]),
        (["b/t.py::f[1]", "b/t.py::f[12]"], ["f[1]", "f[12]"]),
        (["a", "a/a"], ["a", "a/a"]),
        (["a/", "a//"], ["a/", "a//"]),
        (["same", "same"], ["same", "same"]),
        (["", "a"], ["", "a"]),
    ],
)
def test_names_are_cut_between_their_parts(names: list[str], shown: list[str]) -> None:
    assert comparison_words.apart(names) == shown


@given(st.lists(st.text("ab/: "), unique=True))
def test_cut_names_stay_apart(names: list[str]) -> None:
    assert len(set(comparison_words.apart(names))) == len(names)


@pytest.mark.parametrize(
    ("policy", "failures"),
    [
        (Policy(), {"slow"}),
        (Policy(fail_inconclusive=True), {"slow", "noisy"}),
        (Policy(fatal_warnings=("zero-variance",)), {"slow", "still"}),
        (Policy(gate_on="exact", fail_inconclusive=True), set()),
    ],
)
def test_what_the_policy_fails_is_a_failure(policy: Policy, failures: set[str]) -> None:
    still = [100.0] * 8
    base, candidate = noisy_sides(
        slow=(samples(1, 8), samples(2, 8, 120.0)),
        noisy=(samples(3, 8, 100, 20), samples(4, 8, 100, 20)),
        still=(still, still),
    )
    report = compare(base, [candidate], policy)
    suite = ET.fromstring(rendered(report, "junit"))
    assert {case.get("name") for case in suite if case.find("failure") is not None} == failures
    errors = re.findall(r"::error title=(\w+)::", rendered(report, "github"))
    assert set(errors) == failures
    assert set(re.findall(r"not ok \d+ (?!b$)(\w+)", rendered(report, "ktap"))) == failures


@pytest.mark.parametrize(
    ("simulated", "runs", "begins", "ends"),
    [
        (False, 20, "about 20 runs", ""),
        (False, 20_000, "more than 10000 runs", ": quiet the machine first"),
        (True, 20, "about 20 replications", ""),
        (True, 20_000, "more than 10000 replications", ""),
    ],
)
def test_what_would_settle_it(simulated: bool, runs: int, begins: str, ends: str) -> None:
    """Replications of a simulation have no machine to quiet."""
    comparison = Comparison(
        metric="m", base="a", candidate="b", kind="noisy", verdict="inconclusive", ratio=1.1,
        ratio_low=0.9, ratio_high=1.2, p_value=0.2, p_adjusted=0.2, n_base=8, n_candidate=8,
        minimal_detectable_effect=0.5, unit="s", better="lower", warnings=(), runs_needed=runs,
        simulated=simulated, threshold=0.02,
    )  # fmt: skip
    assert comparison_words.why(comparison).rpartition("; ")[2] == (
        f"{begins} a side would settle a change of 4 %, or none{ends}"
    )


def directions() -> list[Variant]:
    """A noisy metric better lower, another better higher, three counts and a word, all changed."""
    sides = []
    for label, factor in (("a", 1.0), ("b", 1.2)):
        values = np.array(samples(int(factor * 10), 8, 100 * factor))
        series = {
            f"t-{way}": Series(metric=f"t-{way}", kind="noisy", better=way, samples=values)
            for way in WAYS[:2]
        } | {
            f"n-{way}": Series(metric=f"n-{way}", kind="exact", better=way, value=int(10 * factor))
            for way in WAYS
        }
        series["word"] = Series(metric="word", kind="exact", better="higher", value=label, rank=1)
        sides.append(Variant(label, "csv", series))
    return sides


def test_every_format_says_which_way_is_better() -> None:
    """-5 % is good or bad news; words have no more and less."""
    base, candidate = directions()
    report = compare(base, [candidate], Policy())
    for name in ("github", "junit"):
        text = " ".join(rendered(report, name).split())
        counts = [text.count(f"{way} is better") for way in ("lower", "higher")]
        assert (counts, text.count("any change is worse")) == ([2, 2], 1), name
    for name in ("text", "mail", "md"):  # of an exact metric the verdict tells
        text = rendered(report, name)
        assert ("lower" in text, "higher" in text) == (True, True)
