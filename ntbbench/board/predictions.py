# SPDX-License-Identifier: BSD-3-Clause
"""What the model and the simulator say of each cell, fitted on one queue alone."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from ntbbench.board.board_records import BoardCell, BoardPrediction, BoardResult
from ntbbench.board.keys import SINGLE, SPREAD
from ntbbench.board.law import queues_of, woken_per_doorbell
from ntbbench.board.one_run.built_in import flow_rate
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
RATE, RUNS, WAKEUPS = "throughput", "amplification", "effective amplification"


@dataclass(frozen=True)
class Simulated:
    """Means over the replications.

    Parameters
    ----------
    rate : bit/s.
    per_interrupt : by name: runs of receive tasklets, and those that doorbells alone made.
    """

    rate: float
    per_interrupt: dict[str, float]


def predictions(result: BoardResult) -> list[BoardPrediction]:
    """Return rows for each cell and variant with a `dispatch`; [] without `how.preset`.

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
        known, scenario = -1, None
        if cell.program == "iperf3":
            key = (cell.protocol, cell.direction)
            if key not in fitted:
                fitted[key] = _fitted(result, board, variants[0], cell)
            known, scenario = fitted[key]
        for variant in variants:
            seen = _simulated(board, scenario, variant.dispatch, cell) if scenario else None
            is_fitted = number == known and variant is variants[0]
            yield from _of_cell(result, board, number, variant, seen, is_fitted=is_fitted)


def _of_cell(
    result: BoardResult,
    board: Board,
    number: int,
    variant: BoardVariant,
    seen: Simulated | None,
    *,
    is_fitted: bool,
) -> Iterator[BoardPrediction]:
    cell = result.cells[number]
    queues = queues_of(result, cell)
    rates = _values(result, number, variant.name, RATE)
    if rates and cell.program == "iperf3":
        yield BoardPrediction(
            cell=number,
            variant=variant.name,
            number=RATE,
            unit="bit/s",
            measured=float(np.median(rates)),
            simulated=seen.rate if seen else None,
            is_fitted=is_fitted,
        )
    for name in (RUNS, WAKEUPS):
        lows = _values(result, number, variant.name, name)
        highs = _values(result, number, variant.name, f"{name} at most")
        if lows:
            yield BoardPrediction(
                cell=number,
                variant=variant.name,
                number=name,
                unit="",
                measured=float(np.median(lows)),
                measured_high=float(np.median(highs)) if len(highs) == len(lows) else None,
                model=woken_per_doorbell(board, cell, queues, variant.dispatch),
                simulated=seen.per_interrupt.get(name) if seen else None,
            )


def _as_run(scenario: Scenario, board: Board, protocol: str, flows: int) -> Scenario:
    """Return a scenario with the traffic of a cell; flows get a queue each, as placement does."""
    rate = flow_rate(board.how.rate, flows) if protocol == "udp" else 0
    return msgspec.structs.replace(
        scenario,
        traffic=msgspec.structs.replace(scenario.traffic, flows=flows, rate=rate),
        run=msgspec.structs.replace(scenario.run, placement="balanced"),
    )


def _fitted(
    result: BoardResult, board: Board, variant: BoardVariant, like: BoardCell
) -> tuple[int, Scenario | None]:
    """Return the cell of one queue and the scenario that gives its rate; -1 and None: none does."""
    for number, cell in enumerate(result.cells):
        alike = (cell.protocol, cell.direction) == (like.protocol, like.direction)
        rates = _values(result, number, variant.name, RATE)
        one = queues_of(result, cell) == cell.flows == 1
        if cell.program == "iperf3" and alike and one and rates:
            scenario = msgspec.structs.replace(
                preset(board.how.preset), dispatch=(variant.dispatch,)
            )
            scenario = _as_run(scenario, board, cell.protocol, 1)
            try:
                found = fit(scenario, cell.protocol, target_of(rates, ERROR), ENGINE)
            except InputError:
                return -1, None  # the other costs of the preset, or the rate, allow no such rate
            return number, with_byte(scenario, cell.protocol, found.byte_fs)
    return -1, None


def _simulated(
    board: Board, scenario: Scenario, dispatch: str, cell: BoardCell
) -> Simulated | None:
    """Return what the simulator gives; None: the device cannot give such a cell."""
    if cell.affinity not in (SINGLE, SPREAD) or not cell.queues:
        return None
    whole = msgspec.structs.replace(
        _as_run(scenario, board, cell.protocol, cell.flows), dispatch=(dispatch,)
    )
    spec = SimulationSpec(whole, cell.queues, dispatch, cell.affinity, cell.protocol)
    if spec.reason is not None:
        return None
    found = [replicate(spec, number, ENGINE) for number in range(REPLICATIONS)]
    interrupts = sum(one.counts.interrupts for one in found)
    counts = {
        RUNS: sum(sum(one.wakeups_by_cause.values()) for one in found),
        WAKEUPS: sum(one.counts.wakeups for one in found),
    }
    rate = math.fsum(one.throughput_bps for one in found) / len(found)
    return Simulated(rate, {k: v / interrupts for k, v in counts.items()} if interrupts else {})


def _values(result: BoardResult, cell: int, variant: str, name: str) -> list[float]:
    """Return a number of every run; what only traces tell is of the warm-ups."""
    is_timed = not name.startswith(WAKEUPS)
    return [
        one.value
        for run in result.runs
        if (run.block > 0) == is_timed and (run.cell, run.variant) == (cell, variant)
        for one in run.measures
        if one.name == name
    ]
