# SPDX-License-Identifier: BSD-3-Clause
"""Where the pair's drivers come from, and the patches that their text shows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_sources import debian_offers, debian_source, driver
from pair_strategies import subsets

from ntbbench.core.errors import InputError
from ntbbench.lab.commands import FetchError, MissingToolError
from ntbbench.lab.packages.cache import Cache
from ntbbench.lab.pair import sources
from ntbbench.lab.pair.sources import DRIVERS, carried, driver_source, fetch_source


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
def test_what_is_no_driver_is_refused(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_missing_xz_is_told_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = debian_offers(monkeypatch)
    with pytest.raises(MissingToolError, match="xz: not found"):
        fetch_source(Cache(tmp_path), "7.3", print)
    assert fetched == []
