# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios of simulate: keys, presets, TOML there and back, documents."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulate_runs import KEYS

from ntbbench.core.errors import InputError
from ntbbench.core.options import Choice, Count, Counts, Duration, Flag, Kind, Share, Word
from ntbbench.datapath.scenario import load
from ntbbench.datapath.scenario.boards import BOARDS
from ntbbench.datapath.scenario.load import preset
from ntbbench.datapath.scenario.sections import Scenario

DOC = Path(__file__).parents[3] / "docs" / "simulate.md"


# There and back.


@pytest.mark.parametrize("name", BOARDS)
def test_a_preset_survives_toml_and_tables(name: str) -> None:
    scenario = load.preset(name)
    assert load.scenario_from(load.to_table(scenario), "table") == scenario
    assert load.scenario_from(tomllib.loads(load.to_toml(scenario)), "toml") == scenario


def values_of(kind: Kind) -> st.SearchStrategy[Any]:
    """Draw what a key takes, as a TOML file gives it."""
    if isinstance(kind, Duration):
        seconds = st.floats(kind.low, kind.high, allow_nan=False)
        return seconds | st.integers(0, 90).map(lambda n: f"{n}ms").filter(
            lambda text: kind.low <= int(text[:-2]) / 1000 <= kind.high
        )
    if isinstance(kind, Count):
        return st.integers(kind.low, kind.high)
    if isinstance(kind, Counts):
        return st.lists(st.integers(kind.low, kind.high), max_size=4)
    if isinstance(kind, Choice):
        return st.sampled_from(kind.known)
    if isinstance(kind, Share):
        return st.floats(0, 1)
    if isinstance(kind, Flag):
        return st.booleans()
    return st.sampled_from(kind.known or ("generic", "ntb_hw_epf-v4"))


@settings(deadline=None)  # the machine is shared
@given(data=st.data(), name=st.sampled_from(sorted(KEYS)))
def test_every_key_takes_its_range_and_survives(data: st.DataObject, name: str) -> None:
    section, _, key = name.partition(".")
    value = data.draw(values_of(KEYS[name]))
    table = {section: {key: value}, "receiver": {"cpus": 1024}}
    if section == "receiver":
        table = {"receiver": {"cpus": 1024, key: value}}
    try:
        scenario = load.scenario_from(table, "x")
    except InputError as error:  # only what single keys cannot know: the CPUs there are
        alone = ("single_cpu", "spread_cpus", "sender.packet", "run.duration", "traffic.rate")
        assert error.field.endswith(alone)
        return
    assert load.scenario_from(tomllib.loads(load.to_toml(scenario)), "y") == scenario


def test_a_file_starts_from_its_preset(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text('preset = "rcar-s4-spider"\nqueues = "1-4"\n[receiver]\nhardirq = "9us"\n')
    scenario = load.load_scenario(path)
    assert scenario.queues == (1, 2, 3, 4)
    assert scenario.receiver.hardirq == 9_000_000
    assert scenario.sender == load.preset("rcar-s4-spider").sender


def test_a_note_claims_no_fit_of_costs_that_were_changed(tmp_path: Path) -> None:
    board = preset("rcar-s4-spider")
    path = tmp_path / "board.toml"
    path.write_text('preset = "rcar-s4-spider"\nqueues = [4]\n[run]\nduration = 1\n')
    assert load.load_scenario(path).note == board.note  # axes and runs are no costs
    path.write_text('preset = "rcar-s4-spider"\n[receiver]\nbyte = "1ns"\n')
    changed = load.load_scenario(path)
    assert changed.note == (
        "based on rcar-s4-spider, changed: receiver.byte: no longer as fitted or assumed there"
    )
    more = load.with_true_note(load.with_settings(changed, ["hz=1000"]), changed)
    assert "changed: device.hz, receiver.byte:" in more.note
    back = load.with_true_note(load.with_settings(changed, ["receiver.byte=13.32ns"]), changed)
    assert back == board
    assert load.scenario_from(load.to_table(more), "saved") == more
    path.write_text('note = "mine"\n[receiver]\nbyte = "1ns"\n')
    assert load.load_scenario(path).note == "mine"


def test_a_note_names_some_of_many_changed_keys() -> None:
    keys = ("hardirq", "db_read", "db_clear", "scan", "softirq", "tasklet", "spin", "packet")
    receiver = dict.fromkeys(keys, "3us")
    note = load.scenario_from({"receiver": receiver}, "test").note
    assert "receiver.tasklet and 2 more: no longer" in note


def test_set_takes_a_key_without_its_section() -> None:
    scenario = load.with_settings(Scenario(), ["hardirq=2us", "receiver.byte=1.5ns", "dma=true"])
    receiver = scenario.receiver
    assert (receiver.hardirq, receiver.byte, receiver.dma) == (2_000_000, 1_500_000, True)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0,1", (0, 1)), ("[0, 1]", (0, 1)), ("3", (3,)), ("[]", ()), ("[ ]", ())],
)
def test_set_takes_lists(text: str, cpus: tuple[int, ...]) -> None:
    """Also the empty one, which puts a board's list back to all CPUs."""
    board = load.with_settings(Scenario(), ["spread_cpus=5,7"])
    assert load.with_settings(board, [f"spread_cpus={text}"]).receiver.spread_cpus == cpus


