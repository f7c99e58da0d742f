# SPDX-License-Identifier: BSD-3-Clause
"""The timeline of `ntbbench simulate`, checked against the trace format."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from simulate_runs import SHORT, WHOLE_RUN, Command

from ntbbench.datapath.engine import simulate_logged
from ntbbench.datapath.grid_point import SimulationSpec, engine_seed, resolve
from ntbbench.datapath.outcome import Happening
from ntbbench.datapath.scenario_file import preset, with_settings
from ntbbench.report import timeline

REQUIRED = {  # of the Trace Event Format, by phase
    "X": {"name", "cat", "pid", "tid", "ts", "dur"},
    "M": {"name", "pid", "tid", "args"},
    "i": {"name", "pid", "tid", "ts", "s"},
    "s": {"name", "cat", "id", "pid", "tid", "ts"},
    "f": {"name", "cat", "id", "pid", "tid", "ts", "bp"},
}
# https://chromium.googlesource.com/catapult: the names that `cname` may have.
RESERVED = {"good", "bad", "terrible", "yellow", "thread_state_runnable"}


def traced(*settings: str, dispatch: str = "fallback", affinity: str = "spread") -> Any:
    scenario = with_settings(preset("generic"), [*WHOLE_RUN, *settings])
    spec = SimulationSpec(scenario, 4, dispatch, affinity, "tcp")
    system = resolve(spec, 0)
    outcome, rows = simulate_logged(
        system, engine_seed(spec, 0), "specialised", capacity=timeline.ROWS_MAX
    )
    return outcome, rows, check_format(timeline.render(system, rows, "a test").text)


def check_format(text: str) -> dict[str, Any]:
    """Check a document against the format: phases and keys, nesting, arrows, names of tracks."""
    document: dict[str, Any] = json.loads(text)
    assert document["displayTimeUnit"] in ("ms", "ns")
    slices: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    ends: dict[str, dict[int, Any]] = {"s": {}, "f": {}}
    named = set()
    for event in document["traceEvents"]:
        assert event.keys() >= REQUIRED[event["ph"]], event
        track = (event["pid"], event["tid"])
        assert all(isinstance(number, int) for number in track)
        if event["ph"] == "M":
            assert isinstance(event["args"]["name"], str)
            named.add(track)
            continue
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] >= 0
            assert event.get("cname") is None or event["cname"] in RESERVED
            slices[track].append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] in ends:
            assert event["id"] not in ends[event["ph"]]
            ends[event["ph"]][event["id"]] = event
    check_nesting(slices)
    assert ends["s"].keys() == ends["f"].keys()
    for number, start in ends["s"].items():
        finish = ends["f"][number]
        assert start["ts"] <= finish["ts"]
        for end in (start, finish):  # an arrow's end without a slice around it is not drawn
            inside = slices[(end["pid"], end["tid"])]
            assert any(low <= end["ts"] <= high for low, high in inside)
    assert slices.keys() <= named
    return document


def check_nesting(slices: dict[tuple[int, int], list[tuple[float, float]]]) -> None:
    """Slices of one track lie inside each other or apart: viewers draw no others."""
    for found in slices.values():
        around: list[float] = []
        for low, high in sorted(found, key=lambda one: (one[0], -one[1])):
            while around and around[-1] <= low + 1e-6:
                around.pop()
            assert not around or high <= around[-1] + 1e-6
            around.append(high)


def count(document: dict[str, Any], phase: str, name: str) -> int:
    return sum(e["ph"] == phase and e["name"] == name for e in document["traceEvents"])


@pytest.mark.parametrize("dispatch", ["fallback", "per-vector", "msi"])
@pytest.mark.parametrize("affinity", ["single", "spread"])
def test_a_timeline_tells_what_was_counted(dispatch: str, affinity: str) -> None:
    outcome, rows, document = traced(dispatch=dispatch, affinity=affinity)
    assert len(rows) < timeline.ROWS_MAX  # the whole run, from time 0
    ended = sum(row.happening is Happening.IRQ_END for row in rows)
    assert ended in (sum(outcome.interrupts), sum(outcome.interrupts) - 1)
    assert count(document, "X", "hardirq") == ended
    for name, of in ((timeline.USEFUL, "useful"), (timeline.EMPTY, "empty")):
        runs = sum(sum(getattr(queue, of)) for queue in outcome.queues)
        assert abs(count(document, "X", name) / 2 - runs) <= 4  # on the CPU and on the QP
    begun = sum(row.happening is Happening.RING for row in rows)
    assert abs(count(document, "s", "doorbell") - begun) <= 16


def test_polls_and_marks_have_tracks() -> None:
    _, rows, document = traced("link.doorbell=poll", "window_size=512KiB", "duration=50ms")
    assert count(document, "X", "poll") > 0
    stops = sum(row.happening is Happening.STOP for row in rows)
    assert count(document, "i", "queue stops") == stops > 0


@pytest.mark.parametrize(("limit", "most"), [("EVENTS_MAX", 100), ("ROWS_MAX", 200)])
def test_a_timeline_is_bounded(monkeypatch: pytest.MonkeyPatch, limit: str, most: int) -> None:
    assert traced()[2]["otherData"]["cut"] == ""
    monkeypatch.setattr(timeline, limit, most)
    _, _, document = traced()
    assert limit == "ROWS_MAX" or len(document["traceEvents"]) < 150
    end = document["otherData"]["end_us"]
    assert 0 < end < 5000
    assert document["otherData"]["cut"] == f"cut at {end / 1e6:.3g} s of 0.005 s"


def test_an_empty_log_is_a_timeline() -> None:
    spec = SimulationSpec(with_settings(preset("generic"), WHOLE_RUN), 1, "msi", "single", "udp")
    document = check_format(timeline.render(resolve(spec, 0), (), "nothing").text)
    assert document["otherData"]["rows"] == 0


def test_the_command_writes_a_timeline(tmp_path: Path, ntbbench: Command) -> None:
    path = tmp_path / "trace.json"
    words = ("--queues", 2, "--dispatch", "fallback", "--duration", "2ms", "--timeline", path)
    ran = ntbbench("simulate", *SHORT, *words, "-o", tmp_path / "result.json")
    assert ran.code == 0
    (said,) = (line for line in ran.err.splitlines() if "timeline" in line)
    assert "timeline of tcp fallback single, 2 queues" in said
    document = check_format(path.read_text())
    assert said.endswith(f", {len(document['traceEvents'])} trace events")
    assert document["otherData"]["cut"] == ""
    names = (e for e in document["traceEvents"] if e["name"] == "thread_name")
    assert {event["args"]["name"] for event in names} >= {"CPU 0", "QP 0", "QP 1"}
