# SPDX-License-Identifier: BSD-3-Clause
"""The order of blocks: drawn by a fair coin, the same for one seed."""

import pytest

from ntbbench.ab.schedule import PADDING, AbPlan, turns
from ntbbench.core.errors import InputError
from ntbbench.core.options import changed, kinds, shown


def test_a_block_has_each_side_once_in_an_order_that_follows_from_the_seed() -> None:
    blocks = [list(turns(7, block)) for block in range(1, 401)]
    assert all({turn.side for turn in block} == {"base", "candidate"} for block in blocks)
    assert all([turn.place for turn in block] == [1, 2] for block in blocks)
    assert blocks == [list(turns(7, block)) for block in range(1, 401)]
    assert blocks != [list(turns(8, block)) for block in range(1, 401)]
    first = sum(block[0].side == "base" for block in blocks)
    assert 160 <= first <= 240
    sizes = [turn.environment_bytes for block in blocks for turn in block]
    assert 0 <= min(sizes) < 100 and PADDING - 100 < max(sizes) < PADDING


def test_until_is_a_word_or_a_number() -> None:
    until = kinds(AbPlan)["until"]
    assert until.parse("--until", "decided") == 0
    assert until.parse("--until", "12") == 12
    with pytest.raises(InputError, match="--until: 'never': decided, or a whole number from 2"):
        until.parse("--until", "never")


@pytest.mark.parametrize("plan", [AbPlan(seed=1), AbPlan(until=9, seed=3, max_time=60, warmup=0)])
def test_a_plan_is_read_back(plan: AbPlan) -> None:
    assert changed("", AbPlan(), shown(plan)) == plan
