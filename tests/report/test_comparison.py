# SPDX-License-Identifier: BSD-3-Clause
"""Every output from one result, with names that try to break out of each format."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from compare_data import HOSTILE, noisy_sides, pytest_benchmark, runs_csv, samples, sweep, written
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page

from ntbbench.cli.main import main
from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.readers import load_runs, load_variant
from ntbbench.compare.records import Comparison, Report, Summary
from ntbbench.compare.series import Series, Variant
from ntbbench.compare.warning_list import CAUTIONS
from ntbbench.report.comparison import FORMATS, mail, wording
from ntbbench.report.comparison.html import render as render_html


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
    text = FORMATS[name](hostile)
    if name == "json":
        assert json.loads(text)["comparisons"][1]["metric"] == f"{HOSTILE[0]}:count"
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text.replace("\u202e", "") if name == "json" else text
    )


def test_mail_fits_75_columns(hostile: Report) -> None:
    for text in (FORMATS["mail"](hostile), mail.render_with_runs(hostile, variants())):
        assert max(map(len, text.splitlines())) <= 75
        assert "\t" not in text
        assert re.search(r"n +mean +min +max +median +SD", text)
        assert "verdict: REGRESSED" in text


def test_mail_columns_are_aligned(hostile: Report) -> None:
    lines = FORMATS["mail"](hostile).splitlines()
    header = next(i for i, line in enumerate(lines) if line.lstrip().startswith("n "))
    ends = [m.end() for m in re.finditer(r"\S+", lines[header])]
    assert [m.end() for m in re.finditer(r"\S+", lines[header + 1])][-6:] == ends


def test_raw_runs_are_all_there(tmp_path: Path, capsys) -> None:
    path = runs_csv(tmp_path / "t.csv", {"a": [1.5, 2.5, 3.5], "b": [4.5, 5.5, 6.5]})
    main(["compare", "--runs", str(path), "--format", "mail", "--raw"])
    text = capsys.readouterr().out
    assert all(f"{value:.4f}" in text for value in (1.5, 2.5, 3.5, 4.5, 5.5, 6.5))


def test_text_fits_80_columns(hostile: Report) -> None:
    assert max(map(len, FORMATS["text"](hostile).splitlines())) <= 80


def test_csv_has_a_row_a_comparison_and_no_formula(hostile: Report) -> None:
    rows = list(csv.reader(io.StringIO(FORMATS["csv"](hostile)), strict=True))
    assert len(rows) == 1 + len(hostile.comparisons)
    assert {len(row) for row in rows} == {len(rows[0])}
    names = {row[0] for row in rows[1:]}
    assert not any(name.startswith(("=", "+", "-", "@")) for name in names)


def test_junit_parses_and_counts(hostile: Report) -> None:
    suite = ET.fromstring(FORMATS["junit"](hostile))
    assert int(suite.get("tests", "")) == len(hostile.comparisons) == len(suite)
    assert int(suite.get("failures", "")) == hostile.totals.regressed > 0
    assert int(suite.get("errors", "")) == hostile.totals.missing == 1
    assert f"{HOSTILE[0]}:count" in {case.get("name") for case in suite}


def test_annotations_are_one_command_a_line(hostile: Report) -> None:
    lines = FORMATS["github"](hostile).splitlines()
    assert all(re.match(r"::(error|warning|notice) title=[^:,]*::", line) for line in lines)
    assert sum(line.startswith("::error") for line in lines) == 10
    assert not any("::error title=x" in line[8:] for line in lines)


def test_markdown_rows_have_as_many_cells_as_the_header(hostile: Report) -> None:
    rows = [line for line in FORMATS["md"](hostile).splitlines() if line.startswith("| ")]
    cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert cells == {9}


class Outside(HTMLParser):
    """Collects the tags that Markdown's text holds outside of code spans."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)


def test_markdown_has_no_foreign_tag_outside_code(hostile: Report) -> None:
    text = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", FORMATS["md"](hostile))
    parser = Outside()
    parser.feed(text)
    assert parser.tags <= {"br", "sub"}
    assert "@user" not in text


def test_every_warning_has_a_remedy() -> None:
    assert all(message and remedy for message, remedy in CAUTIONS.values())


