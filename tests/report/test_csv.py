# SPDX-License-Identifier: BSD-3-Clause
"""CSV and JSON: every number at full precision, every text unchanged."""

import csv
import io

import msgspec
import pytest
import report_records
from report_records import ok, result, timing, unavailable

from ntbbench.core.result_file import write_json
from ntbbench.dispatch.records import OkPoint, SweepResult, UnavailablePoint
from ntbbench.report import FORMATS
from ntbbench.report import csv as csv_report
from ntbbench.report import json as json_report


def compact(text: str) -> str:
    return msgspec.json.format(text, indent=-1)


def rows_of(found: SweepResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_report.render(found), newline=""), strict=True))


def test_every_scalar_field_is_a_column() -> None:
    (row,) = rows_of(result([ok(ns=timing(3.25))]))
    point = ok(ns=timing(3.25))
    scalars = {
        name: value
        for name, value in msgspec.structs.asdict(point).items()
        if not isinstance(value, list) and name != "ns_per_dispatch"
    }
    for name, value in scalars.items():
        assert row.pop(name) == ("" if value is None else str(value)), name
    assert row == {
        "status": "ok",
        "reason": "",
        "ns_per_dispatch_median": "3.25",
        "ns_per_dispatch_low": str(timing(3.25).low),
        "ns_per_dispatch_high": str(timing(3.25).high),
        "ns_per_dispatch_samples": "5",
    }


def test_one_row_a_point_in_order() -> None:
    story = report_records.story()
    rows = rows_of(story)
    assert len(rows) == len(story.points)
    for row, point in zip(rows, story.points, strict=True):
        assert row["hardware"] == point.hardware
        assert int(row["queues_requested"]) == point.queues_requested
        if isinstance(point, OkPoint):
            assert row["status"] == "ok"
            assert float(row["amplification"]) == point.amplification
            assert float(row["ns_per_dispatch_median"]) == point.ns_per_dispatch.median
        else:
            assert isinstance(point, UnavailablePoint)
            assert (row["status"], row["reason"]) == ("unavailable", point.reason)
            assert row["amplification"] == row["interrupts"] == row["mw_count"] == ""


def test_full_precision_and_no_scaling() -> None:
    third = 1 / 3
    (row,) = rows_of(result([ok(amplification=third, interrupts=10**12)]))
    assert float(row["amplification"]) == third
    assert row["interrupts"] == "1000000000000"


@pytest.mark.parametrize("text", report_records.HOSTILE)
def test_texts_come_back_unchanged(text: str) -> None:
    rows = rows_of(result([ok(text, workload=text), unavailable(text, reason=text)]))
    assert [row["hardware"] for row in rows] == [text, text]
    assert rows[0]["workload"] == rows[1]["reason"] == text
    # Quoted, so that a spreadsheet sees a text where a formula would start.
    assert f'"{text.replace(chr(34), chr(34) * 2)}"' in csv_report.render(result([ok(text)]))


def test_json_is_the_saved_file(tmp_path) -> None:
    for found in (report_records.story(), report_records.hostile()):
        shown = json_report.render(found)
        assert msgspec.json.decode(shown, type=SweepResult) == found
        path = tmp_path / "saved.json"
        write_json(path, found)
        assert compact(shown) == compact(path.read_text())


def test_formats() -> None:
    assert list(FORMATS) == ["text", "md", "csv", "json"]
    empty = result([])
    for render in FORMATS.values():
        assert render(empty).endswith("\n")
