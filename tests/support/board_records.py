# SPDX-License-Identifier: BSD-3-Clause
"""Results of `board run` that nothing was run for."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ntbbench.board.board_records import BoardCell, BoardMeasure, BoardResult, BoardRun
from ntbbench.board.order import BoardTurn, board_turns
from ntbbench.board.settings import parsed
from ntbbench.compare.policy import Policy
from ntbbench.core.options import shown

SPIDER = {"netdev": "eth1"}
BOARD: dict[str, Any] = {
    "rc": {"host": "ssh:spider-rc", "address": "192.0.2.1", **SPIDER},
    "ep": {"host": "ssh:spider-ep", "address": "192.0.2.2", **SPIDER},
    "variants": [{"name": "before"}, {"name": "after", "modules": ["/root/v4/ntb_transport.ko"]}],
    "how": {"until": 16},
}
CELLS = [
    BoardCell(program="iperf3", queues=queues, affinity="spread", protocol="tcp", flows=queues,
              direction="rc-ep")
    for queues in (1, 4)
]  # fmt: skip
DRIVERS = {"kernel": "6.19.0-rc1", "ntb_transport": "1234ABCD"}
# The rate of a run, of its number in the session, its variant, its cell.
Rate = Callable[[int, str, int], float]


def board_result(
    rate: Rate,
    blocks: int = 16,
    *,
    seed: int = 5,
    in_order: bool = False,
    first: int = 1,
    woken: bool = False,
    **changes: Any,
) -> BoardResult:
    """Return a session whose rates are those of `rate`.

    Parameters
    ----------
    first : the block that begins it; 0 and below are warm-ups.
    woken : with amplification, and with the latency of a trace in warm-ups.
    in_order : all blocks of the first variant, then all of the second, as by hand.
    """
    variants = parsed(BOARD, "").variants
    turns = [
        turn for block in range(first, blocks + 1) for turn in board_turns(seed, block, variants, 2)
    ]
    if in_order:
        turns.sort(key=lambda turn: turn.variant.name != "before")
    runs = [
        BoardRun(
            block=turn.block,
            variant=turn.variant.name,
            cell=turn.cell,
            place=turn.place,
            started=13.0 * number,
            measures=[
                BoardMeasure(
                    name="throughput",
                    unit="bit/s",
                    value=rate(number, turn.variant.name, turn.cell),
                ),
                BoardMeasure(name="retransmits", unit="", value=float(turn.block % 3)),
                *(_woken(turn) if woken else ()),
            ],
            command="iperf3 -c 192.0.2.2 -p 5201 -t 10 -J",
            packets_per_queue=[500, 480, 510, 495][: CELLS[turn.cell].queues],
            starts=1,
            capture=f"block{turn.block}",
            celsius={"rc": 51.0 + number / 8},
            megahertz={"rc": 1200.0},
            cautions=[],
        )
        for number, turn in enumerate(turns)
    ]
    usual: dict[str, Any] = {
        "ntbbench_version": "0.2.0",
        "board": parsed(BOARD, "").plain(),
        "seed": seed,
        "policy": shown(Policy(test="sequential")),
        "drivers": {"rc": DRIVERS, "ep": DRIVERS},
        "loaded": {},
        "settings": {},
        "stopped": "until",
        "seconds": 13.0 * len(runs),
        "restored": True,
        "cells": CELLS,
        "runs": runs,
    }
    return BoardResult(**{**usual, **changes})


def _woken(turn: BoardTurn) -> list[BoardMeasure]:
    """Return what counters tell of the runs, and what the trace of a warm-up tells."""
    low = float(CELLS[turn.cell].queues if turn.variant.name == "before" else 1)
    found = [
        BoardMeasure(name="amplification", unit="", value=low),
        BoardMeasure(name="amplification at most", unit="", value=low + 0.25),
    ]
    if turn.block < 1:
        found += [
            BoardMeasure(name="effective amplification", unit="", value=low),
            BoardMeasure(name="doorbell to run p50", unit="s", value=low * 2e-6),
            BoardMeasure(name="doorbell to run p99", unit="s", value=low * 9e-6),
        ]
    return found


def drifting(slope: float, gain: float = 1.0, noise: float = 0.003, seed: int = 1) -> Rate:
    """Return a rate that falls by a share a run, and a variant that is `gain` times as fast."""
    rng = np.random.default_rng(seed)

    def rate(number: int, variant: str, cell: int) -> float:
        usual = 583e6 if CELLS[cell].queues == 1 else 1.1e9
        own = gain if variant == "after" and CELLS[cell].queues > 1 else 1.0
        return float(round(usual * own * (1 - slope * number) * np.exp(rng.normal(0, noise))))

    return rate
