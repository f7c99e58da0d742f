# SPDX-License-Identifier: BSD-3-Clause
"""compat, patches and doorbell from the command line."""

from pathlib import Path

import pytest

from ntbbench.cli.doorbell import parse_bits
from ntbbench.core.errors import InputError

NO_BITS = ["", ",", "-1", "0..3", "1..4", "3-1", "0x", "0x0", "0x1" + "0" * 16, "\u0663", "a"]


def test_patches_of_a_setting_that_old_and_new_kernels_do_not_share(ntbbench) -> None:
    """With 6 slots an unpatched and a patched endpoint have different qp_count."""
    answer = ntbbench("patches", "--ep-slots", 6).out.splitlines()[0]
    assert answer.startswith("The posted order is NOT bisectable: 0 of 4096 subsets are safe")


@pytest.mark.usefixtures("in_an_empty_folder")
def test_an_output_is_written_in_place_of_stdout(ntbbench) -> None:
    ran = ntbbench("compat", "-o", "c.txt")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert Path("c.txt").read_text() == ntbbench("compat").out


@pytest.mark.parametrize(
    ("text", "mask"),
    [("0", 1), ("0,2", 5), ("0-3", 15), ("0x5", 5), ("63", 1 << 63), ("0, 2", 5), ("1,1", 2)],
)
def test_bits(text: str, mask: int) -> None:
    assert parse_bits(text) == mask


@pytest.mark.parametrize("text", NO_BITS)
def test_no_bits(text: str) -> None:
    with pytest.raises(InputError, match="--bits"):
        parse_bits(text)
