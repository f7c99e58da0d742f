# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair run` from the command line, and its reports, on recordings."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import msgspec
import pytest
from pair_fake import Lab, points_of
from pair_recordings import pair_result

from ntbbench.cli import lab_pair_kernel
from ntbbench.cli.lab_pair import verdict
from ntbbench.cli.main import main
from ntbbench.lab.lab_errors import BuildError
from ntbbench.lab.pair.drivers.text_patches import DRIVERS
from ntbbench.lab.pair.plan import PairRecordings
from ntbbench.lab.pair.records import UNAVAILABLE, load_pair_result
from ntbbench.report import pair_matrix
from ntbbench.report.pair import render_text
from ntbbench.report.pair_kinds import FORMATS


def test_defaults_are_those_that_are_documented(lab: Lab, capsys) -> None:
    assert main(["lab", "pair", "run"]) == 0
    ((setup, traffic),) = [(plan.setup, plan.traffic) for plan in lab.plans]
    assert (setup.ep_driver, setup.rc_driver) == ("after", "after")
    assert (setup.ep_slots, setup.mw_count, setup.queues) == (8, 2, None)
    assert setup.doorbell == "poll"
    assert [point.direction for point in traffic] == ["ep-to-rc", "rc-to-ep"]
    assert {(point.flows, point.packets, point.gap_us) for point in traffic} == {(2, 20, 12_000)}
    told = capsys.readouterr()
    assert "the model agrees in 2 of 2" in " ".join(told.out.split())
    (saved,) = Path("results/runs").glob("lab-pair-*.json")
    assert f"result saved to {saved}" in told.err


