# SPDX-License-Identifier: BSD-3-Clause
"""--paired over results that are joined: run by run, and what has no partner is said."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from compare_data import iperf3, pyperf, pytest_benchmark, runs_csv, samples, sweep, written

DRIFT = [100.0 * 1.1**i for i in range(12)]  # what only pairs see through
SLOWER = [value * 1.05 for value in DRIFT]


def tables(path: Path, name: str, values: Sequence[float]) -> str:
    """Files of three rows each, joined by commas; the rows of one are a run's samples."""
    files = []
    for number, value in enumerate(values, start=1):
        file = path / f"{name}{number}.csv"
        files.append(str(runs_csv(file, {"m": [value, value * 1.001, value * 0.999]})))
    return ",".join(files)


def folder(path: Path, records: Sequence[dict[str, Any]], names: Sequence[str] = ()) -> Path:
    """A folder with a file a record."""
    path.mkdir()
    for number, record in enumerate(records, start=1):
        written(path / f"{names[number - 1] if names else f'run{number}'}.json", record)
    return path


def the_pair(ran: Any) -> tuple[int, int, int]:
    (found,) = [c for c in ran.report["comparisons"] if c["kind"] == "noisy"]
    return ran.code, found["n_base"], found["n_candidate"]


def test_joined_tables_pair_run_by_run_as_one_table_does(ntbbench, tmp_path: Path) -> None:
    sides = [tables(tmp_path, name, v) for name, v in (("base", DRIFT), ("cand", SLOWER))]
    joined = ntbbench("gate", *sides, "--paired", "--format", "json")
    table = runs_csv(tmp_path / "m.csv", {"b": DRIFT, "c": SLOWER})
    whole = ntbbench("gate", "--runs", table, "--paired", "--format", "json")
    assert the_pair(joined) == the_pair(whole) == (1, 12, 12)
    one, other = joined.report["comparisons"][0], whole.report["comparisons"][0]
    assert one["ratio"] == pytest.approx(1.05)
    assert one["p_value"] == other["p_value"]
    assert (one["ratio_low"], one["ratio_high"]) == (other["ratio_low"], other["ratio_high"])
    assert ntbbench("gate", *sides).code != 1  # unpaired, the drift hides it


def test_pairs_that_change_from_one_on_are_a_finding(ntbbench, tmp_path: Path) -> None:
    """What both runs of a pair share cancels, so that their order raises no doubt."""
    base = [float(101 + n) for n in range(12)]
    slower = [value + (100 if number >= 3 else 0) for number, value in enumerate(base)]
    ran = ntbbench(
        "gate", tables(tmp_path, "b", base), tables(tmp_path, "c", slower), "--paired",
        "--format", "json",
    )  # fmt: skip
    assert the_pair(ran) == (1, 12, 12)
    assert "dependent-samples" not in [w["code"] for w in ran.report["comparisons"][0]["warnings"]]


def test_more_rows_than_files_are_no_more_runs(ntbbench, tmp_path: Path) -> None:
    """Two files of three rows are two runs, whichever way round."""
    one = str(runs_csv(tmp_path / "a.csv", {"m": [1.0, 2.0, 3.0]}))
    other = tmp_path / "b.csv"
    other.write_text("m\n4\n\n3\n")
    ran = ntbbench("compare", f"{one},{other}", f"{other},{one}", "--paired", "--format", "json")
    assert the_pair(ran) == (0, 2, 2)
    (found,) = ran.report["comparisons"]
    assert found["ratio"] == pytest.approx((3.5 / 2 + 2 / 3.5) / 2)


@pytest.mark.parametrize(
    ("values", "count"), [(SLOWER[:11], 11), ([*SLOWER, 1.0], 13), (SLOWER[:1], 3)]
)
def test_runs_without_a_partner_are_refused(ntbbench, tmp_path: Path, values, count: int) -> None:
    """The rows of one table are its runs."""
    sides = tables(tmp_path, "base", DRIFT), tables(tmp_path, "cand", values)
    ran = ntbbench("gate", *sides, "--paired")
    base, candidate = ("+".join(Path(name).stem for name in side.split(",")) for side in sides)
    counts = f"'12 runs in {base} and {count} runs in {candidate}'"
    told = f"ntbbench: --paired: {counts}: as many runs on both sides, in their order\n"
    assert (ran.code, ran.out, ran.err) == (2, "", told)
    assert ntbbench("gate", *sides).code != 2


def test_a_table_pairs_with_joined_files_row_by_row(ntbbench, tmp_path: Path) -> None:
    base = tables(tmp_path, "base", DRIFT)
    table = str(runs_csv(tmp_path / "t.csv", {"m": SLOWER}))
    ran = ntbbench("gate", base, table, "--paired", "--format", "json")
    assert the_pair(ran) == (1, 12, 12)
    gap = str(runs_csv(tmp_path / "gap.csv", {"m": [*SLOWER[:4], None, *SLOWER[5:]], "k": DRIFT}))
    ran = ntbbench("gate", table, gap, "--paired", "--format", "json")
    both = {c["metric"]: c for c in ran.report["comparisons"]}
    assert (both["m"]["n_base"], both["m"]["n_candidate"]) == (11, 11)
    assert ntbbench("gate", base, gap, "--paired").code == 4  # `k` is in one of them alone


