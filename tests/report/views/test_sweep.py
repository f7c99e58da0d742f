# SPDX-License-Identifier: BSD-3-Clause
"""A sweep's report: what it says, and that no point, reason or warning is lost in a format."""

import csv
import io
import re

import msgspec
import pytest
import report_records
from rendered import rendered
from report_records import ok, result, timing, unavailable

from ntbbench.dispatch.records import Caution, OkPoint, SweepResult, UnavailablePoint
from ntbbench.dispatch.scenario import Scenario
from ntbbench.dispatch.sweep import run_sweep
from ntbbench.ntb.catalogue import hardware_names
from ntbbench.ntb.transport import create_queues, qp_count
from ntbbench.report.document import Table
from ntbbench.report.views.sweep import document, verdict_of

FORMATS = ("text", "mail", "md", "csv", "json", "html")


def lines_of(found: SweepResult) -> list[str]:
    return rendered(found, "text").splitlines()


def block(lines: list[str], title: str) -> list[str]:
    """Return the lines from the one that starts with `title` to the next empty one."""
    start = next(at for at, line in enumerate(lines) if line.startswith(title))
    end = next((at for at in range(start, len(lines)) if not lines[at]), len(lines))
    return lines[start:end]


def table(found: SweepResult, title: str) -> Table:
    (one,) = (
        block
        for block in document(found).blocks
        if isinstance(block, Table) and block.title.startswith(title)
    )
    return one


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([ok(), ok(fan_out=1)], "schedules 1.00 to 4.00 tasklets (1 is ideal) in 2 points; no"),
        ([ok(), unavailable()], "4.00 tasklets (1 is ideal) in 1 point; no doorbell was missed; 1"),
        ([ok(missed=3), ok()], "in 2 points; 1 point MISSED OR MISROUTED DOORBELLS"),
        ([unavailable()], "No point was measured; 1 point unavailable"),
        ([], "No point was measured"),
    ],
)
def test_the_answer_comes_first(points: list[OkPoint | UnavailablePoint], words: str) -> None:
    assert words in verdict_of(points)
    assert rendered(result(points), "text").split("\n")[0] in verdict_of(points)


def test_the_story_at_a_glance() -> None:
    summary = "\n".join(block(lines_of(report_records.story()), "Summary"))
    rows = re.findall(r"^  (\S+)\n    fallback +(.*)\n    per-vector +(.*)$", summary, re.MULTILINE)
    found = {hardware: (before.split()[:4], after.split()[:4]) for hardware, before, after in rows}
    assert found == {
        "ntb_hw_epf-legacy": (["8", "16", "16", "8.00"], ["8", "16", "16", "8.00"]),
        "ntb_hw_epf-v4": (["8", "16", "16", "8.00"], ["8", "16", "16", "1.00"]),
        "pci-epf-vntb-legacy": (["8", "16", "16", "8.00"], ["8", "16", "16", "8.00"]),
        "pci-epf-vntb-v4": (["8", "16", "16", "8.00"], ["8", "16", "16", "1.00"]),
        "generic": (["8", "16", "16", "8.00"], ["8", "16", "16", "1.00"]),
    }
    assert "87.5%  22.5 (22.0-23.1)" in summary


def test_a_pivot_holds_every_point() -> None:
    story = report_records.story()
    pivot = table(story, "Amplification")
    assert [column.head for column in pivot.columns[3:]] == ["Q=1", "Q=2", "Q=4", "Q=8"]
    cells = [cell for row in pivot.rows for cell in row[3:]]
    assert len(cells) == len(story.points)
    for point, cell in zip(story.points, cells, strict=True):
        expected = point.amplification if isinstance(point, OkPoint) else None
        assert cell.value == expected
        assert cell.text == ("-" if expected is None else f"{expected:.2f}")


def test_cost_with_its_interval() -> None:
    cost = block(lines_of(result([ok(ns=timing(23.14)), ok(queues=8, ns=timing(0.5))])), "Cost")
    assert "ns per dispatch" in cost[0]
    assert cost[-2].endswith("23.1 +-3%  0.50 +-3%")
    wild = timing(10.0)
    wild = type(wild)(median=10.0, low=9.0, high=42.0, samples=wild.samples)
    cost = block(lines_of(result([ok(ns=wild)])), "Cost")
    assert any(line.endswith("10.0 +-3x") for line in cost)
    assert "+-3x: three medians away" in " ".join(" ".join(cost).split())


def test_counts_only_have_no_cost() -> None:
    untimed = report_records.story(timed=False)
    assert not any(line.startswith("Cost") for line in lines_of(untimed))
    assert "counts only, not timed" in " ".join(" ".join(lines_of(untimed)[:5]).split())
    points = table(untimed, "All points")
    assert not any("(ns)" in column.title for column in points.columns)
    assert {len(row) for row in points.rows} == {len(points.columns)}


def test_reasons_are_said_once_with_what_was_asked_and_created() -> None:
    shown = block(lines_of(report_records.story()), "Unavailable")
    assert shown[1] == "  ENOSPC: Q queues requested, 3 possible: db_valid_mask"
    whole = " ".join(" ".join(shown).split())
    assert (
        "ntb_hw_epf-legacy, ntb_hw_epf-v4, pci-epf-vntb-legacy, pci-epf-vntb-v4, generic: "
        "fallback, per-vector; doorbells/vectors 4/4; queues asked 4,8, created 1" in whole
    )
    assert whole.count("ENOSPC") == 2


