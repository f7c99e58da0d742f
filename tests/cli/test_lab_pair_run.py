# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair run` and `check` from the command line, on recordings instead of guests."""

import csv
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
from ntbbench.lab.commands import LAB_FAILED, BuildError, GuestError
from ntbbench.lab.pair.observed_patches import observed_driver
from ntbbench.lab.pair.plan import PairRecordings
from ntbbench.lab.pair.records import PairResult

Run = Callable[..., Ran]
FORMATS = ("text", "md", "mail", "csv", "json", "html", "ktap")


@pytest.fixture
def pair(lab: Lab, ntbbench: Run) -> Run:
    """Run a subcommand of `lab pair` on the fake lab; its result is r.json."""
    return lambda kind, *words: ntbbench("lab", "pair", kind, "-o", "r.json", *words)


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_the_result_is_saved_and_told(lab: Lab, ntbbench: Run) -> None:
    ran = ntbbench("lab", "pair", "run")
    assert (ran.code, ran.out.partition("\n")[0]) == (0, "The model agrees in 2 of 2 points")
    (saved,) = Path("results/runs").glob("lab-pair-*.json")
    assert f"saved {saved}" in ran.err


def test_the_json_has_every_field_of_the_schema(pair: Run) -> None:
    assert pair("run", "--ep-driver", "before").code == 0
    result = json.loads(Path("r.json").read_text())
    assert result["schema"] == "ntbbench.pair/1"
    first, second = result["points"]
    assert (first["direction"], second["direction"]) == ("ep-to-rc", "rc-to-ep")
    assert (first["ep_patches"], first["rc_patches"]) == ([], [8, 9, 10, 11, 12])
    assert first["runs_per_qp"] == first["predicted_runs_per_qp"]
    assert (first["link"], first["ep_qp_count"], first["agrees"]) == ("up", 4, True)
    assert first["msis_raised"] == first["doorbells_rung"] == first["packets_received"] == 20


@pytest.mark.parametrize("kind", ["run", "matrix", "check"])
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_of_every_kind(pair: Run, ntbbench: Run, kind: str, form: str) -> None:
    printed = pair(kind, "--format", form).out
    if form in ("text", "md", "csv", "json"):
        assert ntbbench("show", "r.json", "--format", form).out == printed
    if form in ("text", "mail"):
        width = {"text": 80, "mail": 75}[form]
        assert all(len(line) <= width and line.isascii() for line in printed.splitlines())
    if form == "csv":
        assert {row["agrees"] for row in csv.DictReader(io.StringIO(printed))} == {"True"}
    if form == "json":
        assert json.loads(printed) == json.loads(Path("r.json").read_text())
    if form == "ktap":
        assert printed.startswith("KTAP version 1\n") and "not ok" not in printed


def test_a_link_that_stays_down_is_a_point_with_its_cause(pair: Run) -> None:
    ran = pair("run", "--ep-slots", "4")
    for point in points_of(Path("r.json")):
        assert (point.link, point.ep_qp_count, point.rc_qp_count) == ("down", 1, 2)
    assert ran.code == 0 and "qp_count 1 on EP" in one_line(ran.out)


def test_a_side_without_a_device_has_no_qp_count_but_a_cause(pair: Run) -> None:
    text = one_line(pair("run", "--ep-slots", "2", "--direction", "ep-to-rc").out)
    assert "qp_count: none (as predicted): " in text and "None" not in text
    assert text.count("DB count 2 out of range") == 1


def test_an_unavailable_mode_is_told_in_every_format(lab: Lab, pair: Run, ntbbench: Run) -> None:
    cause = "pci-epf-vntb of 6.12.95 has no msi doorbells, only poll"
    lab.change = lambda old: replace(old, available=False, link="down", cause=cause, points=())
    for form in FORMATS:
        for kind in ("run", "check"):
            ran = pair(kind, "--ep-driver", "before", "--format", form)
            printed = one_line(ran.out)
            assert ran.code == 0 and cause in printed
            assert "odel agrees" not in printed and "o finding" not in printed
            told = f"Nothing was run, 2 points unavailable: {cause}"
            assert told in printed or form in ("csv", "json")
            assert form != "ktap" or ran.out.count(f"# SKIP {cause}") == 2
    points = points_of(Path("r.json"))
    assert {(point.status, point.link, point.cause, point.agrees) for point in points} == {
        ("unavailable", "down", cause, None)
    }
    assert ntbbench("gate", "r.json", "r.json").code == 0
    ran = pair("run", "--require", "link")
    assert ran.code == 1 and cause in ran.err


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
    one = msgspec.structs.replace(burst, verdict="works")
    assert exit_code([one], "per-vector") == 1
    assert "doorbells: per-vector or fallback, with one QP" in capsys.readouterr().err


def test_a_disagreement_is_a_finding(lab: Lab, pair: Run) -> None:
    lab.change = lambda old: replace(old, rc=replace(old.rc, patches=(8, 9)))
    ran = pair("run")
    assert ran.code == 1 and "DISAGREES" in ran.out
    assert "  not ok 1 ep-to-rc\n" in pair("run", "--format", "ktap").out


