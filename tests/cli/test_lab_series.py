# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab series` from the command line, on recordings instead of guests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kcidb_io
import pytest
from compare_runs import Ran
from msgspec.structs import replace
from series_fake import (
    AFTER,
    BEFORE,
    BROKEN,
    LOSES,
    SIDES,
    FakeSeries,
    driver,
    fake_commits,
    fake_series,
)
from series_mails import Commits

from ntbbench.core.result_file import load_as
from ntbbench.lab.pair.records import PairFinding, PairObserved
from ntbbench.lab.series.records import SERIES_SCHEMA, SeriesResult

OUT = Path("v1.json")
Run = Callable[..., Ran]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSeries:
    return fake_series(monkeypatch, tmp_path)


@pytest.fixture
def commits(fake: FakeSeries) -> Commits:
    return fake_commits(fake.folder / "linux")


def sound(commits: Commits) -> None:
    """Commit a series that brings both drivers from before to after, a comment on the way."""
    commits.commit("PCI: endpoint: vntb: The endpoint", {SIDES["EP"]: driver(AFTER)})
    commits.commit("NTB: epf: A comment", {SIDES["RC"]: driver(BEFORE).replace("3", "three")})
    commits.commit(
        "NTB: epf: The root complex", {SIDES["RC"]: driver(AFTER), "Documentation/x": ""}
    )


@pytest.fixture
def series(commits: Commits, ntbbench: Run) -> Run:
    """Run the commits as a mailbox on the tree that they were made on."""

    def run(*words: object, to: Path = OUT) -> Ran:
        base = commits.folder.parent / "base"
        if not base.exists():
            commits.git("worktree", "add", "--quiet", str(base), commits.base)
        mbox = commits.mailbox(commits.folder.parent / "v1.mbx", "--cover-letter")
        jobs = ("--jobs", 1, "-o", to)
        return ntbbench("lab", "series", mbox, "--base", base, *jobs, *words)

    return run


def result(path: Path = OUT) -> SeriesResult:
    return load_as(path, SERIES_SCHEMA, SeriesResult)


def verdicts(path: Path = OUT) -> list[tuple[object, ...]]:
    return [(c.applies, c.builds, c.works, c.peers) for c in result(path).commits if c.number]


def test_a_sound_series_is_bisectable(fake: FakeSeries, commits: Commits, series: Run) -> None:
    sound(commits)
    ran = series()
    assert ran.code == 0
    first, *_ = ran.out.splitlines()
    assert first == "3 commits, bisectable: each works with itself, old peers and the base"
    assert verdicts() == [(True, True, True, True)] * 3
    assert [c.left_out for c in result().commits] == [[], [], [], ["Documentation/x"]]
    assert result().no_patch == ["[PATCH 0/3] *** SUBJECT HERE ***"]
    assert result().commits[2].changes == []
    *_, counted, answered = result().commits[3].changes
    assert counted.startswith("ep-to-rc: runs per doorbell")
    first = "db_valid_mask 0x3fff, was 0x7fff"
    assert answered == f"RC driver: 116 of 325 answers differ, first: {first}"
    assert len(ran.out.splitlines()) <= 24
    assert all(len(line) <= 80 for line in ran.out.splitlines())


def test_what_the_api_probe_finds_is_of_the_commit(fake: FakeSeries, commits, series) -> None:
    """Its packets all arrive: nothing but the probe tells that a driver answers otherwise."""

    def wrong(observed: PairObserved) -> PairObserved:
        told = ["no known behaviour fits: spad_count: 4 instead of 128"]
        is_after = observed.side == "rc" and observed.behaves == AFTER
        return replace(observed, findings=told) if is_after else observed

    sound(commits)
    fake.answer = wrong
    ran = series("--check", "none", "--prefixes", "none")
    assert ran.code == 1 and [commit.api for commit in result().commits] == [True] * 3 + [False]
    first, *_ = ran.out.splitlines()
    assert first == "3 commits, bisectable, but commit 3 (epf: The root c...): fails the API probe"
    assert "RC driver: no known behaviour fits: spad_count: 4 instead of 128" in ran.out
    assert {one.driver for one in result().commits[3].observed} == {"new"}
    assert [point.agrees for point in result().points] == [True] * len(result().points)


