# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair check` from the command line, on recordings instead of guests."""

from dataclasses import replace
from pathlib import Path

import pytest
from pair_fake import GAVE_UP, HUNG, PANIC, PANICKED, SLEEP, STUCK, Lab

from ntbbench.cli.main import main
from ntbbench.lab.lab_errors import LAB_FAILED, GuestError
from ntbbench.lab.pair.plan import PairRecordings
from ntbbench.lab.pair.records import load_pair_result


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
    place = ("ntb_epf_peer_db_set", "rc") if end else ("", "")
    assert (last.line, last.function, last.side) == (died, *place)
    told = " ".join(capsys.readouterr().out.split())
    assert died in told and "sleeping function called" in told
    for name in ("md", "csv", "json", "html"):
        assert main(["lab", "pair", "check", "--format", name, "-o", str(out)]) == 1


def test_a_guest_that_never_came_to_the_drivers_is_no_finding(lab: Lab, tmp_path: Path) -> None:
    lab.error = GuestError("the guest hung: no end after 9 s of processor time: it said nothing")
    assert main(["lab", "pair", "check", "-o", str(tmp_path / "c.json")]) == LAB_FAILED
    assert not (tmp_path / "c.json").exists()
