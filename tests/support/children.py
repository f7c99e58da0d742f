# SPDX-License-Identifier: BSD-3-Clause
"""Child processes of tests: a clean signal state, whatever these tests were started with, and an
end, whatever the test does.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LIMIT = 120.0  # seconds: nothing that a test starts takes nearly as long
# SIGPIPE is not among them: subprocess gives it its default by itself.
RESET = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
NTBBENCH = (sys.executable, "-m", "ntbbench.cli.main")


@contextmanager
def clean_signals() -> Iterator[None]:
    """Let what is started here take signals as from a terminal.

    A shell's `&` and nohup start us with signals ignored, which children inherit. A handler they do
    not: in its place they have the default.
    """
    before = {number: signal.signal(number, signal.default_int_handler) for number in RESET}
    mask = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)


def run(
    words: Sequence[Any] | str,
    *,
    check: bool = False,
    capture_output: bool = False,
    input: Any = None,
    **options: Any,
) -> "subprocess.CompletedProcess[Any]":
    """Run a program to its end; the options are those of subprocess.run()."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        options["stdin"] = subprocess.PIPE
    with started(words, **options) as child:
        out, err = child.communicate(input)
    done = subprocess.CompletedProcess(words, child.returncode, out, err)
    if check:
        done.check_returncode()
    return done


@contextmanager
def started(
    words: Sequence[Any] | str, *, timeout: float = LIMIT, **options: Any
) -> "Iterator[subprocess.Popen[Any]]":
    """Start a program at the head of a group, and wait for its end after the block.

    The group is killed after `timeout` seconds, and where the block ends by an exception.
    """
    with clean_signals():
        child = subprocess.Popen(words, **{"start_new_session": True, **options})

    def kill() -> None:
        if child.returncode is None:  # its group is its own until it is waited for
            os.killpg(child.pid, signal.SIGKILL)

    watchdog = threading.Timer(timeout, kill)
    watchdog.start()
    try:
        with child:  # closes its streams, and waits
            try:
                yield child
            except BaseException:
                kill()
                raise
    finally:
        watchdog.cancel()
        watchdog.join()


def until(true: Callable[[], object], child: "subprocess.Popen[Any] | None" = None) -> None:
    """Wait for what comes within LIMIT, while the child runs that it depends on."""
    deadline = time.monotonic() + LIMIT
    while not true():
        assert child is None or child.poll() is None, "the child has ended"
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Tell whether a process runs: it is there, and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def of(pid: int) -> list[int]:
    """Return the processes that the threads of one have started."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, path.read_text().split())
    return found


def below(pid: int) -> list[int]:
    """Return every process that one has started, and that these have, and so on."""
    return [found for child in of(pid) for found in (child, *below(child))]
