# SPDX-License-Identifier: BSD-3-Clause
"""What the commands that run long share: a bar, an end by SIGINT, where results go."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

RUNS = Path("results/runs")
BAR_DELAY = 1.0  # seconds: a shorter run needs no bar


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Yield an event that the first SIGINT sets; the second one raises KeyboardInterrupt.

    Also where a shell started the command in the background, with SIGINT ignored.
    """
    stop = threading.Event()

    def interrupt(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set a handler, and only it is interrupted
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
    """Yield the call that moves a progress bar on stderr; nothing is drawn but on a terminal."""
    with tqdm(
        disable=not sys.stderr.isatty(),
        file=sys.stderr,
        delay=BAR_DELAY,
        leave=False,
        ncols=78,
        nrows=24,  # a terminal that tells no size would get no bar
    ) as drawn:

        def progress(phase: str, done: int, total: int) -> None:
            drawn.total = total
            drawn.set_description(phase, refresh=False)
            drawn.update(done - drawn.n)

        yield progress


def tell(message: str) -> None:
    """Print one line on stderr."""
    print(f"ntbbench: {message}", file=sys.stderr)
