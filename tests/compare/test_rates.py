# SPDX-License-Identifier: BSD-3-Clause
"""A rate of which nothing says which way is better is no metric to judge."""

from pathlib import Path
from typing import Any

import pytest
from compare_data import iperf3, pyperf, pytest_benchmark, runs_csv, samples
from compare_runs import FORMATS

from ntbbench.compare.rates import looks_like_a_rate

RATES = """
    bps Mbps rx_gbps rxGbps MBps GiBps kbit/s Mbit/s bit/s bits/s MB/s GiB/s B/s
    netperf_mbit Gbits transactions TEPS score
    bytes/second tx_MB_s mbit_s bytes_sec throughput Throughput THROUGHPUT throughput_bps
    throughput2 throughput.rx tput throughput[queues=4] ops ops/s ops/sec ops/ms kops IOPS
    IOPs read_iops qps QPS total_qps rps tps pps Mpps packets/s packets_per_second
    packetsPerSecond pkts_per_sec events_sec req/s interrupts/s wakeups_per_second
    interrupts_per_min fps hz Hz MHz cpu_freq frequency bandwidth bw goodput bitrate
    dataRate transfer_rate hit_rate link_speed TFLOPS per_second persec 1/s s^-1 s-1
"""
OTHERS = """
    stops hops drops chops taps steps maps hertz crate operate rated shops overhead ns us s
    ns/op us/op ns/ops us/ops s/op B/op allocs/op cycles/op bytes/op ns_per_op ns_per_ops
    time latency latency_us p99_us latency/us latency/s time/s elapsed/s ns_per_dispatch
    cycles_per_packet wakeups_per_interrupt cpu_hardirq_per_packet instructions runs wakeups
    amplification size_mb bytes packets packets_lost max min x/min rx/max QPs active_qps
    qps_count qp_count sending_qps latency_at_10Gbps lat@100mbps 250hz_tick error_rate
    ops_time rate_limit_latency freq_switch_ns bw_setup_time hz_switch_time_us duration_per_s
    errors/s drops/s retransmits/s loss_rate dropped_rate missRate
"""
STATED = (
    "this looks like a rate, and nothing says which way is better: say it by "
    'better = "higher" or "lower" in a [[rule]] of --policy, or of all metrics at once by '
    "--higher-is-better or --lower-is-better"
)


@pytest.mark.parametrize("name", [*RATES.split(), "requests per second", "s\u207b\u00b9"])
def test_rates_are_told_by_their_words(name: str) -> None:
    assert looks_like_a_rate(name)


@pytest.mark.parametrize("name", [*OTHERS.split(), "latency per request", ""])
def test_what_only_holds_such_letters_is_no_rate(name: str) -> None:
    assert not looks_like_a_rate(name)


def falling(path: Path, name: str = "throughput") -> tuple[str, str]:
    """Two files of runs with one metric that falls by 19 %."""
    sides = [runs_csv(path / f"{i}.csv", {name: samples(i, 10, c)}) for i, c in ((1, 100), (2, 81))]
    return str(sides[0]), str(sides[1])


def test_a_throughput_that_falls_is_refused(ntbbench, tmp_path: Path) -> None:
    sides = falling(tmp_path, "rx Mbit/s")
    for report in FORMATS:
        ran = ntbbench("gate", *sides, "--format", report)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == f"ntbbench: metric: 'rx Mbit/s': {STATED}\n"
    assert ntbbench("gate", sides[0], sides[0]).code == 2  # it is not for the numbers


def test_the_direction_is_said_by_an_option_or_a_policy(ntbbench, tmp_path: Path) -> None:
    sides, policy = falling(tmp_path), tmp_path / "p.toml"
    rule = '[[rule]]\npattern = "through*"\nbetter = "{}"\n'
    for options, text, verdict in (
        (["--higher-is-better"], "", "regressed"),
        (["--lower-is-better"], "", "improved"),
        ([], "higher_is_better = true", "regressed"),
        ([], "lower_is_better = true", "improved"),
        ([], rule.format("higher"), "regressed"),
        ([], rule.format("lower"), "improved"),
        (["--higher-is-better"], "lower_is_better = true", "regressed"),
        (["--lower-is-better"], "higher_is_better = true", "improved"),
    ):
        policy.write_text(text)
        ran = ntbbench("gate", *sides, *options, "--policy", policy, "--format", "json")
        (found,) = ran.report["comparisons"]
        assert (ran.code, found["verdict"]) == (int(verdict == "regressed"), verdict)
        assert ran.report["warnings"] == []
        assert "no-direction" not in {w["code"] for w in found["warnings"]}


