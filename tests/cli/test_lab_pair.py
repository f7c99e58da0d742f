# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair run` and `check` on recordings instead of guests: options, codes, results."""

import csv
import errno
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from compare_runs import Ran
from pair_fake import (
    GAVE_UP,
    HUNG,
    PANIC,
    PANICKED,
    SLEEP,
    STUCK,
    Lab,
    load_pair_result,
    points_of,
    tree,
)
from pair_recordings import observations, pair_result

from ntbbench.cli.lab_pair import exit_code
from ntbbench.core.errors import InputError
from ntbbench.core.options import kinds
from ntbbench.lab.commands import (
    LAB_FAILED,
    BuildError,
    GuestError,
    HostError,
    MissingToolError,
    UnjudgedError,
)
from ntbbench.lab.pair.boot.left import PairRecordings
from ntbbench.lab.pair.disagreements import UNPROBED
from ntbbench.lab.pair.observed_drivers import observed_driver
from ntbbench.lab.pair.plan import PairSetup
from ntbbench.lab.pair.records import PairResult

Run = Callable[..., Ran]
FORMATS = ("text", "md", "mail", "csv", "json", "html", "ktap")
KINDS = ("run", "check", "matrix")
BOTH = ["ep-to-rc", "rc-to-ep"]
EP, RC = tuple(range(1, 8)), tuple(range(8, 13))
OUT = Path("r.json")


@pytest.fixture
def pair(lab: Lab, ntbbench: Run) -> Run:
    """Run a subcommand of `lab pair` on the fake lab; its result is OUT."""
    return lambda kind, *words: ntbbench("lab", "pair", kind, "-o", OUT, *words)


def one_line(text: str) -> str:
    return " ".join(text.split())


# --- options -------------------------------------------------------------------------------------


def test_defaults_are_those_that_are_documented(lab: Lab, pair: Run) -> None:
    pair("run")
    (plan,) = lab.plans
    setup = plan.setup
    assert (setup.ep_driver, setup.rc_driver, setup.doorbell) == ("after", "after", "poll")
    assert (setup.ep_slots, setup.mw_count, setup.queues) == (8, 2, None)
    assert [(p.direction, p.gap_us) for p in plan.traffic] == [
        *((direction, 12_000) for direction in BOTH),
        *((direction, 0) for direction in BOTH),
    ]
    assert {(p.flows, p.packets) for p in plan.traffic} == {(2, 20)} and plan.probe
    pair("run", "--bisect")
    assert lab.plans[1] == plan


@pytest.mark.parametrize(
    ("options", "gaps", "probed"),
    [
        ("--quick", {12_000}, False),
        ("--quick --gap 0", {0}, False),
        ("--gap 2000", {2000}, True),
        ("--gap 12000", {12_000}, True),
    ],
)
def test_a_quick_run_and_a_gap_leave_the_bursts_out(
    lab: Lab, pair: Run, options: str, gaps: set[int], probed: bool
) -> None:
    pair("run", *options.split())
    (plan,) = lab.plans
    assert [point.direction for point in plan.traffic] == BOTH
    assert {point.gap_us for point in plan.traffic} == gaps
    assert plan.probe == probed
    assert (UNPROBED in load_pair_result(OUT).not_exercised) == (not probed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "directions", "flows"),
    [
        ("", BOTH, 2),
        ("--queues 4", BOTH, 4),
        ("--queues 1", BOTH, 1),
        ("--mw-count 1", BOTH, 1),
        ("--mw-count 1 --queues 3", BOTH, 3),
        ("--queues 64", BOTH, 15),  # the root complex has 16 MSIs: a bit for each but two, and one
        ("--flows 3", BOTH, 3),
        ("--queues 4 --flows 0x1", BOTH, 1),
        ("--direction ep-to-rc", BOTH[:1], 2),
        ("--direction rc-to-ep", BOTH[1:], 2),
    ],
)
def test_each_direction_has_a_flow_for_each_qp(
    lab: Lab, pair: Run, kind: str, options: str, directions: list[str], flows: int
) -> None:
    pair(kind, *options.split(), *(["--quick"] if kind == "run" else []))
    assert lab.plans
    for plan in lab.plans:
        assert [(p.direction, p.flows) for p in plan.traffic] == [(d, flows) for d in directions]