def test_job_summary_is_appended(tmp_path: Path, monkeypatch, capsys) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    path = runs_csv(tmp_path / "t.csv", {"a": samples(1, 8), "b": samples(2, 8, 120)})
    junit = tmp_path / "junit.xml"
    options = ["--format", "github", "--write", f"junit={junit}"]
    assert main(["gate", "--runs", str(path), *options]) == 1
    assert capsys.readouterr().out.startswith("::notice")
    assert summary.read_text().startswith("before\n### ntbbench")
    assert ET.fromstring(junit.read_text()).get("failures") == "1"


def opened(browser: Browser, path: Path) -> tuple[Page, list[str]]:
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append("a dialog"))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else errors.append(r.url),
    )
    page.goto(path.as_uri())
    page.wait_for_timeout(800)
    return page, errors


def test_page_of_hostile_names(browser: Browser, tmp_path: Path, hostile: Report) -> None:
    path = tmp_path / "page.html"
    path.write_text(render_html(hostile, variants()), encoding="utf-8")
    page, errors = opened(browser, path)
    assert errors == []
    listed = [c for c in hostile.comparisons if c.kind == "noisy" or c.verdict != "equivalent"]
    assert page.locator("table tbody tr").count() == len(listed) == 30
    assert page.locator("script", has_text="alert(1)").count() <= 1  # plotly's data, inert JSON
    assert HOSTILE[0] in page.locator("table tbody").inner_text()


def test_page_of_a_sweep(browser: Browser, tmp_path: Path) -> None:
    slow = sweep(2, 12)
    slow["points"][5]["ns_per_dispatch"]["samples"] = samples(9, 12, 20.0, 0.02)
    slow["points"][1]["missed"] = 3
    files = [written(tmp_path / "a.json", sweep(1, 12)), written(tmp_path / "b.json", slow)]
    loaded = [load_variant(file) for file in files]
    report = compare(loaded[0], loaded[1:], Policy())
    path = tmp_path / "page.html"
    path.write_text(render_html(report, tuple(loaded)), encoding="utf-8")
    page, errors = opened(browser, path)
    assert errors == []
    rows = page.locator("table tbody tr")
    assert rows.count() == 7  # six timings and one count that changed
    assert "regressed" in rows.first.inner_text()
    cells = page.evaluate(
        "() => { const f = document.getElementById('heatmap-0');"
        " return (f.data ?? f.querySelector('.js-plotly-plot').data)[0].z; }"
    )
    flat = [value for line in cells for value in line]
    assert flat.count(4) == 2  # two cells are regressed
    page.locator("input").first.fill("missed")
    page.wait_for_timeout(300)
    assert page.locator("table tbody tr:visible").count() == 1
    page.locator("input").first.fill("")
    page.wait_for_timeout(300)
    header = page.locator("table thead th", has_text="change").locator("button, *").first
    header.click()
    page.wait_for_timeout(300)
    first = page.locator("table tbody tr:visible").first.inner_text()
    header.click()
    page.wait_for_timeout(300)
    assert page.locator("table tbody tr:visible").first.inner_text() != first


def test_page_of_counts_shows_both_values(browser: Browser, tmp_path: Path) -> None:
    sides = [
        Variant(label, "csv", {"n": Series(metric="n", kind="exact", value=value)})
        for label, value in (("a", 4), ("b", 5))
    ]
    path = tmp_path / "page.html"
    path.write_text(render_html(compare(sides[0], sides[1:], Policy()), tuple(sides)))
    page, _ = opened(browser, path)
    cells = page.locator("table tbody tr").first.locator("td").all_inner_texts()
    assert "4 -> 5 (+25.0 %)" in cells
    assert not any(cell.startswith("+25") for cell in cells)  # no interval of what is exact


