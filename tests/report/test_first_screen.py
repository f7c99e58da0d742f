# SPDX-License-Identifier: BSD-3-Clause
"""Nothing that changes a reader's conclusion is behind -v."""

import numpy as np
from compare_data import samples, sweep, written
from documents import plain
from golden_cases import INPUTS
from msgspec.structs import replace
from pair_recordings import pair_result

from ntbbench.cli.main import main
from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.series import Series, Variant
from ntbbench.datapath.records import OkSimulation
from ntbbench.report.document import Cell, Column, Document, Table
from ntbbench.report.registry import kind_of, load_any
from ntbbench.report.render import brief
from ntbbench.report.views.comparison import document

Side = dict[str, float | str | list[float]]


def side(label: str, known: Side) -> Variant:
    """A variant: lists are samples, numbers are exact counts, words are ranked."""
    series = {}
    for name, value in known.items():
        if isinstance(value, list):
            series[name] = Series(metric=name, kind="noisy", samples=np.array(value))
        else:
            rank = ("failed", "ok").index(value) if isinstance(value, str) else None
            better = "higher" if rank is not None else "lower"
            one = Series(metric=name, kind="exact", value=value, rank=rank, better=better)
            series[name] = one
    return Variant(label, "csv", series)


def screen(base: Side, *candidates: Side, policy: Policy | None = None) -> str:
    sides = [side(f"c{number}", known) for number, known in enumerate(candidates, 1)]
    report = compare(side("base", base), sides, policy or Policy())
    return brief.render(document(report))


def test_what_has_no_ratio_is_the_worst() -> None:
    """A point that died, and a doorbell that is missed now, before any count that grew."""
    grown = {f"p{number}/x:runs": 10 for number in range(40)}
    base = grown | {"z/x:status": "ok", "z/x:missed": 0}
    printed = screen(base, dict.fromkeys(grown, 13) | {"z/x:status": "failed", "z/x:missed": 500})
    assert "worst ok -> failed (z/x:status)" in " ".join(printed.split())
    assert "0 -> 500" in printed


def test_a_count_that_fell_to_nothing_is_the_best() -> None:
    printed = screen({"a:x": 100, "a:y": 100}, {"a:x": 25, "a:y": 0})
    assert "best -100.0 % (a:y)" in printed


def test_what_fails_the_gate_is_no_equivalent_detail() -> None:
    same = samples(1, 10)
    policy = Policy(fatal_warnings=("zero-variance",))
    printed = screen(
        {"a:x": [1.0] * 10, "a:y": same}, {"a:x": [1.0] * 10, "a:y": same}, policy=policy
    )
    assert "EQUIVALENT" in printed


def test_side_by_side_says_what_was_not_compared_and_keeps_the_base() -> None:
    base = {"a:x": samples(1, 10), "a:y": samples(2, 10)}
    one = {"a:x": samples(3, 10, 150.0), "a:y": samples(2, 10)}
    printed = screen(base, one, {"a:y": samples(2, 10)})
    (row,) = [line for line in printed.splitlines() if line.strip().startswith("x ")]
    assert row.split()[1].startswith(("99.", "100")), row  # the base's value
    assert "MISSING in it" in row and "worse".upper() in row.upper()


def test_candidates_of_one_name_stay_apart(tmp_path, capsys) -> None:
    for name, calls in (("one", 100), ("two", 900)):
        record = sweep(1)
        for point in record["points"]:
            point["dispatch"] = "per-vector"
            point["scan_iterations"] = calls
        written(tmp_path / f"{name}.json", record)
    base = written(tmp_path / "base.json", sweep(1))
    files = [base, str(tmp_path / "one.json"), str(tmp_path / "two.json")]
    match = "dispatch=fallback:per-vector:per-vector"
    assert main(["compare", *files, "--match", match, "-v"]) in (0, 4)
    printed = capsys.readouterr().out
    assert "per-vector, per-vector (2) against fallback" in " ".join(printed.split())
    assert " 100 " in printed and " 900 " in printed


def test_a_match_keeps_every_axis_that_does_not_follow(tmp_path, capsys) -> None:
    """Another drain is another measurement: such points do not meet."""
    other = sweep(1)
    for point in other["points"]:
        point |= {"dispatch": "per-vector", "drain": 64}
    files = [written(tmp_path / "a.json", sweep(1)), written(tmp_path / "b.json", other)]
    assert main(["compare", *files, "--match", "dispatch=fallback:per-vector"]) == 4
    assert "missing on one side" in " ".join(capsys.readouterr().out.split())


def test_a_row_that_stands_out_is_not_cut() -> None:
    rows = [[Cell(f"row {n}"), Cell("x", strong=n == 70)] for n in range(90)]
    printed = brief.render(plain(Table("Rows", [Column("a", align="left"), Column("b")], rows)))
    assert "row 70" in printed and "row 0 " in printed and "row 60" not in printed


def of_pair(**fields: object) -> Document:
    result = pair_result("after-after")
    points = [replace(point, **fields) for point in result.points]
    result = replace(result, points=points)
    return kind_of(result).document(result)


def test_a_complaint_of_the_kernel_is_on_the_first_screen() -> None:
    bug = "BUG: sleeping function called from invalid context at x.c:1"
    shown = of_pair(warnings=[bug])
    assert bug in " ".join(brief.render(shown).split())
    assert shown.tone == "fair"
    harmless = of_pair(
        warnings=["WARNING: kernel/workqueue.c:5938 at __alloc_workqueue+0xea/0x5c7"]
    )
    assert "__alloc_workqueue" not in brief.render(harmless)
    assert harmless.tone == "good"


def test_lost_packets_are_the_answer() -> None:
    shown = of_pair(packets_sent=40, packets_received=38)
    assert shown.verdict.startswith("8 of 160 packets were lost. ")


def test_mask_and_affinity_are_of_one_queue_count() -> None:
    record = load_any(INPUTS / "simulation-base.json")
    points = [point for point in record.points if isinstance(point, OkSimulation)]
    more = [
        replace(point, queues=4)
        for point in points
        if point.queues == 2 and (point.dispatch, point.affinity) != ("per-vector", "spread")
    ]
    whole = kind_of(record).document(record).verdict
    changed = replace(record, points=[*record.points, *more])
    assert kind_of(record).document(changed).verdict.split(". ")[0] == whole.split(". ")[0]
