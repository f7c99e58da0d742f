# SPDX-License-Identifier: BSD-3-Clause
"""What ping and sockperf print at their end."""

from pathlib import Path

import pytest

from ntbbench.capture.ingest import ingest
from ntbbench.capture.tool_records import LatencySummary
from ntbbench.core.fields import declared

PING = (
    "PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.\n"
    "64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.456 ms\n\n"
    "--- 10.0.0.2 ping statistics ---\n{sent}\n{times}\n"
)
SENT = "10 packets transmitted, 9 received, 10% packet loss, time 9012ms"
TIMES = "rtt min/avg/max/mdev = 0.123/0.456/0.789/0.010 ms"
SOCKPERF = (
    "sockperf: == version #3.10-no.git ==\nsockperf[CLIENT] send on:sockperf: using recvfrom()\n"
    "[ 0] IP = 10.0.0.2        PORT = 11111 # UDP\n"
    "sockperf: [Total Run] RunTime=10.000 sec; Warm up time=400 msec; SentMessages=215000; "
    "ReceivedMessages=214999\n"
    "sockperf: [Valid Duration] RunTime=9.550 sec; SentMessages=1000; ReceivedMessages=990\n"
    "sockperf: ====> avg-latency=23.237 (std-dev=5.512, mean-ad=2.1)\n"
    "sockperf: Summary: {summary} is 23.237 usec\n"
    "sockperf: Total 990 observations; each percentile contains 9.90 observations\n"
    "sockperf: ---> <MAX> observation =  312.400\n"
    "sockperf: ---> percentile 99.900 =   80.200\n"
    "sockperf: ---> percentile 50.000 =   22.100\n"
    "sockperf: ---> <MIN> observation =   18.000\n"
)


def saved(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("sent", "times", "told"),
    [
        (SENT, TIMES, (9, 10.0, 123e-6, 456e-6, 789e-6, 10e-6)),
        (SENT, f"{TIMES}, pipe 2", (9, 10.0, 123e-6, 456e-6, 789e-6, 10e-6)),
        (
            "3 packets transmitted, 3 packets received, 0% packet loss",  # busybox
            "round-trip min/avg/max = 0.1/0.2/0.3 ms",
            (3, 0.0, 1e-4, 2e-4, 3e-4, None),
        ),
        (
            "4 packets transmitted, 0 received, +4 errors, 100% packet loss, time 3060ms",
            "",
            (0, 100.0, None, None, None, None),
        ),
    ],
)
def test_ping(sent: str, times: str, told: tuple[object, ...], tmp_path: Path) -> None:
    measured = ingest([saved(tmp_path / "p", PING.format(sent=sent, times=times))])
    (row,) = measured.latencies
    assert (row.tool, row.what) == ("ping", "round trip")
    found = (row.samples, row.lost_percent, row.least, row.average, row.most, row.deviation)
    assert found == pytest.approx(told)


@pytest.mark.parametrize(
    ("summary", "what"), [("Latency", "one way"), ("Round trip", "round trip")]
)
def test_sockperf(summary: str, what: str, tmp_path: Path) -> None:
    text = SOCKPERF.format(summary=summary)
    for times in (1, 2):
        rows = ingest([saved(tmp_path / "s", text * times)]).latencies
        assert [row.what for row in rows] == [what] * times
    row = rows[0]
    assert (row.samples, row.lost_percent) == (990, pytest.approx(1.0))
    assert (row.average, row.deviation) == pytest.approx((23.237e-6, 5.512e-6))
    assert row.percentiles == pytest.approx({"99.9": 80.2e-6, "50": 22.1e-6})
    assert (row.least, row.most) == pytest.approx((18e-6, 312.4e-6))


def test_sockperf_s_throughput(tmp_path: Path) -> None:
    text = (
        "sockperf: == version #3.10 ==\nsockperf: Summary: Message Rate is 1192 [msg/sec]\n"
        "sockperf: Summary: BandWidth is 126.300 MBps (1010.400 Mbps)\n"
    )
    (row,) = ingest([saved(tmp_path / "s", text)]).throughput
    assert (row.tool, row.bits_per_second) == ("sockperf", pytest.approx(1010.4e6))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PING.format(sent="", times="")[:120], "a summary of ping"),
        (SOCKPERF[:150], "a summary of ping"),
        (PING.format(sent=SENT.replace("10%", "210%"), times=TIMES), "at most 100 %"),
        (PING.format(sent=SENT, times=TIMES.replace("0.123", "9.123")), "in their order"),
    ],
)
def test_what_says_nothing_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (error,) = ingest([saved(tmp_path / "p", text)]).errors
    assert told in error


def test_metrics_have_units_and_directions() -> None:
    told = {name: (one.unit, one.better) for name, one in declared(LatencySummary).items()}
    assert told["average"] == told["most"] == ("s", "lower")
    assert told["lost_percent"] == ("%", "lower")


def test_the_report_begins_with_the_latency(ntbbench, tmp_path: Path) -> None:
    out = ntbbench("ingest", saved(tmp_path / "p", PING.format(sent=SENT, times=TIMES))).out
    assert out.startswith("Latency 456 us; 1 capture read")


def test_compare_takes_a_sample_a_run(ntbbench, tmp_path: Path) -> None:
    base, worse = tmp_path / "a.txt", tmp_path / "b.txt"
    text = SOCKPERF.format(summary="Latency")
    base.write_text(text * 5)
    worse.write_text(text.replace("23.237", "46.5").replace("22.100", "45.0") * 5)
    ran = ntbbench("compare", base, worse, "--format", "json")
    found = ran.comparisons
    assert {"average", "p50", "p99.9", "lost_percent", "least", "most"} <= found.keys()
    average = found["average"]
    assert (average["unit"], average["n_base"], average["verdict"]) == ("s", 5, "regressed")
    assert found["p99.9"]["verdict"] == "equivalent"
    (tmp_path / "c.txt").write_text(text + text.replace("Latency is", "Round trip is"))
    ran = ntbbench("compare", tmp_path / "c.txt", base)
    assert ran.code == 2 and "several kinds" in ran.err
