# SPDX-License-Identifier: BSD-3-Clause
"""Tables of docs: driver-pair.md has what commands print, pair-lab.md what the model says."""

import re
import shlex
from itertools import product
from pathlib import Path

import pytest

from ntbbench.cli.main import main
from ntbbench.lab.pair.predict import PairModel, predicted_verdict, same_verdict
from ntbbench.pair.drivers.kernel_around import EP_DB_COUNT_MAX, EP_MSIS
from ntbbench.pair.drivers.patches import prefix
from ntbbench.pair.setting import DIRECTIONS, EP_SLOTS_MIN, AnySlots

PAGE = Path(__file__).resolve().parents[3] / "docs" / "driver-pair.md"
BLOCK = re.compile(r"<!-- \$ ntbbench (.*?) -->\n(.*?)<!-- end -->", re.DOTALL)
BLOCKS = BLOCK.findall(PAGE.read_text())


def test_the_page_has_generated_blocks() -> None:
    assert [command.split()[0] for command, _ in BLOCKS] == ["compat", "patches", "doorbell"]


@pytest.mark.parametrize(("command", "written"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_generated_block(capsys: pytest.CaptureFixture[str], command: str, written: str) -> None:
    assert main(shlex.split(command)) == 0
    printed = capsys.readouterr().out
    assert written.strip() == printed.strip(), f"docs/driver-pair.md: paste: ntbbench {command}"


PAIR_LAB = PAGE.parent / "pair-lab.md"
TABLE = re.compile(r"^(ep-to-rc|rc-to-ep), (\d) windows?(?:, poll)?\n.*\n.*\n((?:  .*\n)+)", re.M)
MATRIX = [
    (direction, int(windows), row.split())
    for direction, windows, rows in TABLE.findall(PAIR_LAB.read_text())
    for row in rows.splitlines()
]
PATCHES = {"before": (0, 0), "after": (7, 5)}  # of the endpoint's half, of the root complex's


def test_the_matrix_of_the_page_covers_every_setting_once() -> None:
    covered = [
        (direction, windows, row[0], row[1], slots)
        for direction, windows, row in MATRIX
        for slots in slots_of(row)
    ]
    drivers = ("before", "after")
    axes = DIRECTIONS, (1, 2), drivers, drivers, range(EP_SLOTS_MIN, EP_DB_COUNT_MAX + 1)
    assert sorted(covered) == sorted(product(*axes))


def slots_of(row: list[str]) -> range:
    low, _, high = row[2].partition("-")
    return range(int(low), int(high or low) + 1)


@pytest.mark.parametrize(("direction", "windows", "row"), MATRIX)
def test_the_model_says_what_the_matrix_of_the_page_says(direction, windows, row) -> None:
    ep, rc = prefix("ep", PATCHES[row[0]][0]), prefix("rc", PATCHES[row[1]][1])
    for slots in slots_of(row):
        setting = AnySlots(ep_slots=slots, rc_vectors=EP_MSIS, mw_count=windows)
        model = PairModel(ep, rc, setting, max_num_clients=0)
        assert "/".join(map(str, model.link.counts)) == row[3]
        assert predicted_verdict(model, direction) == row[5]
        assert same_verdict(row[4], row[5]) and row[7] == "agrees"
