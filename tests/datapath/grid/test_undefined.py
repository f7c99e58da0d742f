# SPDX-License-Identifier: BSD-3-Clause
"""Ratios and latencies of nothing: null, a dash, missing where compared, told with their cause."""

import csv
import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from rendered import rendered
from simulate_runs import ONE, Command, compared, loaded, saved, spec_of

from ntbbench.cli.main import main
from ntbbench.core.errors import ExitCode
from ntbbench.datapath.records import Estimate, OkSimulation
from ntbbench.datapath.summary import estimate, partly_defined, point_of
from ntbbench.report.document import Table
from ntbbench.report.views.simulation import document

LATE = ("--warmup", "0s", "--set", "traffic.start=0")


@pytest.fixture(scope="module")
def uncounted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No interrupt at all: the poll comes after the end; and one in some replications alone."""
    path = tmp_path_factory.mktemp("uncounted") / "result.json"
    words = [*ONE, *LATE, "--set", "link.doorbell=poll"]
    assert main(["simulate", *words, "-o", str(path)]) == 0
    return path


def test_a_ratio_of_nothing_is_null_and_a_dash(uncounted: Path) -> None:
    (point,) = saved(uncounted)["points"]
    assert point["interrupts"] == point["wakeups"] == 0 < point["rings"]
    for name in ("amplification", "effective_amplification", "spurious_ratio"):
        assert point[name] is None
        assert point["estimates"][name] is None
    assert point["delivered"] == 0
    assert [point["latency"][name] for name in ("p50", "p99", "p999")] == [None, None, None]
    result = loaded(uncounted)
    assert re.search(r"single +1 +- +- +- +0 ", rendered(result, "text"))
    cells = r"single +\| +1 +\| +- +\| +- +\| +- +\| +0 "
    assert re.search(cells, rendered(result, "md"))
    (row,) = csv.DictReader(io.StringIO(rendered(result, "csv")))
    assert row["amplification"] == row["amplification_a_replication_mean"] == ""
    assert row["latency_p50_mean"] == ""
    assert "amplification -, effective -" in rendered(result, "html")


@pytest.fixture(scope="module")
def counted(uncounted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with eight replications, each with interrupts and packets."""
    path = tmp_path_factory.mktemp("counted") / "result.json"
    words = ["--resume", str(uncounted), "--replications", "8", "-o", str(path)]
    assert main(["simulate", *words]) == 0
    result = saved(path)
    runs = result["points"][0]["replications"]
    for number, run in enumerate(runs):
        run["counts"] |= {"interrupts": 4, "schedule_calls": 8, "wakeups": 6, "spurious_wakeups": 3}
        run.update(dict.fromkeys(("p50", "p99", "p999"), (1 + number / 100) * 0.001))
    path.write_text(json.dumps(result))
    return path


JSON = ("--format", "json")
UNDEFINED = {
    "latency_p50", "latency_p99", "latency_p999",
    "amplification", "effective_amplification", "spurious_ratio",
}  # fmt: skip


def test_a_metric_that_one_side_lost_is_missing(
    uncounted: Path, counted: Path, ntbbench: Command
) -> None:
    """No latency and no ratio is not 0, the best there is, nor a reason to say nothing."""
    for sides, lacks in (((uncounted, counted), "base"), ((counted, uncounted), "candidate")):
        code, found = compared(ntbbench("gate", *sides, *JSON))
        assert code == ExitCode.MISSING
        assert {name for name, c in found.items() if c.get("missing") == lacks} == UNDEFINED
        assert "missing" not in found["throughput"]
        text = ntbbench("compare", *sides).out
        assert re.search(r"latency_p99.*missing|missing.*latency_p99", text)
    _, found = compared(ntbbench("compare", uncounted, uncounted, *JSON))
    assert not found.keys() & UNDEFINED  # where neither has it, there is nothing to say


