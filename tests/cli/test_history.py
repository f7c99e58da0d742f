# SPDX-License-Identifier: BSD-3-Clause
"""`history` and `calibrate` from the command line."""

import csv
import re
import shlex
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare_data import changed, compat, pyperf, pytest_benchmark, sweep, written
from compare_runs import Ran

from benches.history_changes import autoregressive
from ntbbench.compare.policy import Policy, load_policy
from ntbbench.compare.statistics import changepoints

Record = dict[str, Any]
NAME = "benches/test_x.py::"


@dataclass
class Store:
    """A history in a file of its own; commits are c0, c1, ..."""

    ntbbench: Callable[..., Ran]
    path: Path
    commits: int = 0

    def add(self, *records: Record) -> None:
        for record in records:
            ran = self.run("add", written(self.path.with_name("r.json"), record), "--commit",
                           f"c{self.commits}")  # fmt: skip
            assert ran.code == 0
            self.commits += 1

    def run(self, action: str, *words: object) -> Ran:
        return self.ntbbench("history", action, *words, "--store", self.path)

    def checked(self) -> tuple[int, dict[str, Any]]:
        ran = self.run("check", "--format", "json")
        return ran.code, ran.report


@pytest.fixture
def store(ntbbench: Callable[..., Ran], tmp_path: Path) -> Store:
    return Store(ntbbench, tmp_path / "store.sqlite")


def levels(*values: float) -> list[Record]:
    return [pytest_benchmark(i, 9, bench=value) for i, value in enumerate(values)]


def test_a_step_is_found_at_its_commit(store: Store) -> None:
    store.add(*levels(*[1e-3] * 10, *[1.06e-3] * 8))
    code, found = store.checked()
    (step,) = found["changes"]
    assert (code, step["commit"], step["change"]["kind"]) == (1, "c10", "step")
    assert step["change"]["ratio"] == pytest.approx(1.06, abs=0.005)


def test_drift_that_no_gate_sees_is_found(store: Store) -> None:
    store.add(*levels(*(1e-3 * 1.004**i for i in range(20))))
    code, found = store.checked()
    assert code == 1
    assert all(change["change"]["worse"] for change in found["changes"])
    first, last = found["changes"][0]["change"], found["changes"][-1]["change"]
    assert last["after"] / first["before"] > 1.04


@pytest.mark.parametrize(("last", "worse"), [(1e-3, []), (0.9e-3, [False])])
def test_a_quiet_history_and_an_improvement_pass(store: Store, last: float, worse) -> None:
    store.add(*levels(*[1e-3] * 8, *[last] * 8))
    code, found = store.checked()
    assert (code, [change["change"]["worse"] for change in found["changes"]]) == (0, worse)


@pytest.mark.parametrize(
    ("records", "steps"),
    [
        ([sweep(), changed(sweep(), 0, wakeups=1001)], [("c1", 1000, 1001, "regressed")]),
        (
            [compat(ep7="missed"), compat(ep7="per-vector"), compat(ep7="fallback")],
            [("c1", "missed", "per-vector", "improved"),
             ("c2", "per-vector", "fallback", "regressed")],
        ),
    ],
)  # fmt: skip
def test_exact_changes_need_no_history(store: Store, records: list[Record], steps) -> None:
    store.add(*records)
    code, found = store.checked()
    assert code == 1
    told = [(s["commit"], s["before"], s["after"], s["verdict"]) for s in found["exact"]]
    assert told == steps


def test_a_foreign_database_and_a_commit_twice_are_2(store: Store, tmp_path: Path) -> None:
    with sqlite3.connect(store.path) as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    assert store.run("check").code == 2
    store.path.unlink()
    file = written(tmp_path / "r.json", sweep())
    assert [store.run("add", file, "--commit", "c").code for _ in range(2)] == [0, 2]


@pytest.mark.usefixtures("in_an_empty_folder")
def test_the_default_store_is_made_and_to_read_it_does_not_write_it(ntbbench) -> None:
    for name, record in zip("ab", levels(1e-3, 1e-3), strict=True):
        file = written(Path("r.json"), record)
        assert ntbbench("history", "add", file, "--commit", name).code == 0
    store = Path("results/history.sqlite")
    before = store.read_bytes()
    store.chmod(0o444)
    assert ntbbench("history", "show").code == ntbbench("history", "check").code == 0
    assert store.read_bytes() == before