def test_a_matrix_has_a_flow_for_each_qp_of_each_cell(lab: Lab, pair: Run) -> None:
    one = ("--ep-driver", "after", "--rc-driver", "after", "--mw-count", "1-2", "--jobs", "1")
    pair("matrix", *one)
    assert [[p.flows for p in plan.traffic] for plan in lab.plans] == [[1, 1], [2, 2]]


def test_a_matrix_that_was_asked_for_four_flows_goes_on_with_four(lab: Lab, pair: Run) -> None:
    """As every file of an older version says."""
    pair("matrix", "--flows", "4")
    result = json.loads(OUT.read_text())
    assert result["scenario"]["flows"] == 4
    OUT.write_text(json.dumps({**result, "points": result["points"][:2], "complete": False}))
    lab.plans.clear()
    assert pair("matrix", "--resume", OUT).code == 0
    assert {point.flows for plan in lab.plans for point in plan.traffic} == {4}
    assert len(lab.plans) == 3


@pytest.mark.parametrize(
    ("text", "side", "patches"),
    [
        ("none", "ep", ()),
        ("full", "ep", EP),
        ("full", "rc", RC),
        ("1-7", "ep", EP),
        ("2,3,5", "ep", (2, 3, 5)),
        ("5, 2-3,3", "ep", (2, 3, 5)),
        ("9-11", "rc", (9, 10, 11)),
        ("12", "rc", (12,)),
    ],
)
def test_a_list_of_patches(text: str, side: str, patches: tuple[int, ...]) -> None:
    kind = kinds(PairSetup)[f"{side}_patches"]
    assert kind.parse("--x", text) == patches
    assert kind.parse("--x", kind.show(patches)) == patches


@pytest.mark.parametrize(
    "text", ["", "0", "8", "7-1", "1-", "-3", "1,,2", "all", "1.5", "9999", "²"]
)
def test_what_is_no_list_of_patches_is_told_with_what_is(text: str) -> None:
    with pytest.raises(InputError, match=r"none, full, or patches of 1-7 as 1-7 or 1,7"):
        kinds(PairSetup)["ep_patches"].parse("--ep-patches", text)


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_patches_reach_the_boot(lab: Lab, pair: Run, command: str) -> None:
    assert pair(command, "--ep-patches", "1-7").code == 0
    assert (lab.plans[-1].setup.ep_patches, lab.plans[-1].setup.rc_patches) == (EP, None)
    assert pair(command, "--rc-driver", "before", "--rc-patches", "none").code == 0
    assert (lab.plans[-1].setup.ep_patches, lab.plans[-1].setup.rc_patches) == (None, ())


def test_a_source_gives_its_drivers_to_both_sides(lab: Lab, pair: Run, tmp_path: Path) -> None:
    linux = tree(tmp_path)
    lab.error = BuildError("stop here")
    assert pair("run", "--source", linux, "--rc-driver", "before").code == 3
    setup = lab.plans[0].setup
    assert (setup.ep_driver, setup.rc_driver) == (str(linux), "before")


