# SPDX-License-Identifier: BSD-3-Clause
"""The pair's kernel and drivers: where they are from, when they are built anew."""

import errno
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_sources import debian_offers, debian_source, driver
from pair_strategies import subsets

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import BuildError, FetchError, MissingToolError
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.pair import pair_kernel as kernel
from ntbbench.lab.pair import sources
from ntbbench.lab.pair.pair_kernel import (
    fragment,
    kernel_key,
    pair_kernel,
    untaken,
)
from ntbbench.lab.pair.sources import (
    DRIVERS,
    carried,
    driver_source,
    fetch_source,
)


def test_a_kernel_is_kept_by_source_configuration_flags_and_compiler(tmp_path, monkeypatch) -> None:
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    digest = source.manifest.sha256
    keys = [kernel_key(digest, "run"), kernel_key(digest, "check"), kernel_key("1" * 64, "run")]
    monkeypatch.setattr(kernel, "fragment", lambda variant: f"{fragment(variant)}CONFIG_NEW=y\n")
    keys.append(kernel_key(digest, "run"))
    monkeypatch.undo()
    monkeypatch.setattr(kernel, "QUICK", "-O2")
    keys.append(kernel_key(digest, "run"))
    assert len(set(keys)) == len(keys)
    monkeypatch.undo()
    assert kernel_key(digest, "run") == keys[0]


def test_options_that_the_source_drops_are_named() -> None:
    asked = 'CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_D="text"\n# a comment\n'
    assert untaken(asked, 'CONFIG_A=y\nCONFIG_B=m\nCONFIG_D="text"\n') == []
    got = "# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_C=y\n"
    assert untaken(asked, got) == ["CONFIG_A=y", "CONFIG_B=m", "CONFIG_C=n", 'CONFIG_D="text"']


def test_a_machine_without_the_tools_is_told_which(tmp_path, monkeypatch) -> None:
    debian_source(tmp_path, "7.3.4-1", patches=True)
    monkeypatch.setattr(kernel, "PROGRAMS", ("no-such-program",))
    with pytest.raises(MissingToolError, match="no-such-program: not found"):
        pair_kernel(Cache(tmp_path), "debian:7.3", print)


@pytest.fixture
def few_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for no more than such a tree takes: flex, bison and xz are those of `make test-guest`."""
    monkeypatch.setattr(kernel, "PROGRAMS", ("gcc", "make"))
    monkeypatch.setattr(sources, "program", lambda name: name)


@pytest.mark.usefixtures("few_programs")
def test_a_kernel_that_does_not_build_leaves_nothing(tmp_path, monkeypatch) -> None:
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    source.package.touch()

    def tree(deb: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "Makefile").write_text(
            'allnoconfig:\n\t@echo "kernel/x.c:1: error: $(KCFLAGS)" >&2; false\n'
        )

    monkeypatch.setattr(kernel, "unpack_tree", tree)
    monkeypatch.setenv("KCFLAGS", "-O9")
    told = re.escape(f"7.3.4-1: kernel/x.c:1: error: {kernel.QUICK}")
    with pytest.raises(BuildError, match=f"{told}$"):
        pair_kernel(Cache(tmp_path), "debian:7.3", print)
    assert list((tmp_path / kernel.KERNELS).iterdir()) == []


@pytest.mark.usefixtures("few_programs")
def test_a_source_is_fetched_once_for_its_files_and_its_kernel(tmp_path, monkeypatch) -> None:
    fetched = debian_offers(monkeypatch)

    def unpack(_deb: Path, names: tuple[str, ...], folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()

    def tree(deb: Path, folder: Path) -> None:
        assert deb.read_bytes() == b"package"
        folder.mkdir()
        (folder / "Makefile").write_text("allnoconfig:\n\t@false\n")

    monkeypatch.setattr(sources, "unpack_files", unpack)
    monkeypatch.setattr(kernel, "unpack_tree", tree)
    for _ in range(2):
        with pytest.raises(BuildError):
            pair_kernel(Cache(tmp_path), "debian:7.3", print)
    assert fetched == ["7.3.4-1"]


@pytest.mark.usefixtures("few_programs")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch) -> None:
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    source.package.touch()

    def tree(deb: Path, folder: Path) -> None:
        folder.mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kernel, "unpack_tree", tree)
    with pytest.raises(FetchError, match=r"pair-kernels/.*: the disk is full; nothing was kept"):
        pair_kernel(Cache(tmp_path), "debian:7.3", print)
    assert list((tmp_path / kernel.KERNELS).iterdir()) == []


@given(side=st.sampled_from(["ep", "rc"]), data=st.data())
def test_any_patches_are_told(tmp_path_factory: pytest.TempPathFactory, side, data) -> None:
    patches = data.draw(subsets(side))
    path = tmp_path_factory.mktemp(side) / "driver.c"
    path.write_text(driver(side, patches))
    assert carried(side, path) == tuple(sorted(patches))


def test_comments_carry_no_patch(tmp_path: Path) -> None:
    path = tmp_path / "pci-epf-vntb.c"
    path.write_text(f"{driver('ep', set())}/*\n{driver('ep', set(range(2, 8)))}*/\n")
    assert carried("ep", path) == ()


def test_drivers_are_named_by_word_file_or_tree(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    new = debian_source(tmp_path, "7.3.4-1", patches=True)
    old = debian_source(tmp_path, "6.12.95-1", patches=False)
    file = old.folder / DRIVERS["rc"]
    for spec, patches, origin in (
        ("after", (8, 9, 10, 11, 12), "linux-source-7.3 7.3.4-1"),
        ("before", (), "linux-source-7.3 6.12.95-1"),
        (str(file), (), str(file)),
        (str(old.folder), (), str(file)),
    ):
        found = driver_source(cache, "rc", spec, new, print)
        assert (found.spec, found.patches, found.origin) == (spec, patches, origin)
        assert found.path.is_file()


@pytest.mark.parametrize("given", ["/nowhere.c", "a-folder", "empty.c"])
def test_what_is_no_driver_is_refused(given, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a-folder").mkdir()
    Path("empty.c").touch()
    with pytest.raises(InputError, match="--ep-driver: "):
        driver_source(Cache(tmp_path), "ep", given, debian_source(tmp_path, "7.3.4-1", True), print)


def test_a_cached_source_needs_no_network(tmp_path: Path) -> None:
    debian_source(tmp_path, "7.3.3-1", patches=True)
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    assert fetch_source(Cache(tmp_path), "7.3", print) == source


def test_a_damaged_source_is_one_line(tmp_path: Path) -> None:
    source = debian_source(tmp_path, "7.3.4-1", patches=True)
    (source.folder / sources.MANIFEST).write_text("{")
    with pytest.raises(FetchError, match="remove its folder and fetch again"):
        fetch_source(Cache(tmp_path), "7.3", print)


def test_a_missing_xz_is_told_before_the_download(tmp_path, monkeypatch) -> None:
    fetched = debian_offers(monkeypatch)
    with pytest.raises(MissingToolError, match="xz: not found"):
        fetch_source(Cache(tmp_path), "7.3", print)
    assert fetched == []