def test_what_runs_alike_is_booted_once(fake: FakeSeries, commits: Commits, series: Run) -> None:
    """Two drivers in two versions and a debug kernel: five boots, whatever meets whom."""
    sound(commits)
    assert series().code == 0
    assert len(fake.booted) == 5 == result().boots
    assert [pairing.checked for pairing in fake.booted].count(True) == 1
    prefixes = {(p.ep_driver, p.rc_driver) for p in result().prefixes}
    assert prefixes == {(ep, rc) for ep in "01" for rc in "023"}
    assert series("--check", "all", "--prefixes", "none").code == 0
    assert [p.checked for p in fake.booted[5:]].count(True) == 3 and not result().prefixes


def test_each_way_to_break_a_series_is_told(commits: Commits, series: Run) -> None:
    commits.commit("NTB: epf: No brace", {SIDES["RC"]: driver(BROKEN)})
    commits.commit("NTB: epf: A brace", {SIDES["RC"]: driver(AFTER)})
    commits.commit("PCI: endpoint: vntb: Lose", {SIDES["EP"]: driver(LOSES)})
    ran = series("--prefixes", "none")
    assert ran.code == 1
    assert ran.out.startswith("3 commits, not bisectable: commit 1 (epf: No brace): does not build")
    assert verdicts() == [
        (True, False, None, None), (True, True, True, True), (True, True, True, False)
    ]  # fmt: skip
    unbuilt, _, losing = result().commits[1:]
    told = "does not build: the driver of commit 1 on the root complex: x.c:1: error: no brace"
    assert unbuilt.findings == [told]
    assert losing.findings[0].startswith("EP new, RC before: loses packets: half of it is lost")


def test_a_mail_that_does_not_apply_ends_the_series(commits: Commits, series: Run) -> None:
    sound(commits)
    base = commits.folder.parent / "base"
    commits.git("worktree", "add", "--quiet", str(base), commits.base)
    (base / SIDES["RC"]).write_text("int before; /* of another tree */\n")
    ran = series("--peers", "after", "--prefixes", "none", "--check", "none")
    assert ran.code == 1, ran.err
    words = "not bisectable: commit 2 (epf: A comment): does not apply"
    assert f"2 commits, {words}" in ran.out
    assert verdicts()[1] == (False, None, None, None)
    assert "does not apply: patch failed: drivers/ntb/hw/epf/ntb_hw_epf.c:1" in ran.out


def test_a_prefix_that_breaks_is_named(fake: FakeSeries, commits: Commits, series: Run) -> None:
    """Each commit works with its own: RC up to 2 never meets EP up to 0 in the series."""
    commits.commit("PCI: endpoint: vntb: The endpoint", {SIDES["EP"]: driver(AFTER)})
    commits.commit("NTB: epf: The root complex", {SIDES["RC"]: driver(LOSES)})
    ran = series("--peers", "after", "--check", "none")
    assert ran.code == 1
    assert "EP up to 0 with RC up to 2: loses packets" in ran.out
    table = ran.out if "Prefixes" in ran.out else series("-v", to=Path("v.json")).out
    assert "loses packets" in table


def test_the_debug_kernel_is_heard(fake: FakeSeries, commits: Commits, series: Run) -> None:
    sound(commits)
    line = "BUG: sleeping function called from invalid context"
    fake.findings = [PairFinding(kind="sleep", line=line, function="f", side="ep", count=1)]
    ran = series()
    assert ran.code == 1 and f"3: the debug kernel: sleep: EP, f(): {line}" in " ".join(
        ran.out.split()
    )
    assert [len(commit.checked) for commit in result().commits] == [0, 0, 0, 1]
    assert result().bisectable is True