def test_the_json_has_every_field_of_the_schema(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    assert main(["lab", "pair", "run", "--ep-driver", "before", "-o", str(out)]) == 0
    result = json.loads(out.read_text())
    assert result["schema"] == "ntbbench.pair/1"
    first, second = result["points"]
    assert (first["direction"], second["direction"]) == ("ep-to-rc", "rc-to-ep")
    assert (first["ep_patches"], first["rc_patches"]) == ([], [8, 9, 10, 11, 12])
    assert first["runs_per_qp"] == first["predicted_runs_per_qp"]
    assert (first["link"], first["ep_qp_count"], first["agrees"]) == ("up", 4, True)
    assert first["msis_raised"] == first["doorbells_rung"] == first["packets_received"] == 20


@pytest.mark.parametrize("name", ["text", "md", "csv", "json", "html"])
def test_every_format_of_every_kind(lab: Lab, name: str, tmp_path: Path, capsys) -> None:
    for kind in ("run", "matrix", "check"):
        out = tmp_path / f"{kind}.json"
        assert main(["lab", "pair", kind, "--format", name, "-o", str(out)]) == 0
        printed = capsys.readouterr().out
        assert main(["show", str(out), "--format", name]) == 0 if name != "html" else True
        if name != "html":
            assert capsys.readouterr().out == printed
        if name == "text":
            assert all(len(line) <= 80 and line.isascii() for line in printed.splitlines())
        if name == "csv":
            rows = list(csv.DictReader(io.StringIO(printed)))
            assert {row["schema"] for row in rows if "schema" in row} == set()
            assert {row["agrees"] for row in rows} == {"True"}
        if name == "json":
            assert json.loads(printed) == json.loads(out.read_text())


def test_a_link_that_stays_down_is_a_point_with_its_cause(lab: Lab, tmp_path, capsys) -> None:
    out = tmp_path / "r.json"
    assert main(["lab", "pair", "run", "--ep-slots", "4", "-o", str(out)]) == 0
    for point in points_of(out):
        assert (point.link, point.ep_qp_count, point.rc_qp_count) == ("down", 1, 2)
    assert "qp_count 1 on EP" in " ".join(capsys.readouterr().out.split())


def test_an_unavailable_mode_is_told_in_every_format(lab: Lab, tmp_path: Path, capsys) -> None:
    cause = "pci-epf-vntb of 6.12.95 has no msi doorbells, only poll"

    def missing(recordings: PairRecordings) -> PairRecordings:
        return replace(recordings, available=False, link="down", cause=cause, points=())

    lab.change = missing
    out = tmp_path / "r.json"
    for name in ("text", "md", "csv", "json", "html"):
        arguments = ["--ep-driver", "before", "--format", name, "-o", str(out)]
        assert main(["lab", "pair", "run", *arguments]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert "unavailable" in printed and cause in printed
        assert "the model agrees" not in printed and "0 of 0" not in printed
        assert main(["lab", "pair", "check", *arguments]) == 0
        printed = " ".join(capsys.readouterr().out.split())
        assert f"nothing was run, 2 points unavailable: {cause}" in printed or name in "csv json"
        assert "no finding" not in printed
    assert [(point.status, point.agrees) for point in points_of(out)] == [("unavailable", None)] * 2
    main(["lab", "pair", "run", "--ep-driver", "before", "-o", str(out)])
    assert {(point.status, point.link, point.cause) for point in points_of(out)} == {
        ("unavailable", "down", cause)
    }
    assert main(["gate", str(out), str(out)]) == 0
    assert main(["lab", "pair", "run", "--require", "link", "-o", str(out)]) == 1
    assert cause in capsys.readouterr().err


def test_bounded_counts_are_told_as_ranges(tmp_path: Path) -> None:
    """A burst, and a poll that the scheduler may cut: the fewest and the most."""
    result = pair_result("before-after")
    burst, polled = (
        next(p for p in result.points if (p.direction, bool(p.gap_us)) == wanted)
        for wanted in (("ep-to-rc", False), ("rc-to-ep", True))
    )
    assert not burst.spaced and not polled.spaced
    text = render_text(msgspec.structs.replace(result, points=[burst, polled]))
    rows = {name: line.split() for name, line in _lines(text)}
    assert rows["MSIs raised"][2:] == ["48", "48", "0"]
    assert rows["doorbell events"][2:] == ["48", "4-48", "within"]
    low, high = sum(burst.least_runs_per_qp), sum(burst.most_runs_per_qp)
    assert rows["tasklet runs"][2:] == ["96", f"{low}-{high}", "within"]
    low, high = sum(polled.least_runs_per_qp), sum(polled.most_runs_per_qp)
    assert f" {low}-{high}  in bounds" in text and low < high
    wide = [c * 1000 for c in burst.most_runs_per_qp]
    big = msgspec.structs.replace(burst, most_runs_per_qp=wide, least_runs_per_qp=[*wide[:-1], 1])
    text = render_text(msgspec.structs.replace(result, points=[big]))
    assert f" {(sum(wide) - wide[-1] + 1) // 1000}k-{sum(wide) // 1000}k  in bounds" in text
    assert max(map(len, text.splitlines())) <= 80


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield the rows of the first point by their name."""
    for line in text.partition("\n  patches: ")[0].splitlines():
        yield re.split(r"  +", line.strip())[0], line


def test_text_tells_what_became_of_doorbells_and_what_the_model_says_apart(capsys) -> None:
    """JSON `verdict` is the doorbells': where both say `missed`, the model agrees."""
    result = pair_result("before-after-slots-3")
    (point,) = [point for point in result.points if point.direction == "rc-to-ep"]
    assert (point.verdict, point.agrees) == ("missed", True)
    text = render_text(msgspec.structs.replace(result, points=[point]))
    assert "doorbells: missed (predicted missed)" in text
    head, row = text.split("\n\n")[1].splitlines()[1:]
    assert (head.split()[-1], row.split()[-1]) == ("model", "agrees")
    assert "<td><div>missed</div></td><td><div>agrees</div></td>" in FORMATS["html"](result)


def test_a_side_without_a_device_has_no_qp_count_but_a_cause(lab: Lab, tmp_path, capsys) -> None:
    out = ("-o", str(tmp_path / "r.json"))
    one = ("--direction", "ep-to-rc")
    assert main(["lab", "pair", "run", "--ep-slots", "2", *one, *out]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "qp_count: none (as predicted): " in text and "None" not in text
    assert text.count("DB count 2 out of range") == 1


def test_the_first_line_says_what_ran_the_guest(lab: Lab, tmp_path: Path, capsys) -> None:
    assert main(["lab", "pair", "run", "-o", str(tmp_path / "r.json")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "(debian:7.3, emulated by QEMU's tcg, counting instructions): " in text


def test_require_makes_a_finding_of_what_the_model_expects(lab: Lab, tmp_path, capsys) -> None:
    out = ("-o", str(tmp_path / "r.json"))
    assert main(["lab", "pair", "run", "--ep-slots", "4", "--require", "link", *out]) == 1
    assert "--require link: ep-to-rc is not: ntb_transport computed" in capsys.readouterr().err
    assert main(["lab", "pair", "run", "--require", "per-vector", *out]) == 0
    old = ("--rc-driver", "before", "--require")
    assert main(["lab", "pair", "run", *old, "per-vector", *out]) == 1
    assert main(["lab", "pair", "run", *old, "packets", *out]) == 0


def test_a_requirement_that_is_not_met_names_the_counts(capsys) -> None:
    (burst,) = [p for p in pair_result("before-after").points if not p.gap_us and p.msis_raised]
    lost = msgspec.structs.replace(burst, packets_received=40)
    assert verdict([lost], "packets") == 1
    told = capsys.readouterr().err
    assert "--require packets: ep-to-rc is not: 48 packets sent, 40 received;" in told
    one = msgspec.structs.replace(burst, verdict="works")
    assert verdict([one], "per-vector") == 1
    assert "doorbells: per-vector or fallback, with one QP" in capsys.readouterr().err


def test_a_disagreement_is_a_finding(lab: Lab, tmp_path: Path, capsys) -> None:
    def wrong(recordings: PairRecordings) -> PairRecordings:
        return replace(recordings, rc=replace(recordings.rc, patches=(8, 9)))

    lab.change = wrong
    assert main(["lab", "pair", "run", "-o", str(tmp_path / "r.json")]) == 1
    assert "DISAGREES" in capsys.readouterr().out


def test_recordings_are_kept_where_asked(lab: Lab, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "kept"
    assert main(["lab", "pair", "run", "--record", str(folder)]) == 0
    assert (folder / "console").is_file()
    assert f"recordings kept in {folder}" in capsys.readouterr().err


def test_a_source_gives_its_drivers_to_both_sides(lab: Lab, tmp_path: Path, capsys) -> None:
    assert main(["lab", "pair", "run", "--source", str(tmp_path)]) == 2
    assert f"--source: '{tmp_path}': a kernel tree with" in capsys.readouterr().err
    tree = tmp_path / "linux"
    for name in lab_pair_kernel.check_tree.__globals__["FILES"]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    lab.error = BuildError("stop here")
    assert main(["lab", "pair", "run", "--source", str(tree), "--rc-driver", "before"]) == 3
    setup = lab.plans[0].setup
    assert (setup.ep_driver, setup.rc_driver) == (str(tree), "before")


def test_long_driver_names_leave_the_summary_80_columns(lab: Lab, tmp_path: Path) -> None:
    output = tmp_path / "run.json"
    assert main(["lab", "pair", "run", "-o", str(output)]) == 0
    point, _ = load_pair_result(output).points
    tree = "/home/me/linux-7.3-of-mine"
    own = {"ep_driver": tree, "rc_driver": f"{tree}/{DRIVERS['rc']}"}
    points = [
        msgspec.structs.replace(point, **own, agrees=False, doorbells_rung=10_000, events=10_000),
        msgspec.structs.replace(point, **own, status=UNAVAILABLE, link="down"),
        msgspec.structs.replace(point, warnings=["BUG: a", "WARNING: b", "BUG: a"]),
    ]
    result = msgspec.structs.replace(load_pair_result(output), points=points)
    for render in (render_text, pair_matrix.render_text):
        text = render(result)
        assert "unavailable" in text
        assert max(len(line) for line in text.splitlines()) <= 80
    text = render_text(result)
    assert text.count("BUG: a") == text.count("the kernel warned 2 times: BUG: a") == 1
    assert "the kernel warned: WARNING: b" in text


def test_drivers_of_one_name_are_told_apart(tmp_path: Path) -> None:
    whole = pair_result("before-after", kind="matrix")
    point = next(point for point in whole.points if point.gap_us and point.msis_raised)
    files = ["/home/me/a/pci-epf-vntb.c", "/home/me/b/pci-epf-vntb.c"]
    points = [msgspec.structs.replace(point, ep_driver=name) for name in files]
    result = msgspec.structs.replace(whole, points=points)
    for kind, format_ in product(("run", "matrix"), ("text", "md", "html")):
        text = FORMATS[format_](msgspec.structs.replace(result, kind=kind))
        cut = "pci-epf.." if (kind, format_) == ("matrix", "text") else "pci-epf-vntb.c"
        assert f"a/{cut}" in text and f"b/{cut}" in text
        assert format_ == "html" or "/home/me" not in text
    for kind in ("run", "matrix"):
        text = FORMATS["text"](msgspec.structs.replace(result, kind=kind))
        cells = [line.split() for line in text.splitlines()]
        assert sum(cell.startswith(("a/pci-", "b/pci-")) for row in cells for cell in row[:2]) >= 2
        assert max(map(len, text.splitlines())) <= 80
    path = tmp_path / "m.json"
    path.write_bytes(msgspec.json.encode(result))
    assert main(["gate", str(path), str(path)]) == 0


def test_a_name_is_cut_only_where_the_table_has_no_room() -> None:
    whole = pair_result("before-after")
    point = next(point for point in whole.points if point.gap_us and point.msis_raised)
    own = msgspec.structs.replace(point, ep_driver="my/my-vntb.c")
    for kind in ("run", "matrix"):
        text = FORMATS["text"](msgspec.structs.replace(whole, kind=kind, points=[own]))
        rows = [line.split() for line in text.splitlines()]
        assert ["my-vntb.c", "after"] in [row[:2] for row in rows] + [row[1:3] for row in rows]
