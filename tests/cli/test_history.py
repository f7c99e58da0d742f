# SPDX-License-Identifier: BSD-3-Clause
"""`history` and `calibrate` from the command line."""

import json
import shlex
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest
from compare_data import changed, compat, pyperf, pytest_benchmark, sweep, written

from ntbbench.cli.main import main
from ntbbench.compare.policy import Policy, load_policy
from ntbbench.compare.statistics import changepoints


def run(capsys, *arguments: object) -> tuple[int, str]:
    code = main([str(argument) for argument in arguments])
    return code, capsys.readouterr().out


def fill(capsys, tmp_path: Path, levels: list[float]) -> Path:
    store = tmp_path / "store.sqlite"
    for i, level in enumerate(levels):
        file = written(tmp_path / "r.json", pytest_benchmark(i, 9, bench=level))
        assert run(capsys, "history", "add", file, "--commit", f"c{i}", "--store", store)[0] == 0
    return store


def check(capsys, store: Path) -> tuple[int, dict]:
    code, out = run(capsys, "history", "check", "--store", store, "--format", "json")
    return code, json.loads(out)


def test_a_step_is_found_at_its_commit(capsys, tmp_path: Path) -> None:
    store = fill(capsys, tmp_path, [1e-3] * 10 + [1.06e-3] * 8)
    code, found = check(capsys, store)
    (step,) = found["changes"]
    assert (code, step["commit"], step["change"]["kind"]) == (1, "c10", "step")
    assert step["change"]["ratio"] == pytest.approx(1.06, abs=0.005)


def test_drift_that_no_gate_sees_is_found(capsys, tmp_path: Path) -> None:
    store = fill(capsys, tmp_path, [1e-3 * 1.004**i for i in range(20)])
    code, found = check(capsys, store)
    assert code == 1
    assert all(change["change"]["worse"] for change in found["changes"])
    first, last = found["changes"][0]["change"], found["changes"][-1]["change"]
    assert last["after"] / first["before"] > 1.04


def test_a_quiet_history_and_an_improvement_pass(capsys, tmp_path: Path) -> None:
    code, found = check(capsys, fill(capsys, tmp_path, [1e-3] * 14))
    assert (code, found["changes"]) == (0, [])
    other = tmp_path / "other"
    other.mkdir()
    code, found = check(capsys, fill(capsys, other, [1e-3] * 8 + [0.9e-3] * 8))
    assert (code, [c["change"]["worse"] for c in found["changes"]]) == (0, [False])


