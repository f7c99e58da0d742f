# SPDX-License-Identifier: BSD-3-Clause
"""`--ep-patches` and `--rc-patches` of `lab pair`: what the user says that a driver carries."""

import argparse
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.pair.drivers.text_patches import DRIVERS, PATCHES
from ntbbench.lab.pair.plan import AFTER, BEFORE
from ntbbench.pair.drivers.patches import number_ranges

NONE, FULL = "none", "full"
NUMBER_DIGITS = 3


def add_patches(parser: argparse.ArgumentParser) -> None:
    """Add --ep-patches and --rc-patches."""
    group = parser.add_argument_group("patches: none, full, or as 1-7, 2,3,5 (default: inferred)")
    for side, numbers in PATCHES.items():
        group.add_argument(
            f"--{side}-patches",
            metavar="LIST",
            help=f"of {number_ranges(numbers)}, that {Path(DRIVERS[side]).stem} carries: "
            "another behaviour is a finding",
        )


def patches_of(args: argparse.Namespace, side: str, driver: str) -> tuple[int, ...] | None:
    """Return the patches that the user says a driver carries; None: the user says nothing.

    Parameters
    ----------
    driver : which one: `before` and `after` say themselves what they carry.

    Raises
    ------
    InputError : no list of that side's patches, or another one than the driver's name says.
    """
    option, text = f"--{side}-patches", getattr(args, f"{side}_patches")
    if text is None:
        return None
    given = parse_patches(option, text, PATCHES[side])
    named = {BEFORE: (), AFTER: PATCHES[side]}.get(driver)
    if named is not None and given != named:
        word = FULL if named else NONE
        raise InputError(option, text, f"{word}, which `{driver}` stands for; or name a file")
    return given


def parse_patches(option: str, text: str, numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Return the patches of a list such as none, full, 1-7 or 2,3,5, sorted.

    Raises
    ------
    InputError : anything else.
    """
    if text in (NONE, FULL):
        return numbers if text == FULL else ()
    half = number_ranges(numbers)
    allowed = f"{NONE}, {FULL}, or patches of {half} as {half} or {numbers[0]},{numbers[-1]}"
    chosen: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        ends = (low, high if dash else low)
        if not all(end.isascii() and end.isdigit() and len(end) < NUMBER_DIGITS for end in ends):
            raise InputError(option, text, allowed)
        first, last = map(int, ends)
        if not numbers[0] <= first <= last <= numbers[-1]:
            raise InputError(option, text, allowed)
        chosen |= set(range(first, last + 1))
    return tuple(sorted(chosen))