# --- exit codes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "plain", "bisect"),
    [
        (BuildError("pci-epf-vntb.c:9: error: expected ';'"), LAB_FAILED, 125),
        (GuestError("the guest panicked: kernel BUG at vntb.c:1"), LAB_FAILED, 1),
        (UnjudgedError("the guest gave up: no probe 'commands'"), LAB_FAILED, 125),
        (HostError("QEMU failed: Killed"), LAB_FAILED, 255),
        (MissingToolError("cpio: not found on this machine"), 2, 255),
        (RuntimeError("a defect of ours"), 70, 255),
        (OSError(errno.ENOSPC, "No space left", "/a.c", None, "/cache/a.c"), 2, 255),
    ],
)
def test_exit_codes_of_failures_fit_git_bisect(lab: Lab, pair: Run, error, plain, bisect) -> None:
    lab.error = error
    for words, code in ((), plain), (("--bisect",), bisect):
        ran = pair("run", *words)
        assert ran.code == code
        if isinstance(error, OSError):  # the full disk is named, not the file that was copied
            assert ran.err == "ntbbench: '/cache/a.c': No space left\n"
        assert all(str(error.args[-1]) in line for line in ran.err.splitlines())
    assert not OUT.exists()


@pytest.mark.parametrize("options", ["--require per-vector --gap 0", "--ep-patches 1-6"])
def test_bad_options_are_no_verdict_of_a_bisection(lab: Lab, pair: Run, options: str) -> None:
    assert pair("run", "--bisect", *options.split()).code == 255
    assert lab.plans == []


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(("words", "code"), [([], 70), (["--bisect"], 255)])
def test_a_defect_is_named_as_one_under_bisect_too(
    lab: Lab, pair: Run, words: list[str], code: int, debug: bool, monkeypatch
) -> None:
    lab.error = KeyError("ep_slots")
    monkeypatch.setenv("NTBBENCH_DEBUG", "1" if debug else "")
    ran = pair("run", *words)
    told = ran.err.splitlines()
    assert (ran.code, told[-1]) == (code, "ntbbench: internal error: KeyError: 'ep_slots'")
    assert ("Traceback (most recent call last):" in told) == debug
    assert debug or len(told) == 1


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize("words", [[], ["--bisect"]])
def test_a_file_that_overwhelms_is_named_under_bisect_too(
    lab: Lab, pair: Run, words: list[str]
) -> None:
    Path("my-vntb.c").write_text("x")
    lab.error = RecursionError("too deep")
    ran = pair("run", "--ep-driver", "my-vntb.c", *words)
    assert "my-vntb.c" in ran.err and "internal error" not in ran.err


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize("spec", ["foo", "debian:6.12", "7.3"])
def test_a_kernel_that_the_pair_cannot_boot_is_told_one_that_it_can(spec: str, ntbbench) -> None:
    ran = ntbbench("lab", "pair", "run", "--cache", "cache", "--kernel", spec)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert ran.err.startswith(f"ntbbench: --kernel: '{spec}': debian:7.3 or newer: ")


def test_require_makes_a_finding_of_what_the_model_expects(pair: Run) -> None:
    ran = pair("run", "--ep-slots", "4", "--require", "link")
    assert ran.code == 1 and "--require link: ep-to-rc is not: ntb_transport computed" in ran.err
    assert pair("run", "--require", "per-vector").code == 0
    assert pair("run", "--rc-driver", "before", "--require", "per-vector").code == 1
    assert pair("run", "--rc-driver", "before", "--require", "packets").code == 0


def test_a_requirement_that_is_not_met_names_the_counts(capsys) -> None:
    (burst,) = [p for p in pair_result("before-after").points if not p.gap_us and p.msis_raised]
    lost = msgspec.structs.replace(burst, packets_received=40)
    assert exit_code([lost], "packets") == 1
    told = capsys.readouterr().err
    assert "--require packets: ep-to-rc is not: 48 packets sent, 40 received;" in told
    assert exit_code([msgspec.structs.replace(burst, verdict="works")], "per-vector") == 1


# --- results -------------------------------------------------------------------------------------


def test_the_result_is_saved_and_told(lab: Lab, ntbbench: Run) -> None:
    ran = ntbbench("lab", "pair", "run", "--record", "kept")
    assert (ran.code, ran.out.partition("\n")[0]) == (0, "The model agrees in 2 of 2 points")
    (saved,) = Path("results/runs").glob("lab-pair-*.json")
    assert f"saved {saved}" in ran.err and "recordings kept in kept" in ran.err
    assert Path("kept/console").is_file()


