# SPDX-License-Identifier: BSD-3-Clause
"""Results of `ntbbench lab pair` in `compare` and `gate`."""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compare_runs import Ran
from pair_fake import HUNG, SLEEP, STUCK, Lab

from ntbbench.cli.main import main
from ntbbench.compare.readers.pair_results import place
from ntbbench.lab.pair.records import PairFinding

Run = Callable[..., Ran]
GOLDEN = Path(__file__).parents[1] / "golden" / "inputs"
WARNING = "WARNING: kernel/workqueue.c:1"
LOST = {"packets_received": 0, "events": 0, "msis_raised": 0, "warnings": []}


def made(name: str, kind: str, *words: str, code: int = 0) -> str:
    """Return the file of a result of the fake lab."""
    with redirect_stdout(io.StringIO()):
        assert main(["lab", "pair", kind, *words, "-o", f"{name}.json"]) == code
    return f"{name}.json"


class Point:
    """The result of one direction, saved again with other values of its point."""

    def __init__(self) -> None:
        self.data = json.loads(Path(made("one", "run", "--direction", "ep-to-rc")).read_text())
        (self.point,) = self.data["points"]

    def saved(self, name: str, **changes: Any) -> str:
        data = {**self.data, "points": [{**self.point, **changes}]}
        Path(f"{name}.json").write_text(json.dumps(data))
        return f"{name}.json"


@pytest.fixture
def one(lab: Lab) -> Point:
    return Point()


def compared(run: Run, *words: str, code: int) -> dict[str, dict[str, Any]]:
    """Return what `gate`, or `compare` where that is said, says of each metric."""
    command = words if words[0] in ("compare", "gate") else ("gate", *words)
    ran = run(*command, "--format", "json")
    assert ran.code == code, ran.out + ran.err
    return {c["metric"]: c for c in json.loads(ran.out)["comparisons"]}


def short(found: dict[str, dict[str, Any]], verdict: str) -> set[str]:
    """Return the metrics of that verdict, without the point that they are of."""
    return {name.rpartition(":")[2] for name, c in found.items() if c.get("verdict") == verdict}


def changed(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: c["verdict"] for name, c in found.items() if c["verdict"] != "equivalent"}


@pytest.mark.parametrize("link", ["up", "down"])
@pytest.mark.parametrize(("command", "code"), [("compare", 0), ("gate", 1)])
def test_a_driver_that_loses_packets_is_no_improvement(
    one: Point, link: str, command: str, code: int, ntbbench: Run
) -> None:
    """Where nothing arrives nothing runs, nothing is raised, and nothing is complained of."""
    runs = [0] * len(one.point["runs_per_qp"])
    lossy = one.saved("lossy", **LOST, link=link, runs_per_qp=runs, agrees=False)
    base = one.saved("base", warnings=[WARNING])
    found = compared(ntbbench, command, base, lossy, code=code)
    assert not short(found, "improved")
    assert short(found, "regressed") == {"agrees", "packets_received" if link == "up" else "link"}
    counts = {"runs", "runs of QP 0", "runs of QP 1", "events", "msis_raised"}
    fewer = {name: c for name, c in found.items() if c["verdict"] == "inconclusive"}
    assert short(fewer, "inconclusive") >= {"kernel warnings", *(counts if link == "up" else ())}
    for told in fewer.values():
        assert [warned["code"] for warned in told["warnings"]] == ["fewer-packets"]


def test_of_a_burst_only_what_the_model_is_sure_of_is_compared(one: Point, ntbbench: Run) -> None:
    """Its counts are of one build of the guest; that another one has others is no harm."""
    runs = [4] * len(one.point["runs_per_qp"])
    few = {"msis_raised": 3, "events": 3, "runs_per_qp": runs}
    base, other = (one.saved(name, gap_us=0, spaced=False, **more) for name, more in
                   (("base", {}), ("other", few)))  # fmt: skip
    found = compared(ntbbench, base, other, code=0)
    assert not {"msis_raised", "events", "runs", "runs of QP 0"} & short(found, "equivalent")
    assert {"packets_received", "doorbells_rung", "agrees"} <= short(found, "equivalent")
    lost = one.saved("lost", gap_us=0, spaced=False, packets_received=1)
    assert short(compared(ntbbench, base, lost, code=1), "regressed") == {"packets_received"}


