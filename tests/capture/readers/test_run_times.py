# SPDX-License-Identifier: BSD-3-Clause
"""From a doorbell to its run, and how long a run takes: histograms, and a trace's events."""

import json
from pathlib import Path

import numpy as np
import pytest
from captures import FOUR, TOOLS
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.capture.ingest import ingest
from ntbbench.capture.latency_records import DELAY, LENGTH
from ntbbench.capture.readers.run_times import Bucket, of_histograms, run_time, waited
from ntbbench.cli.main import main

US = 1e-6
RECORDED = TOOLS / "bpftrace-doorbell.json"


def test_what_the_program_counted_on_a_real_kernel() -> None:
    """80 doorbells, each wakes four QPs; the race check adds a run per doorbell."""
    measured = ingest([RECORDED])
    assert measured.errors == []
    counts = {(one.name, one.key): one.value for one in measured.counts}
    assert counts["@events", ""] == 80
    assert counts["@cause", "doorbell"] == 320
    assert counts["@cause", "run before: race check, repost, budget"] == 80
    delay, length = measured.run_times
    assert (delay.what, delay.count, length.what, length.count) == (DELAY, 320, LENGTH, 400)
    assert (delay.p50_low, delay.p50_high) == (44 * US, 45 * US)
    assert (delay.longest_low, delay.longest_high) == (69 * US, 70 * US)
    exact = {row.quantity: (row.low, row.high) for row in measured.amplification}
    assert exact == {"doorbell wakeups": (4.0, 4.0), "runs": (5.0, 5.0)}


def test_a_trace_of_a_real_kernel_gives_the_same_kinds() -> None:
    delay, length = ingest([FOUR]).run_times
    assert (delay.what, delay.count, length.what, length.count) == (DELAY, 640, LENGTH, 800)
    assert delay.p50_low == delay.p50_high == 13 * US
    assert 0 < length.p50_low <= length.p99_low <= length.longest_low


def test_a_kernel_without_tasklet_events_has_the_delays_all_the_same(tmp_path: Path) -> None:
    lines = (FOUR / "trace").read_text().splitlines(keepends=True)
    kept = [line for line in lines if "tasklet_e" not in line and "entries-in" not in line]
    (tmp_path / "trace.txt").write_text("".join(kept))
    (delay,) = ingest([tmp_path / "trace.txt"]).run_times
    assert (delay.what, delay.count) == (DELAY, 640)


HEAD = "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"
LINES = (
    ("0.000100", "d.h2.", "db_event: (ntb_transport_doorbell_callback+0x4/0x150) vector=0"),
    ("0.000101", "d.h2.", "tasklet_schedule: (__tasklet_schedule+0x4/0x20) tasklet=0x1000"),
    ("0.000130", "..s1.", "tasklet_entry: tasklet=0x1000 function=ntb_transport_rxc_db [ntb]"),
    ("0.000131", "..s1.", "tasklet_schedule: (__tasklet_schedule+0x4/0x20) tasklet=0x1000"),
    ("0.000140", "..s1.", "tasklet_exit: tasklet=0x1000 function=ntb_transport_rxc_db [ntb]"),
    ("0.000150", "..s1.", "tasklet_entry: tasklet=0x1000 function=ntb_transport_rxc_db [ntb]"),
    ("0.000152", "..s1.", "tasklet_exit: tasklet=0x1000 function=ntb_transport_rxc_db [ntb]"),
    ("0.000160", "..s1.", "tasklet_entry: tasklet=0x9000 function=tcp_tasklet_func"),
    ("0.000190", "..s1.", "tasklet_exit: tasklet=0x9000 function=tcp_tasklet_func"),
)


def test_only_what_a_doorbell_scheduled_waited_for_it(tmp_path: Path) -> None:
    """The second run is the race check's; another driver's tasklet is none of ours."""
    text = "".join(f"  a-1 [000] {flags} {time}: {body}\n" for time, flags, body in LINES)
    (tmp_path / "trace").write_text(HEAD + text)
    delay, length = ingest([tmp_path / "trace"]).run_times
    assert (delay.count, delay.p50_low, delay.longest_high) == (
        1,
        pytest.approx(30 * US),
        pytest.approx(30 * US),
    )
    assert (length.count, length.p50_low, length.longest_high) == (
        2,
        pytest.approx(2 * US),
        pytest.approx(10 * US),
    )


def test_a_clock_that_counts_no_seconds_gives_no_times(tmp_path: Path) -> None:
    lines = enumerate(LINES, start=100)
    text = "".join(f"  a-1 [000] {flags} {at}: {body}\n" for at, (_, flags, body) in lines)
    (tmp_path / "trace").write_text(HEAD + text)
    measured = ingest([tmp_path / "trace"])
    assert (measured.errors, measured.run_times) == ([], [])
    assert measured.traces[0].db_events == 1


def test_events_without_a_cpu_give_no_times(tmp_path: Path) -> None:
    text = "".join(f"a 1 {time}: probe:{body}\n" for time, _, body in LINES)
    (tmp_path / "perf.txt").write_text(text)
    measured = ingest([tmp_path / "perf.txt"])
    assert (measured.errors, measured.run_times) == ([], [])
    assert measured.traces[0].db_events == 1


def test_a_run_or_a_schedule_that_a_probe_missed_has_no_partner() -> None:
    assert [*waited([(1.0, 0.5), (5.0, 4.0)], [2.0, 3.0])] == [1.5]
    assert [*waited([(1.0, 0.5), (1.5, None), (4.0, 3.5)], [2.0, 6.0])] == [2.5]
    assert [*waited([], [2.0])] == []


@given(st.lists(st.integers(0, 999), min_size=1, max_size=300))
def test_quantiles_are_those_of_all_values(values) -> None:
    counted = {(v * US, (v + 1) * US): values.count(v) for v in set(values)}
    found = run_time(DELAY, counted, "x")
    assert found is not None
    for share, low in ((0.5, found.p50_low), (0.99, found.p99_low), (1, found.longest_low)):
        assert low == np.quantile(values, share, method="inverted_cdf") * US


def test_what_is_longer_than_the_last_bucket_has_no_bound() -> None:
    buckets = {
        "@delay_us": [Bucket(3, 5, 5)],
        "@delay_ms": [Bucket(1, 2, 2), Bucket(1, 1000)],
        "@other": [Bucket(1, 0, 1)],
    }
    (delay,) = of_histograms(buckets, "x")
    assert (delay.count, delay.p50_low, delay.longest_low, delay.longest_high) == (
        *(5, 5 * US, 1.0), None,
    )  # fmt: skip


@pytest.mark.parametrize("data", [{"@delay_us": 3}, {"@delay_us": [{"count": "x"}]},
                                  {"@delay_us": [{"min": 1, "max": 1, "count": -1}]}])  # fmt: skip
def test_a_damaged_histogram_is_an_error(data, tmp_path: Path) -> None:
    line = json.dumps({"type": "hist", "data": data})
    (tmp_path / "b.json").write_text('{"type": "attached_probes", "data": {"probes": 1}}\n' + line)
    (error,) = ingest([tmp_path / "b.json"]).errors
    assert "b.json:2" in error


def test_ingest_shows_them(capsys) -> None:
    assert main(["ingest", str(RECORDED)]) == 0
    assert "doorbell to run    320  44..45  65..66" in capsys.readouterr().out
    assert main(["ingest", str(RECORDED), "--format", "csv"]) == 0
    assert '"p99","doorbell to run"' in capsys.readouterr().out
