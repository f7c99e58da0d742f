# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair` from the command line, on recordings instead of guests."""

import csv
import errno
import io
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import msgspec
import pytest
from pair_recordings import DATA, load, pair_result

from ntbbench.cli import lab_pair_kernel
from ntbbench.cli.lab_pair import verdict
from ntbbench.cli.main import main
from ntbbench.lab.errors import LAB_FAILED, BuildError, GuestError, MissingToolError
from ntbbench.lab.pair.patches import DRIVERS
from ntbbench.lab.pair.plan import DriverSource, PairPlan, PairRecordings
from ntbbench.lab.pair.records import UNAVAILABLE, PairPoint, load_pair_result
from ntbbench.report import pair_matrix
from ntbbench.report.pair import render_text
from ntbbench.report.pair_kinds import FORMATS


@dataclass
class Lab:
    """What the command asked for, and how the guest answers."""

    plans: list[PairPlan]
    error: Exception | None = None
    console: str = ""
    interrupt_after: int = 0
    signal: int = signal.SIGINT
    change: Callable[[PairRecordings], PairRecordings] = lambda recordings: recordings

    def driver(self, _cache, side: str, spec: str, _source, _say) -> DriverSource:
        """Return the file that `spec` names; of the rest any file stands for what is fetched."""
        path = Path(spec) if Path(spec).is_file() else Path(__file__)
        return DriverSource(side, spec, spec, path, (), ())

    def boot(self, _cache, _stack, plan: PairPlan, folder: Path, *, say) -> PairRecordings:
        self.plans.append(plan)
        if len(self.plans) == self.interrupt_after:
            os.kill(os.getpid(), self.signal)
        if self.error is not None:
            raise self.error
        folder.mkdir(parents=True)
        (folder / "console").write_text(self.console)
        setup = plan.setup
        ends = {4: "-slots-4", 2: "-slots-2"}.get(setup.ep_slots, "")
        name = "after-after" if ends else f"{setup.ep_driver}-{setup.rc_driver}"
        old = load(DATA / f"{name}{ends}")
        wanted = [traffic.direction for traffic in plan.traffic]
        points = [p for d in wanted for p in old.points if p.traffic.direction == d]
        points = [point for point in points if point.traffic.gap_us]
        setup = replace(old.plan.setup, ep_slots=setup.ep_slots, mw_count=setup.mw_count)
        plan = replace(old.plan, setup=setup, traffic=tuple(p.traffic for p in points))
        return self.change(replace(old, plan=plan, points=tuple(points)))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    @dataclass
    class Manifest:
        version = "7.3.4-1"

    @dataclass
    class Source:
        manifest = Manifest()
        origin = "linux-source-7.3 7.3.4-1"

    @dataclass
    class Kernel:
        label: str
        folder: Path
        source = Source()

    fake = Lab([])
    (tmp_path / "config").write_text("CONFIG_DEBUG_ATOMIC_SLEEP=y\n# CONFIG_KASAN is not set\n")
    monkeypatch.setattr(lab_pair_kernel, "boot_pair", fake.boot)
    monkeypatch.setattr(
        lab_pair_kernel, "pair_kernel", lambda _cache, spec, _say, _kind: Kernel(spec, tmp_path)
    )
    monkeypatch.setattr(lab_pair_kernel, "driver_source", fake.driver)
    monkeypatch.chdir(tmp_path)
    return fake


def points_of(path: Path) -> list[PairPoint]:
    return load_pair_result(path).points


def test_defaults_are_those_that_are_documented(lab: Lab, capsys) -> None:
    assert main(["lab", "pair", "run"]) == 0
    ((setup, traffic),) = [(plan.setup, plan.traffic) for plan in lab.plans]
    assert (setup.ep_driver, setup.rc_driver) == ("after", "after")
    assert (setup.ep_slots, setup.mw_count, setup.queues) == (8, 2, None)
    assert setup.doorbell == "poll"
    assert [point.direction for point in traffic] == ["ep-to-rc"]
    told = capsys.readouterr()
    assert "the model agrees in 1 of 1" in " ".join(told.out.split())
    (saved,) = Path("results/runs").glob("lab-pair-*.json")
    assert f"result saved to {saved}" in told.err


