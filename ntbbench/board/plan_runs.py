# SPDX-License-Identifier: BSD-3-Clause
"""The whole order of a session, its time, and every command that would change something."""

from collections.abc import Iterator, Mapping

from ntbbench.board.board_records import BoardChange, BoardSchedule, PlannedRun
from ntbbench.board.changes import LOCK, cell_settings, load_lines
from ntbbench.board.keys import FOUND
from ntbbench.board.order import board_turns, cells_of
from ntbbench.board.settings import SIDES, Board
from ntbbench.board.survey import Survey, module_name, setting_line

OVERHEAD = 2.5  # seconds that a run takes beside the program: captures, counters, the server


def planned(board: Board, seed: int, now: Mapping[str, Survey]) -> BoardSchedule:
    """Return what `board run` would do, of what both sides have now."""
    cells = cells_of(board)
    blocks = board.how.most
    runs = [
        PlannedRun(block=turn.block, variant=turn.variant.name, cell=cells[turn.cell].label)
        for block in range(1 - board.how.warmup, blocks + 1)
        for turn in board_turns(seed, block, board.variants, len(cells))
    ]
    each = board.how.seconds + board.how.settle + OVERHEAD
    return BoardSchedule(
        seed=seed,
        blocks=blocks,
        seconds=len(runs) * each,
        changes=[*_changes(board, now)],
        runs=runs,
    )


def _changes(board: Board, now: Mapping[str, Survey]) -> Iterator[BoardChange]:
    seen = set()
    for side in SIDES:
        if now[side].get("boot") not in seen:
            seen.add(now[side].get("boot"))
            yield BoardChange(side=side, when="before all", command=f"ln -s OWNER {LOCK}")
        for cpu in now[side].group("governor") if board.how.governor else ():
            line = setting_line(board.side(side), now[side], f"governor {cpu}", board.how.governor)
            yield BoardChange(side=side, when="before all", command=line)
    for variant in board.variants:
        for side in SIDES:
            for line in load_lines(board, variant, side, now[side]):
                yield BoardChange(side=side, when=f"variant {variant.name}", command=line)
    yield from _cell_changes(board, now)
    yield from _endings(board, now)


def _cell_changes(board: Board, now: Mapping[str, Survey]) -> Iterator[BoardChange]:
    """Yield what the cells set; a value that a side has already is set only after another one."""
    settings = [
        *((f"{queues} queues", queues, FOUND) for queues in board.axes.queues),
        *((f"affinity {affinity}", 0, affinity) for affinity in board.axes.affinity),
    ]
    for when, queues, affinity in settings:
        for side in SIDES:
            for key, value in cell_settings(now[side], queues, affinity).items():
                line = setting_line(board.side(side), now[side], key, value)
                yield BoardChange(side=side, when=when, command=line)


def _endings(board: Board, now: Mapping[str, Survey]) -> Iterator[BoardChange]:
    """Yield what puts all back: a command for each setting, given where it is another by then."""
    touched = {
        side: [
            key
            for queues in (*board.axes.queues, 0)
            for affinity in board.axes.affinity
            for key in cell_settings(now[side], queues, affinity)
        ]
        for side in SIDES
    }
    unlocked: set[str] = set()
    for side in SIDES:
        told, lines = now[side], []
        if any(True for v in board.variants for _ in load_lines(board, v, side, told)):
            names = dict.fromkeys(module_name(p) for v in board.variants for p in v.modules)
            lines += [f"rmmod {name}" for name in reversed(names)]
            lines += [f"modprobe {name}" for name in names if name in told.group("loaded")]
            lines += [getattr(board.restore, side), board.side(side).up]
        governors = [f"governor {cpu}" for cpu in told.group("governor") if board.how.governor]
        for key in dict.fromkeys([*touched[side], *governors]):
            if key in told.settings():
                lines.append(setting_line(board.side(side), told, key, told.settings()[key]))
        lines += [f"rm -f {LOCK}"] if told.get("boot") not in unlocked else []
        unlocked.add(told.get("boot"))
        for line in filter(None, lines):
            yield BoardChange(side=side, when="at the end", command=line)
