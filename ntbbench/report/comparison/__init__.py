# SPDX-License-Identifier: BSD-3-Clause
"""The outputs of a comparison: each `render(report) -> str`, all from one Report."""

from collections.abc import Callable

from ntbbench.compare.records import Report
from ntbbench.report.comparison import csv, github, json, junit, mail, markdown, text

FORMATS: dict[str, Callable[[Report], str]] = {
    "text": text.render,
    "mail": mail.render,
    "md": markdown.render,
    "json": json.render,
    "csv": csv.render,
    "junit": junit.render,
    "github": github.render,
}
