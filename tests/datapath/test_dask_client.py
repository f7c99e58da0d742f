# SPDX-License-Identifier: BSD-3-Clause
"""What is no Dask cluster, or stops being one: one line in time, and signals end the wait."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from children import NTBBENCH, below, is_running, started, until
from dask_cluster import Cluster, cluster, process, wait_for_workers
from simulate_runs import SMALL, Command, saved

from ntbbench.cli.main import main
from ntbbench.datapath import grid as grids

pytestmark = pytest.mark.filterwarnings("ignore:::distributed")
HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
LONG = (*SMALL, "--duration", "3000s", "--engine", "reference")  # days


@contextmanager
def listening(words: bytes, *, hangs_up: bool = False) -> Iterator[str]:
    """Yield the address of a server that says the same to everybody."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:  # it is shut down
                    return
                connection.sendall(words)
                if hangs_up:
                    connection.close()
                else:
                    kept.append(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


@pytest.mark.parametrize(
    ("words", "hangs_up", "told"),
    [
        (b"", False, "a scheduler that answers within 2 s"),
        (b"", True, "a scheduler that answers"),
        (HTTP, True, "a scheduler that answers"),
        (HTTP, False, "a scheduler that answers"),
        (bytes(range(256)) * 40, False, "a scheduler that answers"),
        (b"\x08" + bytes(15) + b"\xff" * 4000, False, "a scheduler that answers"),
    ],
    ids=["silent", "closes", "http", "http-open", "garbage", "length-0"],
)
def test_what_is_no_scheduler_is_one_line(
    words: bytes, hangs_up: bool, told: str, capfd, monkeypatch
) -> None:
    monkeypatch.setattr(grids, "CONNECT_TIMEOUT", 2.0)
    before = set(threading.enumerate())
    with listening(words, hangs_up=hangs_up) as address:
        there = ("--backend", "dask", "--scheduler", address)
        assert main(["simulate", *SMALL, *there, "-o", "/dev/null"]) == 2
    out, err = capfd.readouterr()  # what the client process says is in it
    assert out == ""
    assert err.startswith(f"ntbbench: --scheduler: {address!r}: {told}")
    assert err.count("\n") == 1
    assert set(threading.enumerate()) == before


def test_a_name_that_no_host_has(ntbbench: Command, monkeypatch) -> None:
    monkeypatch.setattr(grids, "CONNECT_TIMEOUT", 2.0)
    there = ("--backend", "dask", "--scheduler", "no-such-host.invalid:8786")
    ran = ntbbench("simulate", *SMALL, *there, "-o", "/dev/null")
    assert ran.code == 2
    assert "a scheduler that answers" in ran.err and ran.err.count("\n") == 1


def test_a_worker_without_ntbbench(tmp_path: Path, ntbbench: Command) -> None:
    """Its Python has all our libraries, and not us."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for path in (Path(entry) for entry in sys.path if entry.endswith("-packages")):
        for entry in path.iterdir():
            if "ntbbench" not in entry.name and entry.suffix != ".pth":
                (libraries / entry.name).symlink_to(entry)
    with (
        cluster(tmp_path, 0) as running,
        process(
            tmp_path,
            "bare",
            *("worker", running.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"),
            python=(sys.executable, "-S"),
            env={**os.environ, "PYTHONPATH": str(libraries)},
            cwd=tmp_path,
        ),
    ):
        wait_for_workers(running, 1)
        there = ("--backend", "dask", "--scheduler", running.address)
        ran = ntbbench("simulate", *SMALL, *there, "-o", "/dev/null")
    assert ran.code == 2
    assert ran.err.startswith("ntbbench: --scheduler: ntbbench version: 'none': ntbbench ")
    assert ran.err.count("\n") == 1


def simulating(output: Path, address: str, *words: str):
    there = ("--backend", "dask", "--scheduler", address, "-o", output)
    command = [*NTBBENCH, "simulate", *words, *there]
    return started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def has_client(child: "subprocess.Popen[str]") -> bool:
    """Tell whether the client runs: the forkserver has a child."""
    return len(below(child.pid)) >= 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_wait_for_a_silent_scheduler(
    number: int, code: int, tmp_path: Path
) -> None:
    with (
        listening(b"") as address,
        simulating(tmp_path / "r.json", address, *SMALL) as child,
    ):
        until(lambda: has_client(child), child)
        processes = below(child.pid)
        sent = time.monotonic()
        child.send_signal(number)
        _, err = child.communicate()
        assert time.monotonic() - sent < grids.CONNECT_TIMEOUT
    assert child.returncode == code
    assert err.startswith("ntbbench: interrupted; ") and err.count("\n") == 1
    until(lambda: not any(map(is_running, processes)))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path, 1) as found:
        yield found


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_what_runs_on_a_cluster(
    number: int, code: int, tmp_path: Path, running: Cluster
) -> None:
    path = tmp_path / "r.json"
    with simulating(path, running.address, *LONG) as child:
        until(lambda: busy(running.workers[0].pid), child)
        processes = below(child.pid)
        child.send_signal(number)
        time.sleep(1)  # longer than what counts as the same request
        child.send_signal(number)
        out, err = child.communicate()
    assert (child.returncode, out) == (code, "")
    assert err.startswith("ntbbench: interrupted; ") and err.count("\n") == 1
    assert saved(path)["points"] == []
    until(lambda: not any(map(is_running, processes)))


def busy(pid: int) -> bool:
    """Tell whether a process has computed for more than its start takes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) > 5 * os.sysconf("SC_CLK_TCK")


def test_a_scheduler_that_is_killed_keeps_what_is_finished(
    tmp_path: Path, running: Cluster, ntbbench: Command
) -> None:
    path, whole = tmp_path / "r.json", tmp_path / "whole.json"
    many = (*SMALL, "--replications", "300", "--engine", "reference")
    with simulating(path, running.address, *many) as child:
        until(lambda: busy(running.workers[0].pid), child)
        running.kill_scheduler()
        out, err = child.communicate()
    assert (child.returncode, out) == (3, "")
    assert err.count("\n") == 1 and "Traceback" not in err
    assert err.startswith("ntbbench: the Dask scheduler was lost; what is finished is saved; go on")
    part = saved(path)
    assert part["complete"] is False
    assert ntbbench("simulate", "--resume", path).code == 0
    assert ntbbench("simulate", *many[:-2], "-o", whole).code == 0
    assert saved(path)["points"] == saved(whole)["points"]