def test_the_models_own_reasons_are_merged() -> None:
    qps = qp_count(0xF, mw_count=None, spad_count=None, use_msi=False, max_num_clients=0)
    points = [
        unavailable(queues=asked, reason=create_queues(asked, qps).error) for asked in (4, 8, 65)
    ]
    assert all(point.reason.startswith("ENOSPC: ") for point in points)
    shown = " ".join(" ".join(block(lines_of(result(points)), "Unavailable")).split())
    assert "queues asked 4,8, created 1" in shown
    assert "ENOSPC: Q queues requested, 3 possible" in shown


def test_merging_keeps_every_unavailable_point() -> None:
    points = [
        unavailable("a", "fallback", 4, 4, reason="r"),
        unavailable("a", "fallback", 4, 8, reason="r"),
        unavailable("a", "fallback", 8, 8, reason="r"),
        unavailable("a", "msi", 8, 8, reason="r"),
        unavailable("b", "msi", 8, 8, reason="r"),
    ]
    assert block(lines_of(result(points)), "Unavailable")[1:] == [
        "  r",
        "    a: fallback; doorbells/vectors 4/4; queues asked 4,8, created 1",
        "    a: fallback, msi; doorbells/vectors 8/8; queues asked 8, created 1",
        "    b: msi; doorbells/vectors 8/8; queues asked 8, created 1",
    ]


@pytest.mark.parametrize("name", ["text", "md", "html"])
def test_lost_doorbells_are_a_table(name: str) -> None:
    lost = rendered(result([ok(missed=5, misrouted=2), ok(queues=8)]), name)
    title = "Missed or misrouted doorbells: a QP slept although its doorbell rang"
    assert title in lost
    words = re.sub(r"<[^>]*>|[|*]", " ", lost[lost.rindex(title) :]).split()
    at = words.index("generic")
    assert words[at : at + 7] == ["generic", "fallback", "4", "16", "16", "5", "2"]
    assert title not in rendered(report_records.story(), name)


@pytest.mark.parametrize("name", ["text", "md", "html"])
def test_an_interrupted_sweep_says_how_to_go_on(name: str) -> None:
    text = " ".join(rendered(result([ok()], complete=False), name).split())
    assert "Interrupted: the finished points only. Go on with: ntbbench sweep --resume" in text


def test_warnings_of_one_kind_are_grouped() -> None:
    cautions = [Caution(code="c", message=f"m{n}", remedy="do it", point=0) for n in range(9)]
    cautions.append(Caution(code="stale", message="no such point", remedy="nothing", point=99))
    point = "generic, fallback, doorbells 16, vectors 16, queues 4: m"
    assert list(document(result([ok()], warnings=cautions)).warnings) == [
        ("c: do it", [f"{point}{n}" for n in range(9)]),
        ("stale: nothing", ["no such point"]),
    ]


def test_circumstances_that_differ_are_in_the_title() -> None:
    points = [ok(workload=w, drain=d) for w in ("uniform", "zipf:s=1.1") for d in (1, 8)]
    pivot = table(result([*points, ok("ntb_hw_amd")]), "Amplification")
    assert ("generic, workload zipf:s=1.1, drain 8", 1) in pivot.groups
    assert ("ntb_hw_amd", 1) in pivot.groups


def test_equal_points_are_all_shown() -> None:
    assert len(table(result([ok("ntb_hw_idt")] * 3), "Amplification").rows) == 3


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_names_and_nothing_at_all_have_every_format(name: str) -> None:
    end = "</html>" if name == "html" else "\n"
    assert rendered(report_records.hostile(), name).endswith(end)
    assert rendered(result([]), name).endswith(end)


def test_a_real_sweep_of_every_device_names_each() -> None:
    scenario = Scenario(
        hardware=hardware_names(),
        queues=(1, 2, 15, 64),
        doorbells=(16,),
        dispatch=("fallback", "per-vector", "msi"),
        workload=("zipf", "burst"),
        interrupts=200,
        repeats=0,
        drain=4,
    )
    found = run_sweep(scenario)
    assert {point.hardware for point in found.points} == set(hardware_names())
    lines = lines_of(found)
    assert max(map(len, lines)) <= 80
    shown = " ".join(lines)
    assert all(name in shown for name in hardware_names())
    assert "ENOSPC: Q queues requested" in shown


def rows_of(found: SweepResult) -> list[dict[str, str]]:
    text = rendered(found, "csv")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_every_scalar_field_is_a_column_of_the_csv() -> None:
    third = 1 / 3
    point = ok(ns=timing(3.25), amplification=third, interrupts=10**12)
    (row,) = rows_of(result([point]))
    for name, value in msgspec.structs.asdict(point).items():
        if not isinstance(value, list) and name != "ns_per_dispatch":
            assert row.pop(name) == ("" if value is None else str(value)), name
    assert row == {
        "status": "ok",
        "reason": "",
        "ns_per_dispatch_median": "3.25",
        "ns_per_dispatch_low": str(timing(3.25).low),
        "ns_per_dispatch_high": str(timing(3.25).high),
        "ns_per_dispatch_samples": "5",
    }


def test_the_csv_has_one_row_a_point_in_order() -> None:
    story = report_records.story()
    for row, point in zip(rows_of(story), story.points, strict=True):
        assert (row["hardware"], int(row["queues_requested"])) == (
            *(point.hardware, point.queues_requested),
        )
        if isinstance(point, UnavailablePoint):
            assert (row["status"], row["reason"]) == ("unavailable", point.reason)
            assert row["amplification"] == row["interrupts"] == row["mw_count"] == ""


def test_hostile_texts_come_back_from_the_csv_and_the_json() -> None:
    hostile = report_records.hostile()
    rows = rows_of(hostile)
    assert [row["workload"] for row in rows] == [point.workload for point in hostile.points]
    assert msgspec.json.decode(rendered(hostile, "json"), type=SweepResult) == hostile