def test_an_interrupted_series_goes_on(fake, commits: Commits, series: Run, ntbbench: Run) -> None:
    sound(commits)
    assert series(to=Path("whole.json")).code == 0
    whole, fake.interrupt_after = len(fake.booted), len(fake.booted) + 2
    ran = series()
    assert ran.code == 130 and f"go on with: ntbbench lab series --resume {OUT}" in ran.err
    assert not result().complete and len(fake.booted) < 2 * whole
    ran = ntbbench("lab", "series", "--resume", OUT, "--jobs", 1)
    assert ran.code == 0 and len(fake.booted) == 2 * whole
    assert OUT.read_bytes() == Path("whole.json").read_bytes()
    ran = ntbbench("lab", "series", "--resume", OUT, "--packets", 3)
    assert ran.code == 2 and "alone: the file says what is left to run" in ran.err


def test_a_range_of_a_repository_is_the_same_series(
    commits: Commits, series: Run, ntbbench: Run
) -> None:
    sound(commits)
    assert series().code == 0
    commits.commit("Documentation: Nothing that runs", {"Documentation/y": ""})
    words = (f"{commits.base}..HEAD", "--tree", commits.folder, "-o", "range.json")
    assert ntbbench("lab", "series", *words).code == 0
    assert result(Path("range.json")).no_patch == [
        "1 of the range's commits, which change nothing that runs"
    ]
    assert verdicts(Path("range.json")) == verdicts()
    heads = [commit.commit for commit in result(Path("range.json")).commits]
    assert heads == commits.git("rev-list", "--reverse", "HEAD~").split()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "MBOX: '': a mailbox, a folder of mails, or BASE..HEAD with --tree DIR"),
        (("none.mbx",), "none.mbx': a mailbox, a folder of mails, or BASE..HEAD with --tree DIR"),
        (("a..b", "--tree", "linux"), "BASE..HEAD: 'a..b': commits of"),
        (("HEAD..HEAD", "--tree", "linux"), "a range with at least one commit"),
        (("HEAD", "--tree", "linux"), "two commits of --tree, joined by two dots"),
        (("a..b", "--tree", "x", "--base", "y"), "--base: 'y': not with --tree"),
        (("v1.mbx", "--base", "debian:x"), "--base: 'debian:x': debian:VERSION, as"),
        (("v1.mbx", "--base", "nowhere"), "nowhere': a kernel tree with drivers/ntb/core.c"),
        (("v1.mbx", "--check", "some"), "--check: 'some'"),
    ],
)
def test_bad_input_is_one_line(commits: Commits, ntbbench: Run, words, told) -> None:
    sound(commits)
    commits.mailbox(commits.folder.parent / "v1.mbx")
    ran = ntbbench("lab", "series", *words, "-o", OUT)
    assert ran.code == 2 and told in ran.err and len(ran.err.splitlines()) == 1


def test_prerequisites_come_first(commits: Commits, ntbbench: Run) -> None:
    base = commits.folder.parent / "base"
    commits.git("worktree", "add", "--quiet", str(base), commits.base)
    commits.commit("fix", {SIDES["RC"]: driver(BEFORE).replace("1", "one")})
    fix = commits.mailbox(commits.folder.parent / "fix.mbx")
    commits.base = commits.git("rev-parse", "HEAD").strip()
    commits.commit("NTB: epf: On it", {SIDES["RC"]: driver(AFTER).replace("1", "one")})
    mbox = commits.mailbox(commits.folder.parent / "v1.mbx")
    words = ("lab", "series", mbox, "--base", base, "-o", OUT)
    assert ntbbench(*words).code == 1 and verdicts() == [(False, None, None, None)]
    assert ntbbench(*words, "--prerequisite", fix).code == 0
    assert verdicts() == [(True, True, True, True)]
    ran = ntbbench(*words, "--prerequisite", mbox)
    assert ran.code == 2 and "patches that apply to" in ran.err


