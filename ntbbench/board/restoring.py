# SPDX-License-Identifier: BSD-3-Clause
"""The way back: what a journal says was touched is put back, read again and compared."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ntbbench.board.board_records import BoardJournal
from ntbbench.board.changes import BETWEEN, LOAD, LOCK, LOCKED, Changer
from ntbbench.board.hosts import CommandFailed, HostLost
from ntbbench.board.settings import SIDES, Board, parsed
from ntbbench.board.survey import Survey, module_name, setting_line
from ntbbench.core.clock import NS, monotonic, sleep
from ntbbench.core.errors import InputError
from ntbbench.core.result_file import write_json

RANK = ("channels", "affinity", "governor", "irqbalance")


def restore_lines(journal: BoardJournal, side: str, now: Survey) -> Iterator[str]:
    """Yield the shell lines that put a side back, the driver first."""
    board = parsed(journal.board, "journal: ")
    if LOAD in journal.touched.get(side, []):
        yield from _reload_lines(board, journal, side)
    yield from _setting_lines(board, journal, side, now)


def _setting_lines(board: Board, journal: BoardJournal, side: str, now: Survey) -> Iterator[str]:
    settings, was = now.settings(), journal.found[side]
    touched = (key for key in journal.touched.get(side, []) if key not in (LOAD, LOCKED))
    for key in sorted(touched, key=lambda key: (RANK.index(key.partition(" ")[0]), key)):
        if key in was and settings.get(key) != was[key]:
            yield setting_line(board.side(side), now, key, was[key])


def _reload_lines(board: Board, journal: BoardJournal, side: str) -> Iterator[str]:
    paths = list(dict.fromkeys(p for v in board.variants for p in v.modules))
    names = [module_name(path) for path in paths]
    for name in reversed(names):
        yield f"[ ! -d /sys/module/{name} ] || rmmod {name}"
    yield from (f"modprobe {name}" for name in names if name in journal.drivers[side])
    if getattr(board.restore, side):
        yield getattr(board.restore, side)
    if board.side(side).up:
        yield board.side(side).up


def unlock_line(journal: BoardJournal) -> str:
    """Return the shell line that removes the lock of this run, and of no other."""
    token = journal.token
    return f"case $(readlink {LOCK}) in {token}*) rm -f {LOCK};; esac; rm -rf {work_folder(token)}"


def work_folder(token: str) -> str:
    """Return the folder of a run on a host, for what is on its way back."""
    return f"/tmp/ntbbench-board-{token}"  # noqa: S108 -- a name that nobody can guess


def restore(changer: Changer, side: str) -> list[str]:
    """Put a side back as it was found, and return what is not; [] where all is.

    HostLost: the host does not answer. The journal keeps what is left to do.
    """
    journal = changer.journal
    touched = journal.touched.get(side, [])
    if not touched:
        return []
    changer.look(side)
    wrong = []
    if LOAD in touched:
        wrong += _given(changer, side, [*_reload_lines(changer.board, journal, side)])
        changer.look(side)
    try:
        lines = [*_setting_lines(changer.board, journal, side, changer.now[side])]
    except InputError as error:
        lines = []
        wrong.append(f"{side}: {error}")
    wrong += _given(changer, side, lines)
    changer.look(side)
    wrong += [*differences(journal, side, changer.now[side])]
    if not wrong:
        changer.hosts[side].run(unlock_line(journal))
        changer.forget(side, *touched)
    return wrong


def _given(changer: Changer, side: str, lines: Sequence[str]) -> list[str]:
    """Run every line, also where one before it failed; return what failed."""
    failed = []
    kernel = changer.journal.drivers[side]["kernel"]
    for line in lines:
        boots = line == getattr(changer.board.restore, side) and any(
            variant.kernel for variant in changer.board.variants
        )
        try:
            changer.give(side, line, kernel if boots else "", lambda: False)
        except CommandFailed as error:
            failed.append(str(error))
    return failed


def differences(journal: BoardJournal, side: str, now: Survey) -> Iterator[str]:
    """Yield what a host has otherwise than it was found."""
    moves = journal.found[side].get("irqbalance") == "running"  # it places the lines anew
    pairs = ((journal.found[side], now.settings()), (journal.drivers[side], now.drivers()))
    for was, has in pairs:
        for key in sorted(was.keys() | has.keys()):
            if was.get(key) != has.get(key) and not (moves and key.startswith("affinity ")):
                yield f"{side}: {key} was {was.get(key)!r} and is {has.get(key)!r}"


def by_hand(journal: BoardJournal) -> Iterator[str]:
    """Yield the shell lines to give by hand where a host is out of reach."""
    for side in SIDES:
        told = {f"irq {irq}": "" for irq in journal.lines.get(side, {}).values()}
        unknown_now = Survey(told, journal.lines.get(side, {}))
        if not journal.touched.get(side):
            continue
        for line in [*restore_lines(journal, side, unknown_now), unlock_line(journal)]:
            yield f"{side}: {line}"


def put_back(changer: Changer, path: Path, tell: Callable[[str], None]) -> None:
    """Restore every side; CommandFailed tells what could not be, and the commands to do so."""
    wrong: list[str] = []
    touched = changer.journal.touched
    # a driver that goes takes the other side's device with it
    for side in sorted(SIDES, key=lambda side: LOAD not in touched.get(side, [])):
        wrong += _patient(changer, side)
    if wrong:
        for line in by_hand(changer.journal):
            tell(f"to restore by hand: {line}")
        write_json(changer.path, changer.journal)
        again = f"{changer.path} has what is left: ntbbench board restore {path}"
        raise CommandFailed(f"not restored: {'; '.join(wrong)}; {again}")


def _patient(changer: Changer, side: str) -> list[str]:
    """Restore a side; where it is lost, as soon as it answers, within the patience of the plan."""
    begun, patience = monotonic(), changer.board.how.patience
    lost = False
    while True:
        try:
            if lost:
                changer.reconnect(side)
            return restore(changer, side)
        except (HostLost, CommandFailed, InputError) as error:
            lost = True
            if monotonic() - begun > patience * NS:
                return [str(error)]
            sleep(BETWEEN)
