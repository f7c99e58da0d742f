# SPDX-License-Identifier: BSD-3-Clause
"""iperf3's throughput in a comparison is what arrived, as in a capture: files of iperf3 3.12."""

import json
from typing import Any

import pytest
from captures import TOOLS

from ntbbench.capture.ingest import ingest
from ntbbench.cli.main import main
from ntbbench.compare.readers import iperf3
from ntbbench.core.errors import InputError

FILES = ("bidir", "tcp", "udp", "udp-lossy", "udp-server")
LOSSY = 2940962029.3188834  # bit/s received, of 22352849912 sent


def document(name: str) -> bytes:
    return (TOOLS / f"iperf3-{name}.json").read_bytes()


def again(name: str) -> bytes:
    """The document as one of another run: what is there twice counts once."""
    return document(name).replace(b"{", b'{"title": "again", ', 1)


def samples(*documents: bytes) -> dict[str, list[float]]:
    series = iperf3.load([("a.json", text) for text in documents], "a", "a.json").series
    return {name: list(one.samples) for name, one in series.items() if one.samples is not None}


@pytest.mark.parametrize("name", FILES)
def test_both_readers_say_the_same_of_a_run(name: str) -> None:
    captured = ingest([TOOLS / f"iperf3-{name}.json"]).throughput
    found = samples(document(name), again(name))
    rates = [found[name] for name in ("throughput", "throughput_reverse") if name in found]
    assert rates == [[row.bits_per_second] * 2 for row in captured]


def test_lost_datagrams_are_no_throughput_of_a_single_run() -> None:
    """Its intervals are the sender's: 22 Gbit/s sent, 3 arrived."""
    found = samples(document("udp-lossy"))
    assert found == {"throughput": [LOSSY], "lost_percent": [85.2580308477328]}
    (server,) = samples(document("udp-server"))["throughput"]
    assert server == pytest.approx(LOSSY, rel=0.02)  # of its interval, as the receiver counts


def test_both_directions_of_a_single_run() -> None:
    found = samples(document("bidir"))
    assert found == {
        "throughput": [6929237054.084984], "throughput_reverse": [6838035295.5819],
    }  # fmt: skip


def test_a_server_does_not_know_what_arrived_at_the_client(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(TOOLS / "iperf3-server-reverse.json")
    assert main(["gate", path, path]) == 2
    assert "the client's iperf3 -J" in capsys.readouterr().err
    with pytest.raises(InputError, match="a server that only sent"):
        samples(document("server-reverse"), again("server-reverse"))
    cpus = samples(document("udp-server"), again("udp-server")).keys()
    assert "cpu_host" in cpus and "cpu_remote" not in cpus


def test_older_udp_has_what_was_sent_and_the_share_that_was_lost() -> None:
    run: dict[str, Any] = {
        "start": {"test_start": {"protocol": "UDP"}},
        "intervals": [{"sum": {"bits_per_second": 100.0, "seconds": 1.0}}],
        "end": {"sum": {"bits_per_second": 100.0, "seconds": 1.0, "lost_percent": 25.0}},
    }
    text = json.dumps(run).encode()
    assert samples(text)["throughput"] == [75.0]
    assert samples(text, text.replace(b"{", b'{"x": 1, ', 1))["throughput"] == [75.0, 75.0]
