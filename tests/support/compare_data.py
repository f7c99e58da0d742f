# SPDX-License-Identifier: BSD-3-Clause
"""Inputs for the tests of the comparison, small and seeded."""

import copy
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from ntbbench.compare.series import Series, Variant

BENCHMARKS = Path(__file__).parents[1] / "data" / "benchmarks"  # what other tools write
HOSTILE = (
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m",
    'comma, "quote"',
    "line\nbreak\rreturn",
    "tab\there",
    "=cmd|' /C calc'!A0",
    "`code` | pipe [link](http://example.org) @user",
    "::error title=x::y%0A",
    "\u202eright to left",
    "]]> & <b>",
)


def samples(seed: int, n: int, centre: float = 100.0, spread: float = 0.5) -> list[float]:
    return (np.random.default_rng(seed).normal(centre, spread, n)).tolist()


def noisy_sides(**pairs: tuple[list[float], list[float]]) -> list[Variant]:
    """Two variants with the same noisy metrics: of each, the base's samples and the candidate's."""

    def series(side: int) -> dict[str, Series]:
        return {
            name: Series(metric=name, kind="noisy", samples=np.array(pair[side]))
            for name, pair in pairs.items()
        }

    return [Variant("a", "csv", series(0)), Variant("b", "csv", series(1))]


def runs_csv(path: Path, columns: dict[str, list[float | None]]) -> Path:
    longest = max(map(len, columns.values()), default=0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in range(longest):
            cells = [c[row] if row < len(c) else None for c in columns.values()]
            writer.writerow(["" if cell is None else repr(cell) for cell in cells])
    return path


def point(queues: int, doorbells: int, **fields: Any) -> dict[str, Any]:
    axes = {"hardware": "generic", "dispatch": "fallback", "workload": "round-robin"}
    axes |= {"vectors": 1, "drain": 1, "doorbells": doorbells, "queues": queues}
    return {
        **axes,
        "queues_requested": queues,
        "status": "ok",
        **dict.fromkeys(("interrupts", "rings", "useful_wakeups"), 1000),
        **dict.fromkeys(("scan_iterations", "schedule_calls", "wakeups"), 1000 * queues),
        **dict.fromkeys(("merged", "missed", "misrouted"), 0),
        "spurious_wakeups": 1000 * (queues - 1),
        "amplification": float(queues),
        **fields,
    }


def sweep(seed: int = 1, n: int = 0) -> dict[str, Any]:
    points = [point(q, d) for q in (1, 2, 4) for d in (4, 8)]
    for index, cell in enumerate(points):
        if n:
            values = samples(100 * seed + index, n, 10.0, 0.02)
            cell["ns_per_dispatch"] = {"median": 10, "low": 9, "high": 11, "samples": values}
    return {
        "schema": "ntbbench.sweep/1",
        "environment": {
            "cpu": {"model": "Example 1", "flags": ["sse2", "avx2"]},
            "compiler": {"name": "gcc 12", "flags": "-O2"},
            "kernel": "7.3",
        },
        "scenario": {"interrupts": 1000, "seed": 1},
        "points": points,
    }


def pytest_benchmark(seed: int = 1, n: int = 20, **benchmarks: float) -> dict[str, Any]:
    named = benchmarks or {"test_scan": 1e-3}
    return {
        "machine_info": {
            "machine": "x86_64",
            "python_compiler": "GCC 12",
            "python_implementation": "CPython",
            "cpu": {"brand_raw": "Example 1", "flags": ["sse2"]},
        },
        "commit_info": {"id": "abc"},
        "benchmarks": [
            {
                "name": name,
                "fullname": f"benches/test_x.py::{name}",
                "extra_info": {"instructions": 1000, "comment": "text", "listed": [1]},
                "stats": {"data": samples(seed + i, n, centre, centre / 200)},
            }
            for i, (name, centre) in enumerate(named.items())
        ],
    }


def pyperf(seed: int = 1, processes: int = 10, centre: float = 0.1) -> dict[str, Any]:
    runs = [{"values": samples(seed + i, 3, centre, centre / 300)} for i in range(processes)]
    return {
        "version": "1.0",
        "metadata": {"cpu_model_name": "Example 1", "unit": "second"},
        "benchmarks": [
            {
                "metadata": {"name": "bench"},
                "runs": [{"metadata": {}, "warmups": [[1, 0.2]]}, *runs],
            }
        ],
    }


def iperf3(rate: float, seed: int = 1, intervals: int = 10) -> dict[str, Any]:
    rates = samples(seed, intervals, rate, rate / 200)
    return {
        "start": {
            "version": "iperf 3.18",
            "test_start": {"protocol": "TCP", "num_streams": 8, "reverse": 0},
        },
        "intervals": [{"sum": {"bits_per_second": r, "seconds": 1.0}} for r in rates]
        + [{"sum": {"bits_per_second": 1.0, "seconds": 0.001}}],
        "end": {
            "sum_received": {"bits_per_second": float(np.mean(rates)), "seconds": 10.0},
            "cpu_utilization_percent": {"host_total": 50.0 + seed / 100, "remote_total": 80.0},
        },
    }


def iperf3_udp(sent: float, lost: float, *, old: bool = False) -> dict[str, Any]:
    """A run whose client sent datagrams; `old` versions have no sum_received."""
    whole = {"bits_per_second": sent, "seconds": 10.0, "lost_percent": lost}
    end = {"sum": whole}
    if not old:
        end["sum_received"] = whole | {"bits_per_second": sent * (1 - lost / 100)}
    interval = {"sum": {"bits_per_second": sent, "seconds": 1.0, "sender": True}}
    return {"start": {"test_start": {"protocol": "UDP"}}, "intervals": [interval] * 10, "end": end}


def compat(**verdicts: str) -> dict[str, Any]:
    cells = []
    for ep, usual, hazards in ((0, "fallback", ["sleeps"]), (7, "per-vector", [])):
        verdict = verdicts.get(f"ep{ep}", usual)
        amplification = None if verdict == "link-down" else 1.0
        cell = {"direction": "rc-to-ep", "ep": ep, "rc": 5, "verdict": verdict, "cases": 8}
        counts = {"missed": 0, "misrouted": 0, "amplification": amplification}
        cells.append({**cell, **counts, "hazards": hazards})
    return {"schema": "ntbbench.compat/1", "cells": cells}


def written(path: Path, record: dict[str, Any]) -> str:
    path.write_text(json.dumps(record), encoding="utf-8")
    return str(path)


def changed(record: dict[str, Any], index: int, **fields: Any) -> dict[str, Any]:
    other = copy.deepcopy(record)
    other["points"][index].update(fields)
    return other


def lab(**fields: object) -> dict[str, Any]:
    """A lab result of one point; `fields` replace the point's own."""
    point = {
        "vectors": 0,
        "db_read": "latched",
        "queues": 2,
        "sending_qps": [0, 1],
        "order": "turn",
        "gap_us": 1000,
        "packets": 50,
        "doorbells_rung": 100,
        "events": 100,
        "tasklet_schedules": 300,
        "packets_received": 100,
        "runs_per_qp": [150, 150],
        "agrees": True,
    }
    return {"schema": "ntbbench.lab/1", "kernel": "6.12", "points": [point | fields]}
