# SPDX-License-Identifier: BSD-3-Clause
"""compat, patches and doorbell from the command line: widths, files, errors."""

from collections.abc import Callable
from pathlib import Path

import pytest
from compare_runs import Ran

from ntbbench.cli.doorbell import parse_bits
from ntbbench.core.errors import InputError

RING = ("doorbell", "--ep", "0", "--rc", "6.12.95", "--bits", "1", "--irqs", "scattered")


def test_patches_of_a_setting_that_old_and_new_kernels_do_not_share(
    ntbbench: Callable[..., Ran],
) -> None:
    """With 6 slots an unpatched and a patched endpoint have different qp_count."""
    answer = ntbbench("patches", "--ep-slots", 6).out.splitlines()[0]
    assert answer.startswith("The posted order is NOT bisectable: 0 of 4096 subsets are safe")


@pytest.mark.parametrize(
    "argv",
    [
        ("compat", "--exhaustive"),
        ("compat", "--doorbell", "embedded", "--ep-slots", "32"),
        ("compat", "--ep-slots", "6"),
        ("compat", "--explain", "root-fix/5"),
        ("patches",),
        RING,
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(("form", "width"), [("text", 80), ("mail", 75)])
def test_text_is_ascii_of_few_columns(
    ntbbench: Callable[..., Ran], argv: tuple[str, ...], form: str, width: int
) -> None:
    text = ntbbench(*argv, "--format", form).out
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("argv", [("compat", "--exhaustive"), ("patches",), RING], ids=" ".join)
def test_a_saved_result_is_shown_again_and_its_page_asks_for_nothing(
    ntbbench: Callable[..., Ran], tmp_path: Path, argv: tuple[str, ...]
) -> None:
    saved, page = tmp_path / "saved.json", tmp_path / "page.html"
    text = ntbbench(*argv, "--html", page).out
    ran = ntbbench(*argv, "--format", "json", "-o", saved)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert ntbbench("show", saved).out == text
    assert ntbbench(*argv, "--format", "html").out == page.read_text()
    assert "another file" in ntbbench(*argv, "-o", saved, "--html", saved).err
    assert " src=" not in page.read_text() and '<link rel="icon" href="data:,">' in page.read_text()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('"ep": 7', '"ep": 8', "each direction, EP and RC once"),
        ("per-vector", "per-queue", "'per-queue': a verdict or a hazard"),
    ],
)
def test_a_damaged_matrix_is_one_line(
    ntbbench: Callable[..., Ran], tmp_path: Path, before: str, after: str, words: str
) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(ntbbench("compat", "--format", "json").out.replace(before, after))
    ran = ntbbench("show", saved)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert words in ran.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("compat --ep-slots 0", "--ep-slots: '0': a whole number from 3 to 32"),
        ("compat --ep-slots 33", "from 3 to 32"),
        ("patches --ep-slots 2", "from 3 to 32"),
        ("doorbell --ep 0 --rc 0 --bits 0 --ep-slots 33", "from 3 to 32"),
        ("compat --ep-slots 1e3", "whole number"),
        ("compat --rc-vectors 3", "from 4 to 32"),
        ("compat --rc-vectors 33", "from 4 to 32"),
        ("compat --doorbell pol", "did you mean poll?"),
        ("compat --mw-count 5", "from 1 to 4"),
        ("compat --mw-count 0", "from 1 to 4"),
        ("compat --explain 8/0", "EP/RC"),
        ("compat --explain 70", "EP/RC"),
        ("compat --explain 0/0 --exhaustive", "--explain"),
        ("patches --seed x", "whole number"),
        ("doorbell --ep 8 --rc 0 --bits 0", "0..7"),
        ("doorbell --ep set:13 --rc 0 --bits 0", "1..7"),
        ("doorbell --ep 7 --rc 5 --bits 6 --direction ep-to-rc", "db_valid_mask 0x3f"),
        ("doorbell --ep 7 --rc 5 --bits 14 --direction rc-to-ep", "-EINVAL"),
        ("doorbell --ep 0 --rc 5 --bits 7 --ep-slots 20 --rc-vectors 8", "-EINVAL: MSI 10 of 8"),
        ("doorbell --ep 7 --rc 5 --bits 64", "0..63"),
        ("doorbell --ep 7 --rc 5 --bits 0 --direction both-ways", "did you mean both?"),
        ("doorbell --ep 7 --rc 5 --bits 0 --irqs odd", "known: contiguous, scattered"),
        ("compat -o /nonexistent/directory/file", "No such file"),
    ],
)
def test_bad_input_gets_one_line(ntbbench: Callable[..., Ran], argv: str, words: str) -> None:
    ran = ntbbench(*argv.split())
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert words in ran.err


@pytest.mark.parametrize(
    ("text", "mask"),
    [("0", 1), ("0,2", 5), ("0-3", 15), ("0x5", 5), ("63", 1 << 63), ("0, 2", 5), ("1,1", 2)],
)
def test_bits(text: str, mask: int) -> None:
    assert parse_bits(text) == mask


@pytest.mark.parametrize(
    "text", ["", ",", "-1", "0..3", "1..4", "3-1", "0x", "0x0", "0x1" + "0" * 16, "\u0663", "a"]
)
def test_no_bits(text: str) -> None:
    with pytest.raises(InputError, match="--bits"):
        parse_bits(text)