def test_two_versions_are_gated(commits: Commits, series: Run, ntbbench: Run) -> None:
    sound(commits)
    assert series().code == 0
    commits.commit("NTB: epf: Lose", {SIDES["RC"]: driver(LOSES)})
    assert series(to=Path("v2.json")).code == 1
    ran = ntbbench("gate", OUT, OUT)
    assert ran.code == 0, ran.out
    ran = ntbbench("compare", OUT, "v2.json", "--format", "json")
    found = {c["metric"]: c["verdict"] for c in json.loads(ran.out)["comparisons"]}
    assert found["NTB: epf: A comment:works"] == "equivalent"
    commits.git("reset", "--quiet", "--hard", "HEAD~2")
    commits.commit("NTB: epf: The root complex", {SIDES["RC"]: driver(LOSES)})
    assert series(to=Path("v3.json")).code == 1
    ran = ntbbench("gate", OUT, "v3.json", "--format", "json")
    found = {c["metric"]: c["verdict"] for c in json.loads(ran.out)["comparisons"]}
    assert ran.code == 1
    assert found["NTB: epf: The root complex:peers"] == "regressed"
    assert found["PCI: endpoint: vntb: The endpoint:works"] == "equivalent"


# --- KernelCI ------------------------------------------------------------------------------------


def valid(text: str) -> dict[str, Any]:
    """Return what kcidb-io makes of a report; it raises where the report is none."""
    return kcidb_io.schema.V5_3.validate(json.loads(text))


def test_a_series_is_what_kernelci_takes(commits: Commits, series: Run, ntbbench: Run) -> None:
    commits.commit("NTB: epf: No brace", {SIDES["RC"]: driver(BROKEN)})
    commits.commit("NTB: epf: A brace", {SIDES["RC"]: driver(AFTER)})
    commits.commit("PCI: endpoint: vntb: Lose", {SIDES["EP"]: driver(LOSES)})
    report = valid(series("--prefixes", "none", "--format", "kcidb").out)
    assert [one["comment"] for one in report["checkouts"]] == [
        "NTB: epf: No brace", "NTB: epf: A brace", "PCI: endpoint: vntb: Lose"
    ]  # fmt: skip
    assert all(one["valid"] for one in report["checkouts"])
    assert [build["status"] for build in report["builds"]] == ["FAIL", "PASS", "PASS"]
    assert "error: no brace" in report["builds"][0]["log_excerpt"]
    builds = {build["id"]: build["checkout_id"] for build in report["builds"]}
    of_build = {build: [] for build in builds}
    for test in report["tests"]:
        of_build[test["build_id"]].append((test["path"], test["status"]))
    none, good, bad = of_build.values()
    assert none == []
    assert ("ntbbench.works", "PASS") in good and ("ntbbench.debug_kernel", "SKIP") in good
    assert ("ntbbench.ep_new_rc_before_ep_to_rc", "FAIL") in bad
    assert valid(ntbbench("show", OUT, "--format", "kcidb").out) == report


def test_a_range_names_its_commits(commits: Commits, series: Run, ntbbench: Run) -> None:
    commits.commit("NTB: epf: The root complex", {SIDES["RC"]: driver(AFTER)})
    head = commits.git("rev-parse", "HEAD").strip()
    words = (f"{commits.base}..HEAD", "--tree", commits.folder, "-o", "range.json")
    report = valid(ntbbench("lab", "series", *words, "--format", "kcidb").out)
    assert [one["git_commit_hash"] for one in report["checkouts"]] == [head]


@pytest.mark.parametrize("kind", ["pair-run", "sweep-base"])
def test_other_results_have_no_revisions(ntbbench: Run, kind: str, pytestconfig) -> None:
    path = pytestconfig.rootpath / "tests" / "golden" / "inputs" / f"{kind}.json"
    ran = ntbbench("show", path, "--format", "kcidb")
    assert ran.code == 2 and "--format: 'kcidb': a format of a series" in ran.err
