# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios of simulate: keys, presets, TOML there and back, bad values, documents."""

import contextlib
import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.cli.main import main
from ntbbench.core.errors import InputError
from ntbbench.core.options import Choice, Count, Counts, Duration, Flag, Kind, Share, Word, shown
from ntbbench.datapath.scenario_file import (
    KEYS,
    check_scenario,
    load_scenario,
    preset,
    scenario_from,
    to_toml,
    with_settings,
    with_true_note,
)
from ntbbench.datapath.sections import BOARDS, Scenario


@pytest.mark.parametrize("name", BOARDS)
def test_a_preset_survives_toml_and_tables(name: str) -> None:
    scenario = preset(name)
    assert scenario_from(shown(scenario), "table") == scenario
    assert scenario_from(tomllib.loads(to_toml(scenario)), "toml") == scenario


def values_of(kind: Kind) -> st.SearchStrategy[Any]:
    """Draw what a key takes, as a TOML file gives it."""
    match kind:
        case Duration(low, high):
            texts = st.integers(0, 90).filter(lambda n: low <= n / 1000 <= high)
            return st.floats(low, high, allow_nan=False) | texts.map(lambda n: f"{n}ms")
        case Count(low, high):
            return st.integers(low, high)
        case Counts(low, high):
            return st.lists(st.integers(low, high), max_size=4)
        case Choice(known):
            return st.sampled_from(known)
        case Share():
            return st.floats(0, 1)
        case Flag():
            return st.booleans()
        case Word(known):
            return st.sampled_from(known or ("generic", "ntb_hw_epf-v4"))
    raise AssertionError(kind)


@given(data=st.data(), name=st.sampled_from(sorted(KEYS)))
def test_every_key_takes_its_range_and_survives(data: st.DataObject, name: str) -> None:
    section, _, key = name.partition(".")
    table: dict[str, Any] = {"receiver": {"cpus": 1024}}
    table.setdefault(section, {})[key] = data.draw(values_of(KEYS[name]))
    try:
        scenario = scenario_from(table, "x")
    except InputError as error:  # only what single keys cannot know: the CPUs there are
        alone = ("single_cpu", "spread_cpus", "sender.packet", "run.duration", "traffic.rate")
        assert error.field.endswith(alone)
        return
    assert scenario_from(tomllib.loads(to_toml(scenario)), "y") == scenario


