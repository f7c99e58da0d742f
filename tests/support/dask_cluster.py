# SPDX-License-Identifier: BSD-3-Clause
"""A real Dask cluster on loopback: one scheduler and workers, each a process of its own."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from distributed import Client

START_TIMEOUT = 60.0
STOP_TIMEOUT = 20.0


@dataclass
class Cluster:
    """The scheduler's address and the processes behind it."""

    address: str
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def kill_worker(self, number: int) -> None:
        """End a worker as the kernel's out-of-memory killer would: at once."""
        self.workers[number].kill()
        self.workers[number].wait(STOP_TIMEOUT)


@contextmanager
def process(folder: Path, name: str, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one of Dask's programs; it is ended at the end, whatever happened."""
    with (folder / f"{name}.log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{words[0]}", *words[1:]],
            stdout=log,
            stderr=log,
        )
        try:
            yield started
        finally:
            started.kill()
            started.wait(STOP_TIMEOUT)


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """Start a scheduler and `workers` workers of one thread on 127.0.0.1."""
    file = folder / "scheduler.json"
    local = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file))
    worker = ("worker", "--nthreads", "1", "--no-nanny", "--local-directory", str(folder), *local)
    with ExitStack() as stack:
        started = process(folder, "scheduler", "scheduler", "--port", "0", "--no-show", *local)
        stack.enter_context(started)
        running = Cluster(wait_for_address(file))
        for number in range(workers):
            started = process(folder, f"worker{number}", *worker)
            running.workers.append(stack.enter_context(started))
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
