# SPDX-License-Identifier: BSD-3-Clause
"""Reports of `lab pair`: bounds, long names, tests in KTAP, and pages in a browser."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from pages import OpenPage
from pair_recordings import evaluated, pair_result
from playwright.sync_api import Page
from rendered import rendered

from ntbbench.lab.pair.records import UNAVAILABLE, PairFinding, PairResult
from ntbbench.report.document import Check
from ntbbench.report.registry import kind_of

WIDTH = 1200
DRIVER = "drivers/pci/endpoint/functions/pci-epf-vntb.c"
FINDING = PairFinding(
    kind="sleep",
    line="BUG: sleeping function called from invalid context at kernel/locking/mutex.c:591",
    function="vntb_epf_peer_db_set",
    side="ep",
    count=3,
)
CUT = """() => Array.from(document.querySelectorAll('.scroll'))
  .filter(box => box.scrollWidth > box.clientWidth)
  .map(box => box.getAttribute('aria-label'))"""


def run() -> PairResult:
    return pair_result("after-after")


def check() -> PairResult:
    result = pair_result("before-after", kind="check")
    return replace(result, findings=[FINDING, FINDING], checks=["KASAN"], rounds=3)


def matrix() -> PairResult:
    """Return one as of --exhaustive, of two trees' drivers too: all settings differ."""
    boots = ("after-after", "after-before", "before-after", "before-before")
    points = [point for boot in boots for point in evaluated(boot) if point.gap_us]
    points = [
        replace(point, ep_driver=driver, ep_slots=slots, mw_count=windows, flows=windows, packets=5)
        for driver in ("before", *(f"/home/me/linux-{name}/{DRIVER}" for name in ("next", "mine")))
        for windows in (1, 2)
        for slots in (4, 32)
        for point in points
    ]
    return replace(pair_result("after-after", kind="matrix"), points=points)


def one_line(text: str) -> str:
    return " ".join(text.split())


def rows_of(text: str) -> dict[str, list[str]]:
    """Return the cells of a text by the first of them, of the rows of one point."""
    rows = (re.split(r"  +", line.strip()) for line in text.splitlines())
    return {name: cells for name, *cells in rows}


def test_bounded_counts_are_told_as_ranges() -> None:
    """A burst, and a poll that the scheduler may cut: the fewest and the most."""
    result = pair_result("before-after")
    burst, polled = (
        next(p for p in result.points if (p.direction, bool(p.gap_us)) == wanted)
        for wanted in (("ep-to-rc", False), ("rc-to-ep", True))
    )
    assert not burst.spaced and not polled.spaced
    rows = rows_of(rendered(replace(result, points=[burst]), "text"))
    assert rows["MSIs raised"] == ["48", "48", "0"]
    assert rows["doorbell events"] == ["48", "4 .. 48", "within"]
    low, high = sum(burst.least_runs_per_qp), sum(burst.most_runs_per_qp)
    assert rows["tasklet runs"] == ["96", f"{low} .. {high}", "within"]
    low, high = sum(polled.least_runs_per_qp), sum(polled.most_runs_per_qp)
    rows = rows_of(rendered(replace(result, points=[polled]), "text"))
    assert f"{low} .. {high}" in rows["rc-to-ep"] and rows["rc-to-ep"][-1] == "in bounds"


def test_what_the_kernel_warned_and_what_became_of_doorbells_is_told() -> None:
    """JSON `verdict` is the doorbells': where both say `missed`, the model agrees."""
    (point,) = [p for p in evaluated("before-after-slots-3") if p.direction == "rc-to-ep"]
    assert (point.verdict, point.agrees) == ("missed", True)
    warned = replace(point, warnings=["BUG: a", "WARNING: b", "BUG: a"])
    text = rendered(replace(run(), points=[warned]), "text")
    assert "doorbells: missed (predicted missed)" in text
    assert rows_of(text)["rc-to-ep"][-1] == "agrees"
    assert text.count("the kernel warned 2 times: BUG: a") == 1
    assert text.count("the kernel warned: BUG: a") == 1  # among the findings
    assert "the kernel warned: WARNING: b" in text


