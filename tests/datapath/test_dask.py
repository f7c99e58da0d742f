# SPDX-License-Identifier: BSD-3-Clause
"""The same grid on a real Dask cluster, bit for bit, also when a worker dies in the middle."""

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from dask_cluster import Cluster, cluster
from simulate_runs import SMALL, Command, found_on, saved

from ntbbench.core.errors import InputError
from ntbbench.datapath import grid as grids
from ntbbench.datapath.grid import Found, Grid, GridHooks
from ntbbench.datapath.grid_point import expand
from ntbbench.datapath.scenario_file import preset, with_settings

pytestmark = pytest.mark.filterwarnings("ignore:::distributed")
REPLICATIONS = 12


def grid() -> Grid:
    scenario = with_settings(
        preset("generic"), ["duration=20ms", "warmup=2ms", "traffic.flows=4", "receiver.cpus=4"]
    )
    scenario = msgspec.structs.replace(scenario, queues=(1, 2), dispatch=("fallback",))
    return Grid(expand(scenario), REPLICATIONS, "reference")


@pytest.fixture(scope="module")
def expected() -> Found:
    with grids.local(1, 1) as place:
        return found_on(place, grid())


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path, 2) as found:
        yield found


def test_a_cluster_gives_the_same(running: Cluster, expected: Found) -> None:
    with grids.dask(running.address) as place:
        assert place.slots == 2
        assert found_on(place, grid()) == expected


def test_a_worker_that_dies_changes_nothing(running: Cluster, expected: Found) -> None:
    """It is killed with results given and results owed; each is there once all the same."""
    told: list[int] = []
    killed = threading.Event()

    def progress(_: str, done: int, total: int) -> None:
        told.append(done)
        if done >= total // 4 and not killed.is_set():
            killed.set()
            running.kill_worker(0)

    with grids.dask(running.address) as place:
        found = found_on(place, grid(), GridHooks(progress=progress))
    assert killed.is_set()
    assert told[0] <= told[-1] // 2  # it died in the middle
    assert found == expected
    assert told == sorted(told)
    assert told[-1] == sum(map(len, expected))  # nothing lost, nothing counted twice


def test_from_the_command_line(running: Cluster, tmp_path: Path, ntbbench: Command) -> None:
    local, remote = tmp_path / "local.json", tmp_path / "dask.json"
    words = ("simulate", *SMALL, "--affinity", "single", "--format", "json", "-o")
    there = ("--backend", "dask", "--scheduler", running.address)
    for ran in (ntbbench(*words, local), ntbbench(*words, remote, *there)):
        assert (ran.code, ran.err) == (0, "")
    assert saved(local)["points"] == saved(remote)["points"]


ANSWERS = "[SCHEME://]HOST:PORT, SCHEME of tcp, tls, ws, wss"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("tcp://127.0.0.1:9", "a scheduler that answers"),
        ("tls://127.0.0.1:9", "tls:// where Dask's configuration names certificates"),
        *((address, ANSWERS) for address in (
            "", "nonsense", "host:", ":8786", "host:port", "host:99999", "http://host:80",
            "tcp://[::1:1", "tcp://host:8786/path",
        )),
    ],
)  # fmt: skip
def test_a_bad_address_is_one_line_and_leaves_no_client(
    address: str, allowed: str, ntbbench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of a wrong address, or without certificates, would end with a traceback."""
    monkeypatch.setattr(grids, "CONNECT_TIMEOUT", 0.5)
    before = set(threading.enumerate())
    ran = ntbbench("simulate", "--backend", "dask", "--scheduler", address, "-o", "/dev/null")
    assert ran.code == 2
    assert ran.err.startswith(f"ntbbench: --scheduler: {address!r}: {allowed}")
    assert len(ran.err.splitlines()) == 1
    assert allowed == "a scheduler that answers" or set(threading.enumerate()) == before


@pytest.mark.parametrize("address", ["host:8786", "tcp://10.0.0.1:8786", "tls://[::1]:8786/"])
def test_addresses_of_schedulers(address: str) -> None:
    grids.check_address(address)


def test_a_scheduler_without_workers(tmp_path: Path) -> None:
    with (
        cluster(tmp_path, 0) as running,
        pytest.raises(InputError, match="at least one worker"),
        grids.dask(running.address),
    ):
        pass
