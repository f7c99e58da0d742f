# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench board plan` and `board run`: what a session would do, and the session."""

import argparse
import secrets
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ntbbench.ab.schedule import AbPlan
from ntbbench.cli.options import add_options, chosen
from ntbbench.cli.output import Output, add_output, output_of, report_output
from ntbbench.cli.progress import interrupts, status_line
from ntbbench.cli.streams import tell
from ntbbench.compare.policy import Policy, load_policy
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.options import shown

if TYPE_CHECKING:
    from ntbbench.ab.process import Stop
    from ntbbench.board.board_records import BoardJournal, BoardResult
    from ntbbench.board.order import BoardTurn
    from ntbbench.board.settings import Board

HOW = ("until", "max_runs", "max_time", "warmup", "seed")
COUNTS = ("alpha", "threshold", "fail_inconclusive")


def add_plan(nested: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `board plan`."""
    does = "list every change and the order of runs; read-only"
    one = nested.add_parser("plan", help=does, description=does, allow_abbrev=False)
    one.add_argument("board", metavar="BOARD.toml", type=Path)
    add_output(one)
    one.set_defaults(run=run_plan)
    add_options(one, "how", AbPlan(), HOW)


def add_run(nested: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `board run`."""
    one = nested.add_parser("run", help="run the blocks and report", allow_abbrev=False)
    one.add_argument("board", metavar="BOARD.toml", type=Path)
    add_options(one, "how, in the place of what BOARD.toml says", AbPlan(), HOW)
    group = add_options(one, "what counts", Policy(), COUNTS)
    group.add_argument("--policy", type=Path, metavar="FILE.toml", help="thresholds by metric")
    group.add_argument("--gate", action="store_true", help="exit with the verdict, as `gate` does")
    one.add_argument("--dry-run", action="store_true", help="as `board plan`")
    add_output(one, saves="board", checks=True).add_argument(
        "--resume", metavar="FILE.json", type=Path, help="go on with a result"
    )
    one.set_defaults(run=run)


def run_plan(args: argparse.Namespace) -> int:
    """Print what a run would do."""
    from ntbbench.board.plan_runs import planned  # noqa: PLC0415
    from ntbbench.board.session import both  # noqa: PLC0415
    from ntbbench.board.survey import survey  # noqa: PLC0415

    board = _board(args)
    with both(board) as hosts:
        now = {side: survey(host, board) for side, host in hosts.items()}
    report_output(args).finish(planned(board, _seed(board), now))
    return ExitCode.OK


def _board(args: argparse.Namespace) -> "Board":
    """Return BOARD.toml with what the command line says."""
    from ntbbench.board.settings import load_board  # noqa: PLC0415

    board = load_board(args.board)
    return replace(board, how=chosen(args, board.how, HOW))


def _seed(board: "Board") -> int:
    return secrets.randbits(32) if board.how.seed is None else board.how.seed


def run(args: argparse.Namespace) -> int:
    """Run the blocks, restore, report."""
    from ntbbench.compare.readers.board_blocks import load_board_result  # noqa: PLC0415

    if args.dry_run:
        return run_plan(args)
    board = _board(args)
    if args.gate and len(board.variants) < 2:
        raise InputError("--gate", board.variants[0].name, "two variants or more, to compare")
    previous = None if args.resume is None else load_board_result(args.resume)
    result = _begun(args, board) if previous is None else _resumed(args, board, previous)
    output = output_of(args, saves="board", resumed=args.resume)
    if result.complete:
        tell(f"{args.resume} is complete: there is nothing to go on with")
        report_output(args).finish(result)
        return _exit_code(args, result)
    again = ["ntbbench", "board", "run", str(args.board), "--resume", str(output.result)]
    with interrupts() as signals:
        try:
            result = _measured(args, result, output, signals.stop)
        finally:
            saving = output.saving
            if saving is not None and saving.output.exists() and not result.complete:
                tell(f"what was finished is saved; go on with: {shlex.join(again)}")
    if not result.complete:
        return signals.exit_code
    output.finish(result)
    return _exit_code(args, result)


def _exit_code(args: argparse.Namespace, result: "BoardResult") -> int:
    from ntbbench.board.session import board_judged  # noqa: PLC0415 -- loads scipy

    if not args.gate:
        return ExitCode.OK
    report = board_judged(result)
    assert report is not None  # a run that ended has pairs, and `run` saw two variants
    return report.exit_code


def _measured(
    args: argparse.Namespace, result: "BoardResult", output: Output, stop: "Stop"
) -> "BoardResult":
    from ntbbench.board.predictions import predictions  # noqa: PLC0415
    from ntbbench.board.session import BoardWatcher, changing, run_board  # noqa: PLC0415
    from ntbbench.board.settings import parsed  # noqa: PLC0415

    saving = output.saving
    assert saving is not None
    assert output.result is not None
    folder = output.result.with_suffix("")
    with status_line() as show:
        watcher = BoardWatcher(stop, saving.on_the_way, lambda *now: show(progress(*now)), tell)
        with changing(args.board, parsed(result.board, "board: "), watcher) as changer:
            result = _same_drivers(result, changer.journal)
            result = run_board(result, changer, folder, watcher)
    result = replace(result, restored=True)
    if result.complete:
        result = replace(result, predictions=predictions(result))
    saving.at_the_end(result)
    return result


def _same_drivers(result: "BoardResult", journal: "BoardJournal") -> "BoardResult":
    """Return a result with what is found; InputError: it began with other kernels or modules."""
    if not result.drivers:
        return replace(result, drivers=journal.drivers, settings=journal.found)
    for side, was in result.drivers.items():
        has = journal.drivers[side]
        for key in sorted(was.keys() | has.keys()):
            if was.get(key) != has.get(key):
                allowed = f"{was.get(key)!r}, as in the result: begin a new one"
                raise InputError(f"--resume: {side} {key}", has.get(key), allowed)
    return result


def _begun(args: argparse.Namespace, board: "Board") -> "BoardResult":
    from ntbbench import __version__  # noqa: PLC0415
    from ntbbench.board.board_records import BoardResult  # noqa: PLC0415
    from ntbbench.board.order import cells_of  # noqa: PLC0415

    policy = replace(chosen(args, load_policy(args.policy), COUNTS), test="sequential")
    return BoardResult(
        ntbbench_version=__version__,
        board=board.plain(),
        seed=_seed(board),
        policy=shown(policy),
        drivers={},
        loaded={},
        settings={},
        stopped="",
        seconds=0.0,
        restored=False,
        cells=cells_of(board),
        runs=[],
    )


def _resumed(
    args: argparse.Namespace, asked_board: "Board", previous: "BoardResult"
) -> "BoardResult":
    """Return the result to go on with; its bounds may be moved.

    InputError: BOARD.toml is not the one of the result.
    """
    board = asked_board.plain()
    moved = {"until", "max_runs", "max_time"}
    for key in sorted(board.keys() | previous.board.keys()):
        asked, has = board.get(key), previous.board.get(key)
        if key == "how":
            asked, has = (
                {k: v for k, v in (t or {}).items() if k not in moved} for t in (asked, has)
            )
        if asked != has:
            allowed = f"{has!r:.60}, as in {args.resume}"
            raise InputError(f"{args.board}: {key}", f"{asked!r:.60}", allowed)
    how = asked_board.how
    goes_on = {
        "max-runs": how.most > _blocks(previous),
        "until": how.most > _blocks(previous),
        "max-time": how.max_time > previous.seconds,
    }
    stopped = "" if goes_on.get(previous.stopped, False) else previous.stopped
    return replace(previous, board=board, stopped=stopped)


def _blocks(result: "BoardResult") -> int:
    return max((run.block for run in result.runs), default=0)


def progress(result: "BoardResult", turn: "BoardTurn") -> str:
    """Return the line that says how far it is, and what is left at most."""
    from ntbbench.board.settings import parsed  # noqa: PLC0415

    board = parsed(result.board, "board: ")
    runs = len(board.variants) * len(result.cells)
    whole = (board.how.most + board.how.warmup) * runs
    done = len(result.runs)
    left = ""
    if done:
        seconds = round(result.seconds / done * (whole - done))
        left = f", at most {seconds // 60} min {seconds % 60} s left"
    cell = result.cells[turn.cell].label
    return f"block {turn.block}/{board.how.most}  {turn.variant.name}  {cell}{left}"
