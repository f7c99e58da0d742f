# SPDX-License-Identifier: BSD-3-Clause
"""What the commands that run long share: a bar, an end by SIGINT, where results go."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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

    def interrupt() -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    with _on_sigint(interrupt):
        yield stop


@dataclass
class Interrupts:
    """How often SIGINT came.

    Parameters
    ----------
    patience : so many raise nothing; the next one does.
    """

    count: int = 0
    patience: int = 2

    def add(self) -> None:
        """Count one more."""
        self.count += 1
        if self.count > self.patience:
            raise KeyboardInterrupt

    def asked(self) -> bool:
        """Tell whether to end."""
        return self.count > 0

    def insisted(self) -> bool:
        """Tell whether to wait for nothing."""
        return self.count > 1


@contextmanager
def counted_interrupts() -> Iterator[Interrupts]:
    """Yield the count of SIGINTs, for who waits on an executor's futures.

    An exception out of the handler would come anywhere, also while `concurrent.futures.wait()`
    holds some of the futures' locks: it left them taken, and the pool's thread stood still.
    timeout(1) sends two at once, one to the process and one to its group. Only a third one raises.
    """
    found = Interrupts()
    with _on_sigint(found.add):
        yield found


@contextmanager
def _on_sigint(handle: Callable[[], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set a handler, and only it is interrupted
        return
    before = signal.signal(signal.SIGINT, lambda *_: handle())
    try:
        yield
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
