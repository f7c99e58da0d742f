# SPDX-License-Identifier: BSD-3-Clause
"""The program of a cell: one that is known, or a command of one's own."""

from pathlib import Path

from ntbbench.ab.metrics import Left, parse_metric
from ntbbench.ab.process import Ran
from ntbbench.board.board_records import BoardCell, BoardMeasure
from ntbbench.board.one_run.built_in import BUILT_IN, Program, ProgramOutput
from ntbbench.board.settings import Board

SERVER_READY = 0.3  # seconds until a server listens


def program_of(board: Board, cell: BoardCell) -> Program:
    """Return the command lines of a cell."""
    if cell.program in BUILT_IN:
        return BUILT_IN[cell.program].lines(board, cell)
    sender, receiver = cell.direction.split("-")
    own = next(one for one in board.commands if one.name == cell.program)
    known = {
        "{address}": board.side(receiver).address,
        "{netdev}": board.side(sender).netdev,
        "{seconds}": str(board.how.seconds),
    }
    client, server = own.command, own.server
    for name, value in known.items():
        client, server = client.replace(name, value), server.replace(name, value)
    return Program(server, client)


def numbers(board: Board, cell: BoardCell, told: ProgramOutput) -> list[BoardMeasure]:
    """Return the numbers of a run; InputError: they are not there."""
    if cell.program in BUILT_IN:
        return BUILT_IN[cell.program].read(told, cell)
    own = next(one for one in board.commands if one.name == cell.program)
    printed = told.text.encode()
    value = parse_metric(own.metric).value(Left(Ran(0.0, 0.0, printed), None, Path()))
    return [BoardMeasure(name=own.name, unit=own.unit, value=value)]