def test_a_regression_that_was_fixed_is_told_and_passes(store: Store) -> None:
    store.add(*levels(*[1e-3] * 10, *[1.07e-3] * 8, *[1e-3] * 8))
    ran = store.run("check")
    assert ran.code == 0
    assert "1 of 3 metrics changed" in ran.out
    assert "regressed 7.0" in ran.out and "% at c10, and was fixed at c18" in " ".join(
        ran.out.split()
    )
    up, down = store.checked()[1]["changes"]
    assert (up["fixed"], down["fixed"], up["accepted"]) == ("c18", None, False)


def test_a_step_shows_by_its_second_commit(store: Store) -> None:
    store.add(*levels(*[1e-3] * 20, 1.2e-3))
    assert store.run("check").code == 0
    store.add(*levels(1.2e-3))
    code, found = store.checked()
    assert (code, [change["commit"] for change in found["changes"]]) == (1, ["c20"])


def test_an_accepted_step_fails_no_longer_and_another_does(store: Store) -> None:
    store.add(*levels(*[1e-3] * 10, *[1.07e-3] * 8))
    assert store.run("check").code == 1
    ran = store.run("accept", "c10", "--metric", "*bench", "--why", "wider rings")
    assert (ran.code, ran.out) == (0, "accepted at 'c10': what changed in 1 metric\n")
    ran = store.run("check")
    assert ran.code == 0
    assert "at c10, which is accepted (wider rings)" in " ".join(ran.out.split())
    assert store.run("check", "--format", "csv").out.splitlines()[1].endswith('True,"wider rings"')
    store.add(*levels(*[1.2e-3] * 4))
    code, found = store.checked()
    assert code == 1
    assert [(c["commit"], c["accepted"]) for c in found["changes"]] == [
        ("c10", True),
        ("c18", False),
    ]


def test_drift_that_is_accepted_begins_anew(store: Store) -> None:
    noise = np.random.default_rng(6).normal(0, 0.01, 60)
    store.add(*levels(*(1e-3 * np.exp(np.linspace(0, 0.03, 60) + noise))))
    code, found = store.checked()
    assert (code, [change["change"]["kind"] for change in found["changes"]]) == (1, ["drift"])
    assert "by drift by c59" in " ".join(store.run("check").out.split())
    assert store.run("accept", "c59").code == 0
    assert store.checked()[0] == 0


def test_exact_steps_are_fixed_and_accepted_too(store: Store) -> None:
    store.add(sweep(), changed(sweep(), 0, wakeups=1001), sweep())
    code, found = store.checked()
    assert (code, [step["fixed"] for step in found["exact"]]) == (0, ["c2", None])
    store.add(changed(sweep(), 0, wakeups=1001))
    assert store.checked()[0] == 1
    assert store.run("accept", "c3", "--metric", "*:wakeups").code == 0
    assert store.checked()[0] == 0


def test_a_window_leaves_out_what_was_before(store: Store) -> None:
    store.add(*levels(*[1e-3] * 10, *[1.07e-3] * 9))
    assert store.run("check", "--last", "10").code == 0  # one commit of before is no level
    assert store.run("check", "--since", "c10").code == 0
    assert store.run("show", "--last", 3, "--metric", "*bench").out.count(" ms") == 3
    assert "c17" not in store.run("show", "--since", "c18").out
    for words, error in (
        (("--last", "0"), "--last: '0': a number of commits, 1 or more"),
        (("--since", "x"), "--since: 'x': a commit of the store"),
    ):
        ran = store.run("check", *words)
        assert (ran.code, error in ran.err) == (2, True)


def test_noise_that_wanders_is_named(store: Store) -> None:
    wander = autoregressive(np.random.default_rng(1), 50, 0.8)
    store.add(*levels(*(1e-3 * np.exp(0.02 * wander))))
    code, found = store.checked()
    assert (code, found["changes"]) == (0, [])
    assert found["noise"][0]["autocorrelation"] == pytest.approx(0.8, abs=0.2)
    assert any("1 metric has autocorrelated noise (lag 1: 0." in note for note in found["notes"])


