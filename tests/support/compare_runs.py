# SPDX-License-Identifier: BSD-3-Clause
"""`compare` and `gate` run in this process, with what they printed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FORMATS = ("text", "mail", "md", "json", "csv", "junit", "github", "ktap")


class Ran:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            self.out, parse_constant=lambda name: pytest.fail(f"{name} in JSON")
        )
        return found

    @property
    def comparisons(self) -> dict[str, dict[str, Any]]:
        return {c["metric"]: c for c in self.report["comparisons"]}


def gate_runs(ntbbench: Callable[..., Ran], path: Path, *options: str) -> Ran:
    return ntbbench("gate", "--runs", path, "--format", "json", *options)


def codes(comparison: dict[str, Any]) -> dict[str, str]:
    """Return the warnings of one comparison: message by code."""
    return {warning["code"]: warning["message"] for warning in comparison["warnings"]}


def warnings_of(ntbbench: Callable[..., Ran], *paths: object) -> dict[str, dict[str, str]]:
    """Return the warnings of a comparison by metric."""
    ran = ntbbench("compare", *paths, "--format", "json")
    assert ran.code == 0
    return {metric: codes(comparison) for metric, comparison in ran.comparisons.items()}
