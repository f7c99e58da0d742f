# SPDX-License-Identifier: BSD-3-Clause
"""A real Dask cluster on loopback: one scheduler and workers, each a process of its own."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from children import started
from distributed import Client

START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


@dataclass
class Cluster:
    """The scheduler's address and the processes behind it."""

    address: str
    scheduler: "subprocess.Popen[bytes]"
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def kill_worker(self, number: int) -> None:
        """End a worker as the kernel's out-of-memory killer would: at once."""
        self.workers[number].kill()
        self.workers[number].wait(STOP_TIMEOUT)

    def kill_scheduler(self) -> None:
        """End the scheduler at once."""
        self.scheduler.kill()
        self.scheduler.wait(STOP_TIMEOUT)


@contextmanager
def process(
    folder: Path,
    name: str,
    *words: str,
    python: Sequence[str] = (sys.executable,),
    **options: Any,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one of Dask's programs; it is ended at the end, whatever happened."""
    program = [*python, "-m", f"distributed.cli.dask_{words[0]}", *words[1:]]
    with (
        (folder / f"{name}.log").open("wb") as log,
        started(program, stdout=log, stderr=log, **options) as child,
    ):
        try:
            yield child
        finally:
            child.kill()


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """Start a scheduler and `workers` workers of one thread on 127.0.0.1."""
    file = folder / "scheduler.json"
    local = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file))
    worker = ("worker", "--nthreads", "1", "--no-nanny", "--local-directory", str(folder), *local)
    with ExitStack() as stack:
        words = ("scheduler", "--port", "0", "--no-show", *local)
        scheduler = stack.enter_context(process(folder, "scheduler", *words))
        running = Cluster(wait_for_address(file), scheduler)
        for number in range(workers):
            child = process(folder, f"worker{number}", *worker)
            running.workers.append(stack.enter_context(child))
        if workers:
            wait_for_workers(running, workers)
        yield running


def wait_for_address(file: Path) -> str:
    """Return the address that the scheduler writes once it listens."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if file.exists() and file.stat().st_size:
            try:
                return str(msgspec.json.decode(file.read_bytes())["address"])
            except msgspec.DecodeError:
                pass  # half written
        time.sleep(0.05)
    raise TimeoutError("the scheduler did not start")


def wait_for_workers(running: Cluster, count: int) -> None:
    """Wait until the scheduler knows all workers."""
    with Client(running.address, timeout=START_TIMEOUT, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=START_TIMEOUT)
