# SPDX-License-Identifier: BSD-3-Clause
"""The instruction counts of the benches: what is read of callgrind, and where the counts go."""

import json
from pathlib import Path

import pytest
from compare_data import pytest_benchmark, written

from benches import instructions
from ntbbench.compare.readers.detect import load_variant

# Valgrind's manual, "Callgrind Format Specification": names are compressed, the line below
# `calls=` is the callee's cost, positions may be relative.
PROFILE = """\
events: Ir

ob=(1) /lib/libpython.so
fn=(1) eval
10 1000
cob=(2) /x/engine/_scan.so
cfn=(2) run
calls=3 5
+1 70
* 9

ob=(2)
fn=(2)
5 40
+2 20
cob=(1)
cfn=(1)
calls=1 10
* 500
-1 3

ob=(3) /x/engineering/other.so
fn=(3) f
1 7
totals: 1649
"""
BY = instructions.Counter("callgrind", lambda _: 0, 1, 4)


def test_only_what_the_engine_executes_itself_is_counted() -> None:
    assert instructions.self_cost(PROFILE, "/x/engine/") == 63
    assert instructions.self_cost(PROFILE, "/none/") == 0


def test_each_count_has_the_name_of_a_timing() -> None:
    cases = list(instructions.cases([4]))
    assert len(cases) == len(set(cases)) == 12


def test_counts_go_beside_their_timings(tmp_path: Path) -> None:
    label = "test_kernel[scan-1-fallback-4]"
    file = Path(written(tmp_path / "new.json", pytest_benchmark(**{label: 1e-3})))
    record = instructions.joined(file, {label: 195.5}, BY)
    file.write_text(json.dumps(record))
    variant = load_variant(str(file))
    name = f"benches/test_x.py::{label}"
    assert variant.series[f"{name}:instructions_per_dispatch"].value == 195.5
    assert variant.series[name].samples is not None
    assert variant.environment["counter"] == "callgrind"
    with pytest.raises(SystemExit, match="no timing of test_other"):
        instructions.joined(file, {"test_other": 1.0}, BY)


def test_counts_alone_are_a_result_too(tmp_path: Path) -> None:
    label = "test_kernel[scan-1-fallback-4]"
    record = instructions.alone({label: 195.5}, BY)
    variant = load_variant(written(tmp_path / "i.json", record))
    assert list(variant.series) == [f"benches/test_kernels.py::{label}:instructions_per_dispatch"]