def test_one_run_without_a_value_hides_no_regression(
    counted: Path, tmp_path: Path, ntbbench: Command
) -> None:
    """A latency and an amplification three times as high, and one replication with neither."""
    worse = tmp_path / "worse.json"
    result = saved(counted)
    runs = result["points"][0]["replications"]
    for run in runs:
        run["counts"] |= {"schedule_calls": 24}
        run |= {name: 3 * run[name] for name in ("p50", "p99", "p999")}
    runs[2] |= dict.fromkeys(("p50", "p99", "p999"))
    runs[2]["counts"] |= dict.fromkeys(("interrupts", "schedule_calls", "wakeups"), 0)
    worse.write_text(json.dumps(result))
    words = (counted, worse, "--correction", "none", *JSON)
    code, found = compared(ntbbench("gate", *words))
    assert code == ExitCode.FINDING
    for name in ("latency_p50", "latency_p99", "amplification"):
        assert (found[name]["verdict"], found[name]["n_candidate"]) == ("regressed", 7)
        (told,) = [w for w in found[name]["warnings"] if w["code"] == "undefined-samples"]
        assert told["message"].endswith(": candidate 7 of 8 replications")
    _, found = compared(ntbbench("compare", *words, "--paired"))
    assert found["latency_p50"]["n_base"] == found["latency_p50"]["n_candidate"] == 7
    assert found["latency_p50"]["ratio_low"] == pytest.approx(3)  # of the same replications
    assert found["throughput"]["n_base"] == 8


def test_an_estimate_is_over_the_replications_that_have_it(counted: Path) -> None:
    (point,) = loaded(counted).points
    assert isinstance(point, OkSimulation)
    one, *others = point.replications
    counts = msgspec.structs.replace(one.counts, interrupts=0, schedule_calls=0, wakeups=0)
    none = msgspec.structs.replace(one, counts=counts, p50=None, p99=None, p999=None)
    found = point_of(spec_of(), [none, *others])
    assert isinstance(found, OkSimulation)
    assert found.latency.p50 == estimate([run.p50 for run in others if run.p50 is not None])
    assert found.estimates["amplification"] == Estimate(mean=2.0, low=2.0, high=2.0)
    (told,) = partly_defined([found])
    assert told.message == (
        "means over fewer than all replications: tcp fallback spread Q=2: latency 7 of 8, "
        "amplification 7 of 8, spurious ratio 7 of 8"
    )
    nothing = point_of(spec_of(), [none])
    assert isinstance(nothing, OkSimulation)
    assert nothing.latency.p50 is nothing.estimates["amplification"] is None
    assert partly_defined([nothing, point]) == []


def test_what_delivers_nothing_is_warned_of_with_its_cause(
    uncounted: Path, tmp_path: Path, ntbbench: Command
) -> None:
    path, nothing = tmp_path / "late.json", "no packet was delivered; "
    one, other = "tcp fallback single Q=1", "tcp msi single Q=1"
    words = ("simulate", *ONE, "--duration", "10us", *LATE, "-o", path)
    late = f"{one}: {nothing}traffic.start 500ms is not before warmup + duration"
    assert late in " ".join(ntbbench(*words, "--set", "traffic.start=500ms").out.split())
    assert ntbbench(*words, "--dispatch", "fallback,msi").code == 0
    for file, message in (
        (uncounted, f"{one}: {nothing}no poll came between the first doorbell and the end"),
        (path, f"{one}, {other}: {nothing}the run ended before a packet was through"),
    ):
        (told,) = [w for w in saved(file)["warnings"] if w["code"] == "nothing-delivered"]
        assert told["message"] == message


def test_a_note_explains_the_dash_under_each_table_that_has_one(
    uncounted: Path, result_file: Path
) -> None:
    legend = "-: not defined, for no replication"
    assert rendered(loaded(uncounted), "text").count(legend) == 2
    assert rendered(loaded(uncounted), "html").count(legend) == 1
    for file, dashed in ((uncounted, 3), (result_file, 2)):  # one queue of UDP waits for a wakeup
        tables = [block for block in document(loaded(file)).blocks if isinstance(block, Table)]
        noted = [any(note.startswith(legend) for note in table.notes) for table in tables]
        shown = [[cell.text for row in table.rows for cell in row] for table in tables]
        assert noted == ["-" in texts for texts in shown]
        assert sum(noted) == dashed
