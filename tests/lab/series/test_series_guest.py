# SPDX-License-Identifier: BSD-3-Clause
"""Series of Debian's own drivers on the real kernel: sound ones, and each way to break one."""

from pathlib import Path

import pytest
from kit_edit import replaced
from pair_kernel import rig
from pair_kit import EDITS
from series_mails import Commits

from ntbbench.cli.main import main
from ntbbench.core.result_file import load_as
from ntbbench.lab.pair.plan import EP, RC
from ntbbench.lab.pair.sources import BEFORE_VERSION, DRIVERS, fetch_source
from ntbbench.lab.series.records import SERIES_SCHEMA, SeriesCommit, SeriesResult

# Boots a kernel that is built once: `make test-guest`.
pytestmark = pytest.mark.guest

BASE = ("--base", f"debian:{BEFORE_VERSION}")
SMALL = ("--packets", "3", "--queues", "2")
ALONE = ("--prefixes", "none", "--check", "none")
SLOTS = "\tEPF_IRQ_RESERVED_DB, /* Historically skipped slot */\n\tEPF_IRQ_DB_START,\n"
MOVED = "\tEPF_IRQ_RESERVED_DB = 32,\n\tEPF_IRQ_DB_START = 1,\n"
FFS = "u32 interrupt_num = ffs(db_bits) + 1;"


def after(side: str) -> str:
    return (rig().kernel.source.folder / DRIVERS[side]).read_text()


def before(side: str) -> str:
    return (fetch_source(rig().cache, BEFORE_VERSION, print).folder / DRIVERS[side]).read_text()


@pytest.fixture
def commits(tmp_path: Path) -> Commits:
    """A repository that begins with the drivers of 6.12."""
    return Commits(tmp_path / "linux", {DRIVERS[side]: before(side) for side in (EP, RC)})


def run(tmp_path: Path, *words: object, code: int) -> SeriesResult:
    out = tmp_path / "series.json"
    assert main(["lab", "series", *map(str, words), "-o", str(out)]) == code
    return load_as(out, SERIES_SCHEMA, SeriesResult)


def verdicts(commit: SeriesCommit) -> tuple[object, ...]:
    return commit.applies, commit.builds, commit.works, commit.peers


def test_each_way_to_break_a_series_is_named(tmp_path: Path, commits: Commits) -> None:
    commits.commit("NTB: epf: A brace too few", {DRIVERS[RC]: after(RC).rstrip()[:-1] + "("})
    commits.commit("NTB: epf: The series", {DRIVERS[RC]: after(RC)})
    out_of_order = EDITS["ep: patch 3 is missing"].apply(after(EP))
    commits.commit("PCI: endpoint: vntb: Vectors before their numbers", {DRIVERS[EP]: out_of_order})
    commits.commit("PCI: endpoint: vntb: Numbers of vectors", {DRIVERS[EP]: after(EP)})
    moved = {side: replaced(after(side), SLOTS, MOVED) for side in (EP, RC)}
    moved[RC] = replaced(moved[RC], FFS, "u32 interrupt_num = ffs(db_bits);")
    commits.commit(
        "NTB: epf, vntb: Drop the reserved slot", {DRIVERS[side]: moved[side] for side in (EP, RC)}
    )
    commits.commit("NTB: epf: Of another tree", {DRIVERS[RC]: moved[RC].replace("int", "long")})
    mails = commits.mails("--cover-letter")
    last = mails.rindex(b"\nFrom ")
    mbox = tmp_path / "v1.mbx"
    mbox.write_bytes(mails[:last] + mails[last:].replace(b"\n ", b"\n no "))
    result = run(tmp_path, mbox, *BASE, *SMALL, *ALONE, code=1)
    base, unbuilt, fixed, unordered, ordered, alone, refused = result.commits
    assert verdicts(base) == (True, True, True, None)
    assert verdicts(unbuilt) == (True, False, None, None)
    told = "does not build: the driver of commit 1 on the root complex: ntb_hw_epf.c:"
    assert unbuilt.findings[0].startswith(told)
    assert verdicts(fixed) == (True, True, True, True)
    assert verdicts(unordered) == (True, True, False, False)
    assert unordered.findings[0].startswith("missed: EP driver: behaves as the series without")
    assert verdicts(ordered) == (True, True, True, True)
    assert verdicts(alone) == (True, True, True, False)
    assert any("EP new, RC before: " in told for told in alone.findings)
    assert verdicts(refused) == (False, None, None, None)
    assert refused.findings[0].startswith("does not apply: patch failed: ")
    apis = [commit.api for commit in result.commits]
    assert apis == [True, None, True, False, True, False, None]
    assert result.bisectable is False and result.complete
    assert result.no_patch == ["[PATCH 0/6] *** SUBJECT HERE ***"]
