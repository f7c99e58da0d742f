# SPDX-License-Identifier: BSD-3-Clause
"""The patches as switches, and the names that users give to sets of them."""

import pytest

from ntbbench.core.errors import InputError
from ntbbench.pair.drivers.patches import (
    KERNELS,
    PREREQUISITES,
    Driver,
    driver,
    parse_driver,
    prefix,
    root_fix,
    side_patches,
)


@pytest.mark.parametrize(
    ("side", "text", "patches"),
    [
        *(("ep", text, set()) for text in ("0", "none", "before", "6.12.117")),
        *(("ep", text, {1, 2, 3, 4, 5, 6, 7}) for text in ("7", "all", "full", "after")),
        *(("rc", text, {8, 9, 10, 11, 12}) for text in ("5", "7.3")),
        ("rc", "2", {8, 9}),
        ("rc", "set:12", {12}),
        ("rc", "set:8-10,12", {8, 9, 10, 12}),
        ("rc", "8,9,12", {8, 9, 12}),
        ("ep", "3-7", {3, 4, 5, 6, 7}),
        ("rc", "6.12.117", {9, 10, 11}),
    ],
)
def test_names_of_drivers(side: str, text: str, patches: set[int]) -> None:
    assert parse_driver(side, text).patches == patches


def test_root_fix_is_the_whole_series_with_slots_from_1() -> None:
    for side in ("ep", "rc"):
        assert parse_driver(side, "root-fix") == root_fix(side)
        assert root_fix(side).patches == set(side_patches(side))
        assert root_fix(side).label == "root-fix"


def test_prerequisites_are_switches() -> None:
    assert prefix("rc", 0).prerequisites == {"irq-base", "isr-unwind"}
    assert parse_driver("rc", "none,-irq-base").prerequisites == {"isr-unwind"}
    assert parse_driver("rc", "6.12.95").prerequisites == frozenset()
    assert parse_driver("ep", "6.12.117").prerequisites == {"db-count-zero"}
    assert set(PREREQUISITES) == {"db-count-zero", "irq-base", "isr-unwind"}


@pytest.mark.parametrize(("word", "version"), [("before", "6.12.95"), ("after", "7.3")])
@pytest.mark.parametrize("side", ["ep", "rc"])
def test_words_of_lab_pair_are_the_drivers_of_the_kernels_that_it_takes(side, word, version):
    drivers = [parse_driver(side, text) for text in (word, version, f"debian:{version}")]
    assert drivers == [KERNELS[version][side == "rc"]] * 3


@pytest.mark.parametrize(
    ("side", "text"),
    [
        *(("ep", text) for text in ("8", "-1", "set:5-3", "", "set:", "rootfix", "6.13", "\u0663")),
        ("ep", "9999999999999999999999"),
        *(("rc", text) for text in ("6", "12", "set:7", "set:13", "none,-db-count-zero")),
    ],
)
def test_unknown_patches_get_one_line(side: str, text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_driver(side, text)
    assert str(refused.value).startswith(f"--{side}-driver: ")
    assert "\n" not in str(refused.value)


def test_a_driver_takes_patches_of_its_own_side_only() -> None:
    with pytest.raises(InputError, match=r"8\.\.12"):
        driver("rc", {3})
    with pytest.raises(InputError, match="irq-base"):
        Driver("ep", frozenset(), frozenset({"irq-base"}))


@pytest.mark.parametrize(
    ("own", "label"),
    [
        (prefix("ep", 0), "unpatched"),
        (prefix("ep", 1), "patch 1"),
        (prefix("rc", 5), "patches 8-12"),
        (driver("rc", {9, 12}), "patches 9,12"),
        (driver("rc", {12}), "patch 12"),
    ],
)
def test_labels(own: Driver, label: str) -> None:
    assert own.label == label