def test_the_json_has_every_field_of_the_schema(lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    both = ("--direction", "ep-to-rc,rc-to-ep", "--ep-driver", "before")
    assert main(["lab", "pair", "run", *both, "-o", str(out)]) == 0
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
    (point,) = points_of(out)
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
    (point,) = points_of(out)
    assert (point.status, point.link, point.cause) == ("unavailable", "down", cause)
    assert main(["gate", str(out), str(out)]) == 0
    assert main(["lab", "pair", "run", "--require", "link", "-o", str(out)]) == 1
    assert cause in capsys.readouterr().err


def test_cells_of_a_matrix_that_cannot_be_had_agree_with_nothing(lab, tmp_path, capsys) -> None:
    """6.x polls only: with another doorbell the rows of its endpoint are not run."""
    cause = "linux-source-6.12 has no msi doorbells, only poll"

    def missing(recordings: PairRecordings) -> PairRecordings:
        if recordings.plan.setup.ep_driver != "before":
            return recordings
        none = {"ep_qp_count": None, "rc_qp_count": None, "points": ()}
        return replace(recordings, available=False, link="down", cause=cause, **none)

    lab.change = missing
    out = tmp_path / "m.json"
    printed = {}
    for name in ("text", "md", "csv", "html"):
        assert main(["lab", "pair", "matrix", "--format", name, "-o", str(out)]) == 0
        printed[name] = capsys.readouterr().out
    text = " ".join(printed["text"].split())
    assert f"the model agrees in 4 of 4 points; 4 unavailable: {cause}" in text
    assert "Model and kernel differ in no cell that was run." in text
    row = ["before", "after", "8", "-/-", "unavailable", "-", "-", "-"]
    for name in ("text", "md"):
        lines = printed[name].replace("|", " ").splitlines()
        cells = [line.split() for line in lines if "unavailable" in line]
        assert [found for found in cells if found[:2] == row[:2]] == [row, row]
        assert {found[-1] for found in cells if "before" in found[:1]} == {"-"}
    rows = list(csv.DictReader(io.StringIO(printed["csv"])))
    statuses = {(found["ep_driver"], found["status"]) for found in rows}
    assert statuses == {("before", "unavailable"), ("after", "ok")}
    (table,) = re.findall(r'id="matrix-0".*?</table>', printed["html"], re.DOTALL)
    shown = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
    found = [re.findall(r"<td><div>(.*?)</div></td>", line) for line in shown]
    assert row in found


def test_a_matrix_of_nothing_that_runs_says_so(lab: Lab, tmp_path: Path, capsys) -> None:
    lab.change = lambda old: replace(old, available=False, link="down", cause="why", points=())
    assert main(["lab", "pair", "matrix", "-o", str(tmp_path / "m.json")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "nothing was run, 8 points unavailable: why" in text
    assert "differ in no cell" not in text


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
    for line in text.partition("\n  patches found")[0].splitlines():
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
    assert main(["lab", "pair", "run", "--ep-slots", "2", *out]) == 0
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--gap", "0"], "a --gap of 700 us or more, not 0"),
        (["--mw-count", "1"], "two QPs or more, not the one of --mw-count 1"),
        (["--queues", "1"], "two QPs or more, not the one of --queues 1"),
    ],
)
def test_per_vector_is_not_required_where_it_cannot_be(lab: Lab, options, words, capsys) -> None:
    command = ["lab", "pair", "run", "--require", "per-vector", *options]
    assert main(command) == 2
    assert main([*command, "--bisect"]) == 255
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and all(f"--require: 'per-vector': {words}" in line for line in told)
    assert lab.plans == []


def test_a_requirement_that_is_not_met_names_the_counts(capsys) -> None:
    (burst,) = [p for p in pair_result("before-after").points if not p.gap_us and p.msis_raised]
    lost = msgspec.structs.replace(burst, packets_received=40)
    assert verdict([lost], "packets") == 1
    told = capsys.readouterr().err
    assert "--require packets: ep-to-rc is not: 48 packets sent, 40 received;" in told
    one = msgspec.structs.replace(burst, verdict="works")
    assert verdict([one], "per-vector") == 1
    assert "doorbells: per-vector or fallback, with one QP" in capsys.readouterr().err


def test_a_matrix_of_bursts_says_in_bounds() -> None:
    result = pair_result("before-after", kind="matrix")
    bursts = [point for point in result.points if not point.gap_us]
    for render in (FORMATS["text"], FORMATS["md"], FORMATS["html"]):
        text = " ".join(render(msgspec.structs.replace(result, points=bursts)).split())
        assert "the model agrees in 2 of 2 points, in 2 of them only within bounds" in text
        table = text.partition("The model")[0] if render is FORMATS["html"] else text
        assert table.count("in bounds") >= 2
    assert "differ in no cell; 2 points of 2 only within bounds." in " ".join(
        pair_matrix.render_text(msgspec.structs.replace(result, points=bursts)).split()
    )


def test_an_unwritable_page_is_named_by_its_option(lab: Lab, capsys) -> None:
    for kind in ("run", "matrix", "check"):
        assert main(["lab", "pair", kind, "--html", "no/such/page.html"]) == 2
        assert "--html: 'no/such/page.html': cannot be written" in capsys.readouterr().err
    assert lab.plans == []


def test_a_disagreement_is_a_finding(lab: Lab, tmp_path: Path, capsys) -> None:
    def wrong(recordings: PairRecordings) -> PairRecordings:
        return replace(recordings, rc=replace(recordings.rc, patches=(8, 9)))

    lab.change = wrong
    assert main(["lab", "pair", "run", "-o", str(tmp_path / "r.json")]) == 1
    assert "DISAGREES" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ep-slots", "33"], "--ep-slots: 33: "),
        (["--mw-count", "3"], "--mw-count: 3: "),
        (["--mw-count", "0"], "--mw-count: 0: "),
        (["--queues", "many"], "--queues: 'many': "),
        (["--doorbell", "smoke"], "--doorbell"),
        (["--direction", "up"], "--direction: 'up': "),
        (["--flows", "0"], "--flows: 0: "),
        (["--packets", "-1"], "--packets"),
        (["--gap", "soon"], "--gap: 'soon': "),
        (["--format", "pdf"], "--format"),
        (["--record", "full"], "--record: 'full': a new or an empty folder"),
        (["-o", "no/such/folder.json"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_boots_nothing(lab: Lab, arguments, words, capsys) -> None:
    Path("full").mkdir()
    Path("full/something").touch()
    try:
        code = main(["lab", "pair", "run", *arguments])
    except SystemExit as error:
        code = error.code
    told = capsys.readouterr().err.splitlines()
    assert code == 2 and lab.plans == []
    assert len(told) == 1 and words in told[0]


@pytest.mark.parametrize(
    ("error", "plain", "bisect"),
    [
        (BuildError("pci-epf-vntb.c:9: error: expected ';'"), LAB_FAILED, 125),
        (GuestError("the guest panicked: kernel BUG at vntb.c:1"), LAB_FAILED, 1),
        (MissingToolError("cpio: not found on this machine"), 2, 255),
        (RuntimeError("a defect of ours"), 70, 255),
    ],
)
def test_exit_codes_of_failures_fit_git_bisect(lab: Lab, error, plain, bisect, capsys) -> None:
    lab.error = error
    assert main(["lab", "pair", "run"]) == plain
    assert main(["lab", "pair", "run", "--bisect"]) == bisect
    for line in capsys.readouterr().err.splitlines():
        assert str(error) in line


@pytest.mark.parametrize("spec", ["foo", "debian:6.12", "7.3"])
def test_a_kernel_that_the_pair_cannot_boot_is_told_one_that_it_can(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["lab", "pair", "run", "--cache", str(tmp_path / "cache"), "--kernel", spec]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"ntbbench: --kernel: '{spec}': debian:7.3 or newer: ")
    assert len(told.splitlines()) == 1


def test_bad_input_stops_a_bisection(lab: Lab, capsys) -> None:
    assert main(["lab", "pair", "run", "--bisect", "--ep-slots", "99"]) == 255
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_recordings_are_kept_where_asked(lab: Lab, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "kept"
    assert main(["lab", "pair", "run", "--record", str(folder)]) == 0
    assert (folder / "console").is_file()
    assert f"recordings kept in {folder}" in capsys.readouterr().err


MATRIX = ["lab", "pair", "matrix", "--ep-slots", "8,4", "--jobs", "1"]


def test_a_matrix_covers_old_and_new_on_either_side(lab: Lab, tmp_path: Path, capsys) -> None:
    out = tmp_path / "m.json"
    assert main(["lab", "pair", "matrix", "-o", str(out)]) == 0
    setups = [(plan.setup.ep_driver, plan.setup.rc_driver) for plan in lab.plans]
    names = ("before", "after")
    assert sorted(setups) == sorted((ep, rc) for ep in names for rc in names)
    assert len(points_of(out)) == 8
    told = " ".join(capsys.readouterr().out.split())
    assert "Model and kernel differ in no cell; 2 points of 8 only within bounds." in told


def test_exhaustive_walks_every_slot_and_window(lab: Lab, tmp_path: Path) -> None:
    lab.interrupt_after = 1
    out = tmp_path / "m.json"
    assert main(["lab", "pair", "matrix", "--exhaustive", "--jobs", "1", "-o", str(out)]) == 130
    scenario = load_pair_result(out).scenario
    assert scenario["ep_slots"] == list(range(3, 33))
    assert scenario["mw_counts"] == [1, 2]


def test_a_matrix_ends_by_sigterm_as_by_ctrl_c(lab: Lab, tmp_path: Path, capsys) -> None:
    lab.interrupt_after, lab.signal = 3, signal.SIGTERM
    out = tmp_path / "m.json"
    assert main([*MATRIX, "-o", str(out)]) == 143
    assert f"go on with: ntbbench lab pair matrix --resume {out}" in capsys.readouterr().err
    assert not load_pair_result(out).complete


def test_an_interrupted_matrix_goes_on_where_it_was(lab: Lab, tmp_path: Path, capsys) -> None:
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    assert main([*MATRIX, "-o", str(whole)]) == 0
    lab.interrupt_after = len(lab.plans) + 3
    assert main([*MATRIX, "-o", str(part)]) == 130
    told = capsys.readouterr().err
    assert f"go on with: ntbbench lab pair matrix --resume {part}" in told
    left = load_pair_result(part)
    assert not left.complete and 0 < len(left.points) < 16
    booted = len(lab.plans)
    assert main(["lab", "pair", "matrix", "--resume", str(part)]) == 0
    assert len(lab.plans) - booted == (16 - len(left.points)) / 2
    assert part.read_bytes() == whole.read_bytes()


def test_resume_refuses_another_matrix_and_other_files(lab: Lab, tmp_path: Path, capsys) -> None:
    out, single = tmp_path / "m.json", tmp_path / "r.json"
    assert main([*MATRIX, "-o", str(out)]) == 0
    assert main(["lab", "pair", "run", "-o", str(single)]) == 0
    capsys.readouterr()
    for options in (["--resume", str(out), "--ep-slots", "5"], ["--resume", str(single)]):
        assert main(["lab", "pair", "matrix", *options]) == 2
        assert "--resume" in capsys.readouterr().err


def test_resume_refuses_sources_that_changed(lab: Lab, tmp_path: Path, capsys) -> None:
    own, out = tmp_path / "pci-epf-vntb.c", tmp_path / "m.json"
    own.write_text("int one;")
    lab.interrupt_after = 1
    drivers = ["--ep-driver", str(own), "--rc-driver", "after"]
    lab.error = GuestError("killed with the interrupt")
    assert main(["lab", "pair", "matrix", *drivers, "--jobs", "1", "-o", str(out)]) == 130
    own.write_text("int two;")
    capsys.readouterr()
    booted = len(lab.plans)
    assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 2
    told = capsys.readouterr().err
    assert f"the same sources; changed since then: EP driver {own}\n" in told
    own.write_text("int one;")
    data = json.loads(out.read_text())
    for sources, words in (
        ({}, "a matrix that tells which sources it ran"),
        ({**data["sources"], "kernel": "7.3.5-1"}, "changed since then: kernel\n"),
    ):
        out.write_text(json.dumps({**data, "sources": sources}))
        assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 2
        assert words in capsys.readouterr().err
    assert len(lab.plans) == booted
    out.write_text(json.dumps(data))
    lab.error = BuildError("it went on to boot")
    assert main(["lab", "pair", "matrix", "--resume", str(out), "--jobs", "1"]) != 2
    assert len(lab.plans) == booted + 1


def test_a_source_tree_that_changed_is_not_resumed(lab: Lab, tmp_path: Path, capsys) -> None:
    tree = tmp_path / "linux"
    for name in lab_pair_kernel.check_tree.__globals__["FILES"]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    lab.error, lab.interrupt_after = GuestError("killed with the interrupt"), 1
    out = tmp_path / "m.json"
    arguments = ["--source", str(tree), "--jobs", "1", "-o", str(out)]
    assert main(["lab", "pair", "matrix", *arguments]) == 130
    (tree / "drivers/ntb/ntb_transport.c").write_text("int two;")
    capsys.readouterr()
    assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 2
    assert f"changed since then: NTB files of {tree}\n" in capsys.readouterr().err


def test_exhaustive_sets_its_axes_itself(lab: Lab, capsys) -> None:
    assert main(["lab", "pair", "matrix", "--exhaustive", "--ep-slots", "5"]) == 2
    assert "--ep-slots: '5': not with --exhaustive" in capsys.readouterr().err


SLEEP = (
    "[ 1.0] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:591\n"
    "[ 1.0]  vntb_epf_peer_db_set+0x2d/0x60 [pci_epf_vntb]\n"
)


def test_check_lists_findings_with_their_first_line(lab: Lab, tmp_path: Path, capsys) -> None:
    out = tmp_path / "c.json"
    lab.console = SLEEP + SLEEP
    arguments = ["--ep-driver", "before", "--rounds", "5", "-o", str(out)]
    assert main(["lab", "pair", "check", *arguments]) == 1
    assert lab.plans[0].rounds == 5
    result = load_pair_result(out)
    (found,) = result.findings
    assert (found.kind, found.side, found.count, found.expected) == ("sleep", "ep", 2, True)
    assert result.checks == ["DEBUG_ATOMIC_SLEEP"]
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 finding sleep: EP, vntb_epf_peer_db_set() BUG: sleeping function" in printed


def test_check_without_findings_is_ok(lab: Lab) -> None:
    assert main(["lab", "pair", "check"]) == 0
    assert lab.plans[0].rounds == 3


STUCK = (
    "[ 2.0] Oops: invalid opcode: 0000 [#1] SMP\n"
    "[ 2.0] RIP: 0010:queued_spin_lock_slowpath+0x6/0xf0\n"
    "[ 2.0]  ntb_epf_peer_db_set+0x8/0x20 [ntb_hw_epf]\n"
    "[ 2.0]  </TASK>\n"
)
HUNG = "the guest hung: no end after 9 s of processor time: in ntb_epf_peer_db_set() of ntb_hw_epf"
PANIC = (
    "[ 2.0] BUG: unable to handle page fault for address: ffff\n"
    "[ 2.0] RIP: 0010:ntb_epf_peer_db_set+0x8/0x20 [ntb_hw_epf]\n"
    "[ 2.0] Kernel panic - not syncing: Fatal exception\n"
)
PANICKED = "the guest panicked: BUG: unable to handle page fault for address: ffff"


@pytest.mark.parametrize("points", [0, 1])
@pytest.mark.parametrize(
    ("end", "died", "kinds"),
    [(STUCK, HUNG, ["sleep", "hang"]), (PANIC, PANICKED, ["sleep", "memory", "panic"])],
)
def test_check_keeps_what_a_guest_said_before_it_died(
    lab: Lab, end: str, died: str, kinds: list[str], points: int, tmp_path: Path, capsys
) -> None:
    def dies(recordings: PairRecordings) -> PairRecordings:
        return replace(recordings, points=recordings.points[:points], died=died)

    lab.console, lab.change = SLEEP + end, dies
    out = tmp_path / "c.json"
    assert main(["lab", "pair", "check", "-o", str(out)]) == 1
    assert lab.plans[0].may_die
    result = load_pair_result(out)
    assert result.kind == "check" and not result.complete and len(result.points) == points
    assert [found.kind for found in result.findings] == kinds
    last = result.findings[-1]
    assert (last.line, last.function, last.side) == (died, "ntb_epf_peer_db_set", "rc")
    told = " ".join(capsys.readouterr().out.split())
    assert died in told and "sleeping function called" in told
    for name in ("md", "csv", "json", "html"):
        assert main(["lab", "pair", "check", "--format", name, "-o", str(out)]) == 1


def test_a_guest_that_never_came_to_the_drivers_is_no_finding(lab: Lab, tmp_path: Path) -> None:
    lab.error = GuestError("the guest hung: no end after 9 s of processor time: it said nothing")
    assert main(["lab", "pair", "check", "-o", str(tmp_path / "c.json")]) == LAB_FAILED
    assert not (tmp_path / "c.json").exists()


def test_a_matrix_names_the_boot_that_died_and_goes_on_with_it(
    lab: Lab, tmp_path: Path, capsys
) -> None:
    matrix = ["lab", "pair", "matrix", "--jobs", "1"]
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    assert main([*matrix, "-o", str(whole)]) == 0

    def dies(recordings: PairRecordings) -> PairRecordings:
        if lab.plans[-1].setup.ep_driver == "before":
            raise GuestError(HUNG)
        return recordings

    lab.change = dies
    capsys.readouterr()
    assert main([*matrix, "-o", str(part)]) == LAB_FAILED
    told = capsys.readouterr().err.splitlines()
    cells = [f"EP before, RC {rc}, 8 slots, 2 windows, poll: {HUNG}" for rc in ("before", "after")]
    assert all(any(line.endswith(cell) for line in told[:-1]) for cell in cells)
    assert f"2 of 4 boots failed, the first: {cells[0]}; finished boots are saved" in told[-1]
    assert told[-1].endswith(f"go on with: ntbbench lab pair matrix --resume {part}")
    left = load_pair_result(part)
    assert not left.complete and len(left.points) == 4
    lab.change = lambda recordings: recordings
    booted = len(lab.plans)
    assert main(["lab", "pair", "matrix", "--resume", str(part), "--jobs", "1"]) == 0
    assert len(lab.plans) - booted == 2
    assert part.read_bytes() == whole.read_bytes()


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


def test_a_full_cache_is_named_not_the_file_that_was_copied(lab: Lab, tmp_path, capsys) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/package/a.c", None, "/cache/a.c")
    lab.error = full
    assert main(["lab", "pair", "run", "-o", str(tmp_path / "x.json")]) == 2
    assert capsys.readouterr().err == "ntbbench: '/cache/a.c': No space left on device\n"
    assert not (tmp_path / "x.json").exists()


def test_long_driver_names_leave_the_summary_80_columns(lab: Lab, tmp_path: Path) -> None:
    output = tmp_path / "run.json"
    assert main(["lab", "pair", "run", "-o", str(output)]) == 0
    (point,) = load_pair_result(output).points
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


def test_compare_and_gate_take_a_pair_result(lab: Lab, tmp_path: Path, capsys) -> None:
    old, new, again = (str(tmp_path / f"{name}.json") for name in ("old", "new", "again"))
    assert main(["lab", "pair", "run", "--rc-driver", "before", "-o", old]) == 0
    assert main(["lab", "pair", "run", "-o", new]) == 0
    assert main(["lab", "pair", "run", "-o", again]) == 0
    assert main(["gate", new, again]) == 0
    capsys.readouterr()
    assert main(["compare", old, new]) == 0
    assert ":runs" in capsys.readouterr().out
    assert main(["gate", new, old]) == 1
    down = str(tmp_path / "down.json")
    assert main(["lab", "pair", "run", "--ep-slots", "4", "-o", down]) == 0
    data = json.loads(Path(down).read_text())
    data["points"][0]["ep_slots"] = 8
    Path(down).write_text(json.dumps(data))
    assert main(["gate", new, down]) != 0
    assert "link" in capsys.readouterr().out


def test_points_of_other_settings_are_a_line_each(lab: Lab, tmp_path: Path, capsys) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    assert main(["lab", "pair", "run", "-o", str(one)]) == 0
    other.write_text(one.read_text().replace('"gap_us":2000', '"gap_us":9000'))
    assert one.read_text() != other.read_text()
    capsys.readouterr()
    assert main(["gate", str(one), str(other), "--format", "json"]) == 4
    told = [c for c in json.loads(capsys.readouterr().out)["comparisons"] if "missing" in c]
    assert [found["missing"] for found in told] == ["candidate", "base"]
    assert all(found["metric"].endswith(":status") for found in told)


def test_what_the_kernel_complains_of_is_compared_as_that(lab: Lab, tmp_path, capsys) -> None:
    quiet, loud = tmp_path / "quiet.json", tmp_path / "loud.json"
    assert main(["lab", "pair", "run", "-o", str(quiet)]) == 0
    data = json.loads(quiet.read_text())
    data["points"][0]["warnings"] = ["WARNING: kernel/workqueue.c:1"]
    loud.write_text(json.dumps(data))
    capsys.readouterr()
    for pair, code, change in (((quiet, loud), 1, "regressed"), ((loud, quiet), 0, "improved")):
        assert main(["gate", *map(str, pair), "--format", "json"]) == code
        told = json.loads(capsys.readouterr().out)["comparisons"]
        (found,) = [c for c in told if c["metric"].endswith(":kernel warnings")]
        assert (found["verdict"], found["better"]) == (change, "lower")


def test_findings_of_a_check_are_compared_by_kind(lab: Lab, tmp_path, capsys) -> None:
    clean, dirty, again = (str(tmp_path / f"{name}.json") for name in ("clean", "dirty", "again"))
    assert main(["lab", "pair", "check", "-o", clean]) == 0
    lab.console = SLEEP + "[ 2.0] BUG: KASAN: slab-use-after-free in f+0x1/0x2\n"
    assert main(["lab", "pair", "check", "-o", dirty]) == 1
    assert main(["lab", "pair", "check", "-o", again]) == 1
    assert main(["gate", dirty, again]) == 0
    capsys.readouterr()
    for pair, code, change in (((clean, dirty), 1, "regressed"), ((dirty, clean), 0, "improved")):
        assert main(["gate", *pair, "--format", "json"]) == code
        told = json.loads(capsys.readouterr().out)["comparisons"]
        changed = {c["metric"]: c["verdict"] for c in told if c["verdict"] != "equivalent"}
        names = ("check:memory findings", "check:sleep findings")
        assert changed == dict.fromkeys(names, change)


def test_a_check_whose_guest_died_passes_no_gate_unsaid(lab: Lab, tmp_path, capsys) -> None:
    clean, dead, again = (str(tmp_path / f"{name}.json") for name in ("clean", "dead", "again"))
    assert main(["lab", "pair", "check", "-o", clean]) == 0
    lab.console, lab.change = STUCK, lambda old: replace(old, died=HUNG)
    assert main(["lab", "pair", "check", "-o", dead]) == 1
    assert main(["lab", "pair", "check", "-o", again]) == 1
    capsys.readouterr()
    assert main(["gate", clean, dead, "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)["comparisons"]
    changed = {c["metric"] for c in told if c["verdict"] == "regressed"}
    assert {"result:complete", "check:hang findings"} <= changed
    assert main(["gate", dead, again]) == 0
    assert "not complete" in " ".join(capsys.readouterr().out.split())
    assert main(["gate", dead, again, "--fatal-warning", "unfinished"]) == 3


@pytest.mark.parametrize(
    ("field", "value"), [("rounds", 1), ("checks", []), ("kind", "run")], ids=str
)
def test_a_check_that_looks_less_hard_does_not_pass(lab: Lab, tmp_path, field, value) -> None:
    base, less = tmp_path / "base.json", tmp_path / "less.json"
    assert main(["lab", "pair", "check", "-o", str(base)]) == 0
    less.write_text(json.dumps({**json.loads(base.read_text()), field: value}))
    assert main(["gate", str(base), str(less)]) == (4 if field == "kind" else 1)


def test_a_matrix_of_a_source_meets_one_without(lab: Lab, tmp_path: Path, capsys) -> None:
    base, own = tmp_path / "base.json", tmp_path / "own.json"
    assert main(["lab", "pair", "matrix", "-o", str(base)]) == 0
    text = base.read_text().replace('"after"', '"/home/me/linux"')
    data = json.loads(text)
    assert {point["ep_driver"] for point in data["points"]} == {"before", "/home/me/linux"}
    data["scenario"]["source"] = "/home/me/linux"
    own.write_text(json.dumps(data))
    assert main(["gate", str(base), str(own)]) == 0
    capsys.readouterr()
    (point,) = [
        point
        for point in data["points"]
        if (point["ep_driver"], point["rc_driver"]) == ("/home/me/linux", "before")
        and point["direction"] == "ep-to-rc"
    ]
    point["runs_per_qp"][0] += 1
    own.write_text(json.dumps(data))
    assert main(["gate", str(base), str(own)]) == 1
    assert "EP after/RC before/ep-to-rc" in capsys.readouterr().out


def test_a_matrix_of_a_source_is_planned_and_resumed_with_its_drivers(lab: Lab, tmp_path) -> None:
    tree = tmp_path / "linux"
    for name in lab_pair_kernel.check_tree.__globals__["FILES"]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).touch()
    lab.error = GuestError("killed with the interrupt")
    lab.interrupt_after = 1
    out = tmp_path / "m.json"
    arguments = ["--source", str(tree), "--jobs", "1", "-o", str(out)]
    assert main(["lab", "pair", "matrix", *arguments]) == 130
    scenario = load_pair_result(out).scenario
    assert scenario["ep_drivers"] == ["before", str(tree)]
    lab.interrupt_after = len(lab.plans) + 1
    assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 130
    assert load_pair_result(out).scenario == scenario