@pytest.mark.parametrize("text", ["[0,", "0,]", "0,,1", "[[0]]", "[,]"])
def test_half_a_list_is_none(text: str) -> None:
    with pytest.raises(InputError, match="spread_cpus"):
        load.with_settings(Scenario(), [f"spread_cpus={text}"])


def test_queues_of_the_command_line_count_once() -> None:
    """As in a sweep, where ranges may overlap; a file's text and a list alike."""
    assert load.axis("--queues", "queues", "1,1-3,2") == (1, 2, 3)
    assert load.scenario_from({"queues": "1,1-3,2"}, "x").queues == (1, 2, 3)
    assert load.scenario_from({"queues": [1, 1, 2, "2-3"]}, "x").queues == (1, 2, 3)


@pytest.mark.parametrize(
    ("doorbell", "hardware", "taken"),
    [
        ("poll", "pci-epf-vntb-legacy", True),
        ("poll", "generic", True),
        ("poll", "ntb_hw_epf-v4", False),
        ("poll", "ntb_hw_intel-gen3", False),
        ("embedded", "pci-epf-vntb-v4", True),
        ("embedded", "ntb_hw_epf-v4", False),
        ("deferred", "ntb_hw_epf-v4", True),
        ("deferred", "pci-epf-vntb-v4", False),
        ("deferred", "ntb_hw_amd", False),
        ("msi", "ntb_hw_amd", True),
    ],
)
def test_a_driver_gets_its_doorbells_as_it_can(doorbell: str, hardware: str, taken: bool) -> None:
    table = {"link": {"doorbell": doorbell}, "device": {"hardware": hardware}}
    if taken:
        assert load.scenario_from(table, "x").link.doorbell == doorbell
        return
    with pytest.raises(InputError, match=rf"link\.doorbell: .*{hardware} not {doorbell}"):
        load.scenario_from(table, "x")


def test_the_documents_list_every_key() -> None:
    rows = [line for line in DOC.read_text().splitlines() if line.startswith("| `")]
    told = {row.split("`")[1]: row for row in rows}
    assert told.keys() >= KEYS.keys()
    usual = {
        f"{section}.{key}": value
        for section, table in load.to_table(Scenario()).items()
        if isinstance(table, dict)
        for key, value in table.items()
    }
    for name, kind in KEYS.items():
        assert f"| {kind.text} | {kind.allowed} |" in told[name], name
        assert f"| {text_of(usual[name])} |" in told[name], name


def text_of(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[]" if value == [] else str(value)


def test_word_without_a_list_takes_any_line() -> None:
    assert Word((), "").parse("name", "a board") == "a board"
    with pytest.raises(InputError):
        Word((), "").parse("name", "two\nlines")