def test_the_points_have_the_counts_of_the_recordings(pair: Run) -> None:
    assert pair("run", "--ep-driver", "before").code == 0
    first, second = points_of(OUT)
    assert [first.direction, second.direction] == BOTH
    assert (first.ep_patches, first.rc_patches) == ([], list(RC))
    assert first.runs_per_qp == first.predicted_runs_per_qp
    assert (first.link, first.ep_qp_count, first.agrees) == ("up", 4, True)
    assert first.msis_raised == first.doorbells_rung == first.packets_received == 20


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_of_every_kind(pair: Run, ntbbench: Run, kind: str) -> None:
    printed = {form: pair(kind, "--format", form).out for form in FORMATS}
    for form in ("text", "md", "csv", "json"):
        assert ntbbench("show", OUT, "--format", form).out == printed[form]
    assert {row["agrees"] for row in csv.DictReader(io.StringIO(printed["csv"]))} == {"True"}
    assert json.loads(printed["json"]) == json.loads(OUT.read_text())
    assert printed["ktap"].startswith("KTAP version 1\n") and "not ok" not in printed["ktap"]


def test_a_link_that_stays_down_is_a_point_with_its_cause(pair: Run) -> None:
    ran = pair("run", "--ep-slots", "4")
    for point in points_of(OUT):
        assert (point.link, point.ep_qp_count, point.rc_qp_count) == ("down", 1, 2)
    assert ran.code == 0 and "qp_count 1 on EP" in one_line(ran.out)


def test_a_side_without_a_device_has_no_qp_count_but_a_cause(pair: Run) -> None:
    text = one_line(pair("run", "--ep-slots", "2", "--direction", "ep-to-rc", "-v").out)
    assert "qp_count: none (as predicted): " in text and "None" not in text
    assert text.count("DB count 2 out of range") == 2  # and among the findings


@pytest.mark.parametrize("kind", ["run", "check"])
def test_an_unavailable_mode_is_told_in_every_format(
    lab: Lab, pair: Run, ntbbench: Run, kind: str
) -> None:
    cause = "pci-epf-vntb of 6.12.95 has no msi doorbells, only poll"
    lab.change = lambda old: replace(old, available=False, link="down", cause=cause, points=())
    for form in FORMATS:
        ran = pair(kind, "--ep-driver", "before", "--format", form)
        printed = one_line(ran.out)
        assert ran.code == 0 and cause in printed
        assert "odel agrees" not in printed and "o finding" not in printed
        told = f"Nothing was run, 2 points unavailable: {cause}"
        assert told in printed or form in ("csv", "json")
        assert form != "ktap" or ran.out.count(f"# SKIP {cause}") == 2
    assert {(p.status, p.link, p.cause, p.agrees) for p in points_of(OUT)} == {
        ("unavailable", "down", cause, None)
    }
    assert ntbbench("gate", OUT, OUT).code == 0
    ran = pair("run", "--require", "link")
    assert ran.code == 1 and cause in ran.err


def test_a_disagreement_is_a_finding(lab: Lab, pair: Run) -> None:
    lab.change = lambda old: replace(old, rc=replace(old.rc, patches=(8, 9)))
    ran = pair("run")
    assert ran.code == 1 and "DISAGREES" in ran.out
    assert "  not ok 1 ep-to-rc\n" in pair("run", "--format", "ktap").out


