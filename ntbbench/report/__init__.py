# SPDX-License-Identifier: BSD-3-Clause
"""One file an output format; each returns a string and prints nothing."""

from collections.abc import Callable, Mapping

from ntbbench.dispatch.records import SweepResult
from ntbbench.report import csv, json, markdown, text

# `--format NAME` of sweep and show; HTML is a file of its own (ntbbench/report/html.py).
FORMATS: Mapping[str, Callable[[SweepResult], str]] = {
    "text": text.render,
    "md": markdown.render,
    "csv": csv.render,
    "json": json.render,
}