@pytest.mark.parametrize(
    ("least", "most", "verdict", "code"),
    [
        ([6, 5], [15, 11], "inconclusive", 0),  # they may be as many as there were
        ([12, 12], [15, 15], "regressed", 1),
        ([4, 4], [9, 9], "improved", 0),
    ],
)
def test_a_number_meets_the_bounds_of_a_point_that_is_only_bounded(
    one: Point, least: list[int], most: list[int], verdict: str, code: int, ntbbench: Run
) -> None:
    """Whether polls find doorbells together may follow from the driver: no metric is missing."""
    exact = one.saved("exact", runs_per_qp=[10, 10])
    middle = [sum(ends) // 2 for ends in zip(least, most, strict=True)]
    bounds = {"least_runs_per_qp": least, "most_runs_per_qp": most}
    bounded = one.saved("bounded", spaced=False, runs_per_qp=middle, **bounds)
    found = compared(ntbbench, exact, bounded, code=code)
    runs = {name: c for name, c in found.items() if name.endswith((":runs", ":runs of QP 0"))}
    assert {c["verdict"] for c in runs.values()} == {verdict}
    if verdict == "inconclusive":
        assert {c["reason"] for c in runs.values()} == {"the bounds overlap"}
    assert not short(found, "missing")
    again = compared(ntbbench, bounded, exact, code=int(verdict == "improved"))
    assert not short(again, "missing")


def test_two_hosts_compare_as_a_pair_does(lab: Lab, ntbbench: Run) -> None:
    """By the names of the hosts; a doorbell that wakes fewer queues is an improvement."""
    base, new = (GOLDEN / f"pair-hosts{ending}.json" for ending in ("", "-new"))
    assert not changed(compared(ntbbench, str(base), str(base), code=0))
    found = compared(ntbbench, str(base), str(new), code=0)
    assert short(found, "improved") == {"runs", "runs of QP 0", "runs of QP 1"}
    assert any(name.endswith(":host1_qp_count") for name in found)
    assert not any("ep_qp_count" in name or "/EP " in name for name in found)
    refused = ntbbench("gate", str(base), made("vntb", "run", code=0))
    assert refused.code == 5
    assert "'ntbbench.pair-ntb/1' against 'ntbbench.pair/1'" in refused.err


@pytest.mark.parametrize(
    ("received", "runs", "verdict"),
    [(50, 50, "inconclusive"), (50, 49, "regressed"), (0, 0, "inconclusive")],
)
def test_a_driver_that_no_longer_loses_packets_is_no_worse(
    one: Point, received: int, runs: int, verdict: str, ntbbench: Run
) -> None:
    """More runs for more packets are no harm, unless they are more for each packet."""
    mended = one.saved("mended", packets_received=100, runs_per_qp=[100, 0])
    lossy = one.saved("lossy", packets_received=received, runs_per_qp=[runs, 0], agrees=False)
    found = compared(ntbbench, lossy, mended, code=int(verdict == "regressed"))
    (told,) = (c for name, c in found.items() if name.endswith(":runs"))
    assert told["verdict"] == verdict
    warned = [warning["code"] for warning in told["warnings"]]
    assert warned == ["more-packets"] * (verdict == "inconclusive")


@pytest.mark.parametrize("lost", [{}, {"packets_received": 0}, {"link": "down"}])
def test_a_new_warning_is_worse_however_many_packets_arrive(one: Point, lost, ntbbench) -> None:
    """A repair that brings the link up and sleeps in atomic context is none."""
    lossy, loud = one.saved("lossy", **lost, warnings=[]), one.saved("loud", warnings=[WARNING])
    found = compared(ntbbench, lossy, loud, code=1)
    assert short(found, "regressed") == {"kernel warnings"}
    if not lost:
        assert short(compared(ntbbench, loud, lossy, code=0), "improved") == {"kernel warnings"}


def test_points_of_other_settings_are_a_line_each(one: Point, ntbbench: Run) -> None:
    other = one.saved("other", gap_us=9000)
    found = [c for c in compared(ntbbench, "one.json", other, code=4).values() if "missing" in c]
    assert [told["missing"] for told in found] == ["candidate", "base"]
    assert all(told["metric"].endswith(":status") for told in found)


def test_a_slot_that_moved_is_worse(one: Point, ntbbench: Run) -> None:
    """Of a result of an older version no slot is known."""
    right, moved, elsewhere = (
        one.saved(name, slots_per_bit={str(bit): [bit + first] for bit in range(4)})
        for name, first in (("right", 2), ("moved", 1), ("elsewhere", 3))
    )
    older = one.saved("older", slots_per_bit={})

    def verdicts(base: str, candidate: str, code: int) -> set[str]:
        found = compared(ntbbench, base, candidate, code=code)
        return {c["verdict"] for name, c in found.items() if ":slot of bit" in name}

    assert verdicts(right, moved, 1) == {"regressed"}
    assert verdicts(moved, right, 0) == {"improved"}
    assert verdicts(moved, elsewhere, 1) == verdicts(elsewhere, moved, 1) == {"regressed"}
    assert verdicts(older, right, 0) == verdicts(right, older, 0) == set()


RINGS = "vntb_epf_peer_db_set()"


def test_findings_of_a_check_are_compared_by_kind(lab: Lab, ntbbench: Run) -> None:
    clean = made("clean", "check")
    lab.console = SLEEP + "[ 2.0] BUG: KASAN: slab-use-after-free in f+0x1/0x2\n"
    dirty, again = (made(name, "check", code=1) for name in ("dirty", "again"))
    assert ntbbench("gate", dirty, again).code == 0
    names = ("memory findings", "memory in f()", "sleep findings", f"sleep in {RINGS}")
    for pair, code, change in (((clean, dirty), 1, "regressed"), ((dirty, clean), 0, "improved")):
        found = compared(ntbbench, *pair, code=code)
        assert changed(found) == {f"check:{name}": change for name in names}


def test_another_finding_of_a_kind_is_not_the_same_one(lab: Lab, ntbbench: Run) -> None:
    """As many of the kind as before, but one has gone and another one come."""
    other = SLEEP.replace("vntb_epf_peer_db_set+0x2d/0x60", "epf_ntb_unbind.cold+0x1/0x2")
    moved = SLEEP.replace("+0x2d/0x60", "+0x31/0x70").replace("mutex.c:591", "mutex.c:612")
    files = {}
    for name, console in (("old", SLEEP), ("new", other), ("both", SLEEP + other),
                          ("more", moved * 2)):  # fmt: skip
        lab.console = console
        files[name] = made(name, "check", code=1)
    gone, come = f"check:sleep in {RINGS}", "check:sleep in epf_ntb_unbind()"
    for base, candidate, code, told in (
        ("old", "new", 1, {gone: "improved", come: "regressed"}),
        ("old", "both", 1, {come: "regressed", "check:sleep findings": "regressed"}),
        ("both", "old", 0, {come: "improved", "check:sleep findings": "improved"}),
        ("old", "more", 0, {}),  # the same one in another build, and oftener
    ):
        assert changed(compared(ntbbench, files[base], files[candidate], code=code)) == told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("WARNING: kernel/workqueue.c:57 at __alloc_workqueue+0x5/0x9, CPU#0: insmod/4",
         "__alloc_workqueue()"),
        ("the guest hung: no end after 9 s: was in spin_lock.isra.0() of ntb", "spin_lock()"),
        ("kernel BUG at drivers/ntb/core.c:12!", "drivers/ntb/core.c"),
        ("round=2: no link = 0x1f", "round=N no link = N"),
        ("list_add corruption. next is (ff1100000027a000)", "list_add corruption. next is (N)"),
        ("", "no place"),
    ],
)  # fmt: skip
def test_the_place_of_a_finding_without_a_function_is_in_its_line(line: str, told: str) -> None:
    assert place(PairFinding(kind="other", line=line, function="", side="", count=1)) == told


