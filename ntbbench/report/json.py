# SPDX-License-Identifier: BSD-3-Clause
"""The record itself, as the result file holds it."""

import msgspec

from ntbbench.dispatch.records import SweepResult


def render(result: SweepResult) -> str:
    """Return the result as JSON: the keys and values of the saved file, indented."""
    return msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n"