def test_recordings_are_kept_where_asked(pair: Run, tmp_path: Path) -> None:
    ran = pair("run", "--record", "kept")
    assert ran.code == 0 and "recordings kept in kept" in ran.err
    assert (tmp_path / "kept" / "console").is_file()


def test_a_source_gives_its_drivers_to_both_sides(lab: Lab, pair: Run, tmp_path: Path) -> None:
    ran = pair("run", "--source", str(tmp_path))
    assert ran.code == 2 and f"--source: '{tmp_path}': a kernel tree with" in ran.err
    linux = tree(tmp_path)
    lab.error = BuildError("stop here")
    assert pair("run", "--source", str(linux), "--rc-driver", "before").code == 3
    setup = lab.plans[0].setup
    assert (setup.ep_driver, setup.rc_driver) == (str(linux), "before")


def observed_as(boot: str, **changed: str) -> Callable[[PairRecordings], PairRecordings]:
    """Return what gives the recordings of a guest the observations of `boot`."""

    def change(recordings: PairRecordings) -> PairRecordings:
        seen = observations(boot)
        seen["ep"].update(changed)
        setup = recordings.plan.setup
        ep = observed_driver(replace(recordings.ep, spec="my.c"), setup, seen)
        return replace(recordings, ep=ep, rc=observed_driver(recordings.rc, setup, seen))

    return change


def test_every_format_tells_what_the_drivers_behave_as(lab: Lab, pair: Run) -> None:
    lab.change = observed_as("after-after")
    told = {form: pair("run", "--format", form).out for form in FORMATS}
    for form in ("text", "md", "mail", "html"):
        assert "EP after behaves as: patches 1-7 (all)" in told[form]
        assert "RC after behaves as: patches 8-12 (all)" in told[form]
    assert "patches 1-7 (all)" in told["csv"]
    result = json.loads(told["json"])
    point = result["points"][0]
    assert (point["ep_behaves"], point["rc_patches"]) == ("patches 1-7 (all)", [8, 9, 10, 11, 12])
    ep, rc = result["observed"]
    assert (ep["side"], ep["driver"], ep["findings"], ep["alike"]) == ("ep", "my.c", [], 1)
    assert rc["observations"]["slot 3, vectors"] == "1"


def test_a_finding_is_told_and_fails_the_run(lab: Lab, pair: Run) -> None:
    lab.change = observed_as("after-after", **{"db_vector_mask(2)": "0x0"})
    ran = pair("run")
    told = one_line(ran.out)
    assert "EP driver: no known behaviour fits: db_vector_mask(2): 0x0 instead of 0x4" in told
    assert ran.code == 1 and told.startswith("The model agrees in 0 of 2 points ")
    assert pair("run", "--bisect").code == 1


def test_results_of_older_versions_are_read(pair: Run, ntbbench: Run) -> None:
    """Without observations, slots, and what was not exercised."""
    assert pair("run").code == 0
    result = json.loads(Path("r.json").read_text())
    del result["observed"], result["not_exercised"]
    for point in result["points"]:
        for name in ("ep_behaves", "rc_behaves", "slots_per_bit", "slots_per_number"):
            del point[name]
    Path("r.json").write_text(json.dumps(result))
    old = load_pair_result(Path("r.json"))
    assert (old.observed, old.points[0].ep_behaves, len(old.points)) == ([], "", 2)
    ran = ntbbench("show", "r.json")
    assert "EP after: patches 1-7 (not observed)" in ran.out and "Not exercised" not in ran.out
    assert msgspec.json.decode(msgspec.json.encode(old), type=PairResult) == old


# --- check ---------------------------------------------------------------------------------------


def test_check_lists_findings_with_their_first_line(lab: Lab, pair: Run) -> None:
    assert pair("check").code == 0 and lab.plans[0].rounds == 3
    lab.console = SLEEP + SLEEP
    ran = pair("check", "--ep-driver", "before", "--rounds", "5")
    assert ran.code == 1 and lab.plans[1].rounds == 5
    result = load_pair_result(Path("r.json"))
    (found,) = result.findings
    assert (found.kind, found.side, found.count, found.expected) == ("sleep", "ep", 2, True)
    assert result.checks == ["DEBUG_ATOMIC_SLEEP"]
    printed = one_line(ran.out)
    assert printed.startswith("1 finding: Linux ")
    assert "sleep: EP, vntb_epf_peer_db_set() BUG: sleeping function" in printed
    told = pair("check", "--ep-driver", "before", "--format", "ktap").out
    assert "  not ok 1 sleep\n" in told and "  ok 2 locking\n" in told


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
    result = load_pair_result(Path("r.json"))
    assert result.kind == "check" and not result.complete and len(result.points) == points
    assert [found.kind for found in result.findings] == kinds
    last = result.findings[-1]
    place = ("ntb_epf_peer_db_set", "rc") if end else ("", "")
    assert (last.line, last.function, last.side) == (died, *place)


def test_a_guest_that_never_came_to_the_drivers_is_no_finding(lab: Lab, pair: Run) -> None:
    lab.error = GuestError("the guest hung: no end after 9 s of processor time: it said nothing")
    assert pair("check").code == LAB_FAILED
    assert not Path("r.json").exists()