def test_otava_reads_the_export(store: Store, tmp_path: Path) -> None:
    """By its documented format: a time column, attributes, a number in every other cell."""
    store.add(*levels(*[1e-3] * 3))
    record = pytest_benchmark(3, 9, bench=1.1e-3, **{'a, "b"': 2e-3})
    store.add(record)
    file = tmp_path / "otava.csv"
    ran = store.run("export", "--format", "otava", "-o", file)
    assert (ran.code, ran.err) == (0, "ntbbench: 2 metrics left out, whose values are words\n")
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["commit"] for row in rows] == ["c0", "c1", "c2", "c3"]
    times = [datetime.fromisoformat(row["time"]) for row in rows]
    assert times == sorted(set(times))
    assert times[0].tzinfo is not None and times[-1] <= datetime.now(UTC)
    columns = [name for name in rows[0] if name not in ("time", "commit")]
    assert NAME + 'a, "b"' in columns
    values = {name: [float(row[name]) for row in rows] for name in columns}
    assert values[f"{NAME}bench"] == pytest.approx([1e-3, 1e-3, 1e-3, 1.1e-3], rel=0.01)
    assert len(set(values[NAME + 'a, "b"'])) == 1  # what lacks is the value beside it
    assert store.run("export").out == file.read_text()
    assert store.run("export", "-o", store.path).code == 2


def test_histories_without_a_change_rarely_alarm() -> None:
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(60):
        series = {f"m{i}": np.exp(rng.normal(0, 0.03, 20)) for i in range(5)}
        alarms += bool(
            changepoints.changes(series, dict.fromkeys(series, "lower"), Policy(threshold=0.0))
        )
    assert alarms <= 9  # P(more) < 1e-3 at a true 5 %


def test_a_step_is_found_among_a_thousand_metrics() -> None:
    rng = np.random.default_rng(4)
    series = {f"m{i}": 100 + rng.normal(0, 0.3, 24) for i in range(1000)}
    series["m7"][14:] *= 1.1
    found = changepoints.changes(series, dict.fromkeys(series, "lower"), Policy())
    assert [(c.metric, c.kind, c.index) for c in found] == [("m7", "step", 14)]


def test_another_unit_or_kind_is_refused_and_nothing_is_stored(store: Store, tmp_path) -> None:
    record = pyperf()
    store.add(record)
    record["metadata"]["unit"] = "byte"
    ran = store.run("add", written(tmp_path / "r.json", record), "--commit", "b")
    assert ran.code == 2
    assert "RESULT: bench: 'noisy in B': noisy in s, as in the store" in ran.err
    assert store.run("show").out.count("ms") == 1


def test_what_ended_and_what_is_zero_is_told(store: Store) -> None:
    for i in range(9):
        record = pytest_benchmark(i, 9, **{"bench": 1e-3, "idle": 0.0, "old[1]": 1e-3})
        del record["benchmarks"][0 if i < 8 else 2]["extra_info"]
        if i == 8:
            del record["benchmarks"][2]
        store.add(record)
    ended, zeros, _ = store.checked()[1]["notes"]
    assert "metrics are not in the last result" in ended
    assert zeros == "1 noisy metric has a median of zero somewhere: not tested"
    assert store.run("show", "--metric", f"{NAME}old[1]").out.count(" ms") == 8


def test_a_history_too_short_to_check_is_4(store: Store) -> None:
    store.add(*levels(1e-3))
    code, found = store.checked()
    assert (code, found["checked"], found["metrics"]) == (4, 0, 3)
    store.add(*levels(1e-3))
    code, found = store.checked()
    assert (code, found["checked"]) == (0, 2)  # the exact metrics; the noisy one takes 7 commits


