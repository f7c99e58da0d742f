# SPDX-License-Identifier: BSD-3-Clause
"""Bad scenarios: one line that names the field, the value and what is allowed."""

import contextlib
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.cli.main import main
from ntbbench.core.errors import InputError
from ntbbench.datapath.scenario import load
from ntbbench.datapath.scenario.sections import Scenario

HOSTILE = [
    ("receiver.hardirq", -1e-6),
    ("receiver.hardirq", "-2us"),
    ("receiver.hardirq", 5),  # seconds
    ("receiver.byte", "nan"),
    ("receiver.byte", float("nan")),
    ("receiver.packet", float("inf")),
    ("receiver.packet", "2 hours"),
    ("receiver.cpus", 0),
    ("receiver.cpus", 1025),
    ("sender.cpus", 4096),
    ("receiver.single_cpu", 16),
    ("receiver.spread_cpus", [0, 99]),
    ("receiver.spread_cpus", [-1]),
    ("device.window_size", 0),
    ("device.window_size", "0MiB"),
    ("traffic.window", 0),
    ("traffic.flows", 0),
    ("traffic.flows", 2.5),
    ("traffic.rate", -1),
    ("run.replications", 0),
    ("run.duration", 0),
    ("run.placement", "random"),
    ("device.hardware", "ntb_hw_epf_v4"),
    ("device.hz", True),
    ("device.hz", 333),  # within the range of CONFIG_HZ, and no kernel has it
    ("device.hz", 250.0),
    ("receiver.dma", "maybe"),
    ("link.doorbell", "polled"),
]


@pytest.mark.parametrize(("name", "value"), HOSTILE)
def test_a_bad_value_is_one_line(
    name: str, value: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section, _, key = name.partition(".")
    with pytest.raises(InputError) as caught:
        load.scenario_from({section: {key: value}}, "board.toml")
    assert key in caught.value.field
    text = str(value).strip("[]").replace("True", "true")
    output = tmp_path / "result.json"
    assert main(["simulate", "--set", f"{name}={text}", "-o", str(output)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert key in line or section in line
    assert not output.exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"reciever": {}}, "did you mean receiver?"),
        ({"queue": [1]}, "did you mean queues?"),
        ({"receiver": {"hardirqs": 1}}, "did you mean hardirq?"),
        ({"receiver": []}, "a table of keys"),
        ({"queues": []}, "queues"),
        ({"queues": [65]}, "64"),
        ({"queues": [True]}, "queues"),
        ({"queues": [True, 2]}, "queues: True: a whole number from 1 to 64"),
        ({"queues": [2.0]}, "queues: 2.0: a whole number from 1 to 64"),
        ({"dispatch": "msi,msi"}, "every value once"),
        ({"dispatch": ["per_vector"]}, "did you mean per-vector?"),
        ({"affinity": ["single", "single"]}, "every value once"),
        ({"protocol": 7}, "a list out of tcp, udp"),
        ({"preset": "rcar-s4-spidr"}, "did you mean rcar-s4-spider?"),
        ({"preset": 1}, "the name of a board"),
        ({"sender": {"packet": 0, "byte": 0}}, "never ends"),
        ({"run": {"duration": 3600}}, "an hour at most"),
        ({"traffic": {"rate": 1}}, "at least 146 bit/s"),
    ],
)
def test_a_bad_table_is_told(table: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        load.scenario_from(table, "board.toml")
    assert said in str(caught.value)


@settings(deadline=None)  # the machine is shared
@given(text=st.text(string.printable, max_size=30))
def test_set_never_breaks(text: str) -> None:
    """Whatever is typed: a scenario, or one clear line."""
    try:
        load.check_scenario(load.with_settings(Scenario(), [text, f"receiver.byte={text}"]))
    except InputError as error:
        assert "\n" not in repr(error.value)


@settings(deadline=None)  # the machine is shared
@given(
    table=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*load.TOP, "cpus", "byte", "x"]), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_tables_never_break(table: Any) -> None:
    if not isinstance(table, dict):
        table = {"receiver": table}
    with contextlib.suppress(InputError):
        load.scenario_from(table, "board.toml")
