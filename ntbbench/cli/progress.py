# SPDX-License-Identifier: BSD-3-Clause
"""What the commands that run long share: a bar, an end by a signal, the saving of results."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from msgspec import Struct

from ntbbench.cli.streams import tell
from ntbbench.core.clock import monotonic
from ntbbench.core.ending import ENDING, SAME_REQUEST, Ended, handled
from ntbbench.core.errors import SIGNALLED, ExitCode, InputError
from ntbbench.core.result_file import write_json, write_new_json

RUNS = Path("results/runs")
CLEAR = "\x1b[K"  # ECMA-48: to the end of the line
LINE = 79  # columns
BAR_DELAY = 1.0  # seconds: a shorter run needs no bar


class Signals:
    """The requests to end that signals were: the first asks, a later one insists.

    The handler only counts. An exception out of it would come anywhere, also while
    `concurrent.futures.wait()` holds some of the futures' locks: it left them taken, and the pool's
    thread stood still. Who waits for an executor asks `stop()` instead.
    """

    def __init__(self) -> None:
        self.raises = False  # set where this thread alone works: who insists ends it, once
        self._insisted = False
        self._first: tuple[int, int] | None = None  # signal, nanoseconds

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Count a signal; one soon after the first is the same request."""
        now = monotonic()
        if self._first is None:
            self._first = number, now
        elif now - self._first[1] >= SAME_REQUEST:
            self._insisted = True
            if self.raises:
                self.raises = False
                raise Ended(number)

    def asked(self) -> bool:
        """Tell whether to end."""
        return self._first is not None

    def stop(self) -> bool:
        """Tell whether to end; raise KeyboardInterrupt where nothing is to be waited for."""
        if self._insisted:
            self.raises = False
            raise KeyboardInterrupt
        return self.asked()

    @property
    def exit_code(self) -> ExitCode:
        """What a command exits with that was asked to end."""
        number = signal.SIGINT if self._first is None else self._first[0]
        return ExitCode(SIGNALLED + number)


class Saving:
    """Saves the result of a run on the way and at its end; a full disk ends no run.

    What was measured is printed first. `check` then raises what kept it from being saved.
    """

    def __init__(self, output: Path, *, named: bool = True) -> None:
        self.output = output
        self._is_ours = named  # else the first save finds a name that no other run has taken
        self._error: InputError | None = None

    @property
    def saved(self) -> bool:
        """Return whether the last result that was to be saved is."""
        return self._error is None

    def on_the_way(self, result: Struct) -> None:
        """Save an unfinished result; where that fails first, say so while it can be mended."""
        was_saved = self.saved
        self.at_the_end(result)
        if was_saved and self._error is not None:
            tell(f"{self._error}; the run goes on and tries again")

    def at_the_end(self, result: Struct) -> None:
        """Save the result."""
        try:
            if self._is_ours:
                write_json(self.output, result)
            else:
                self.output = write_new_json(self.output, result)
            self._is_ours, self._error = True, None
        except InputError as error:
            self._error = error

    def check(self) -> None:
        """Raise the InputError of a result that is not saved."""
        if self._error is not None:
            raise self._error


@contextmanager
def interrupts() -> Iterator[Signals]:
    """Yield the requests to end; until it is left, no signal ends the command by itself.

    Also where a shell started the command in the background, with SIGINT ignored; where nohup did,
    with SIGHUP ignored, that stays so.
    """
    found = Signals()
    hangs_up = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
    with handled(found.handle, *(n for n in ENDING if n != signal.SIGHUP or hangs_up)):
        yield found


@contextmanager
def bar() -> Iterator[Callable[[str, int, int], None]]:
    """Yield the call that moves a progress bar on stderr; nothing is drawn but on a terminal."""
    from tqdm import tqdm  # noqa: PLC0415 - most commands draw no bar

    with tqdm(
        disable=not sys.stderr.isatty(),
        file=sys.stderr,
        delay=BAR_DELAY,
        leave=False,
        ncols=78,
        nrows=24,  # a terminal without a size would get no bar
    ) as drawn:

        def progress(phase: str, done: int, total: int) -> None:
            drawn.total = total
            drawn.set_description(phase, refresh=False)
            drawn.update(done - drawn.n)

        yield progress


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Yield the call that writes one line on stderr over the last; of a terminal alone."""
    drawn = sys.stderr.isatty()

    def show(text: str) -> None:
        if drawn:
            print(f"\r{CLEAR}{text[:LINE]}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        show("")
