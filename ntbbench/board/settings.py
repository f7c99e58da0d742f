# SPDX-License-Identifier: BSD-3-Clause
"""board.toml: the two ends of a link, the variants of the driver, what is run over it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from msgspec import Struct

from ntbbench.ab.metrics import parse_metric
from ntbbench.ab.schedule import AbPlan
from ntbbench.board.keys import (
    FOUND,
    Address,
    Affinities,
    Lines,
    Matching,
    Paths,
    Programs,
)
from ntbbench.core.errors import InputError
from ntbbench.core.names import unknown
from ntbbench.core.options import Axis, Count, Duration, Word, Words, changed, shown
from ntbbench.core.text_file import read_toml
from ntbbench.datapath.scenario_file import preset

SIDES = ("rc", "ep")
QUEUES_MAX, FLOWS_MAX = 64, 128
PROGRAMS = ("iperf3", "ping", "sockperf", "netperf", "ntb_perf", "ntb_pingpong")
DIRECTIONS = ("rc-ep", "ep-rc")
Section = TypeVar("Section", bound=Struct)


NAME = r"[\w.+-]{1,40}"
NAME_FORM = "letters, digits and . _ + -, at most 40"
HOST_FORM = "local, netns:NAME or ssh:NAME"
Command = Word((), "a line for /bin/sh")


class BoardSide(Struct, frozen=True, kw_only=True):
    """One end of the link."""

    host: Annotated[
        str, Matching((), "where it runs", pattern=r"local|netns:[\w.-]+|ssh:[\w.@-]+",
                      form=HOST_FORM)
    ] = ""  # fmt: skip
    netdev: Annotated[
        str, Matching((), "its network device", pattern=r"[\w.-]{1,15}", form="a network device")
    ] = ""
    address: Annotated[str, Address((), "its address on the link")] = ""
    irqs: Annotated[
        str, Lines((), "names of doorbell lines in /proc/interrupts; default: those of NTB")
    ] = ""
    up: Annotated[str, Word((), "shell line that sets the address after a load")] = ""
    become: Annotated[str, Word((), "what goes before a command, as `sudo -n`")] = ""
    ssh_config: Annotated[str, Word((), "configuration of OpenSSH; default: the user's")] = ""


class BoardAxes(Struct, frozen=True, kw_only=True):
    """What is varied; every combination is a cell."""

    queues: Annotated[
        tuple[int, ...], Axis(1, QUEUES_MAX, "`ethtool -L` on both sides; []: as found", empty=True)
    ] = ()
    affinity: Annotated[tuple[str, ...], Affinities((), "CPUs of the doorbell interrupts")] = (
        FOUND,
    )
    protocol: Annotated[tuple[str, ...], Words(("tcp", "udp"), "of iperf3", once=True)] = ("tcp",)
    flows: Annotated[tuple[int, ...], Axis(1, FLOWS_MAX, "parallel flows of iperf3")] = (1,)
    direction: Annotated[tuple[str, ...], Words(DIRECTIONS, "from-to", once=True)] = ("rc-ep",)
    programs: Annotated[tuple[str, ...], Programs(PROGRAMS, "what is run", once=True)] = ("iperf3",)


class BoardPlan(AbPlan, frozen=True, kw_only=True):
    """How often and how long."""

    seconds: Annotated[int, Count(1, 3600, "of one run")] = 10
    settle: Annotated[int, Count(0, 600, "seconds between a change and a run")] = 2
    boot: Annotated[int, Count(10, 3600, "seconds that a reboot may take")] = 300
    patience: Annotated[
        int, Duration(0, 86_400, "to wait for a lost board before restoration is given up", 1)
    ] = 120
    placement: Annotated[
        int, Count(1, 100, "starts at most, until the flows have every queue that they can")
    ] = 10
    rate: Annotated[
        str, Matching((), "of UDP, all flows", pattern=r"\d{1,6}[KMG]?", form="as iperf3 -b: 500M")
    ] = "1G"
    port: Annotated[int, Count(1024, 65_535, "of the servers")] = 5201
    governor: Annotated[
        str, Matching((), "cpufreq governor while it runs; empty: as found", pattern=r"\w{0,20}",
                      form="a governor")
    ] = ""  # fmt: skip
    preset: Annotated[
        str, Word((), "scenario of `simulate` to be fitted on one queue; empty: no simulation")
    ] = ""
    note: Annotated[str, Word((), "free text of one line for the report")] = ""


class BoardVariant(Struct, frozen=True, kw_only=True):
    """A driver to measure: how it is loaded on both sides; nothing said: what is there."""

    name: Annotated[str, Matching((), "in reports", pattern=NAME, form=NAME_FORM)] = ""
    modules: Annotated[tuple[str, ...], Paths("insmod on both sides, in this order")] = ()
    rc: Annotated[str, Command] = ""
    ep: Annotated[str, Command] = ""
    kernel: Annotated[
        str, Word((), "`uname -r` of the kernel that the commands reboot into; empty: no reboot")
    ] = ""
    dispatch: Annotated[
        str, Word(("fallback", "per-vector", "msi"), "what the simulator takes it for")
    ] = ""


class BoardRestore(Struct, frozen=True, kw_only=True):
    """What loads the driver that was there before the first run."""

    rc: Annotated[str, Command] = ""
    ep: Annotated[str, Command] = ""


class BoardCommand(Struct, frozen=True, kw_only=True):
    """A program of one's own on the sender; {address}, {netdev}, {seconds} are filled in."""

    name: Annotated[str, Matching((), "in reports", pattern=NAME, form=NAME_FORM)] = ""
    command: Annotated[str, Command] = ""
    server: Annotated[str, Word((), "shell line that the receiver runs meanwhile")] = ""
    metric: Annotated[str, Word((), "json:PATH or regex:PATTERN of what it prints")] = ""
    unit: Annotated[str, Word((), "of the number")] = ""
    better: Annotated[str, Word(("higher", "lower"), "which way")] = "higher"


