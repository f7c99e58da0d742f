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

# The module, and whose results it reads, as help and errors say it.
READERS: Mapping[str, str] = {
    "own_results": "ntbbench",
    "asv": "asv",
    "iperf3": "iperf3",
    "latency": "ping, sockperf",
    "hyperfine": "hyperfine",
    "google_benchmark": "Google Benchmark",
    "pytest_benchmark": "pytest-benchmark",
    "pyperf": "pyperf",
    "jmh": "JMH",
    "criterion": "criterion",
    "go_test": "go test -bench",
}
CAPTURE = "capture_folder"  # asked first: what it holds may be of others
TABLE = "csv_runs"  # asked last: any text may be meant as one
FORMATS = f"captures, results of {', '.join(READERS.values())}, or a CSV of runs"


def readers() -> "list[ResultReader]":
    """Return the readers, imported only now: they load numpy."""
    return [import_module(f"{__name__}.{module}").READER for module in (CAPTURE, *READERS, TABLE)]
