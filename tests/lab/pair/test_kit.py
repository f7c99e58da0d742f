# SPDX-License-Identifier: BSD-3-Clause
"""Rewrites of the two drivers that change nothing, and bugs, on the real kernel.

`make test-guest` runs a few of each; docs/pair-findings.md has what the whole kit gave.
"""

import re
from pathlib import Path

import pytest
from pair_kernel import CACHE, boot, rig
from pair_kit import EDITS, Edit, renamed, replaced

from ntbbench.cli.main import main
from ntbbench.core.errors import InputError
from ntbbench.lab.pair.plan import EP, RC, PairPlan, PairSetup
from ntbbench.lab.pair.points import all_points
from ntbbench.lab.pair.sources import DRIVERS
from ntbbench.pair.setting import Traffic

BOTH = (Traffic("ep-to-rc", 2, 5), Traffic("rc-to-ep", 2, 5))
STYLE = ("constants renamed", "functions renamed", "comments stripped", "another style")
REWRITES = (
    (
        ("a helper serves a slot", "switch instead of if", "another workqueue", *STYLE),
        ("a helper serves a doorbell", "the mask by a loop", *STYLE),
    ),
    (("loops by bit",), ("switch instead of if",)),
    (
        ("loops turned round", "constants written out"),
        ("the slot by the other find", "constants written out"),
    ),
)
BUGS = (
    ("patch 3 is missing", "patch 9 is missing"),
    ("one vector's mask is another's", "the handler is off by one"),
    ("db_clear clears all", "a bit rings its neighbour's slot"),
)


def source(side: str) -> str:
    return (rig().kernel.source.folder / DRIVERS[side]).read_text()


def edited(folder: Path, side: str, names: tuple[str, ...]) -> Path:
    """Return a driver of 7.3 with these edits, one after the other."""
    text = source(side)
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


@pytest.mark.guest
def test_every_edit_applies() -> None:
    for edit in EDITS.values():
        assert edit.apply(source(edit.side)) != source(edit.side)


@pytest.mark.guest
@pytest.mark.parametrize(("ep", "rc"), REWRITES)
def test_what_changes_nothing_agrees(ep, rc, tmp_path) -> None:
    """Under --bisect too, where a commit that is called bad would be an innocent one."""
    drivers = [f"--{side}-driver={edited(tmp_path, side, n)}" for side, n in ((EP, ep), (RC, rc))]
    flows = ("--direction", "ep-to-rc,rc-to-ep", "--flows", "2", "--packets", "5")
    words = [*drivers, *flows, "--bisect", "-o", str(tmp_path / "r.json")]
    assert main(["lab", "pair", "run", *words]) == 0


@pytest.mark.guest
@pytest.mark.parametrize(("ep", "rc"), BUGS)
def test_bugs_are_told_by_what_was_observed(ep: str, rc: str, tmp_path: Path) -> None:
    paths = edited(tmp_path, EP, (ep,)), edited(tmp_path, RC, (rc,))
    plan = PairPlan(PairSetup(ep_driver=str(paths[0]), rc_driver=str(paths[1])), BOTH)
    for point in all_points(boot(plan, tmp_path / "out")):
        assert point.agrees is False
        for side, name in ((EP, ep), (RC, rc)):
            (told,) = (n for n in point.notes if n.startswith(f"{side.upper()} driver: "))
            assert re.search(EDITS[f"{side}: {name}"].told, told)


@pytest.mark.guest
def test_the_other_sides_driver_is_refused_in_one_line(tmp_path: Path) -> None:
    paths = edited(tmp_path, EP, ("comments stripped",)), edited(tmp_path, RC, ("another style",))
    plan = PairPlan(PairSetup(ep_driver=str(paths[1]), rc_driver=str(paths[0])), BOTH)
    with pytest.raises(InputError, match=r"--ep-driver: '.*ntb_hw_epf\.c': .*pci-epf-vntb\.c"):
        boot(plan, tmp_path / "out")
    assert CACHE.root.is_dir() and not (tmp_path / "out").exists()