@pytest.mark.parametrize("form", ["text", "md", "html", "ktap"])
@pytest.mark.parametrize("kind", ["run", "matrix"])
def test_drivers_of_one_name_are_told_apart(kind: str, form: str) -> None:
    whole = pair_result("before-after", kind=kind)
    point = next(point for point in whole.points if point.gap_us and point.msis_raised)
    files = ["/home/me/a/my-vntb.c", "/home/me/b/my-vntb.c"]
    points = [replace(point, ep_driver=name) for name in files]
    text = rendered(replace(whole, points=points), form)
    assert "a/my-vntb.c" in text and "b/my-vntb.c" in text and "/home/me" not in text


def leaves(checks: list[Check]) -> list[Check]:
    return [leaf for one in checks for leaf in (leaves(one.checks) if one.checks else [one])]


def test_each_point_is_a_subtest_of_its_boot_with_its_counts() -> None:
    result = matrix()
    found = kind_of(result).document(result).checks()
    assert len(found) == len({(p.ep_driver, p.rc_driver, p.ep_slots, p.mw_count)
                              for p in result.points})  # fmt: skip
    assert [leaf.ok for leaf in leaves(found)] == [True] * len(result.points)
    point = result.points[0]
    assert f"runs {sum(point.runs_per_qp)}, predicted {sum(point.predicted_runs_per_qp)}" in (
        leaves(found)[0].diagnostics
    )


def test_what_cannot_be_had_is_skipped_and_what_differs_fails() -> None:
    first, second = (point for point in evaluated("after-after") if point.gap_us)
    points = [
        replace(first, status=UNAVAILABLE, cause="only poll", agrees=None),
        replace(second, agrees=False, notes=["runs of QP 0: 3, the model says 2"]),
    ]
    result = replace(check(), points=points)
    skipped, failed, *kinds = leaves(kind_of(result).document(result).checks())
    assert (skipped.ok, skipped.reason) == (None, "only poll")
    assert failed.ok is False and "runs of QP 0: 3, the model says 2" in failed.diagnostics
    assert [(kind.name, kind.ok) for kind in kinds][:2] == [("sleep", False), ("locking", True)]


# --- pages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [run, check, matrix])
def test_a_page_says_what_it_is_of_and_cuts_no_table(
    made, tmp_path: Path, open_page: OpenPage
) -> None:
    result = made()
    page = opened(result, tmp_path, open_page)
    title = f"ntbbench lab pair {result.kind}"
    assert page.title() == page.locator("h1").inner_text() == title
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH
    assert page.evaluate(CUT) == []
    points = table(page, "Points")
    assert points[0][-4:] == ["runs", "predicted", "doorbells", "model"]
    assert len(points) == 1 + len(result.points)


def opened(result: PairResult, folder: Path, open_page: OpenPage) -> Page:
    path = folder / f"{result.kind}.html"
    path.write_text(rendered(result, "html"))
    return open_page(path, WIDTH)


def table(page: Page, heading: str) -> list[list[str]]:
    """Return the head and the rows of the table below a heading."""
    section = page.locator("section", has=page.get_by_role("heading", name=heading, exact=True))
    rows = section.locator("tr")
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def test_each_qp_stands_beside_its_prediction(tmp_path: Path, open_page: OpenPage) -> None:
    result = pair_result("before-after", kind="matrix")
    shown = table(opened(result, tmp_path, open_page), "QPs")[1:]
    assert len(shown) == sum(len(point.runs_per_qp) for point in result.points)
    point = next(p for p in result.points if p.gap_us and p.direction == "ep-to-rc")
    own = [row for row in shown if row[:3] == ["ep-to-rc", "5", "2000"]]
    assert [row[3:] for row in own] == [
        [str(qp), str(point.doorbells_per_qp[qp]), str(runs), str(runs), "0", str(qp + 2)]
        for qp, runs in enumerate(point.predicted_runs_per_qp)
    ]
    burst = [row for row in shown if row[:3] == ["ep-to-rc", "12", "0"]]
    assert {row[-2] for row in burst} == {"within"} and all(".." in row[-3] for row in burst)
