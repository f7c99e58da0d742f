# SPDX-License-Identifier: BSD-3-Clause
"""What the model says of a cell: whom a doorbell wakes, and whether a series can move it."""

import msgspec

from ntbbench.board.board_records import BoardCell, BoardResult
from ntbbench.board.settings import Board, parsed
from ntbbench.datapath.grid_point import SimulationSpec
from ntbbench.datapath.scenario_file import preset
from ntbbench.ntb.device import dispatch_map

ONE_QUEUE = "one queue: a doorbell wakes the same QP in each variant"
SAME_LAW = "the model wakes as many QPs per doorbell in each variant"
CHANNELS = ("channels combined", "channels rx")


def queues_of(result: BoardResult, cell: BoardCell) -> int:
    """Return the queues of a cell; of one that leaves them as found, the receiver's; 0: not known.

    Source: `ethtool -l` before the first run.
    """
    if cell.queues:
        return cell.queues
    found = result.settings.get(cell.direction.split("-")[1], {})
    return next((int(found[key]) for key in CHANNELS if key in found), 0)


def woken_per_doorbell(board: Board, cell: BoardCell, queues: int, dispatch: str) -> float | None:
    """Return how many QPs one doorbell of a queue with a flow wakes; None: no preset, no such cell.

    It is the law of the sweep on the device of `how.preset`: the mean over the doorbells that are
    rung of popcount(db_vector_mask & active), all of them rung alike.
    """
    if not board.how.preset or not dispatch or not queues:
        return None
    scenario = msgspec.structs.replace(preset(board.how.preset), dispatch=(dispatch,))
    spec = SimulationSpec(scenario, queues, dispatch, "spread", cell.protocol or "tcp")
    if spec.reason is not None:
        return None
    vectors = dispatch_map(spec.hardware, dispatch, queues)
    active = sum(1 << bit for bit in spec.bits)
    rung = spec.bits[: min(max(cell.flows, 1), queues)]
    masks = [vectors.db_vector_masks[vectors.irq_of_bit[bit]] for bit in rung]
    if scenario.link.doorbell == "embedded" and dispatch != "msi":
        return float(len(spec.bits))  # one interrupt reports the vector of every slot
    return sum((mask & active).bit_count() for mask in masks) / len(masks)


def controls(result: BoardResult) -> dict[int, str]:
    """Return the cells that a change of who is woken cannot move, and why; by their place."""
    board = parsed(result.board, "board: ")
    found: dict[int, str] = {}
    for number, cell in enumerate(result.cells):
        queues = queues_of(result, cell)
        laws = [woken_per_doorbell(board, cell, queues, one.dispatch) for one in board.variants]
        if queues == 1:
            found[number] = ONE_QUEUE
        elif len(laws) > 1 and None not in laws and len(set(laws)) == 1:
            found[number] = SAME_LAW
    return found