TABLES: dict[str, Struct] = {
    "rc": BoardSide(), "ep": BoardSide(), "axes": BoardAxes(), "how": BoardPlan(),
    "restore": BoardRestore(),
}  # fmt: skip
LISTS: dict[str, Struct] = {"variants": BoardVariant(), "commands": BoardCommand()}


class Board(Struct, frozen=True, kw_only=True):
    """All of a board.toml."""

    rc: BoardSide
    ep: BoardSide
    axes: BoardAxes
    how: BoardPlan
    restore: BoardRestore
    variants: Sequence[BoardVariant]
    commands: Sequence[BoardCommand]

    def side(self, name: str) -> BoardSide:
        """Return an end by its name."""
        found: BoardSide = getattr(self, name)
        return found

    def plain(self) -> dict[str, Any]:
        """Return what `parsed` reads back."""
        whole: dict[str, Any] = {key: shown(getattr(self, key)) for key in TABLES}
        whole |= {key: [shown(one) for one in getattr(self, key)] for key in LISTS}
        return {key: _said(table) for key, table in whole.items()}


EMPTY = ("programs",)  # lists that mean something where they hold nothing


def _said(table: Any) -> Any:
    """Leave out what says nothing, which not every kind reads back."""
    if isinstance(table, list):
        return [_said(one) for one in table]
    return {k: v for k, v in table.items() if v not in ("", None) and (v != [] or k in EMPTY)}


def load_board(path: Path) -> Board:
    """Return what a board.toml says; InputError names the key that is wrong."""
    return parsed(read_toml("BOARD", path), f"{path}: ")


def parsed(table: dict[str, Any], where: str) -> Board:
    """Return a board of plain tables; InputError: a key or a value that is wrong or missing."""
    for key in table:
        if key not in TABLES and key not in LISTS:
            raise unknown(f"{where}key", key, [*TABLES, *LISTS])
    sections = {
        key: changed(f"{where}{key}.", usual, table.get(key, {})) for key, usual in TABLES.items()
    }
    several = {key: _list_of(usual, table.get(key), where, key) for key, usual in LISTS.items()}
    board = Board(**sections, **several)  # type: ignore[arg-type]
    _check(board, where)
    return board


def _list_of(usual: Section, value: object, where: str, key: str) -> list[Section]:
    if not isinstance(value, list | None):
        raise InputError(f"{where}{key}", value, f"tables: [[{key}]]")
    return [
        changed(f"{where}{key}.{number}.", usual, one) for number, one in enumerate(value or (), 1)
    ]


def _check(board: Board, where: str) -> None:
    for name in SIDES:
        for key in ("host", "netdev", "address"):
            if not getattr(board.side(name), key):
                raise InputError(f"{where}{name}.{key}", "", "a value: it is needed")
    if not board.variants:
        raise InputError(f"{where}variants", "", "at least one: [[variants]]")
    if not board.axes.programs and not board.commands:
        raise InputError(
            f"{where}axes.programs", "", f"one of {', '.join(PROGRAMS)}, or [[commands]]"
        )
    if board.how.preset:
        preset(board.how.preset)
    for key, named in (("variants", board.variants), ("commands", board.commands)):
        names = [one.name for one in named]
        odd = next((name for name in names if not name or names.count(name) > 1), None)
        if odd is not None:
            raise InputError(f"{where}{key}.name", odd, "a name of its own for each")
    _check_commands(board, where)
    for name in SIDES:
        loads = any(getattr(variant, name) for variant in board.variants)
        if loads and not getattr(board.restore, name):
            allowed = "the command that loads what was there before the variants"
            raise InputError(f"{where}restore.{name}", "", allowed)


def _check_commands(board: Board, where: str) -> None:
    for one in board.commands:
        if not one.command:
            raise InputError(f"{where}commands.{one.name}.command", "", "a shell line")
        if not one.metric.startswith(("json:", "regex:")):
            raise InputError(f"{where}commands.{one.name}.metric", one.metric, "json: or regex:")
        parse_metric(one.metric)