def test_a_driver_that_behaves_as_none_is_a_finding(lab: Lab, pair: Run) -> None:
    def observed(recordings: PairRecordings) -> PairRecordings:
        seen, setup = observations("after-after"), recordings.plan.setup
        seen["ep"].update(wrong)
        ep = observed_driver(replace(recordings.ep, spec="my.c"), setup, seen)
        return replace(recordings, ep=ep, rc=observed_driver(recordings.rc, setup, seen))

    wrong, lab.change = {}, observed
    told = {form: pair("run", "--format", form).out for form in FORMATS}
    for form in ("text", "md", "mail", "html"):
        assert "EP after behaves as: patches 1-7 (all)" in told[form]
        assert "RC after behaves as: patches 8-12 (all)" in told[form]
    assert "patches 1-7 (all)" in told["csv"]
    ep, rc = json.loads(told["json"])["observed"]
    assert (ep["side"], ep["driver"], ep["findings"], ep["alike"]) == ("ep", "my.c", [], 1)
    assert rc["observations"]["slot 3, vectors"] == "1"
    wrong = {"db_vector_mask(2)": "0x0"}
    ran = pair("run")
    said = one_line(ran.out)
    assert "EP driver: no known behaviour fits: db_vector_mask(2): 0x0 instead of 0x4" in said
    assert ran.code == 1 and said.startswith("The model agrees in 0 of 2 points ")
    assert pair("run", "--bisect").code == 1


def test_results_of_older_versions_are_read(pair: Run, ntbbench: Run) -> None:
    """Without observations, slots, and what was not exercised."""
    assert pair("run").code == 0
    result = json.loads(OUT.read_text())
    del result["observed"], result["not_exercised"]
    for point in result["points"]:
        for name in ("ep_behaves", "rc_behaves", "slots_per_bit", "slots_per_number"):
            del point[name]
    OUT.write_text(json.dumps(result))
    old = load_pair_result(OUT)
    assert (old.observed, old.points[0].ep_behaves, len(old.points)) == ([], "", 2)
    out = ntbbench("show", OUT).out
    assert "EP after: patches 1-7 (not observed)" in out and "Not exercised" not in out
    assert msgspec.json.decode(msgspec.json.encode(old), type=PairResult) == old


# --- check ---------------------------------------------------------------------------------------


def test_check_lists_findings_with_their_first_line(lab: Lab, pair: Run) -> None:
    assert pair("check").code == 0 and lab.plans[0].rounds == 3
    lab.console = SLEEP + SLEEP
    ran = pair("check", "--ep-driver", "before", "--rounds", "5")
    assert ran.code == 1 and lab.plans[1].rounds == 5
    result = load_pair_result(OUT)
    (found,) = result.findings
    assert (found.kind, found.side, found.count, found.expected) == ("sleep", "ep", 2, True)
    assert result.checks == ["DEBUG_ATOMIC_SLEEP"]
    assert "sleep: EP, vntb_epf_peer_db_set() BUG: sleeping function" in one_line(ran.out)


@pytest.mark.parametrize("points", [0, 1])
@pytest.mark.parametrize(
    ("end", "died", "kinds"),
    [
        (STUCK, HUNG, ["sleep", "hang"]),
        (PANIC, PANICKED, ["sleep", "memory", "panic"]),
        ("", GAVE_UP, ["sleep", "other"]),
    ],
)
def test_check_keeps_what_a_guest_said_before_it_died(
    lab: Lab, pair: Run, end: str, died: str, kinds: list[str], points: int
) -> None:
    lab.console = SLEEP + end
    lab.change = lambda old: replace(old, points=old.points[:points], died=died)
    for form in FORMATS:
        ran = pair("check", "--format", form)
        assert ran.code == 1 and (died in one_line(ran.out) or form == "csv")
    assert lab.plans[0].may_die
    result = load_pair_result(OUT)
    assert result.kind == "check" and not result.complete and len(result.points) == points
    assert [found.kind for found in result.findings] == kinds
    last = result.findings[-1]
    place = ("ntb_epf_peer_db_set", "rc") if end else ("", "")
    assert (last.line, last.function, last.side) == (died, *place)


def test_a_guest_that_never_came_to_the_drivers_is_no_finding(lab: Lab, pair: Run) -> None:
    lab.error = GuestError("the guest hung: no end after 9 s of processor time: it said nothing")
    assert pair("check").code == LAB_FAILED
    assert not OUT.exists()
