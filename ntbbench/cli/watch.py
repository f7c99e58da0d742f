# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench watch`: what a board does right now."""

import argparse
import os
import select
import shutil
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ntbbench.capture.live import Rates, line, rates, screen, take
from ntbbench.capture.script import package_text
from ntbbench.cli.streams import refusal, tell
from ntbbench.core.clock import NS, monotonic
from ntbbench.core.errors import ExitCode, InputError
from ntbbench.core.names import parse_int

DESCRIPTION = """\
Show rates of a board's doorbell interrupts, tasklet runs, runs per interrupt, packets,
and the rings that are full, from /proc/interrupts and ntb_transport's debugfs counters
(root). A terminal is redrawn, and `q` or Ctrl-C ends it; elsewhere it is a line an
interval. `?` is what is not known.
"""
EPILOG = """\
exit codes: 0 ended, by count, q, Ctrl-C, SIGTERM or a reader that left; 2 bad input

examples:
  ntbbench watch --interval 2
  ntbbench watch --count 10 > rates.txt
  ntbbench watch --print-script > watch.sh    # on the board: sh watch.sh [SECONDS [COUNT]]
"""
INTERVAL_MIN, INTERVAL_MAX = 0.1, 3600.0
COUNT_MAX = 99999
CAUTIONS_MAX = 100  # told on stderr
STDOUT = 1
# ANSI: the other screen without a cursor, and back; home; erase to the end of line, of screen.
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, LINE_END, SCREEN_END = "\x1b[H", "\x1b[K\r\n", "\x1b[J"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "watch",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--interval", metavar="X", help="seconds between two looks (default 1)")
    parser.add_argument("--count", metavar="N", help="end after so many (default: never)")
    parser.add_argument(
        "--print-script", action="store_true", help="print the POSIX shell script, watch nothing"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Watch until something ends it, or print the script."""
    if args.print_script:
        if args.interval is not None or args.count is not None:
            raise InputError("--print-script", True, "alone: the script takes SECONDS and COUNT")
        sys.stdout.write(package_text("watch.sh"))
        return ExitCode.OK
    interval = _interval(args.interval or "1")
    count = 0 if args.count is None else parse_int("--count", args.count, 1, COUNT_MAX)
    with suppress(KeyboardInterrupt), _terminal() as keys:
        watch(interval, count, keys)
    return ExitCode.OK


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not INTERVAL_MIN <= seconds <= INTERVAL_MAX:
        raise InputError("--interval", text, f"{INTERVAL_MIN:g} to {INTERVAL_MAX:g} seconds")
    return seconds


def watch(interval: float, count: int, keys: "int | None") -> None:
    """Show rates, a reading an interval; `keys`: the terminal's descriptor, None: print lines.

    What limits the lines is told once, on stderr; a screen has room for it.
    It ends where stdout is refused, which main reports.
    """
    old, due, shown = take(), monotonic() / NS, 0
    said: set[str] = set()
    while not count or shown < count:
        due = max(due + interval, monotonic() / NS)
        if not _waited(due, keys):
            return
        new = take()
        found = rates(old, new)
        _show(found, drawn=keys is not None)
        for caution in found.cautions if keys is None else ():
            if caution not in said and len(said) < CAUTIONS_MAX:
                said.add(caution)
                tell(caution)
        if refusal() is not None:
            return
        old, shown = new, shown + 1


def _waited(due: float, keys: "int | None") -> bool:
    """Wait until `due`; False: a key or a reader that left ends it."""
    poll = select.poll()
    poll.register(STDOUT, 0)  # whatever is asked for, an error is told
    if keys is not None:
        poll.register(keys, select.POLLIN)
    while (left := due - monotonic() / NS) > 0:
        for descriptor, event in poll.poll(left * 1000):
            if descriptor == STDOUT and keys is None and event & (select.POLLERR | select.POLLHUP):
                return False
            if descriptor == keys and os.read(descriptor, 1) in (b"q", b"Q", b""):
                return False
    return True


def _show(found: Rates, *, drawn: bool) -> None:
    if not drawn:
        print(line(found), flush=True)
        return
    size = shutil.get_terminal_size()
    lines = [f"ntbbench watch, {found.seconds:.1f} s; q ends", "", *screen(found, size.lines - 3)]
    text = "".join(f"{one[: size.columns - 1]}{LINE_END}" for one in lines)
    print(f"{HOME}{text}{SCREEN_END}", end="", flush=True)


@contextmanager
def _terminal() -> "Iterator[int | None]":
    """Take the terminal for a drawn view, and give it back; yield None where there is none."""
    if not (os.isatty(0) and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"):
        yield None
        return
    before = termios.tcgetattr(0)
    try:
        tty.setcbreak(0)
        print(ENTER, end="", flush=True)
        yield 0
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        print(LEAVE, end="", flush=True)
