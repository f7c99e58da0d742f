# SPDX-License-Identifier: BSD-3-Clause
"""Every change of a host, written down before it is made; `restoring` takes it back."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ntbbench.board.board_records import JOURNAL_SCHEMA, BoardJournal
from ntbbench.board.hosts import (
    BoardInterrupted,
    CommandFailed,
    Host,
    HostLost,
    Stop,
    last,
    open_host,
)
from ntbbench.board.keys import IRQBALANCE, SINGLE, SPREAD
from ntbbench.board.settings import SIDES, Board, BoardVariant
from ntbbench.board.survey import Survey, module_name, setting_line, survey
from ntbbench.core.clock import NS, monotonic, sleep
from ntbbench.core.result_file import load_as, write_json

# A link to who holds it: it is there with its owner, or not at all, wherever a command is cut.
LOCK = "/tmp/ntbbench-board.lock"  # noqa: S108 -- `ln -s` takes no place that is taken
LOAD, LOCKED = "load", "lock"
# What is put back first: a reload of the driver makes its channels and interrupt lines anew.
# irqbalance must not move lines while they are placed.
STAGES = (("irqbalance", "stopped"), ("channels", ""), ("affinity", ""), ("irqbalance", "running"))
BETWEEN = 1.0  # seconds between two attempts to reach a host that boots


def journal_path(board: Path) -> Path:
    """Return where the journal of a board.toml is."""
    return board.with_name(f"{board.name}.journal.json")


def load_journal(board: Path) -> BoardJournal | None:
    """Return what a run left to be restored; None: nothing is."""
    path = journal_path(board)
    return load_as(path, JOURNAL_SCHEMA, BoardJournal) if path.exists() else None


@dataclass
class Changer:
    """Makes changes, each noted first.

    Parameters
    ----------
    now : what each host had when it was last looked at.
    """

    path: Path
    board: Board
    hosts: dict[str, Host]
    journal: BoardJournal
    now: dict[str, Survey]

    def noted(self, side: str, what: str) -> None:
        """Write down that something is about to be changed."""
        if what not in self.journal.touched.setdefault(side, []):
            self.journal.touched[side].append(what)
            write_json(self.path, self.journal)

    def forget(self, side: str, *what: str) -> None:
        """Write down that something is as it was; the journal ends with the last of it."""
        left = [one for one in self.journal.touched.pop(side, []) if one not in what]
        if left:
            self.journal.touched[side] = left
        if self.journal.touched:
            write_json(self.path, self.journal)
        else:
            self.path.unlink(missing_ok=True)

    def lock(self, owner: str) -> None:
        """Keep other runs from both hosts; CommandFailed: one is there, and whose it is."""
        locked: set[str] = set()
        for side in self.hosts:
            boot = self.now[side].get("boot")
            if boot not in locked:  # two ends of one machine have one lock
                locked.add(boot)
                self._lock(side, owner)

    def _lock(self, side: str, owner: str) -> None:
        host = self.hosts[side]
        self.noted(side, LOCKED)
        told = shlex.quote(f"{self.journal.token} {owner}")
        made = host.run(f"ln -s {told} {LOCK}")
        if made.code:
            self.forget(side, LOCKED)
            whose = host.run(f"readlink {LOCK}").text.partition(" ")[2].strip()
            why = f"locked by {whose} ({LOCK})" if whose else f"no lock: {last(made)}"
            raise CommandFailed(f"{side}: {why}")

    def arrange(self, side: str, queues: int, affinity: str) -> bool:
        """Give a side the queues and affinities of a cell, all else as found.

        Interrupt lines may be others after the queues are changed, so each stage looks anew.
        Returns whether anything was changed.
        """
        is_changed = False
        for kind, only in STAGES:
            now = self.now[side]
            wanted = self.journal.found[side] | cell_settings(now, queues, affinity)
            other = {
                key: value
                for key, has in now.settings().items()
                if key.partition(" ")[0] == kind and (value := wanted.get(key, has)) != has
                if only in ("", value)
            }
            self._set(side, other)
            is_changed |= bool(other)
        return is_changed

    def set(self, side: str, key: str, value: str) -> bool:
        """Give a setting a value; return whether it had another one."""
        if self.now[side].settings().get(key) == value:
            return False
        self._set(side, {key: value})
        return True

    def _set(self, side: str, values: Mapping[str, str]) -> None:
        """Give settings their values, then look once: a device may have dozens of lines."""
        for key, value in values.items():
            self.noted(side, key)
            line = setting_line(self.board.side(side), self.now[side], key, value)
            self.hosts[side].checked(line)
        if values:
            self.look(side)
        for key, value in values.items():
            got = self.now[side].settings().get(key)
            if got != value:
                raise CommandFailed(f"{side}: {key} is {got!r} after it was set to {value!r}")

    def look(self, side: str) -> None:
        """Read what a host has."""
        self.now[side] = survey(self.hosts[side], self.board)

    def load(self, variant: BoardVariant, stop: Stop) -> None:
        """Load a variant on both sides; exceptions as of `Host.run`."""
        for side in SIDES:
            lines = [*load_lines(self.board, variant, side, self.now[side])]
            if lines:
                self.noted(side, LOAD)
            for line in lines:
                boots = bool(variant.kernel) and line == getattr(variant, side)
                self.give(side, line, variant.kernel if boots else "", stop)
        for side in SIDES:  # a driver that goes takes the other side's device with it
            self.look(side)

    def give(self, side: str, line: str, kernel: str, stop: Stop) -> None:
        """Run a shell line that may take as long as a reboot; `kernel`: it is one, into that."""
        limit = float(self.board.how.boot)
        if not kernel:
            self.hosts[side].checked(line, limit, stop)
            return
        if self.now[side].get("kernel") == kernel:
            return
        with suppress(HostLost):
            self.hosts[side].checked(line, limit, stop)
        self._booted(side, kernel, limit, stop)

    def _booted(self, side: str, kernel: str, limit: float, stop: Stop) -> None:
        """Wait until a side runs another kernel; CommandFailed: it does not come."""
        before, begun = self.now[side].get("boot"), monotonic()
        while monotonic() - begun < limit * NS:
            if stop():
                raise BoardInterrupted
            with suppress(HostLost, CommandFailed):
                self.reconnect(side)
                if self.now[side].get("boot") != before:
                    break
            sleep(BETWEEN)
        else:
            raise CommandFailed(f"{side}: has not rebooted within {limit:g} s")
        if self.now[side].get("kernel") != kernel:
            told = self.now[side].get("kernel")
            raise CommandFailed(f"{side}: rebooted into {told}, and {kernel} was wanted")
        if LOCKED in self.journal.touched.get(side, []):
            self.hosts[side].run(f"ln -s {self.journal.token} {LOCK}")

    def reconnect(self, side: str) -> None:
        """Connect anew and look; exceptions as of `open_host` and `survey`."""
        self.hosts[side].close()
        self.hosts[side] = open_host(side, self.board.side(side))
        self.look(side)


def load_lines(board: Board, variant: BoardVariant, side: str, now: Survey) -> Iterator[str]:
    """Yield the shell lines that load a variant on a side."""
    if variant.modules:
        names = [module_name(path) for path in variant.modules]
        loaded = now.group("loaded")
        yield from (f"rmmod {name}" for name in reversed(names) if name in loaded)
        yield from (f"insmod {path}" for path in variant.modules)
    if getattr(variant, side):
        yield getattr(variant, side)
    if (variant.modules or getattr(variant, side)) and board.side(side).up:
        yield board.side(side).up


def placements(now: Survey, affinity: str) -> dict[str, str]:
    """Return the CPU of each doorbell line; {}: they stay as they are."""
    cpus, names = now.cpus, list(now.lines)
    if affinity == SINGLE:
        return dict.fromkeys(names, str(cpus[0]))
    if affinity == SPREAD:
        return {name: str(cpus[place % len(cpus)]) for place, name in enumerate(names)}
    if affinity[:1].isdigit():
        asked = affinity.split(",")
        return {name: asked[place % len(asked)] for place, name in enumerate(names)}
    return {}


def cell_settings(now: Survey, queues: int, affinity: str) -> dict[str, str]:
    """Return what a cell wants set on a side, in the order of setting."""
    found: dict[str, str] = {}
    if queues:
        kinds = now.group("channels")
        wanted = ["combined"] if "combined" in kinds else [k for k in ("rx", "tx") if k in kinds]
        found |= {f"channels {kind}": str(queues) for kind in wanted}
    placed = placements(now, affinity)
    if now.get("irqbalance") and placed:
        found["irqbalance"] = "stopped"
    if affinity == IRQBALANCE:
        found["irqbalance"] = "running"
    return found | {f"affinity {name}": cpu for name, cpu in placed.items()}