def test_show_says_that_it_shows_the_last_commits_only(store: Store) -> None:
    store.add(*levels(*[1e-3] * 12))
    assert "the last 12" not in store.run("show").out
    store.add(*levels(1e-3))
    out = store.run("show").out
    assert "(noisy, 13 commits; the last 12, --format json has all)" in " ".join(out.split())
    shown = re.findall(r"^ +(c\d+) ", out, re.MULTILINE)
    assert shown[:12] == [f"c{number}" for number in range(1, 13)] and "c0" not in shown
    assert "no metric has such a name" in store.run("show", "--metric", "x").out


@pytest.fixture
def calibrate(ntbbench: Callable[..., Ran], tmp_path: Path) -> Callable[..., Ran]:
    """Calibrate on records, a run each."""

    def run(records: list[Record], *options: object) -> Ran:
        files = [written(tmp_path / f"{i}.json", record) for i, record in enumerate(records)]
        return ntbbench("calibrate", *files, *options)

    return run


def test_calibrate_learns_thresholds_the_gate_can_use(ntbbench, calibrate, tmp_path) -> None:
    rng = np.random.default_rng(3)
    runs = [pytest_benchmark(i, 30, a=1e-3 * rng.normal(1, 0.06), b=1e-3) for i in range(10)]
    policy, free = tmp_path / "thresholds.toml", tmp_path / "free.toml"
    free.write_text("one_process_allowance = 0.0")
    ran = calibrate(runs, "-o", policy, "--policy", free, "--format", "json")
    found = ran.report
    assert (ran.code, found["schema"]) == (0, "ntbbench.calibrate/1")
    assert found["alarms"] >= 3  # within one process the wandering of `a` looks like a change
    floors = {floor["metric"].rpartition("::")[2]: floor for floor in found["floors"]}
    assert floors["a"]["threshold"] > 0.05 > floors["b"]["threshold"]
    assert len(load_policy(policy).rule) == 2
    files = (tmp_path / "0.json", tmp_path / "1.json")
    assert ntbbench("gate", *files, "--policy", policy).code == 0


def test_calibrate_tells_what_it_could_not_measure(calibrate) -> None:
    ran = calibrate([changed(sweep(), 0, wakeups=i) for i in range(4)])
    assert (ran.code, "not exact" in ran.out) == (1, True)
    runs = [pytest_benchmark(i, test_a=1e-3, idle=0.0) for i in range(4)]
    assert calibrate(runs).code == 0
    runs[2]["benchmarks"].pop(0)
    ran = calibrate(runs, "--format", "json")
    found = ran.report
    missing = [f"{NAME}test_a", f"{NAME}test_a:instructions", f"{NAME}test_a:listed"]
    assert (ran.code, found["missing"]) == (4, missing)
    assert (found["zeros"], found["exact_differences"]) == ([f"{NAME}idle"], [])


def test_runs_that_are_not_of_the_same_thing_are_refused(calibrate) -> None:
    runs = [pytest_benchmark(i) for i in range(4)]
    runs[3]["machine_info"]["cpu"]["brand_raw"] = "Example 2"
    ran = calibrate(runs)
    assert (ran.code, "cpu.brand_raw" in ran.err, "--force" in ran.err) == (5, True, False)
    ran = calibrate([*runs[:3], pyperf()])
    assert (ran.code, "schema" in ran.err) == (5, True)


def test_calibrate_runs_a_command_without_a_shell(ntbbench, tmp_path: Path) -> None:
    source = written(tmp_path / "source.json", pytest_benchmark(1, 9, x=1.0))
    copy = f"import shutil, sys; shutil.copy({source!r}, sys.argv[1])"
    command = shlex.join([sys.executable, "-c", copy, "{output}"])
    ran = ntbbench("calibrate", "--rounds", 4, "--command", command)
    assert (ran.code, "4 runs" in ran.out) == (0, True)
    for bad in ("false {output}", "true {output}", "no-such-program {output}"):
        assert ntbbench("calibrate", "--rounds", 4, "--command", bad).code == 2
    ran = ntbbench("calibrate", "--rounds", "4", "--command", "touch {output}")
    assert ran.code == 2
    assert ran.err.count("A/A run") == 1  # it stops at the first run that is empty
    assert "this exits 0 and writes nothing" in ran.err
