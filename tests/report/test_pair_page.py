# SPDX-License-Identifier: BSD-3-Clause
"""The pages of `lab pair` in a real browser: what they are of, and nothing off their edge."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from pages import OpenPage
from pair_recordings import evaluated, pair_result
from playwright.sync_api import Page

from ntbbench.lab.pair.records import PairFinding, PairResult
from ntbbench.report.pair_kinds import FORMATS

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
    checks = ["DEBUG_ATOMIC_SLEEP", "KASAN"]
    result = pair_result("before-after", kind="check")
    return replace(result, findings=[FINDING, FINDING], checks=checks, rounds=3)


def matrix() -> PairResult:
    """Return one as of --exhaustive, of two trees' drivers too: all settings differ."""
    boots = ("after-after", "after-before", "before-after", "before-before")
    points = [point for boot in boots for point in evaluated(boot) if point.gap_us]
    points = [
        replace(point, ep_driver=driver, ep_slots=slots, mw_count=windows)
        for driver in ("before", *(f"/home/me/linux-{name}/{DRIVER}" for name in ("next", "mine")))
        for windows in (1, 2)
        for slots in (4, 32)
        for point in points
    ]
    return replace(pair_result("after-after", kind="matrix"), points=points)


@pytest.fixture(params=[run, check, matrix], ids=lambda made: made.__name__)
def opened(request: pytest.FixtureRequest, tmp_path: Path, open_page: OpenPage) -> Page:
    result = request.param()
    path = tmp_path / f"{result.kind}.html"
    path.write_text(FORMATS["html"](result))
    return open_page(path, WIDTH)


def test_a_page_says_what_it_is_of_and_cuts_no_table(opened: Page, request) -> None:
    kind = request.node.callspec.id
    assert opened.title() == opened.locator("h1").inner_text() == f"ntbbench lab pair {kind}"
    assert opened.evaluate("document.documentElement.scrollWidth") <= WIDTH
    assert opened.evaluate(CUT) == []
    heads = [head.split()[0] for head in opened.locator("#pair-points th").all_inner_texts()]
    assert heads[-5:] == ["received", "runs", "predicted", "verdict", "model"]


def test_the_page_of_a_check_says_first_how_many_findings_there_are(
    tmp_path: Path, open_page: OpenPage
) -> None:
    path = tmp_path / "check.html"
    for findings, told in (([FINDING, FINDING], "2 findings"), ([], "no finding")):
        path.write_text(FORMATS["html"](replace(check(), findings=findings)))
        first = open_page(path).locator("header p").first.inner_text()
        assert first == (
            f"Linux 7.3.4 with DEBUG_ATOMIC_SLEEP, KASAN, 3 unbind/bind rounds: {told}"
        )


def test_each_qp_stands_beside_its_prediction(tmp_path: Path, open_page: OpenPage) -> None:
    path = tmp_path / "run.html"
    result = pair_result("before-after")
    path.write_text(FORMATS["html"](result))
    rows = open_page(path).locator("#pair-qps tbody tr")
    shown = [row.locator("td").all_inner_texts() for row in rows.all()]
    assert len(shown) == sum(len(point.runs_per_qp) for point in result.points)
    (point,) = [p for p in result.points if p.gap_us and p.direction == "ep-to-rc"]
    own = [row for row in shown if row[:2] == ["ep-to-rc", "4 x 5, 2000 us"]]
    assert [row[2:] for row in own] == [
        [str(qp), str(point.doorbells_per_qp[qp]), str(runs), str(runs), "0", str(qp + 2)]
        for qp, runs in enumerate(point.predicted_runs_per_qp)
    ]
    burst = [row for row in shown if row[:2] == ["ep-to-rc", "4 x 12, 0 us"]]
    assert {row[-2] for row in burst} == {"within"} and all("-" in row[-3] for row in burst)


def test_what_all_points_share_is_said_once(tmp_path: Path, open_page: OpenPage) -> None:
    path = tmp_path / "run.html"
    path.write_text(FORMATS["html"](run()))
    page = open_page(path)
    facts = page.locator("#points dl > div").all_inner_texts()
    told = dict(fact.split("\n", 1) for fact in facts)
    assert told["EP after"] == "patches of the series: 1-7"
    assert told["RC after"] == "patches of the series: 8-12"
    assert (told["slots"], told["windows"], told["queues"]) == ("8", "2", "4")
    heads = [head.split()[0] for head in page.locator("#pair-points th").all_inner_texts()]
    assert not {"EP", "RC", "slots", "windows", "queues"} & set(heads)
