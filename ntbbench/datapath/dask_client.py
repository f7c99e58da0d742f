# SPDX-License-Identifier: BSD-3-Clause
"""The client of a Dask cluster, in a process of its own, and the executor that talks to it.

Dask's client may wait without an end, logs with tracebacks, and keeps threads that do not stop. In
a process of its own it can be given a time limit, and killed.
"""

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from importlib import metadata
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, cast

import ntbbench
from ntbbench.core.clock import NS, monotonic
from ntbbench.core.errors import InputError, NtbbenchError, WorkersLost

OPTION = "--scheduler"
START_TIMEOUT = 60.0  # seconds to import Dask: 1 s on an idle machine
OWN_SHARE = 0.8  # of the time limit, for Dask's own, which knows a reason
LOOK = 0.2  # seconds between two looks whether to end
RETRIES = 3  # of a task whose worker died; Dask itself gives up after as many deaths
STARTED = "started"
ANSWERS = "a scheduler that answers"
LOST = "the Dask scheduler was lost;"


def serve(pipe: Connection, scheduler: str, timeout: float) -> None:
    """Be the client: send the number of slots, or an InputError; then run what comes.

    What else goes wrong ends this process, which the other one sees.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):  # the other process says in one line what there is to say
        os.dup2(nowhere, descriptor)
    logging.disable()
    from distributed import Client  # noqa: PLC0415  # an optional dependency

    pipe.send(STARTED)
    try:
        _check_certificates(scheduler)
        client: Any = _connected(cast(Any, Client), scheduler, OWN_SHARE * timeout)
        pipe.send(_slots(client, scheduler))
    except InputError as error:
        pipe.send(error)
        return
    executor, lock = client.get_executor(pure=False, retries=RETRIES), threading.Lock()
    while True:
        if not pipe.poll(timeout):
            client.sync(client.scheduler.ncores, callback_timeout=timeout)  # else it is lost
            continue
        number, task, arguments = pipe.recv()
        future = executor.submit(task, *arguments)
        future.add_done_callback(partial(_answer, pipe, lock, number))


def _connected(client: Any, scheduler: str, timeout: float) -> Any:
    try:
        return client(scheduler, timeout=timeout, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = f"{ANSWERS}: {' '.join(str(error).split())}"
        raise InputError(OPTION, scheduler, reason) from None


def _slots(client: Any, scheduler: str) -> int:
    """Return how many tasks the workers run at once; InputError: no worker, or one unlike us."""
    slots = int(sum(client.nthreads().values()))
    if not slots:
        raise InputError(OPTION, scheduler, "a scheduler with at least one worker")
    found = client.run(metadata.version, "ntbbench", on_error="return")
    for worker, version in sorted(found.items()):
        known = "none" if isinstance(version, Exception) else version
        if known != ntbbench.__version__:
            allowed = f"ntbbench {ntbbench.__version__}, as here, on every worker ({worker})"
            raise InputError(f"{OPTION}: ntbbench version", known, allowed)
    return slots


def _check_certificates(scheduler: str) -> None:
    from distributed import Security  # noqa: PLC0415  # an optional dependency

    if not scheduler.startswith("tls://"):
        return
    arguments: Any = cast(Any, Security)().get_connection_args("client")
    if arguments.get("ssl_context") is None:
        allowed = "tls:// where Dask's configuration names certificates (distributed.comm.tls)"
        raise InputError(OPTION, scheduler, allowed)


def _answer(pipe: Connection, lock: threading.Lock, number: int, future: "Future[bytes]") -> None:
    """Send what a task gave; what else than our own errors it raised, its worker failed of."""
    lost = future.cancelled()
    error = WorkersLost(LOST) if lost else future.exception()
    if error is not None and not isinstance(error, NtbbenchError):
        words = " ".join(f"{type(error).__name__}: {error}".split())
        error = WorkersLost(f"a Dask worker failed: {words};")
    with lock:
        pipe.send((number, future.result() if error is None else error))


class DaskExecutor(Executor):
    """Hands tasks to the client; when that ends, what is under way fails with WorkersLost.

    Parameters
    ----------
    client : the process that runs `serve`, started.
    pipe : to it.
    """

    def __init__(self, client: BaseProcess, pipe: Connection) -> None:
        self._client, self._pipe = client, pipe
        self._numbers = count()
        self._waiting: dict[int, Future[Any]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)

    def slots(self, scheduler: str, timeout: float, stop: Callable[[], bool]) -> int:
        """Return how many tasks the cluster runs at once; from now on it takes them.

        Raises
        ------
        InputError : what is wrong with the cluster, or no answer within `timeout` seconds.
        KeyboardInterrupt : `stop` said so first.
        """
        for limit, wanted in ((START_TIMEOUT, "a Dask that starts"), (timeout, ANSWERS)):
            heard = self._heard(limit, stop)
            if isinstance(heard, InputError):
                raise heard
            if heard is None:
                raise InputError(OPTION, scheduler, f"{wanted} within {limit:g} s")
            if isinstance(heard, int):
                self._reader.start()
                return heard
        raise InputError(OPTION, scheduler, f"{ANSWERS} in Dask's protocol")

    def _heard(self, limit: float, stop: Callable[[], bool]) -> object:
        """Return the next message; the client's end is an empty one. None: it took too long."""
        begun = monotonic()
        while not self._pipe.poll(LOOK):
            if stop():
                raise KeyboardInterrupt
            if monotonic() - begun > limit * NS:
                return None
        try:
            return self._pipe.recv()
        except EOFError:
            if stop():  # the signal went to the client too
                raise KeyboardInterrupt from None
            return ""

    def submit(self, fn: Any, /, *args: Any, **_: Any) -> "Future[Any]":
        """Return the future of a task; WorkersLost: the client has ended."""
        number, future = next(self._numbers), Future[Any]()
        self._waiting[number] = future
        try:
            self._pipe.send((number, fn, args))
        except OSError:
            raise WorkersLost(LOST) from None
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the client with what it had under way."""
        self._client.kill()
        self._client.join()
        if self._reader.ident is not None:
            self._reader.join()
        self._pipe.close()

    def _read(self) -> None:
        while True:
            try:
                number, answer = self._pipe.recv()
            except (EOFError, OSError):
                break
            future = self._waiting.pop(number)
            if isinstance(answer, NtbbenchError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        for future in [*self._waiting.values()]:
            future.set_exception(WorkersLost(LOST))
