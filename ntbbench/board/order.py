# SPDX-License-Identifier: BSD-3-Clause
"""The order of runs: all of it follows from the seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ntbbench.board.board_records import BoardCell
from ntbbench.board.settings import Board, BoardVariant


@dataclass(frozen=True)
class BoardTurn:
    """A run that is to come."""

    block: int
    place: int
    variant: BoardVariant
    cell: int


def cells_of(board: Board) -> list[BoardCell]:
    """Return every combination; only iperf3 has protocols and flows."""
    found = []
    axes = board.axes
    for program in (*axes.programs, *(one.name for one in board.commands)):
        is_iperf3 = program == "iperf3"
        found += [
            BoardCell(
                program=program,
                queues=queues,
                affinity=affinity,
                protocol=protocol,
                flows=flows,
                direction=direction,
            )
            for queues in axes.queues or (0,)
            for affinity in axes.affinity
            for protocol in (axes.protocol if is_iperf3 else ("",))
            for flows in (axes.flows if is_iperf3 else (0,))
            for direction in axes.direction
        ]
    return found


def board_turns(
    seed: int, block: int, variants: Sequence[BoardVariant], cells: int
) -> Iterator[BoardTurn]:
    """Yield the runs of a block: each variant once, and with it every cell once.

    The order of the variants is drawn: were two of them the same program, each difference of a
    pair would be as likely with the other sign. The order of the cells is drawn once a block, so
    that the runs of a pair are equally far apart in each cell.
    """
    draw = random.Random(f"{seed}:{block}")  # noqa: S311 -- no secret
    order = draw.sample(list(variants), len(variants))
    ranked = draw.sample(range(cells), cells)
    for place, variant in enumerate(order, start=1):
        for cell in ranked:
            yield BoardTurn(block, place, variant, cell)