@pytest.mark.parametrize("kind", ["pytest-benchmark", "pyperf", "sweep", "iperf3"])
def test_folders_pair_file_by_file(ntbbench, tmp_path: Path, kind: str) -> None:
    """In the order of their numbers: run9 before run10."""

    def record(seed: int, value: float) -> dict[str, Any]:
        if kind != "sweep":
            return {
                "iperf3": lambda: iperf3(1e11 / value, seed),
                "pyperf": lambda: pyperf(seed, centre=value),
                "pytest-benchmark": lambda: pytest_benchmark(seed, test_scan=value),
            }[kind]()
        timing = {"median": value, "low": value, "high": value, "samples": [value, value * 1.001]}
        found = sweep()
        return found | {"points": [found["points"][0] | {"ns_per_dispatch": timing}]}

    base, new = (
        folder(tmp_path / name, [record(i + seed, v) for i, v in enumerate(values)])
        for name, seed, values in (("a", 1, DRIFT), ("b", 50, SLOWER))
    )
    ran = ntbbench("gate", base, new, "--paired", "--format", "json")
    metric = next(c for c in ran.report["comparisons"] if c["kind"] == "noisy")
    assert (ran.code, metric["verdict"]) == (1, "regressed")
    assert (metric["n_base"], metric["n_candidate"]) == (12, 12)
    assert ntbbench("gate", base, new).code != 1
    (new / "run12.json").unlink()
    ran = ntbbench("gate", base, new, "--paired")
    assert (ran.code, ran.out) == (2, "")
    assert f"'{base / 'run12.json'}': files of the same names" in ran.err
    for file in new.iterdir():
        file.rename(file.with_stem(f"new-{file.stem}"))
    ran = ntbbench("gate", base, new, "--paired")
    assert (ran.code, "12 runs in a and 11 runs in b" in ran.err) == (2, True)


def test_a_file_of_one_run_is_no_partner_of_several(ntbbench, tmp_path: Path) -> None:
    """Its rounds, intervals or replications are no runs, were they as many."""
    rounds = [pytest_benchmark(i, n=12) for i in range(12)]
    many = folder(tmp_path / "many", rounds)
    one = written(tmp_path / "one.json", pytest_benchmark(1, n=12))
    ran = ntbbench("gate", one, many, "--paired")
    assert (ran.code, "1 run in one and 12 runs in many" in ran.err) == (2, True)
    intervals = written(tmp_path / "i.json", iperf3(1e9, intervals=5))
    several = tmp_path / "several.json"
    several.write_text("\n".join(json.dumps(iperf3(1e9, i)) for i in range(5)))
    ran = ntbbench("gate", intervals, several, "--paired")
    assert (ran.code, "1 run in i and 5 runs in several" in ran.err) == (2, True)
    apart = folder(tmp_path / "apart", [iperf3(1e9, i) for i in range(5)])
    ran = ntbbench("gate", several, apart, "--paired", "--format", "json")
    throughput = ran.comparisons["throughput"]
    assert (ran.code in (0, 3), throughput["n_base"], throughput["ratio"]) == (True, 5, 1.0)


def test_folders_with_some_names_in_common_are_refused(ntbbench, tmp_path: Path) -> None:
    """Which of the others would be a pair is not known; names that all differ go by their order."""
    runs = [pytest_benchmark(i) for i in range(6)]
    named = {"a": "1 2 3 4 5 6", "b": "1 2 3 4 5 7", "c": "x1 x2 x3 x4 x5 x6"}
    base, other, apart = (folder(tmp_path / k, runs, v.split()) for k, v in named.items())
    ran = ntbbench("gate", base, other, "--paired")
    told = f"'{base / '6.json'}': files of the same names in {base} and {other}"
    assert (ran.code, ran.out, ran.err) == (2, "", f"ntbbench: --paired: {told}\n")
    assert ntbbench("gate", base, other).code == ntbbench("gate", base, apart, "--paired").code == 0


def test_simulations_pair_seed_by_seed(ntbbench, tmp_path: Path) -> None:
    words = "simulate --protocol tcp --dispatch fallback --affinity single --queues 1"
    words += " --duration 3ms --warmup 0 --replications 2 --jobs 1"
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        for seed in range(5):
            out = tmp_path / side / f"{seed}.json"
            assert ntbbench(*words.split(), "--seed", seed, "-o", out).code == 0
    ran = ntbbench("compare", tmp_path / "a", tmp_path / "b", "--paired", "--format", "json")
    (throughput,) = [c for m, c in ran.comparisons.items() if m.endswith(":throughput")]
    assert (throughput["n_base"], throughput["ratio"], throughput["simulated"]) == (5, 1.0, True)
    assert "share no draws" not in " ".join(ran.report["environment"]["notes"])
    ran = ntbbench("compare", tmp_path / "a" / "1.json", tmp_path / "b", "--paired")
    assert (ran.code, "1 run in 1 and 5 runs in b" in ran.err) == (2, True)


def test_joined_files_that_lack_a_metric_are_refused(ntbbench, tmp_path: Path) -> None:
    whole = str(runs_csv(tmp_path / "a.csv", {"m": samples(1, 3), "k": samples(2, 3)}))
    part = str(runs_csv(tmp_path / "b.csv", {"m": samples(1, 3), "k": [None]}))
    ran = ntbbench("gate", f"{whole},{part}", f"{whole},{whole}", "--paired")
    assert (ran.code, "'k' differs" in ran.err) == (2, True)