def test_exact_changes_need_no_history(capsys, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    for name, record in (("a", sweep()), ("b", changed(sweep(), 0, wakeups=1001))):
        file = written(tmp_path / "r.json", record)
        run(capsys, "history", "add", file, "--commit", name, "--store", store)
    code, found = check(capsys, store)
    assert code == 1
    assert [(s["commit"], s["before"], s["after"]) for s in found["exact"]] == [("b", 1000, 1001)]
    assert "1001" in run(capsys, "history", "check", "--store", store)[1]
    assert "1001" in run(capsys, "history", "show", "--store", store, "--metric", "*:wakeups")[1]


def test_bad_stores_are_2(capsys, tmp_path: Path) -> None:
    good = written(tmp_path / "r.json", sweep())
    assert run(capsys, "history", "check", "--store", tmp_path / "none")[0] == 2
    (tmp_path / "text").write_text("no database, though long enough to be read as one" * 20)
    assert run(capsys, "history", "check", "--store", tmp_path / "text")[0] == 2
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE x (y)")
    connection.close()
    assert run(capsys, "history", "check", "--store", foreign)[0] == 2
    store = tmp_path / "s.sqlite"
    add = ("history", "add", good, "--commit", "c", "--store", store)
    assert [run(capsys, *add)[0], run(capsys, *add)[0]] == [0, 2]


def test_histories_without_a_change_rarely_alarm() -> None:
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(60):
        series = {f"m{i}": np.exp(rng.normal(0, 0.03, 20)) for i in range(5)}
        alarms += bool(
            changepoints.changes(series, dict.fromkeys(series, "lower"), Policy(threshold=0.0))
        )
    assert alarms <= 9  # P(more) < 1e-3 at a true 5 %


def test_calibrate_learns_thresholds_the_gate_can_use(capsys, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    files = [
        written(
            tmp_path / f"{i}.json", pytest_benchmark(i, 30, a=1e-3 * rng.normal(1, 0.06), b=1e-3)
        )
        for i in range(10)
    ]
    policy, free = tmp_path / "thresholds.toml", tmp_path / "free.toml"
    free.write_text("one_process_allowance = 0.0")
    words = ("-o", policy, "--policy", free, "--format", "json")
    code, out = run(capsys, "calibrate", *files, *words)
    assert code == 0
    found = json.loads(out)
    assert found["schema"] == "ntbbench.calibrate/1"
    assert found["alarms"] >= 3  # within one process the wandering of `a` looks like a change
    floors = {floor["metric"].rpartition("::")[2]: floor for floor in found["floors"]}
    assert floors["a"]["threshold"] > 0.05 > floors["b"]["threshold"]
    assert len(load_policy(policy).rule) == 2
    code, _ = run(capsys, "gate", files[0], files[1], "--policy", policy)
    assert code == 0
    assert "noise floor" in run(capsys, "calibrate", *files)[1]


def test_calibrate_names_metrics_that_are_not_exact(capsys, tmp_path: Path) -> None:
    files = [written(tmp_path / f"{i}.json", changed(sweep(), 0, wakeups=i)) for i in range(4)]
    code, out = run(capsys, "calibrate", *files)
    assert code == 1
    assert "not exact" in out


def test_calibrate_runs_a_command_without_a_shell(capsys, tmp_path: Path) -> None:
    source = written(tmp_path / "source.json", pytest_benchmark(1, 9, x=1.0))
    copy = f"import shutil, sys; shutil.copy({source!r}, sys.argv[1])"
    command = shlex.join([sys.executable, "-c", copy, "{output}"])
    code, out = run(capsys, "calibrate", "--rounds", 4, "--command", command)
    assert (code, "4 runs" in out) == (0, True)
    for bad in ("true", "false {output}", "true {output}", "no-such-program {output}", "'"):
        assert run(capsys, "calibrate", "--rounds", 4, "--command", bad)[0] == 2
    assert run(capsys, "calibrate", "--rounds", 1)[0] == 2


def refused(capsys, *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err


def test_a_better_verdict_is_an_improvement(capsys, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    for name, verdict in (("a", "missed"), ("b", "per-vector"), ("c", "fallback")):
        file = written(tmp_path / "r.json", compat(ep7=verdict))
        run(capsys, "history", "add", file, "--commit", name, "--store", store)
    code, found = check(capsys, store)
    assert code == 1
    assert [(s["commit"], s["verdict"]) for s in found["exact"]] == [
        ("b", "improved"),
        ("c", "regressed"),
    ]


def test_another_unit_or_kind_is_refused_and_nothing_is_stored(capsys, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    record = pyperf()
    add = ("history", "add", tmp_path / "r.json", "--store", store, "--commit")
    written(tmp_path / "r.json", record)
    assert run(capsys, *add, "a")[0] == 0
    record["metadata"]["unit"] = "byte"
    written(tmp_path / "r.json", record)
    assert "RESULT: bench: 'noisy in B': noisy in s, as in the store" in refused(capsys, *add, "b")
    assert "--commit: ''" in refused(capsys, *add, "")
    assert run(capsys, "history", "show", "--store", store)[1].count("ms") == 1


def test_what_ended_and_what_is_zero_is_told(capsys, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    for i in range(9):
        record = pytest_benchmark(i, 9, **{"bench": 1e-3, "idle": 0.0, "old[1]": 1e-3})
        del record["benchmarks"][0 if i < 8 else 2]["extra_info"]
        if i == 8:
            del record["benchmarks"][2]
        file = written(tmp_path / "r.json", record)
        run(capsys, "history", "add", file, "--commit", f"c{i}", "--store", store)
    _, found = check(capsys, store)
    ended, zeros = found["notes"]
    assert "metrics are not in the last result" in ended
    assert zeros == "1 noisy metric has a median of zero somewhere: not tested"
    shown = run(
        capsys, "history", "show", "--store", store, "--metric", "benches/test_x.py::old[1]"
    )[1]
    assert shown.count(" ms") == 8


def test_a_step_is_found_among_a_thousand_metrics() -> None:
    rng = np.random.default_rng(4)
    series = {f"m{i}": 100 + rng.normal(0, 0.3, 24) for i in range(1000)}
    series["m7"][14:] *= 1.1
    found = changepoints.changes(series, dict.fromkeys(series, "lower"), Policy())
    assert [(c.metric, c.kind, c.index) for c in found] == [("m7", "step", 14)]


def calibration(capsys, tmp_path: Path, records: list[dict], *options: str) -> tuple[int, str]:
    files = [written(tmp_path / f"{i}.json", record) for i, record in enumerate(records)]
    code = main(["calibrate", *files, *options])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_runs_that_are_not_of_the_same_thing_are_refused(capsys, tmp_path: Path) -> None:
    runs = [pytest_benchmark(i) for i in range(4)]
    runs[3]["machine_info"]["cpu"]["brand_raw"] = "Example 2"
    code, text = calibration(capsys, tmp_path, runs)
    assert (code, "cpu.brand_raw" in text, "--force" in text) == (5, True, False)
    code, text = calibration(capsys, tmp_path, [*runs[:3], pyperf()])
    assert (code, "schema" in text) == (5, True)


def test_calibrate_tells_what_it_could_not_measure(capsys, tmp_path: Path) -> None:
    runs = [pytest_benchmark(i, test_a=1e-3, idle=0.0) for i in range(4)]
    assert calibration(capsys, tmp_path, runs)[0] == 0
    runs[2]["benchmarks"].pop(0)
    code, out = calibration(capsys, tmp_path, runs, "--format", "json")
    found = json.loads(out)
    assert code == 4
    name = "benches/test_x.py::"
    assert found["missing"] == [
        name + "test_a",
        f"{name}test_a:instructions",
        f"{name}test_a:listed",
    ]
    assert (found["zeros"], found["exact_differences"]) == ([name + "idle"], [])
    assert f"not in every run: {name}test_a\n" in calibration(capsys, tmp_path, runs)[1]


def test_long_names_of_a_calibration_can_be_told_apart(capsys, tmp_path: Path) -> None:
    runs = [sweep(i, 6) for i in range(4)]
    out = calibration(capsys, tmp_path, runs)[1]
    assert {"q1/d4", "q1/d8", "q2/d4", "q2/d8", "q4/d4", "q4/d8"} <= set(out.split())
    assert max(map(len, out.splitlines())) <= 80


def test_a_history_too_short_to_check_is_4(capsys, tmp_path: Path) -> None:
    store = fill(capsys, tmp_path, [1e-3])
    code, found = check(capsys, store)
    assert (code, found["checked"], found["metrics"]) == (4, 0, 3)
    assert "nothing to check" in run(capsys, "history", "check", "--store", store)[1]
    file = written(tmp_path / "r.json", pytest_benchmark(1, 9, bench=1e-3))
    run(capsys, "history", "add", file, "--commit", "second", "--store", store)
    code, found = check(capsys, store)
    assert (code, found["checked"]) == (0, 2)  # the exact metrics; the noisy one takes 8 commits
    out = run(capsys, "history", "check", "--store", store)[1]
    assert "1 noisy metric has too few commits to say anything: it takes 8" in " ".join(out.split())


def test_show_says_that_it_shows_the_last_commits_only(capsys, tmp_path: Path) -> None:
    store = fill(capsys, tmp_path, [1e-3] * 12)
    assert "the last 12" not in run(capsys, "history", "show", "--store", store)[1]
    file = written(tmp_path / "r.json", pytest_benchmark(1, 9, bench=1e-3))
    run(capsys, "history", "add", file, "--commit", "last", "--store", store)
    out = run(capsys, "history", "show", "--store", store)[1]
    assert "(noisy, 13 commits; the last 12, --format json has all)" in " ".join(out.split())
    assert "\n  c1 " in out
    assert "\n  c0 " not in out


def test_a_store_in_a_folder_that_is_not_there_is_refused(capsys, tmp_path, monkeypatch) -> None:
    file = written(tmp_path / "r.json", pytest_benchmark(1, 9, bench=1e-3))
    store = tmp_path / "none" / "s.sqlite"
    assert main(["history", "add", file, "--commit", "c", "--store", str(store)]) == 2
    assert f"--store: {str(store)!r}: cannot be written" in capsys.readouterr().err
    assert not store.parent.exists()
    assert main(["history", "add", file, "--commit", "", "--store", str(tmp_path / "s")]) == 2
    assert not (tmp_path / "s").exists()
    monkeypatch.chdir(tmp_path)
    assert main(["history", "add", file, "--commit", "c"]) == 0  # the default's is made
    assert (tmp_path / "results" / "history.sqlite").exists()


def test_calibrate_stops_at_the_first_run_that_is_empty(capsys) -> None:
    assert main(["calibrate", "--rounds", "4", "--command", "touch {output}"]) == 2
    told = capsys.readouterr().err
    assert told.count("A/A run") == 1
    assert "this exits 0 and writes nothing" in told
