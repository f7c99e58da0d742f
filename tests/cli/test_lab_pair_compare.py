# SPDX-License-Identifier: BSD-3-Clause
"""Results of `ntbbench lab pair` in `compare` and `gate`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pair_fake import HUNG, SLEEP, STUCK, Lab

from ntbbench.cli.main import main
from ntbbench.compare.readers.finding_key import Finding, place


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


ONE = ("--direction", "ep-to-rc")
LOST = {"packets_received": 0, "events": 0, "msis_raised": 0, "warnings": []}


@pytest.mark.parametrize("link", ["up", "down"])
def test_a_driver_that_loses_packets_is_no_improvement(lab: Lab, link, tmp_path, capsys) -> None:
    """Where nothing arrives nothing runs, nothing is raised, and nothing is complained of."""
    base, lossy = tmp_path / "base.json", tmp_path / "lossy.json"
    assert main(["lab", "pair", "run", *ONE, "-o", str(base)]) == 0
    data = json.loads(base.read_text())
    (point,) = data["points"]
    point["warnings"] = ["WARNING: kernel/workqueue.c:1"]
    base.write_text(json.dumps(data))
    runs = [0] * len(point["runs_per_qp"])
    point.update({**LOST, "link": link, "runs_per_qp": runs, "agrees": False})
    lossy.write_text(json.dumps(data))
    capsys.readouterr()
    for command, code in (("compare", 0), ("gate", 1)):
        assert main([command, str(base), str(lossy), "--format", "json"]) == code
        report = json.loads(capsys.readouterr().out)
        assert report["totals"]["improved"] == 0
        told = {c["metric"].rpartition(":")[2]: c for c in report["comparisons"]}
        worse = {name for name, found in told.items() if found["verdict"] == "regressed"}
        assert worse == {"agrees", "packets_received" if link == "up" else "link"}
        fewer = {name for name, found in told.items() if found["verdict"] == "inconclusive"}
        counts = {"runs", "runs of QP 0", "runs of QP 1", "events", "msis_raised"}
        assert fewer >= {"kernel warnings", *(counts if link == "up" else ())}
        for name in fewer:
            assert [warned["code"] for warned in told[name]["warnings"]] == ["fewer-packets"]


@pytest.mark.parametrize(
    ("received", "runs", "verdict"),
    [(50, 50, "inconclusive"), (50, 49, "regressed"), (0, 0, "inconclusive")],
)
def test_a_driver_that_no_longer_loses_packets_is_no_worse(
    lab: Lab, received: int, runs: int, verdict: str, tmp_path, capsys
) -> None:
    """More runs for more packets are no harm, unless they are more for each packet."""
    lossy, mended = tmp_path / "lossy.json", tmp_path / "mended.json"
    assert main(["lab", "pair", "run", *ONE, "-o", str(mended)]) == 0
    data = json.loads(mended.read_text())
    (point,) = data["points"]
    point |= {"packets_received": 100, "runs_per_qp": [100, 0]}
    mended.write_text(json.dumps(data))
    point |= {"packets_received": received, "runs_per_qp": [runs, 0], "agrees": False}
    lossy.write_text(json.dumps(data))
    capsys.readouterr()
    code = main(["gate", str(lossy), str(mended), "--format", "json"])
    assert code == (verdict == "regressed")
    told = json.loads(capsys.readouterr().out)["comparisons"]
    (found,) = [c for c in told if c["metric"].endswith(":runs")]
    assert found["verdict"] == verdict
    warned = [warning["code"] for warning in found["warnings"]]
    assert warned == ["more-packets"] * (verdict == "inconclusive")


@pytest.mark.parametrize("lost", [{"packets_received": 0}, {"link": "down"}])
def test_a_new_warning_is_worse_however_many_packets_arrive(
    lab: Lab, lost, tmp_path, capsys
) -> None:
    """A repair that brings the link up and sleeps in atomic context is none."""
    lossy, mended = tmp_path / "lossy.json", tmp_path / "mended.json"
    assert main(["lab", "pair", "run", *ONE, "-o", str(mended)]) == 0
    data = json.loads(mended.read_text())
    (point,) = data["points"]
    lossy.write_text(json.dumps({**data, "points": [{**point, **lost, "warnings": []}]}))
    loud = {**point, "warnings": ["BUG: sleeping function called from invalid context"]}
    mended.write_text(json.dumps({**data, "points": [loud]}))
    capsys.readouterr()
    assert main(["gate", str(lossy), str(mended), "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)["comparisons"]
    worse = [c["metric"].rpartition(":")[2] for c in told if c["verdict"] == "regressed"]
    assert worse == ["kernel warnings"]


def test_points_of_other_settings_are_a_line_each(lab: Lab, tmp_path: Path, capsys) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    assert main(["lab", "pair", "run", *ONE, "-o", str(one)]) == 0
    other.write_text(one.read_text().replace('"gap_us":2000', '"gap_us":9000'))
    assert one.read_text() != other.read_text()
    capsys.readouterr()
    assert main(["gate", str(one), str(other), "--format", "json"]) == 4
    told = [c for c in json.loads(capsys.readouterr().out)["comparisons"] if "missing" in c]
    assert [found["missing"] for found in told] == ["candidate", "base"]
    assert all(found["metric"].endswith(":status") for found in told)


def test_what_the_kernel_complains_of_is_compared_as_that(lab: Lab, tmp_path, capsys) -> None:
    quiet, loud = tmp_path / "quiet.json", tmp_path / "loud.json"
    assert main(["lab", "pair", "run", *ONE, "-o", str(quiet)]) == 0
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
        names = ("memory findings", "memory in f()", "sleep findings", f"sleep in {RINGS}")
        assert changed == {f"check:{name}": change for name in names}


RINGS = "vntb_epf_peer_db_set()"


def test_another_finding_of_a_kind_is_not_the_same_one(lab: Lab, tmp_path, capsys) -> None:
    """As many of the kind as before, but one has gone and another one come."""
    old, new, both, more = (tmp_path / f"{name}.json" for name in ("old", "new", "both", "more"))
    other = SLEEP.replace("vntb_epf_peer_db_set+0x2d/0x60", "epf_ntb_unbind.cold+0x1/0x2")
    moved = SLEEP.replace("+0x2d/0x60", "+0x31/0x70").replace("mutex.c:591", "mutex.c:612")
    consoles = ((old, SLEEP), (new, other), (both, SLEEP + other), (more, moved * 2))
    for path, lab.console in consoles:
        assert main(["lab", "pair", "check", "-o", str(path)]) == 1
    capsys.readouterr()
    gone, come = f"check:sleep in {RINGS}", "check:sleep in epf_ntb_unbind()"
    for pair, code, changed in (
        ((old, new), 1, {gone: "improved", come: "regressed"}),
        ((old, both), 1, {come: "regressed", "check:sleep findings": "regressed"}),
        ((both, old), 0, {come: "improved", "check:sleep findings": "improved"}),
        ((old, more), 0, {}),  # the same one in another build, and oftener
    ):
        assert main(["gate", *map(str, pair), "--format", "json"]) == code
        told = json.loads(capsys.readouterr().out)["comparisons"]
        assert changed == {c["metric"]: c["verdict"] for c in told if c["verdict"] != "equivalent"}


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
    assert place(Finding(kind="other", line=line)) == told


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
