# SPDX-License-Identifier: BSD-3-Clause
"""The pair as a board: `board run` over ssh into the guest agrees with `lab pair run`."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ntbbench.board.board_records import BOARD_SCHEMA, BoardResult, BoardRun
from ntbbench.capture.ingest import ingest
from ntbbench.cli.main import main
from ntbbench.core.result_file import load_as
from ntbbench.lab.pair.records import PAIR_SCHEMA, PairResult

# Boots a kernel that is built once: `make test-guest`.
pytestmark = pytest.mark.guest

QUEUES, CPUS = 4, 2
PATIENCE = 600  # seconds; a guest that is waited for longer has hung
NTBBENCH = [sys.executable, "-m", "ntbbench.cli.main"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a guest that serves; Ctrl-C ends it."""
    folder = tmp_path_factory.mktemp("guest") / "rehearsal"
    words = ("lab", "shell", "--queues", str(QUEUES), "--ssh", str(free_port()), "-o", str(folder))
    with subprocess.Popen([*NTBBENCH, *words], stdout=subprocess.PIPE, text=True) as guest:
        assert guest.stdout is not None
        try:
            assert "Both ends" in guest.stdout.readline()
            yield folder
        finally:
            guest.send_signal(signal.SIGINT)
            assert guest.wait(PATIENCE) == 130


SHORT = {
    "affinity": '["spread"]',
    "programs": '["ping"]',
    "until": "2",
    "seconds": "2",
}


@pytest.fixture(scope="module")
def board(rehearsal: Path) -> Path:
    """Its board.toml, of a session that is as short as it can be."""
    path = rehearsal / "board.toml"
    text = path.read_text()
    for key, value in SHORT.items():
        text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        assert count == 1
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def session(board: Path) -> tuple[BoardResult, Path]:
    """A whole run, and the folder of its captures."""
    output = board.with_name("rehearsed.json")
    assert main(["board", "run", str(board), "-o", str(output)]) == 0
    return load_as(output, BOARD_SCHEMA, BoardResult), output.with_suffix("")


def test_nothing_is_missing(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["board", "check", str(board), "-v"]) == 0
    assert "ntb_epf#16" in capsys.readouterr().out


def test_all_is_measured_and_put_back(session: tuple[BoardResult, Path]) -> None:
    result, _ = session
    assert result.complete and result.restored
    assert sorted(run.variant for run in result.runs) == ["after", "after", "before", "before"]
    assert all(len(run.packets_per_queue) == QUEUES for run in result.runs)
    before, after = result.loaded["before"]["rc"], result.loaded["after"]["rc"]
    assert before["ntb_hw_epf"] != after["ntb_hw_epf"]
    assert before["pci_epf_vntb"] == after["pci_epf_vntb"]
    assert "emulator" in result.board["how"]["note"]


def test_a_line_interrupts_the_cpu_that_it_was_given(session: tuple[BoardResult, Path]) -> None:
    result, captures = session
    for run in result.runs:
        lines = [
            irq
            for irq in ingest([captures / run.capture / "rc"]).interrupts
            if irq.action == "ntb_epf" and irq.is_doorbell and irq.at_least
        ]
        assert lines
        for irq in lines:
            assert irq.slot is not None
            per_cpu = [irq.at_least if cpu == irq.slot % CPUS else 0 for cpu in range(CPUS)]
            assert irq.per_cpu == per_cpu


def runs_per_doorbell(folder: Path, driver: str) -> list[float]:
    """Return what one spaced doorbell of each queue costs by `lab pair run`."""
    drivers = ("--rc-driver", driver)
    found = []
    for flows in (1, QUEUES):
        output = folder / f"{driver}{flows}.json"
        setting = ("--queues", str(QUEUES), "--direction", "ep-to-rc", "--flows", str(flows))
        words = (*drivers, *setting, "--quick", "-o", str(output))
        assert main(["lab", "pair", "run", *words]) == 0
        (point,) = load_as(output, PAIR_SCHEMA, PairResult).points
        found.append(sum(point.runs_per_qp) / point.events)
    first, mean = found
    return [first, *[(QUEUES * mean - first) / (QUEUES - 1)] * (QUEUES - 1)]


def value(run: BoardRun, name: str) -> float:
    return next(one.value for one in run.measures if one.name == name)


@pytest.mark.parametrize("variant", ["before", "after"])
def test_counts_agree_with_lab_pair_run(
    session: tuple[BoardResult, Path], tmp_path: Path, variant: str
) -> None:
    """A ping is spaced: a request is one interrupt, and wakes what a doorbell of its queue does."""
    result, _ = session
    costs = runs_per_doorbell(tmp_path, variant)
    runs = [run for run in result.runs if run.variant == variant]
    assert runs
    for run in runs:
        sent = run.packets_per_queue
        expected = sum(map(float.__mul__, costs, map(float, sent))) / sum(sent)
        assert value(run, "doorbell interrupts") == pytest.approx(1, rel=0.05)
        assert value(run, "amplification") == pytest.approx(expected, rel=0.05)
