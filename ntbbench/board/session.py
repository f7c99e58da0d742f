# SPDX-License-Identifier: BSD-3-Clause
"""A session on two hosts: block after block, saved after each run, and all put back at the end."""

import getpass
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from ntbbench.ab.records import Stopped
from ntbbench.board.board_records import BoardJournal, BoardResult, BoardRun
from ntbbench.board.changes import Changer, journal_path, load_journal
from ntbbench.board.hosts import BoardInterrupted, CommandFailed, Host, Stop, open_host
from ntbbench.board.one_run.measure import Capture, measured
from ntbbench.board.order import BoardTurn, board_turns
from ntbbench.board.restoring import put_back, work_folder
from ntbbench.board.settings import SIDES, Board, parsed
from ntbbench.board.survey import survey
from ntbbench.compare.compare import compare
from ntbbench.compare.policy import Policy
from ntbbench.compare.readers.board_blocks import board_variants
from ntbbench.compare.records import Report
from ntbbench.core.clock import NS, monotonic, sleep
from ntbbench.core.errors import InputError
from ntbbench.core.options import changed


@dataclass(frozen=True)
class BoardWatcher:
    """What the loop tells its caller, and whether to end."""

    stop: Stop
    save: Callable[[BoardResult], None]
    progress: Callable[[BoardResult, BoardTurn], None]
    tell: Callable[[str], None]


def board_judged(result: BoardResult) -> Report | None:
    """Return the verdicts on the blocks so far; None: one variant, or no pair yet."""
    base, *candidates = board_variants(result)
    if not candidates or not any(one.series for one in candidates) or not base.series:
        return None
    policy = changed("policy: ", Policy(), result.policy)
    return compare(base, candidates, policy, paired=True)


@contextmanager
def both(board: Board) -> Iterator[dict[str, Host]]:
    """Yield the hosts by side, connected; exceptions as of `open_host`."""
    hosts: dict[str, Host] = {}
    try:
        for side in SIDES:
            hosts[side] = open_host(side, board.side(side))
        yield hosts
    finally:
        for host in hosts.values():
            host.close()


@contextmanager
def changing(path: Path, board: Board, watcher: BoardWatcher) -> Iterator[Changer]:
    """Yield what makes changes, and put both sides back on every way out.

    Parameters
    ----------
    path : the board.toml; its journal lies beside it.

    Raises
    ------
    InputError : an earlier run is not restored yet.
    CommandFailed : another run is on the board, or something is not as it was found.
    """
    if load_journal(path) is not None:
        allowed = f"a board that is restored: ntbbench board restore {path}"
        raise InputError("BOARD", str(journal_path(path)), allowed)
    with both(board) as hosts:
        now = {side: survey(host, board) for side, host in hosts.items()}
        journal = BoardJournal(
            token=secrets.token_hex(8),
            board=board.plain(),
            found={side: one.settings() for side, one in now.items()},
            lines={side: dict(one.lines) for side, one in now.items()},
            drivers={side: one.drivers() for side, one in now.items()},
            touched={},
        )
        changer = Changer(journal_path(path), board, hosts, journal, now)
        try:
            changer.lock(f"{getpass.getuser()}@{socket.gethostname()}")
            yield changer
        finally:
            put_back(changer, path, watcher.tell)


def run_board(
    result: BoardResult, changer: Changer, folder: Path, watcher: BoardWatcher
) -> BoardResult:
    """Return a result that goes on until it is decided, bounded or interrupted.

    Parameters
    ----------
    folder : where captures go.

    Raises
    ------
    HostLost, CommandFailed, InputError : what was run before is saved.
    """
    session = _Session(result, changer, folder, watcher)
    try:
        return session.run()
    except BoardInterrupted:
        session.result = replace(session.result, stopped="interrupted")
        watcher.save(session.result)
        return session.result


