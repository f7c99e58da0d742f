# SPDX-License-Identifier: BSD-3-Clause
"""What `lab pair` sends by default: both directions and a flow a QP; what it did not is told."""

import json
from pathlib import Path

import pytest
from pair_fake import Lab, points_of

from ntbbench.cli.main import main
from ntbbench.lab.pair.plan import Traffic

KINDS = ("run", "check", "matrix")
BOTH = ["ep-to-rc", "rc-to-ep"]
EVERYTHING = "doorbells that meet (--gap 0)"


def sent(lab: Lab, kind: str, *options: str) -> list[tuple[Traffic, ...]]:
    """Return the traffic of each boot that a command asks for."""
    lab.plans.clear()
    main(["lab", "pair", kind, *options, "-o", "r.json"])
    return [plan.traffic for plan in lab.plans]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "flows"),
    [
        ((), 2),
        (("--queues", "4"), 4),
        (("--queues", "1"), 1),
        (("--mw-count", "1"), 1),
        (("--mw-count", "1", "--queues", "3"), 3),
        (("--queues", "64"), 15),  # the root complex has 16 MSIs: a bit for each but two, and one
        (("--flows", "3"), 3),
        (("--queues", "4", "--flows", "1"), 1),
    ],
)
def test_both_directions_have_a_flow_for_each_qp(lab: Lab, kind: str, options, flows) -> None:
    boots = sent(lab, kind, *options)
    assert boots
    for traffic in boots:
        assert [point.direction for point in traffic] == BOTH
        assert [point.flows for point in traffic] == [flows] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_direction_narrows_it(lab: Lab, kind: str) -> None:
    for direction in BOTH:
        for traffic in sent(lab, kind, "--direction", direction):
            assert [(point.direction, point.flows) for point in traffic] == [(direction, 2)]


def test_a_bisection_sends_the_same(lab: Lab) -> None:
    assert sent(lab, "run", "--bisect") == sent(lab, "run")


def test_a_matrix_has_a_flow_for_each_qp_of_each_cell(lab: Lab) -> None:
    one = ("--ep-driver", "after", "--rc-driver", "after", "--mw-count", "1-2", "--jobs", "1")
    flows = [[point.flows for point in traffic] for traffic in sent(lab, "matrix", *one)]
    assert flows == [[1, 1], [2, 2]]


def test_a_matrix_that_was_asked_for_four_flows_goes_on_with_four(lab: Lab, tmp_path: Path) -> None:
    """As every file of an older version says."""
    out = tmp_path / "m.json"
    main(["lab", "pair", "matrix", "--flows", "4", "-o", str(out)])
    result = json.loads(out.read_text())
    assert result["scenario"]["flows"] == 4
    out.write_text(json.dumps({**result, "points": result["points"][:2], "complete": False}))
    lab.plans.clear()
    assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 0
    assert {point.flows for plan in lab.plans for point in plan.traffic} == {4}
    assert len(lab.plans) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_says_what_was_not_exercised(lab: Lab, kind: str, capsys) -> None:
    out = ("-o", "r.json")
    for name in ("text", "md", "html", "json"):
        one = ("--direction", "ep-to-rc", "--format", name)
        assert main(["lab", "pair", kind, *one, *out]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert "doorbells towards the endpoint (--direction rc-to-ep)" in printed
        assert main(["lab", "pair", kind, "--format", name, *out]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert "--direction" not in printed and EVERYTHING in printed
        assert name == "json" or "not exercised: " in printed
        assert EVERYTHING in json.loads(Path("r.json").read_text())["not_exercised"]


def test_a_result_without_the_field_is_shown(lab: Lab, tmp_path: Path, capsys) -> None:
    """As those of older versions are."""
    out = tmp_path / "r.json"
    assert main(["lab", "pair", "run", "-o", str(out)]) == 0
    result = json.loads(out.read_text())
    del result["not_exercised"]
    for point in result["points"]:
        del point["slots_per_bit"], point["slots_per_number"]
    out.write_text(json.dumps(result))
    capsys.readouterr()
    assert main(["show", str(out)]) == 0
    assert "not exercised" not in capsys.readouterr().out
    assert len(points_of(out)) == 2