def test_a_file_starts_from_its_preset(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text('preset = "rcar-s4-spider"\nqueues = "1-4"\n[receiver]\nhardirq = "9us"\n')
    scenario = load_scenario(path)
    assert scenario.queues == (1, 2, 3, 4)
    assert scenario.receiver.hardirq == 9_000_000
    assert scenario.sender == preset("rcar-s4-spider").sender


def test_a_note_claims_no_fit_of_costs_that_were_changed() -> None:
    board = preset("rcar-s4-spider")
    based: dict[str, Any] = {"preset": "rcar-s4-spider"}
    asked = scenario_from(based | {"queues": [4], "run": {"duration": 1}}, "x")
    assert asked.note == board.note  # axes and runs are no costs
    changed = scenario_from(based | {"receiver": {"byte": "1ns"}}, "x")
    assert changed.note == (
        "based on rcar-s4-spider, changed: receiver.byte: no longer as fitted or assumed there"
    )
    more = with_true_note(with_settings(changed, ["hz=1000"]), changed)
    assert "changed: device.hz, receiver.byte:" in more.note
    assert with_true_note(with_settings(changed, ["receiver.byte=13.32ns"]), changed) == board
    assert scenario_from(shown(more), "saved") == more
    assert scenario_from({"note": "mine", "receiver": {"byte": "1ns"}}, "x").note == "mine"
    keys = ("hardirq", "db_read", "db_clear", "scan", "softirq", "tasklet", "spin", "packet")
    note = scenario_from({"receiver": dict.fromkeys(keys, "3us")}, "test").note
    assert "receiver.tasklet and 2 more: no longer" in note


def test_set_takes_a_key_without_its_section() -> None:
    receiver = with_settings(
        Scenario(), ["hardirq=2us", "receiver.byte=1.5ns", "dma=true"]
    ).receiver
    assert (receiver.hardirq, receiver.byte, receiver.dma) == (2_000_000, 1_500_000, True)


@pytest.mark.parametrize(
    ("text", "cpus"), [("0,1", (0, 1)), ("[0, 1]", (0, 1)), ("3", (3,)), ("[]", ()), ("[ ]", ())]
)
def test_set_takes_lists(text: str, cpus: tuple[int, ...]) -> None:
    """Also the empty one, which puts a board's list back to all CPUs."""
    board = with_settings(Scenario(), ["spread_cpus=5,7"])
    assert with_settings(board, [f"spread_cpus={text}"]).receiver.spread_cpus == cpus


@pytest.mark.parametrize("queues", ["1,1-3,2", [1, 1, 2, "2-3"], [1, 2, 3]])
def test_a_queue_count_counts_once(queues: object) -> None:
    """As in a sweep, where ranges may overlap; a file's text and a list alike."""
    assert scenario_from({"queues": queues}, "x").queues == (1, 2, 3)


@pytest.mark.parametrize(
    ("doorbell", "taken", "refused"),
    [
        ("poll", ["pci-epf-vntb-legacy", "generic"], ["ntb_hw_epf-v4", "ntb_hw_intel-gen3"]),
        ("embedded", ["pci-epf-vntb-v4"], ["ntb_hw_epf-v4"]),
        ("deferred", ["ntb_hw_epf-v4"], ["pci-epf-vntb-v4", "ntb_hw_amd"]),
        ("msi", ["ntb_hw_amd"], []),
    ],
)
def test_a_driver_gets_its_doorbells_as_it_can(doorbell, taken, refused) -> None:
    for hardware in (*taken, *refused):
        table = {"link": {"doorbell": doorbell}, "device": {"hardware": hardware}}
        if hardware in taken:
            assert scenario_from(table, "x").link.doorbell == doorbell
        else:
            with pytest.raises(InputError, match=rf"link\.doorbell: .*{hardware} not {doorbell}"):
                scenario_from(table, "x")


BAD_VALUES: dict[str, list[object]] = {
    "receiver.hardirq": [-1e-6, "-2us", 5],  # seconds
    "receiver.byte": ["nan", float("nan")],
    "receiver.packet": [float("inf"), "2 hours"],
    "receiver.cpus": [0, 1025],
    "receiver.single_cpu": [16],
    "receiver.spread_cpus": [[0, 99], [-1], "[0,", "0,]", "0,,1", "[[0]]", "[,]"],
    "receiver.dma": ["maybe"],
    "sender.cpus": [4096],
    "device.window_size": [0, "0MiB"],
    "device.hardware": ["ntb_hw_epf_v4"],
    "device.hz": [True, 333, 250.0],  # within the range of CONFIG_HZ, and no kernel has it
    "traffic.window": [0],
    "traffic.flows": [0, 2.5],
    "traffic.rate": [-1],
    "run.replications": [0],
    "run.duration": [0],
    "run.placement": ["random"],
    "link.doorbell": ["polled"],
    "name": ["two\nlines"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD_VALUES.items() for value in values]
)
def test_a_bad_value_is_one_line(name, value, tmp_path, capsys) -> None:
    section, _, key = name.rpartition(".")
    with pytest.raises(InputError) as caught:
        scenario_from({section: {key: value}} if section else {key: value}, "board.toml")
    assert key in caught.value.field
    if not section:
        return  # no key of --set
    text = str(value).replace("True", "true")
    output = tmp_path / "result.json"
    assert main(["simulate", "--set", f"{name}={text}", "-o", str(output)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert key in line or section in line
    assert not output.exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"reciever": {}}, "did you mean receiver?"),
        ({"presett": "generic"}, "did you mean preset?"),
        ({"queue": [1]}, "did you mean queues?"),
        ({"receiver": {"hardirqs": 1}}, "did you mean hardirq?"),
        ({"receiver": []}, "a table of keys"),
        ({"queues": []}, "queues: []: at least one value"),
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
def test_a_bad_table_is_one_line(table: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        scenario_from(table, "board.toml")
    assert said in str(caught.value)


@given(text=st.text(string.printable, max_size=30))
def test_set_never_breaks(text: str) -> None:
    """Whatever is typed: a scenario, or one clear line."""
    try:
        check_scenario(with_settings(Scenario(), [text, f"receiver.byte={text}"]))
    except InputError as error:
        assert "\n" not in repr(error.value)


@given(
    table=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*shown(Scenario()), "preset", "cpus", "byte", "x"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=8,
    )
)
def test_tables_never_break(table: Any) -> None:
    if not isinstance(table, dict):
        table = {"receiver": table}
    with contextlib.suppress(InputError):
        scenario_from(table, "board.toml")
