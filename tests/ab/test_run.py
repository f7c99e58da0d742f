# SPDX-License-Identifier: BSD-3-Clause
"""The loop, on processes that are only pretended: which blocks, when it ends, what it saves."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ab_records import ab_result

from ntbbench.ab import run as loop
from ntbbench.ab.metrics import RunReader
from ntbbench.ab.process import Interrupted, Job, Ran
from ntbbench.ab.records import AbResult
from ntbbench.ab.revisions import HERE
from ntbbench.ab.run import Bench, Watcher, judged, run_blocks
from ntbbench.ab.schedule import AbPlan
from ntbbench.core.errors import InputError
from ntbbench.core.options import changed, shown

Times = Callable[[int, str], float]


class Pretended:
    """Processes whose wall time is a function of how many ran before and of their side."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, times: Times) -> None:
        self.jobs: list[Job] = []
        self.saved: list[AbResult] = []
        self.told: list[int] = []
        self.asks = 10**9  # the run at which an end is asked for
        self.times, self.folder = times, folder
        monkeypatch.setattr(loop, "run_job", self.job)

    def job(self, job: Job, stop: Callable[[], bool]) -> Ran:
        if stop():
            raise Interrupted
        self.jobs.append(job)
        side = job.option.removeprefix("--")
        return Ran(self.times(len(self.jobs) - 1, side), 0.0, b"")

    def run(self, result: AbResult) -> AbResult:
        bench = Bench(
            {"base": HERE, "candidate": HERE}, RunReader(["wall"], leaves_file=False), None,
            self.folder,
        )  # fmt: skip
        watcher = Watcher(
            lambda: len(self.jobs) >= self.asks,
            self.saved.append,
            lambda now, report: self.told.append(now.blocks),
        )
        return run_blocks(result, bench, watcher)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Times], Pretended]:
    return lambda times: Pretended(monkeypatch, tmp_path, times)


def wander(number: int) -> float:
    """Return a factor that differs from run to run by up to 0.4 %."""
    return 1 + (number * 37 % 101) / 25_000


def planned(**plan: object) -> AbResult:
    return ab_result([], plan={"seed": 5, "warmup": 1, **plan})


def sides(pretended: Pretended) -> Iterator[tuple[str, ...]]:
    options = [job.option for job in pretended.jobs]
    yield from zip(options[::2], options[1::2], strict=True)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.1, "regressed"), (0.9, "improved"), (1.0, "equivalent")]
)
def test_it_ends_when_it_is_decided(pretended, factor: float, verdict: str) -> None:
    ran = pretended(lambda n, side: wander(n) * (factor if side == "candidate" else 1))
    result = ran.run(planned())
    assert result.stopped == "decided" and result.complete
    assert [c.verdict for c in judged(result).comparisons] == [verdict]
    assert 7 <= result.blocks <= 12
    assert [run.block for run in result.runs[:4]] == [0, 0, 1, 1]  # a warm-up first
    assert {frozenset(pair) for pair in sides(ran)} == {frozenset({"--base", "--candidate"})}
    assert len(set(sides(ran))) == 2  # both orders


def test_the_same_seed_runs_the_same(pretended) -> None:
    one = pretended(noisy).run(planned(until=6))
    ran = pretended(noisy)
    other = ran.run(planned(until=6))
    assert [(r.side, r.environment_bytes) for r in one.runs] == [
        (r.side, r.environment_bytes) for r in other.runs
    ]
    padding = [len(job.environment[loop.PADDING_VARIABLE]) for job in ran.jobs]
    assert padding == [run.environment_bytes for run in other.runs]


def noisy(number: int, side: str) -> float:
    """Return times that no few blocks decide."""
    return 1 + (number * 61 % 97) / 97


@pytest.mark.parametrize(
    ("plan", "why", "blocks"),
    [({"until": 4}, "until", 4), ({"max_runs": 9}, "max-runs", 9)],
)
def test_it_ends_at_its_bounds(pretended, plan: dict, why: str, blocks: int) -> None:
    ran = pretended(noisy)
    result = ran.run(planned(**plan))
    assert (result.stopped, result.blocks) == (why, blocks)
    assert ran.told == list(range(blocks + 1))
    assert [saved.blocks for saved in ran.saved] == ran.told


def test_no_block_begins_after_the_time(pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = pretended(noisy)
    monkeypatch.setattr(loop, "monotonic", lambda: len(ran.jobs) * 10**9)
    result = ran.run(planned(max_time=20))
    assert (result.stopped, result.blocks, result.seconds) == ("max-time", 9, 20)
    assert [run.started for run in result.runs][:4] == [0, 1, 2, 3]


@pytest.mark.parametrize("asks", [0, 5, 6])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(pretended, asks: int) -> None:
    whole = pretended(noisy).run(planned(until=5))
    ran = pretended(noisy)
    ran.asks = asks
    part = ran.run(planned(until=5))
    assert part.stopped == "interrupted" and not part.complete
    assert len(part.runs) == asks // 2 * 2  # of a block that was not finished nothing is kept
    ran.asks = 10**9
    del ran.jobs[len(part.runs) :]
    found = ran.run(part)
    assert [(r.block, r.side, r.values) for r in found.runs] == [
        (r.block, r.side, r.values) for r in whole.runs
    ]


def test_a_run_that_fails_keeps_the_blocks_before(pretended) -> None:
    def breaks(number: int, side: str) -> float:
        if number == 7:
            raise InputError("--base", "x", "a command that exits 0; this run exits 1")
        return 1.0

    ran = pretended(breaks)
    with pytest.raises(InputError, match="exits 1"):
        ran.run(planned(until=9))
    assert ran.saved[-1].blocks == 2


def test_a_metric_that_comes_and_goes_is_refused(pretended, monkeypatch) -> None:
    ran = pretended(noisy)
    read = RunReader.read

    def sometimes(self, left):
        return read(self, left)[: 0 if len(ran.jobs) == 4 else None]

    monkeypatch.setattr(RunReader, "read", sometimes)
    with pytest.raises(InputError, match=r"metric: 'wall': a metric of every run: the .* lacks it"):
        ran.run(planned())


def test_a_command_that_writes_no_output(pretended) -> None:
    ran = pretended(noisy)
    result = ab_result([], plan={"seed": 5}, command="x {output}")
    with pytest.raises(InputError, match=r"a command that writes \{output\}; this run does not"):
        ran.run(result)
    assert not any("{output}" in word for job in ran.jobs for word in job.words)


def test_a_plan_of_the_result_is_what_is_run() -> None:
    plan = changed("", AbPlan(), planned(until=3).plan)
    assert shown(plan)["until"] == 3 and plan.most == 3
    assert AbPlan().most == AbPlan().max_runs
