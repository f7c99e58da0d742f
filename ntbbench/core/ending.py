# SPDX-License-Identifier: BSD-3-Clause
"""How a command ends: signals as an exception, children and folders that end with it."""

import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from ntbbench.core.clock import NS, monotonic

# SIGTERM comes from batch schedulers, CI and timeout(1), SIGHUP from a connection that drops.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_REQUEST = NS // 2  # nanoseconds: timeout(1) sends two, one to the process and one to its group
GRACE = 5.0  # seconds that a child has to clean up after SIGTERM

Handler = Callable[[int, FrameType | None], Any]


class Ended(KeyboardInterrupt):
    """A signal asked for the end; `number` is which."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


@contextmanager
def handled(handler: Handler, *numbers: int) -> Iterator[None]:
    """Let `handler` take signals; outside of the main thread, which alone gets them, nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, own in before.items():
            signal.signal(number, own)


def caught() -> list[int]:
    """Return the signals of ENDING that have a handler: the others end us, or are ignored."""
    return [number for number in ENDING if callable(signal.getsignal(number))]


@contextmanager
def signals_raise() -> Iterator[None]:
    """Let a signal that ends raise Ended; one soon after it is the same request.

    One that the caller ignores (nohup, a shell's `&`) stays ignored.
    """
    last: list[int] = []

    def raise_ended(number: int, _frame: FrameType | None) -> None:
        now = monotonic()
        if not last or now - last[-1] >= SAME_REQUEST:
            last.append(now)
            raise Ended(number)

    by_itself = (signal.SIG_DFL, signal.default_int_handler)
    with handled(raise_ended, *(n for n in ENDING if signal.getsignal(n) in by_itself)):
        yield


@contextmanager
def held_back() -> Iterator[None]:
    """Let a signal wait until the block is done, which it would leave half done."""
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    try:
        with handled(note, *caught()):
            yield
    finally:
        for number in came[:1]:
            signal.raise_signal(number)


@contextmanager
def scratch_folder(parent: Path | None = None, prefix: str = "ntbbench-") -> Iterator[Path]:
    """Yield a new folder, which is gone after the block, whatever ends it."""
    made = None
    try:
        with held_back():
            made = TemporaryDirectory(prefix=prefix, dir=parent)
        yield Path(made.name)
    finally:
        if made is not None:
            with held_back():
                made.cleanup()


@contextmanager
def child_process(
    words: Sequence[str | Path], **options: Any
) -> "Iterator[subprocess.Popen[bytes]]":
    """Start a program, without a shell, in a process group of its own that ends with the block.

    Where the block ends by an exception, a signal too, SIGTERM comes before SIGKILL: programs may
    have groups and folders of their own to clean up.

    Parameters
    ----------
    options : of subprocess.Popen.

    Raises
    ------
    OSError : it cannot be run.
    """
    child = None
    try:
        with held_back():
            child = subprocess.Popen(words, process_group=0, **options)  # noqa: S603 - no shell
        yield child
    except BaseException:  # it is raised again
        if child is not None and child.returncode is None:
            os.killpg(child.pid, signal.SIGTERM)
            ends_within(child, GRACE)
        raise
    finally:  # who insists waits for no grace
        if child is not None:
            kill_group(child)
            with child:  # closes its streams
                pass


def kill_group(child: "subprocess.Popen[bytes]") -> None:
    """Kill what runs of a child's group, which is its own until the child is waited for."""
    if child.returncode is None:
        os.killpg(child.pid, signal.SIGKILL)


def ends_within(child: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Wait for the end of a child, without taking its exit status; return whether it came."""
    descriptor = os.pidfd_open(child.pid)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