def test_figures_follow_the_width_of_their_page(browser: Browser, tmp_path: Path) -> None:
    sides = noisy_sides(slow=(samples(1, 12), samples(2, 12, 120.0)))
    path = tmp_path / "page.html"
    path.write_text(render_html(compare(sides[0], sides[1:], Policy()), tuple(sides)))
    page, errors = opened(browser, path)
    # Not the window but the page becomes narrow, as when a scroll bar takes its room.
    page.evaluate("document.body.style.width = '400px'")
    page.wait_for_timeout(500)
    widths = page.evaluate(
        "() => [...document.querySelectorAll('.plot')].map(p => "
        "[p.clientWidth, p.querySelector('.main-svg').clientWidth])"
    )
    assert len(widths) == 2
    assert all(plot == drawn < 400 for plot, drawn in widths), widths
    assert errors == []


def test_outputs_of_runs_and_pytest_benchmark_agree(tmp_path: Path) -> None:
    base = load_variant(written(tmp_path / "a.json", pytest_benchmark(1, x=1e-3)))
    new = load_variant(written(tmp_path / "b.json", pytest_benchmark(2, x=2e-3)))
    report = compare(base, [new], Policy())
    noisy = next(c for c in report.comparisons if c.kind == "noisy")
    change = f"{(noisy.ratio - 1) * 100:+.1f} %"
    for name in ("text", "mail", "md", "github", "junit"):
        assert change.replace("%", "%25" if name == "github" else "%") in FORMATS[name](report)
    path = runs_csv(tmp_path / "t.csv", {"a": [1.0, 2.0], "b": [3.0]})
    assert [v.label for v in load_runs([path])] == ["a", "b"]


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
    assert wording.apart(names) == shown


@given(st.lists(st.text("ab/: "), unique=True))
def test_cut_names_stay_apart(names: list[str]) -> None:
    assert len(set(wording.apart(names))) == len(names)


@pytest.mark.parametrize(
    ("policy", "failures"),
    [
        (Policy(), {"slow"}),
        (Policy(fail_inconclusive=True), {"slow", "noisy"}),
        (Policy(fatal_warnings=("zero-variance",)), {"slow", "still"}),
        (Policy(gate_on="exact", fail_inconclusive=True), set()),
    ],
)
def test_junit_fails_what_the_policy_fails(policy: Policy, failures: set[str]) -> None:
    still = [100.0] * 8
    pairs = {
        "slow": (samples(1, 8), samples(2, 8, 120.0)),
        "noisy": (samples(3, 8, 100, 20), samples(4, 8, 100, 20)),
        "still": (still, still),
    }
    sides = noisy_sides(**pairs)
    suite = ET.fromstring(FORMATS["junit"](compare(sides[0], sides[1:], policy)))
    assert {case.get("name") for case in suite if case.find("failure") is not None} == failures


@pytest.mark.parametrize("n", [1, 9_999_999, 123_456_789])
@pytest.mark.parametrize("scale", [1e-75, 1.0, 9.99999e74])
def test_a_line_of_mail_fits_whatever_its_numbers(n: int, scale: float) -> None:
    side = Summary(
        n=n, mean=scale, minimum=scale / 3, maximum=scale, median=scale, sd=scale / 7, outliers=0
    )
    line = mail.row("a-label-that-is-long", mail.rows([side, side], 1.0)[0])
    assert len(line) <= mail.WIDTH
    assert line.split()[-6] == str(n)
    assert len(line.split()) == 7  # nothing touches


@pytest.mark.parametrize(
    ("simulated", "runs", "said"),
    [
        (False, 20, "about 20 runs a side would settle it"),
        (False, 20_000, "more than 10000 runs a side would settle it: quiet the machine first"),
        (True, 20, "about 20 replications a side would settle it"),
        (True, 20_000, "more than 10000 replications a side would settle it"),
    ],
)
def test_what_would_settle_it(simulated: bool, runs: int, said: str) -> None:
    """Replications of a simulation have no machine to quiet."""
    comparison = Comparison(
        metric="m", base="a", candidate="b", kind="noisy", verdict="inconclusive", ratio=1.1,
        ratio_low=0.9, ratio_high=1.2, p_value=0.2, p_adjusted=0.2, n_base=8, n_candidate=8,
        minimal_detectable_effect=0.5, unit="s", better="lower", warnings=(), runs_needed=runs,
        simulated=simulated,
    )  # fmt: skip
    assert wording.why(comparison).rpartition("; ")[2] == said
