# SPDX-License-Identifier: BSD-3-Clause
"""Readers of what a comparison takes, one file a format; `detect.load_variant` finds the right one.

`READERS` is the table of them, in the order in which they are asked. Another format is a module
here with a `READER`, and a line in the table.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntbbench.compare.readers.content import ResultReader

# The module: what it reads, as help and errors say it. A capture is asked for first, for its files
# may be of others, and a CSV last, for any text may be meant as one.
READERS: Mapping[str, str] = {
    "capture_folder": "a capture",
    "baseline": "medians of `show --medians`",
    "own_results": "results of ntbbench",
    "asv": "asv",
    "iperf3": "iperf3",
    "latency": "ping or sockperf",
    "hyperfine": "hyperfine",
    "google_benchmark": "Google Benchmark",
    "pytest_benchmark": "pytest-benchmark",
    "pyperf": "pyperf",
    "jmh": "JMH",
    "criterion": "criterion",
    "go_test": "go test -bench",
    "csv_runs": "a CSV of runs",
}
*_OTHERS, _LAST = READERS.values()
FORMATS = f"{', '.join(_OTHERS)}, or {_LAST}"


def readers() -> "list[ResultReader]":
    """Return the readers, imported only now: they load numpy."""
    return [import_module(f"{__name__}.{module}").READER for module in READERS]
