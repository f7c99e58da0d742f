# SPDX-License-Identifier: BSD-3-Clause
"""The order of a session: each variant and cell once a block, drawn; what a drift does to it."""

from collections import Counter

import pytest
from board_records import BOARD, board_result, drifting
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.board.order import board_turns, cells_of
from ntbbench.board.session import board_judged
from ntbbench.board.settings import BoardVariant, parsed

BLOCKS = 24
FALL = 0.001  # of the rate, a run: some 9 % over a session


@given(
    seed=st.integers(0, 2**40),
    block=st.integers(-2, 200),
    names=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True),
    cells=st.integers(1, 9),
)
def test_a_block_has_every_variant_and_cell_once(
    seed: int, block: int, names: list[str], cells: int
) -> None:
    variants = [BoardVariant(name=name) for name in names]
    turns = [*board_turns(seed, block, variants, cells)]
    assert turns == [*board_turns(seed, block, variants, cells)]
    assert Counter((t.variant.name, t.cell) for t in turns) == Counter(
        (name, cell) for name in names for cell in range(cells)
    )
    orders = {tuple(t.cell for t in turns if t.variant.name == name) for name in names}
    assert len(orders) == 1  # the runs of a pair are equally far apart in each cell
    assert [t.place for t in turns] == sorted(t.place for t in turns)


def test_either_variant_comes_first_as_often() -> None:
    variants = [BoardVariant(name=name) for name in ("before", "after")]
    first = Counter(next(board_turns(7, n, variants, 1)).variant.name for n in range(2000))
    assert 900 < first["before"] < 1100


def test_only_iperf3_has_protocols_and_flows() -> None:
    axes = {"queues": [1, 4], "protocol": ["tcp", "udp"], "flows": [1, 4], "programs": ["ping"]}
    table = {**BOARD, "axes": {**axes, "programs": ["iperf3", "ping"]}}
    cells = cells_of(parsed(table, ""))
    assert len([c for c in cells if c.program == "iperf3"]) == 8
    assert [(c.queues, c.protocol, c.flows) for c in cells if c.program == "ping"] == [
        (1, "", 0),
        (4, "", 0),
    ]
    assert len({cell.label for cell in cells}) == len(cells)


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_drift_is_a_finding_in_order_of_variants_and_none_in_blocks(seed: int) -> None:
    """The machine gets slower, the variants are the same."""
    rate = drifting(FALL, seed=seed)
    by_hand = board_judged(board_result(rate, BLOCKS, in_order=True, seed=seed))
    assert by_hand is not None
    assert {one.verdict for one in by_hand.comparisons} == {"regressed"}
    rate = drifting(FALL, seed=seed)
    blocks = board_judged(board_result(rate, BLOCKS, seed=seed))
    assert blocks is not None
    assert "regressed" not in {one.verdict for one in blocks.comparisons}


@pytest.mark.parametrize("seed", range(1, 4))
def test_a_gain_is_found_through_the_drift(seed: int) -> None:
    report = board_judged(board_result(drifting(FALL, gain=1.06, seed=seed), BLOCKS, seed=seed))
    assert report is not None
    verdicts = {one.metric: one.verdict for one in report.comparisons}
    assert verdicts["iperf3 tcp 4q spread 4f rc-ep: throughput"] == "improved"
    assert verdicts["iperf3 tcp 1q spread 1f rc-ep: throughput"] != "improved"
