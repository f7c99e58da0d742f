# SPDX-License-Identifier: BSD-3-Clause
"""Many boots, several at a time: saved after each, and ended by a signal or a broken host."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from msgspec import Struct

from ntbbench.core.errors import NtbbenchError
from ntbbench.core.options import Count
from ntbbench.lab.commands import HostError

Key = TypeVar("Key")
Result = TypeVar("Result")
JOBS_MAX = 64
POLL_SECONDS = 0.2  # how soon an interrupt is noticed


class Jobs(Struct, frozen=True):
    """How many boots run."""

    jobs: Annotated[int | None, Count(1, JOBS_MAX, "boots at a time; unset: one per CPU")] = None


@dataclass
class PoolHooks(Generic[Key, Result]):
    """How the boots talk to their surroundings."""

    save: Callable[[Mapping[Key, Result]], None]  # gets all that is done, after every boot
    # gets a boot's result; returns how its guest died, each end once
    failures: Callable[[Result], list[str]]
    stop: Callable[[], bool] = lambda: False  # asked now and then; True: start no more boots
    # gets, once, how many boots still run where no more are started
    waits: Callable[[int], None] = lambda _running: None
    # gets how many boots are done, of how many
    progress: Callable[[int, int], None] = lambda _done, _total: None
    # gets, for each guest that died, which boot it was and how it ended
    failed: Callable[[Key, str], None] = lambda _key, _cause: None
    jobs: int = 1  # boots at a time


class BootPool(Generic[Key, Result]):
    """Boots under their keys, of which some may be done."""

    def __init__(
        self,
        boots: Mapping[Key, Callable[[], Result]],
        done: Mapping[Key, Result],
        hooks: PoolHooks[Key, Result],
    ) -> None:
        self.boots, self.hooks = boots, hooks
        self.done = {key: result for key, result in done.items() if key in boots}
        self._refused: list[NtbbenchError | OSError] = []

    @property
    def complete(self) -> bool:
        """Tell whether no boot is left."""
        return len(self.done) == len(self.boots)

    def run(self) -> None:
        """Boot what is not done, in its order, several at a time, from threads.

        An interrupted boot leaves nothing. What no other boot could mend, a source that does not
        build or a machine that fails, ends it once the running boots have ended.

        NtbbenchError, OSError: that, after what was finished is saved.
        """
        waiting, hooks = [key for key in self.boots if key not in self.done], self.hooks
        hooks.progress(len(self.done), len(self.boots))
        with ThreadPoolExecutor(max_workers=hooks.jobs) as pool:
            running: dict[Future[Result], Key] = {}
            told = False
            try:
                while (waiting and not hooks.stop()) or running:
                    while waiting and len(running) < hooks.jobs and not hooks.stop():
                        key = waiting.pop(0)
                        running[pool.submit(self.boots[key])] = key
                    if running and not told and hooks.stop():
                        told = True
                        hooks.waits(len(running))
                    finished, _ = wait(running, POLL_SECONDS, return_when=FIRST_COMPLETED)
                    for future in finished:
                        self._collect(future, running.pop(future))
                    if self._refused:
                        waiting.clear()
            finally:
                waiting.clear()
        if self._refused:
            raise self._refused[0]

    def _collect(self, future: Future[Result], key: Key) -> None:
        """Keep what became of a boot, and save it; or note what no other boot could mend."""
        try:
            result = future.result()
        except (NtbbenchError, OSError) as error:
            # the interrupt that stops the boots may have stopped QEMU
            if not (isinstance(error, HostError) and self.hooks.stop()):
                self._refused.append(error)
            return
        causes = self.hooks.failures(result)
        if causes and self.hooks.stop():  # the interrupt may have stopped the guest
            return
        self.done[key] = result
        for cause in causes:
            self.hooks.failed(key, cause)
        self.hooks.save(self.done)
        self.hooks.progress(len(self.done), len(self.boots))
