# SPDX-License-Identifier: BSD-3-Clause
"""Rewrites that change nothing, and bugs, of the drivers and the NTB stack, on the real kernel.

`make test-guest` runs a few of each; `make test-mutants` runs all: docs/pair-mutants.md.
"""

import re
from pathlib import Path

import pytest
from kit_edit import EXPLORE, RUN, SETTING, Edit, renamed, replaced
from mutants import (
    FILES,
    Case,
    Outcome,
    boot,
    cases,
    content,
    edited,
    judged,
    original,
    page,
)
from pair_kernel import CACHE
from pair_kernel import boot as boot_plan
from pair_kit import BUGS, EDITS, HARMLESS, key

from ntbbench.cli.main import main
from ntbbench.core.errors import InputError
from ntbbench.lab.pair.plan import EP, RC, PairPlan, PairSetup
from ntbbench.lab.pair.sources import DRIVERS

STYLE = ("constants renamed", "functions renamed", "comments stripped", "another style")
REWRITES = (
    (
        ("a helper serves a slot", "switch instead of if", "another workqueue", *STYLE),
        ("a helper serves a doorbell", "the mask by a loop", *STYLE),
    ),
    (
        ("loops turned round", "constants written out"),
        ("the slot by the other find", "constants written out"),
    ),
)
TOLD = (
    "ep: a ring overwrites those pending",
    "ep: both windows lead to the first",
    "rc: a bit replaces those pending",
    "rc: the highest bit rings",
    "core: a link event is lost",
    "transport: every fourth packet rings nothing",
    "ntb: one slot fewer is mapped",
    "ntb: the peer's scratchpads are its own",
)


def outcome(case: Case, folder: Path) -> Outcome:
    """Boot a case, and say what `lab pair run` says of it."""
    texts = edited(case)
    boot(case, texts, folder)
    return judged(case, texts, folder)


def all_edited(folder: Path, side: str, names: tuple[str, ...]) -> Path:
    """Return a driver of 7.3 with these edits, one after the other."""
    text = original(side)
    for name in names:
        text = EDITS[f"{side}: {name}"].apply(text)
    path = folder / Path(DRIVERS[side]).name
    path.write_text(text)
    return path


def test_an_edit_that_no_longer_applies_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the source: 'old'"):
        replaced("new", "old", "newer")
    with pytest.raises(ValueError, match="not in the source: db_count"):
        renamed(db_count="bells")("int db_counts;")
    with pytest.raises(ValueError, match="x: a step changes nothing"):
        Edit("x", EP, (lambda text: text,)).apply("int i;")


def test_the_kit_has_enough_of_each_and_says_what_must_tell_it() -> None:
    assert len(EDITS) == len(HARMLESS) + len(BUGS)  # no two have one name
    assert len(BUGS) >= 40 and len(HARMLESS) >= 12
    for side in FILES:
        assert any(edit.side == side for edit in BUGS)
        assert any(edit.side == side for edit in HARMLESS)
    for edit in BUGS:
        assert bool(edit.told) == (edit.by != EXPLORE)
        assert bool(edit.setup) == (edit.by == SETTING)
    booted = [edit for case in cases() for edit in case.edits]
    assert sorted(map(key, booted)) == sorted(EDITS)


AGREES, TELLS = Outcome(True, [], 9.0), Outcome(False, ["no known behaviour fits: x: 1"], 9.0)
HARMLESS_CASE = Case((HARMLESS[0],))


@pytest.mark.parametrize(
    ("by", "told", "outcome", "failure"),
    [
        (RUN, "x: 1", TELLS, ""),
        (RUN, "x: 2", TELLS, "told by other words than 'x: 2'"),
        (RUN, "x: 1", AGREES, "passes"),
        (SETTING, "x: 1", AGREES, "passes"),
        (EXPLORE, "", AGREES, ""),
        (EXPLORE, "", TELLS, "does not agree"),
    ],
)
def test_an_outcome_is_held_against_the_kit(monkeypatch, by, told, outcome, failure) -> None:
    bug = Edit("b", EP, (), told, by)
    monkeypatch.setattr("mutants.BUGS", (bug,))
    case = Case((bug,))
    assert case.failure(outcome) == failure
    assert HARMLESS_CASE.failure(AGREES) == ""
    assert HARMLESS_CASE.failure(TELLS) == "does not agree"
    text = page([(case, outcome), (HARMLESS_CASE, AGREES)])
    words = f"FAILED: {failure}" if failure else "-" if outcome.agrees else "`x: 1`"
    assert f"| ep: b | {by} | {words} | 9 |" in text
    assert f"| {HARMLESS_CASE.name} | agrees | - | 9 |" in text
    assert "Of the rewrites that change nothing 1 of 1 agree." in text


def test_a_page_of_a_run_that_was_interrupted_says_what_was_not_run() -> None:
    text = page([(case, None) for case in cases()])
    assert f"Of the rewrites that change nothing 0 of {len(HARMLESS)} ({len(HARMLESS)} not" in text
    assert text.count("| not run | - |") == len(EDITS)


@pytest.mark.guest
def test_every_edit_applies_and_no_two_are_the_same_content() -> None:
    for edit in EDITS.values():
        assert edit.apply(original(edit.side)) != original(edit.side)
    known = [content(case, edited(case)) for case in cases()]
    assert len(set(known)) == len(known)


@pytest.mark.guest
@pytest.mark.parametrize(("ep", "rc"), REWRITES)
def test_what_changes_nothing_agrees(ep, rc, tmp_path) -> None:
    """Under --bisect too, where a commit that is called bad would be an innocent one."""
    sides = ((EP, ep), (RC, rc))
    drivers = [f"--{side}-driver={all_edited(tmp_path, side, names)}" for side, names in sides]
    flows = ("--direction", "ep-to-rc,rc-to-ep", "--flows", "2", "--packets", "5")
    words = [*drivers, *flows, "--bisect", "-o", str(tmp_path / "r.json")]
    assert main(["lab", "pair", "run", *words]) == 0


@pytest.mark.guest
def test_rewrites_of_the_ntb_stack_agree(tmp_path: Path) -> None:
    names = ("core: a helper tells the client", "transport: the scan by a for loop")
    case = Case(tuple(EDITS[name] for name in names))
    assert case.failure(outcome(case, tmp_path)) == ""


@pytest.mark.guest
@pytest.mark.parametrize("name", TOLD)
def test_bugs_are_told_by_the_defaults_of_a_run(name: str, tmp_path: Path) -> None:
    case = Case((EDITS[name],))
    found = outcome(case, tmp_path)
    assert case.failure(found) == ""
    assert re.search(EDITS[name].told, case.words(EDITS[name], found))


@pytest.mark.guest
def test_the_other_sides_driver_is_refused_in_one_line(tmp_path: Path) -> None:
    paths = [
        all_edited(tmp_path, EP, ("comments stripped",)),
        all_edited(tmp_path, RC, ("another style",)),
    ]
    plan = PairPlan(PairSetup(ep_driver=str(paths[1]), rc_driver=str(paths[0])))
    with pytest.raises(InputError, match=r"--ep-driver: '.*ntb_hw_epf\.c': .*pci-epf-vntb\.c"):
        boot_plan(plan, tmp_path / "out")
    assert CACHE.root.is_dir() and not (tmp_path / "out").exists()
