# SPDX-License-Identifier: BSD-3-Clause
"""A series in a repository with a whole kernel: what its kernels are built of, what stays out."""

from pathlib import Path

import pytest
from pair_sources import debian_source
from series_mails import Commits

from ntbbench.lab.commands import BuildError
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.pair.pair_kernel import CHECK, RUN, KernelTree, PairKernel
from ntbbench.lab.pair.plan import EP, RC
from ntbbench.lab.pair.sources import DRIVERS, FILES
from ntbbench.lab.series import series_run
from ntbbench.lab.series.commits import SeriesSteps, read_steps
from ntbbench.lab.series.pairings import NEW, Pairing
from ntbbench.lab.series.series_run import SeriesLab, build_all
from ntbbench.lab.series.series_scenario import SeriesScenario
from ntbbench.lab.series.whole_tree import PARTS, kernel_tree

CORE = "drivers/pci/endpoint/pci-epc-core.c"
HEADER = "include/linux/workqueue.h"
TOOL = "drivers/ntb/test/ntb_tool.c"
MAKEFILE = "VERSION = 7\nPATCHLEVEL = {}\nSUBLEVEL = 4\n"
LIB = "lib/Makefile"


def repository(folder: Path, patchlevel: int = 3, without: str = "") -> Commits:
    """Return a repository that begins with what a build reads first of a kernel 7.x."""
    parts = {
        part if "." in Path(part).name or "/" in part else f"{part}/Makefile" for part in PARTS
    }
    files = dict.fromkeys((*FILES, *parts, CORE, HEADER), "base\n")
    files |= {"Kbuild": "base\n", "Kconfig": "base\n", "Makefile": MAKEFILE.format(patchlevel)}
    for file in ("Kbuild/Makefile", "Kconfig/Makefile", without):
        files.pop(file, None)
    return Commits(folder / "linux", files)


def steps(folder: Path, commits: Commits) -> SeriesSteps:
    asked = SeriesScenario(series=f"{commits.base}..HEAD", tree=str(commits.folder))
    source = debian_source(folder, "7.3.4-1", patches=True)
    return read_steps(Cache(folder), asked, source, folder / "scratch", print)


def test_what_a_commit_changes_beside_the_labs_files_is_built_into_its_kernel(tmp_path) -> None:
    commits = repository(tmp_path)
    core = commits.commit("endpoint core", {CORE: "new\n", "Documentation/x": "", "arch/arm/x": ""})
    commits.commit("a tool", {TOOL: ""})
    commits.commit("a driver", {DRIVERS[EP]: "new\n"})
    both = commits.commit("a driver, and what it calls", {DRIVERS[RC]: "new\n", HEADER: "new\n"})
    commits.commit("no file of the two drivers", {HEADER: "newer\n"})
    found = steps(tmp_path, commits)
    assert [(s.number, s.kernel, s.left_out) for s in found.steps] == [
        (0, commits.base, ()),
        (1, core, ("Documentation/x", "arch/arm/x")),
        (2, core, ()),
        (3, both, ()),
    ]
    assert found.left_out == ("2 of the range's commits, which change nothing that runs",)
    assert (found.steps[2].files / DRIVERS[EP]).read_text() == "new\n"


@pytest.mark.parametrize(("patchlevel", "without"), [(2, ""), (3, LIB)])
def test_a_repository_that_is_no_kernel_to_boot_leaves_them_out(
    tmp_path, patchlevel, without
) -> None:
    commits = repository(tmp_path, patchlevel, without)
    commits.commit("a driver, and what it calls", {DRIVERS[RC]: "new\n", HEADER: "new\n"})
    (step,) = steps(tmp_path, commits).steps[1:]
    assert (step.kernel, step.left_out) == ("", (HEADER,))


def test_drivers_alone_take_the_kernel_that_was_asked_for(tmp_path: Path) -> None:
    commits = repository(tmp_path)
    commits.commit("a driver", {DRIVERS[EP]: "new\n", "Documentation/x": "new\n"})
    assert {step.kernel for step in steps(tmp_path, commits).steps} == {""}


def test_a_kernel_is_known_by_what_its_build_reads(tmp_path: Path) -> None:
    commits = repository(tmp_path)
    base = kernel_tree(commits.folder, commits.base)
    same = commits.commit("nothing of it", {DRIVERS[EP]: "new\n", "Documentation/x": "", TOOL: ""})
    other = commits.commit("the core", {CORE: "new\n"})
    assert kernel_tree(commits.folder, same).content == base.content
    assert kernel_tree(commits.folder, other).content != base.content
    kernel_tree(commits.folder, other).unpack(tmp_path / "tree")
    assert (tmp_path / "tree" / CORE).read_text() == "new\n"
    assert (tmp_path / "tree" / "Makefile").read_text() == MAKEFILE.format(3)
    assert not (tmp_path / "tree" / "Documentation" / "x").exists()


def test_a_kernel_that_does_not_build_is_tried_once(tmp_path, monkeypatch) -> None:
    asked_for: list[tuple[str, str]] = []

    def build(_cache: Cache, tree: KernelTree, _say: object, variant: str) -> Path:
        asked_for.append((tree.origin, variant))
        raise BuildError(f"{tree.origin}: x.c:1: error: no brace")

    commits = repository(tmp_path)
    monkeypatch.setattr(series_run, "built_kernel", build)
    asked = SeriesScenario(series="a..b", tree=str(commits.folder))
    kernel = PairKernel("k", RUN, tmp_path, debian_source(tmp_path, "7.3.4-1", patches=True))
    lab = SeriesLab(Cache(tmp_path), kernel, asked, print)
    pairings = [
        Pairing(1, NEW, NEW, "after", rc, tmp_path / "1", checked, kernel=commits.base)
        for checked in (False, True)
        for rc in ("after", str(tmp_path / "other.c"))
    ]
    built = build_all(lab, pairings, series_run.SeriesHooks(print))
    origin = f"commit {commits.base[:12]} of {commits.folder}"
    assert asked_for == [(origin, RUN), (origin, CHECK)]
    assert set(built.causes.values()) == {f"{origin}: x.c:1: error: no brace"}
    assert [p.cause for p in lab.unbuilt(pairings[0], "why")] == ["does not build: why"] * 2