class _Session:
    """The loop's state: the result so far, and which variant is loaded."""

    def __init__(
        self, result: BoardResult, changer: Changer, folder: Path, watcher: BoardWatcher
    ) -> None:
        self.result = replace(result, stopped="")
        self.changer, self.folder, self.watcher = changer, folder, watcher
        self.board = parsed(result.board, "board: ")
        self._loaded = ""
        self._before, self._begun = result.seconds, monotonic()

    def run(self) -> BoardResult:
        """Run blocks to the end."""
        plan = self.board.how
        done = {run.block for run in self.result.runs}
        block = max(done, default=1 - plan.warmup)  # the last one may lack runs
        self._prepare()
        while True:
            self._block(block)
            stopped = self._end(block)
            self.result = replace(self.result, stopped=stopped)
            self.watcher.save(self.result)
            if stopped:
                return self.result
            block += 1

    def _prepare(self) -> None:
        governor = self.board.how.governor
        for side in SIDES:
            for cpu in self.changer.now[side].group("governor") if governor else ():
                self.changer.set(side, f"governor {cpu}", governor)

    def _block(self, block: int) -> None:
        have = {(run.variant, run.cell) for run in self.result.runs if run.block == block}
        cells = self.result.cells
        for turn in board_turns(self.result.seed, block, self.board.variants, len(cells)):
            if (turn.variant.name, turn.cell) in have:
                continue
            if self.watcher.stop():
                raise BoardInterrupted
            self.watcher.progress(self.result, turn)
            self._load(turn)
            self._set(turn)
            run = self._run(turn)
            self.result = replace(
                self.result, runs=[*self.result.runs, run], seconds=self._seconds()
            )
            self.watcher.save(self.result)

    def _seconds(self) -> float:
        return self._before + (monotonic() - self._begun) / NS

    def _load(self, turn: BoardTurn) -> None:
        """Load a variant, and hold what is then there against what it was the first time."""
        name = turn.variant.name
        if self._loaded == name:
            return
        self._loaded = ""
        self.changer.load(turn.variant, self.watcher.stop)
        self._loaded = name
        drivers = {side: self.changer.now[side].drivers() for side in SIDES}
        known = self.result.loaded.get(name)
        if known is not None and known != drivers:
            odd = next(
                f"{side} {key}"
                for side in SIDES
                for key in sorted(known[side].keys() | drivers[side].keys())
                if known[side].get(key) != drivers[side].get(key)
            )
            allowed = "the kernel and the modules that its other runs had: begin a new result"
            raise InputError(f"variant {name}", odd, allowed)
        self.result = replace(self.result, loaded={**self.result.loaded, name: drivers})

    def _set(self, turn: BoardTurn) -> None:
        """Give both sides the queues and affinities of a cell; what it leaves open is as found."""
        cell = self.result.cells[turn.cell]
        changes = [self.changer.arrange(side, cell.queues, cell.affinity) for side in SIDES]
        if any(changes):
            self._settle()

    def _settle(self) -> None:
        until = monotonic() + self.board.how.settle * NS
        while monotonic() < until:
            if self.watcher.stop():
                raise BoardInterrupted
            sleep(0.05)

    def _run(self, turn: BoardTurn) -> BoardRun:
        cell = self.result.cells[turn.cell]
        label = cell.label.replace(" ", "-").replace(",", ".")
        name = f"block{turn.block}-{turn.variant.name}-{label}"
        started = self._seconds()
        place = work_folder(self.changer.journal.token)
        try:
            capture = Capture(self.folder / name, turn.block < 1, place)
            found = measured(self.board, self.changer.hosts, cell, capture, self.watcher.stop)
        except InputError as error:
            where = f"block {turn.block}, {turn.variant.name}, {cell.label}"
            raise CommandFailed(f"{where}: {error}") from error
        return BoardRun(
            block=turn.block,
            variant=turn.variant.name,
            cell=turn.cell,
            place=turn.place,
            started=round(started, 3),
            measures=found.measures,
            command=found.command,
            packets_per_queue=found.packets_per_queue,
            starts=found.starts,
            capture=name,
            celsius=found.celsius,
            megahertz=found.megahertz,
            cautions=found.cautions,
        )

    def _end(self, block: int) -> Stopped:
        """Return why to run no more blocks; "": go on."""
        plan = self.board.how
        if plan.until:
            return "until" if block >= plan.until else ""
        report = board_judged(self.result) if block > 1 else None
        if report is not None and all(c.verdict != "inconclusive" for c in report.comparisons):
            return "decided"
        if block >= plan.max_runs:
            return "max-runs"
        return "max-time" if self._seconds() >= plan.max_time else ""