def test_a_default_that_is_written_out_says_nothing(ntbbench, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    for text in (
        "higher_is_better = false",
        '[[rule]]\npattern = "*"\nthreshold = 0.5\n',
        "higher_is_better = true\nlower_is_better = true\n",
    ):
        policy.write_text(text)
        assert ntbbench("gate", *falling(tmp_path), "--policy", policy).code == 2


def test_what_is_ignored_needs_no_direction(ntbbench, tmp_path: Path) -> None:
    sides = [
        runs_csv(tmp_path / f"{i}.csv", {"ops": samples(i, 9), "us": samples(i + 9, 9)})
        for i in range(2)
    ]
    policy = tmp_path / "p.toml"
    policy.write_text('[[rule]]\nmetric = "ops"\nignore = "of another project"\n')
    assert ntbbench("gate", *sides, "--policy", policy).code == 0
    assert ntbbench("gate", *sides).code == 2


@pytest.mark.parametrize("report", FORMATS)
def test_compare_warns_in_every_format(ntbbench, tmp_path: Path, report: str) -> None:
    page = tmp_path / "page.html"
    ran = ntbbench("compare", *falling(tmp_path), "--format", report, "--html", page)
    assert (ran.code, ran.err) == (0, "")
    assert "no-direction" in ran.out
    assert "no-direction" in page.read_text()


def test_compare_says_what_the_gate_would(ntbbench, tmp_path: Path) -> None:
    sides = falling(tmp_path)
    report = ntbbench("compare", *sides, "--format", "json").report
    assert (report["exit_code"], "'throughput'" in report["causes"][0]) == (2, True)
    for option in (["--fail-inconclusive"], ["--fatal-warning", "outliers"]):
        ran = ntbbench("compare", *sides, *option)
        assert (ran.code, "throughput" in ran.err) == (2, True)


def test_a_table_of_runs_is_named_by_its_file(ntbbench, tmp_path: Path) -> None:
    columns = {"before": samples(1, 9), "after": samples(2, 9, 81)}
    for name, code in (("ops", 2), ("hops", 0)):
        table = runs_csv(tmp_path / f"{name}.csv", columns)
        ran = ntbbench("gate", "--runs", table)
        assert (ran.code, "'ops'" in ran.err) == (code, code == 2)
        assert ntbbench("gate", table).code == code


def counted(**numbers: float) -> dict[str, Any]:
    record = pytest_benchmark(test_throughput=1e-3)
    record["benchmarks"][0]["fullname"] = "benches/test_bandwidth.py::test_throughput[10 Mbit/s]"
    record["benchmarks"][0]["extra_info"] = numbers
    return record


def test_counts_of_pytest_benchmark_are_told_by_their_key(gated) -> None:
    """The time of a benchmark of throughput is a time, and its wakeups are wakeups."""
    assert gated(counted(wakeups=9), counted(wakeups=8)).code == 0
    rates = [counted(wakeups=9, of={"rx": {"Mpps": n}}) for n in (100, 81)]
    ran = gated(*rates)
    assert (ran.code, "of.rx.Mpps'" in ran.err) == (2, True)
    ran = gated(*rates, "--higher-is-better")
    assert (ran.code, ran.report["totals"]["regressed"]) == (1, 1)


@pytest.mark.parametrize(
    ("name", "unit", "code"),
    [
        *(("bench", "second", 0), ("throughput", "second", 0), ("throughput", "integer", 2)),
        *(("throughput", "byte", 2), ("bench", "byte", 0), ("bench", "bit/s", 2)),
        *(("bench", "Hz", 2), ("bench", "ns", 0)),
    ],
)
def test_units_of_pyperf_are_heeded(gated, name: str, unit: str, code: int) -> None:
    """The name counts where the unit is no time."""
    record = pyperf()
    record["metadata"]["unit"] = unit
    record["benchmarks"][0]["metadata"]["name"] = name
    assert gated(record, record).code == code


def test_a_format_that_says_the_direction_is_taken_at_its_word(gated) -> None:
    ran = gated(iperf3(1e9), iperf3(0.5e9, 3))
    assert (ran.code, ran.err) == (1, "")


def test_a_history_of_rates_needs_the_direction_too(ntbbench, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    for i in range(3):
        side = runs_csv(tmp_path / "r.csv", {"Mbit/s": samples(i, 5, 100 - 10 * i)})
        assert ntbbench("history", "add", side, "--commit", i, "--store", store).code == 0
    ran = ntbbench("history", "check", "--store", store)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"ntbbench: metric: 'Mbit/s': {STATED}\n"
    policy = tmp_path / "p.toml"
    policy.write_text("higher_is_better = true\n")
    assert ntbbench("history", "check", "--store", store, "--policy", policy).code == 4


def test_one_line_for_many(ntbbench, tmp_path: Path) -> None:
    side = runs_csv(tmp_path / "r.csv", {f"q{i}.bps": samples(i, 6) for i in range(30)})
    ran = ntbbench("gate", side, side)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "'q0.bps'" in ran.err and "(29 more are like it)" in ran.err
