# SPDX-License-Identifier: BSD-3-Clause
"""The JSON Schema of each kind of result, held against real results by a foreign validator."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compare_runs import Ran
from golden_cases import INPUTS
from jsonschema import Draft202012Validator

from ntbbench.report.kinds import RESULTS

NAMES = {kind.schema: name for name, kind in RESULTS.items()}


def saved() -> list[Path]:
    """Return the golden inputs that are results of ours."""
    files = sorted(INPUTS.glob("*.json"))
    return [path for path in files if json.loads(path.read_bytes()).get("schema") in NAMES]


def schema(ntbbench: Callable[..., Ran], name: str) -> dict[str, Any]:
    ran = ntbbench("schema", name)
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, Any] = json.loads(ran.out)
    Draft202012Validator.check_schema(found)
    return found


def test_every_kind_is_listed(ntbbench: Callable[..., Ran]) -> None:
    listed = ntbbench("schema").out.split()
    assert listed == [word for name, kind in RESULTS.items() for word in (name, kind.schema)]


@pytest.mark.parametrize("path", saved(), ids=lambda path: path.stem)
def test_real_results_are_valid_and_damaged_ones_are_not(
    ntbbench: Callable[..., Ran], path: Path
) -> None:
    record = json.loads(path.read_bytes())
    validator = Draft202012Validator(schema(ntbbench, NAMES[record["schema"]]))
    validator.validate(record)
    assert not validator.is_valid(record | {"schema": "another/1"})
    lists = [key for key, value in record.items() if isinstance(value, list)]
    assert lists
    for key in lists:
        assert not validator.is_valid(record | {key: 5})


def test_a_wrong_kind_is_one_line_with_the_nearest(ntbbench: Callable[..., Ran]) -> None:
    ran = ntbbench("schema", "lap")
    assert ran.code == 2
    assert "did you mean lab?" in ran.err
    assert ran.err.count("\n") == 1
