# SPDX-License-Identifier: BSD-3-Clause
"""What the simulator says of each cell of iperf3, its copy cost fitted on one queue alone."""

import math
from collections.abc import Iterator

import msgspec
import numpy as np

from ntbbench.board.board_records import BoardCell, BoardPrediction, BoardResult
from ntbbench.board.keys import SINGLE, SPREAD
from ntbbench.board.settings import Board, BoardVariant, parsed
from ntbbench.core.errors import InputError
from ntbbench.datapath.engine import ENGINES
from ntbbench.datapath.fit import fit, target_of, with_byte
from ntbbench.datapath.grid_point import SimulationSpec
from ntbbench.datapath.replicate import replicate
from ntbbench.datapath.scenario_file import preset
from ntbbench.datapath.sections import Scenario

ENGINE = ENGINES[0]
ERROR = 0.02  # assumed of a single run
REPLICATIONS = 3


def predictions(result: BoardResult) -> list[BoardPrediction]:
    """Return a row for each cell and variant with a `dispatch`; [] without `how.preset`.

    The fit is on the one queue with one flow of the first such variant; directions and protocols
    are fitted apart.
    """
    board = parsed(result.board, "board: ")
    variants = [variant for variant in board.variants if variant.dispatch]
    if not board.how.preset or not variants:
        return []
    return [*_rows(result, board, variants)]


def _rows(
    result: BoardResult, board: Board, variants: list[BoardVariant]
) -> Iterator[BoardPrediction]:
    fitted: dict[tuple[str, str], tuple[int, Scenario | None]] = {}
    for number, cell in enumerate(result.cells):
        if cell.program != "iperf3":
            continue
        key = (cell.protocol, cell.direction)
        if key not in fitted:
            fitted[key] = _fitted(result, board, variants[0], cell)
        known, scenario = fitted[key]
        for variant in variants:
            rates = _rates(result, number, variant.name)
            if rates:
                yield BoardPrediction(
                    cell=number,
                    variant=variant.name,
                    measured=float(np.median(rates)),
                    simulated=_simulated(scenario, variant.dispatch, cell) if scenario else None,
                    is_fitted=number == known and variant is variants[0],
                )


def _fitted(
    result: BoardResult, board: Board, variant: BoardVariant, like: BoardCell
) -> tuple[int, Scenario | None]:
    """Return the cell of one queue and the scenario that gives its rate; -1 and None: none does."""
    for number, cell in enumerate(result.cells):
        alike = (cell.protocol, cell.direction) == (like.protocol, like.direction)
        rates = _rates(result, number, variant.name)
        if cell.program == "iperf3" and alike and cell.queues == cell.flows == 1 and rates:
            scenario = msgspec.structs.replace(
                preset(board.how.preset), dispatch=(variant.dispatch,)
            )
            target = target_of(rates, ERROR)
            try:
                found = fit(scenario, cell.protocol, target, ENGINE)
            except InputError:
                return -1, None  # the other costs of the preset allow no such rate
            return number, with_byte(scenario, cell.protocol, found.byte_fs)
    return -1, None


def _simulated(scenario: Scenario, dispatch: str, cell: BoardCell) -> float | None:
    """Return the throughput of a cell; None: the device cannot give it."""
    if cell.affinity not in (SINGLE, SPREAD) or not cell.queues:
        return None
    whole = msgspec.structs.replace(scenario, dispatch=(dispatch,))
    spec = SimulationSpec(whole, cell.queues, dispatch, cell.affinity, cell.protocol)
    if spec.reason is not None:
        return None
    rates = [replicate(spec, number, ENGINE).throughput_bps for number in range(REPLICATIONS)]
    return math.fsum(rates) / len(rates)


def _rates(result: BoardResult, cell: int, variant: str) -> list[float]:
    return [
        one.value
        for run in result.runs
        if run.block > 0 and (run.cell, run.variant) == (cell, variant)
        for one in run.measures
        if one.name == "throughput"
    ]
