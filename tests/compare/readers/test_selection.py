# SPDX-License-Identifier: BSD-3-Clause
"""Sides that are parts of a result: by the values of an axis, or matched across them."""

import json
from pathlib import Path

import pytest

from ntbbench.cli.main import main
from ntbbench.compare.readers import selection
from ntbbench.core.errors import InputError

PAIR = "ntb_hw_epf-legacy,ntb_hw_epf-v4"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of both drivers and of shared vectors; counts only."""
    path = tmp_path_factory.mktemp("swept") / "sweep.json"
    words = f"sweep --hardware {PAIR},generic --queues 1,2,4 --doorbells 8,16 --vectors 1,4"
    assert main([*words.split(), "--interrupts", "4000", "--repeats", "0", "-o", str(path)]) == 0
    return path


def counted(side, point: str) -> object:
    return side.series[f"{point}:schedule_calls"].value


@pytest.mark.parametrize(
    ("axis", "labels", "point"),
    [
        ("dispatch", ["fallback", "per-vector"], "ntb_hw_epf-v4/q4/d16/v15/round-robin/drain1/mw4"),
        ("queues", ["1", "2", "4"], "ntb_hw_epf-v4/per-vector/d16/v15/round-robin/drain1/mw4"),
    ],
)
def test_a_side_for_each_value_of_an_axis(swept: Path, axis, labels, point) -> None:
    sides = selection.by_axis(str(swept), axis)
    assert [side.label for side in sides] == labels
    of_series = [
        one
        for one in json.loads(swept.read_text())["points"]
        if (one["hardware"], one["doorbells"], one["vectors"]) == ("ntb_hw_epf-v4", 16, 15)
    ]
    wanted = {"dispatch": "per-vector", "queues_requested": 4}
    for side in sides:
        key = {"queues": "queues_requested"}.get(axis, axis)
        known = wanted | {key: type(wanted[key])(side.label)}
        (one, *_) = [p for p in of_series if all(p[name] == v for name, v in known.items())]
        assert counted(side, point) == one["schedule_calls"]


def test_vectors_that_follow_a_device_keep_no_point_apart(swept: Path) -> None:
    """The old driver has 1 vector, the new one 7 or 15: points meet without them."""
    base, candidate = selection.matched([str(swept)] * 2, f"hardware={PAIR.replace(',', ':')}")
    point = "per-vector/q4/d16/round-robin/drain1"
    assert (counted(base, point), counted(candidate, point)) == (16000, 4000)
    shared = base.series.keys() & candidate.series.keys()
    assert {name.rpartition(":")[0] for name in base.series} == {
        name.rpartition(":")[0] for name in shared
    }
    assert base.context["hardware"] == "ntb_hw_epf-legacy"


def test_an_axis_that_tells_points_apart_stays(swept: Path) -> None:
    """Of the generic device two vector counts are two points, also by dispatch."""
    names = selection.by_axis(str(swept), "dispatch")[0].series
    assert {"generic/q4/d16/v1/round-robin/drain1:wakeups",
            "generic/q4/d16/v4/round-robin/drain1:wakeups"} <= names.keys()  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--by", "colour"], "--by: 'colour': unknown; known: dispatch, doorbells"),
        (["--by", "drain"], "--by: drain: an axis of several values; all points have ['1']"),
        (["{}", "--by", "dispatch"], "--by: dispatch: one result to look into"),
        (["--match", "dispatch=a:b"], "RESULT"),
        (["{}", "--match", "dispatch=fallback"], "--match: dispatch=fallback: AXIS=A:B"),
        (["{}", "--match", "dispatch=fallback:none"], "known: fallback, per-vector"),
        (["--runs", "x.csv", "--by", "dispatch"], "results of ntbbench with --by and --match"),
    ],
)
def test_what_cannot_be_parted_is_one_line(swept: Path, words, told, capsys) -> None:
    arguments = [str(swept), *(word.format(swept) for word in words)]
    assert main(["compare", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert told in error.replace("'drain'", "drain").replace("'dispatch'", "dispatch").replace(
        "'dispatch=fallback'", "dispatch=fallback"
    )


def test_a_file_of_another_tool_has_no_axes(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"benchmarks": []}')
    with pytest.raises(InputError, match="results of ntbbench, of one kind"):
        selection.by_axis(str(path), "dispatch")


def test_did_the_series_help_is_one_command(swept: Path, capsys) -> None:
    across = f"hardware={PAIR.replace(',', ':')}"
    assert main(["compare", str(swept), str(swept), "--match", across]) == 0
    answer = " ".join(capsys.readouterr().out.split("\n")[:3])
    assert "improved" in answer and "ntb_hw_epf-v4 against ntb_hw_epf-legacy" in answer
