# SPDX-License-Identifier: BSD-3-Clause
"""Findings of `ntbbench lab pair check`: which of two results are the same one."""

import re

from msgspec import Struct

# In the line that shows a finding: a function, as `f+0x1/0x2` or `f()`; the file of `file.c:1`.
FUNCTION = re.compile(r"([A-Za-z_][\w.]*)(?:\+0x[0-9a-f]+|\(\))")
FILE = re.compile(r"([\w./-]+\.[ch]):\d+")
NUMBER = re.compile(r"\b(?:0x[0-9a-f]+|[0-9a-f]{8,}|\d+)\b")  # %px has no 0x


class Finding(Struct, frozen=True, kw_only=True):
    """One finding of a check, as far as it is compared."""

    kind: str
    line: str = ""  # the first kernel line that shows it
    function: str = ""  # of a driver, from the stack below that line


def place(finding: Finding) -> str:
    """Return where a finding is: what another build, boot or line of code does not change.

    The driver's function, else the first one that the line names, else its file, else the line
    without its numbers.
    """
    if finding.function:
        return _named(finding.function)
    if function := FUNCTION.search(finding.line):
        return _named(function[1])
    if file := FILE.search(finding.line):
        return file[1]
    return NUMBER.sub("N", finding.line).replace(":", "") or "no place"


def _named(function: str) -> str:
    """Return a function's name in the source: gcc calls parts of it `f.cold`, `f.isra.0`."""
    return f"{function.partition('.')[0]}()"