def test_a_check_whose_guest_died_passes_no_gate_unsaid(lab: Lab, ntbbench: Run) -> None:
    clean = made("clean", "check")
    lab.console, lab.change = STUCK, lambda old: replace(old, died=HUNG)
    dead, again = (made(name, "check", code=1) for name in ("dead", "again"))
    found = compared(ntbbench, clean, dead, code=1)
    worse = {name for name, c in found.items() if c["verdict"] == "regressed"}
    assert {"result:complete", "check:hang findings"} <= worse
    ran = ntbbench("gate", dead, again)
    assert ran.code == 0 and "not complete" in " ".join(ran.out.split())
    assert ntbbench("gate", dead, again, "--fatal-warning", "unfinished").code == 3


@pytest.mark.parametrize(
    ("field", "value", "code"), [("rounds", 1, 1), ("checks", [], 1), ("kind", "run", 4)], ids=str
)
def test_a_check_that_looks_less_hard_does_not_pass(
    lab: Lab, field: str, value: object, code: int, ntbbench: Run
) -> None:
    base = made("base", "check")
    Path("less.json").write_text(json.dumps({**json.loads(Path(base).read_text()), field: value}))
    assert ntbbench("gate", base, "less.json").code == code


def test_a_matrix_of_a_source_meets_one_without(lab: Lab, ntbbench: Run) -> None:
    base, own = made("base", "matrix"), Path("own.json")
    data = json.loads(Path(base).read_text().replace('"after"', '"/home/me/linux"'))
    assert {point["ep_driver"] for point in data["points"]} == {"before", "/home/me/linux"}
    data["scenario"]["source"] = "/home/me/linux"
    own.write_text(json.dumps(data))
    assert ntbbench("gate", base, own).code == 0
    (point,) = [
        point
        for point in data["points"]
        if (point["ep_driver"], point["rc_driver"]) == ("/home/me/linux", "before")
        and point["direction"] == "ep-to-rc"
    ]
    point["runs_per_qp"][0] += 1
    own.write_text(json.dumps(data))
    ran = ntbbench("gate", base, own)
    assert ran.code == 1 and "EP after/RC before/ep-to-rc" in ran.out
