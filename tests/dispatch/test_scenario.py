# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios: files, defaults, and the points that they become."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.dispatch.scenario import SweepScenario, expand, load_scenario, scenario_from
from ntbbench.ntb.custom import Device

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "board.toml"


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "s.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_order_of_the_axes() -> None:
    scenario = SweepScenario(
        hardware=["generic", "ntb_hw_epf-v4"],
        dispatch=["per-vector", "fallback"],
        doorbells=[8, 4],
        vectors=[2, 1],
        queues=[3, 1],
        workload=["uniform", "round-robin"],
    )
    points = expand(scenario)
    assert len(points) == 2**6
    keys = [
        (
            scenario.hardware.index(device.name),
            scenario.dispatch.index(point.dispatch),
            scenario.doorbells.index(device.doorbells),
            scenario.vectors.index(device.vectors) if device.name == "generic" else -1,
        )
        for point in points
        for device in (point.hardware,)
    ]
    assert keys == sorted(keys)
    fastest = [(point.queues_requested, point.workload.spec) for point in points]
    once = [(3, "uniform"), (3, "round-robin"), (1, "uniform"), (1, "round-robin")]
    assert fastest == once * 16


@pytest.mark.parametrize(
    ("hardware", "doorbells", "vectors", "sizes"),
    [
        ("generic", [5], [3, 9], [(5, 3), (5, 9)]),
        ("generic", [5], [], [(5, 5)]),
        ("pci-epf-vntb-v4", [8], [1, 2, 4], [(8, 6)] * 3),  # the driver does not follow the axis
        ("ntb_hw_intel-gen1", [4, 8], [1, 2], [(15, 4)]),
    ],
)
def test_what_a_device_makes_of_the_size_axes(hardware, doorbells, vectors, sizes) -> None:
    scenario = SweepScenario(
        hardware=[hardware], doorbells=doorbells, vectors=vectors, queues=[1],
        dispatch=["fallback", "msi"],
    )  # fmt: skip
    found = [(point.hardware.doorbells, point.hardware.vectors) for point in expand(scenario)]
    assert found == sizes * 2


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"hardware": ["ntb_hw_intel-gen1"]}, [None, None, "ENOSPC: 4", "ENOSPC: 8"]),
        ({"hardware": ["generic"], "queues": [4], "mw_count": 3}, ["3 memory windows"]),
        ({"hardware": ["ntb_hw_amd"], "queues": [4], "mw_count": 3}, ["3 memory windows"]),
        *(
            ({"hardware": [name], "queues": [4], "mw_count": 3, "max_num_clients": 4}, [None])
            for name in ("generic", "ntb_hw_amd")
        ),
        (
            {"hardware": ["ntb_hw_epf-v4"], "doorbells": [2, 40], "queues": [1]},
            ["takes a db_count from 3 to 31, not 2 ", "takes a db_count from 3 to 31, not 40 "],
        ),
        (
            {"hardware": ["generic"], "workload": ["hot:queue=3"], "queues": [2, 4]},
            ["workload hot:queue=3,share=0.9 needs 4 queues", None],
        ),
    ],
)
def test_what_a_device_cannot_give_is_kept_with_a_reason(axes: dict[str, Any], said: list) -> None:
    scenario = SweepScenario(**{"dispatch": ["per-vector"], "doorbells": [16]} | axes)
    points = expand(scenario)
    assert [point.queues_requested for point in points] == [*scenario.queues] * (
        len(points) // len(scenario.queues)
    )
    for point, words in zip(points, said, strict=True):
        reason = point.provision.reason
        assert (reason is None) == (words is None)
        assert words is None or words in reason


def test_no_queue_of_the_axis_is_hot_enough() -> None:
    with pytest.raises(InputError, match=r"'hot:queue=3,share=0\.9': a queue below 2"):
        expand(SweepScenario(hardware=["generic"], workload=["hot:queue=3"], queues=[1, 2]))


def test_the_example_of_the_docs() -> None:
    scenario = load_scenario(EXAMPLE)
    points = expand(scenario)
    assert len(points) == (1 + 1 + 2) * 2 * 4 * 2
    uneven = next(point for point in points if point.hardware.name == "uneven")
    assert uneven.hardware.vector_map.db_vector_masks == (0x3, 0xC, 0xF0, 0xFF00)
    assert (uneven.hardware.link_mask, uneven.hardware.db_read) == (0x10000, "zero")
    assert all(point.provision.reason is None for point in points)


def test_every_key_of_a_file(tmp_path: Path) -> None:
    path = toml(
        tmp_path,
        """
        hardware = "x"
        queues = "1,2,4..16"
        doorbells = 8
        vectors = [1, 2]
        dispatch = ["msi"]
        workload = "hot:share=0.5"
        interrupts = 7
        seed = 18446744073709551615
        repeats = 0
        jobs = 2
        mw_count = 3
        max_num_clients = 4
        drain = 5
        device.x = { doorbells = 4, vectors = 2 }
        """,
    )
    assert load_scenario(path) == SweepScenario(
        hardware=("x",),
        queues=(1, 2, 4, 8, 16),
        doorbells=(8,),
        vectors=(1, 2),
        dispatch=("msi",),
        workload=("hot:share=0.5",),
        interrupts=7,
        seed=2**64 - 1,
        repeats=0,
        jobs=2,
        mw_count=3,
        max_num_clients=4,
        drain=5,
        device={"x": Device(doorbells=4, vectors=2)},
    )


def test_a_scenario_goes_through_json() -> None:
    scenario = load_scenario(EXAMPLE)
    table = msgspec.json.decode(msgspec.json.encode(scenario))
    assert scenario_from(table, "result") == scenario


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("queues = [", "not TOML in UTF-8"),
        ("queues = " + "9" * 5000, "numbers of fewer than 300 digits"),
        ("queues = " + "[" * 5000, "fewer than 60 brackets in each other"),
        ("queus = 1", r"key: 'queus': unknown; did you mean queues\?"),
        ("device.x.dorbells = 1", r"device x: key: 'dorbells': unknown; did you mean doorbells\?"),
        ("queues = 0", "queues: 0: a whole number from 1 to 1024"),
        ("queues = []", r"queues: \[\]: at least one value"),
        ("hardware = []", r"hardware: \[\]: a list out of"),
        ("hardware = ['generic', 'generic']", "hardware: 'generic': every value once"),
        ("workload = []", r"workload: \[\]: at least one value"),
        ("workload = ['zipf', 'zipf']", "workload: 'zipf': every value once"),
        ("workload = 3", "workload: 3: a specification"),
        ("queues = '4-1'", "queues: '4-1'"),
        ("queues = 1.5", "queues: 1.5: a whole number from 1 to 1024"),
        ("doorbells = [65]", "doorbells: 65"),
        ("interrupts = 0", "interrupts: 0"),
        ("interrupts = 'x'", "interrupts: 'x': a whole number"),
        ("interrupts = true", "interrupts: True: a whole number"),
        ("seed = -1", "seed: -1"),
        ("drain = 0", "drain: 0"),
        ("repeats = -1", "repeats: -1"),
        ("dispatch = 'pervector'", r"did you mean per-vector\?"),
        ("hardware = 'gneric'", r"did you mean generic\?"),
        ("workload = 'unifrom'", r"did you mean uniform\?"),
        ("device = 3", "device"),
        ("device.generic.doorbells = 4", "a name that no preset has"),
        ("device.x.doorbells = 'a'", "device x: doorbells: 'a': a whole number from 1 to 64"),
        ("device.x = 3", "device x: 3: a table of keys"),
        ("queues = '1-1024'\ndoorbells = '1-64'\nvectors = '1-64'", "points"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        expand(load_scenario(toml(tmp_path, text)))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.toml"):
        with pytest.raises(InputError, match=r"^scenario: '.*(directory|such file)"):
            load_scenario(path)
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(InputError, match="not TOML in UTF-8"):
        load_scenario(tmp_path / "latin.toml")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from([*SweepScenario.__struct_fields__, "x"]),
        JSON | st.just({"x": {"masks": [1]}}),
    )
)
@settings(max_examples=150)
def test_any_table_is_a_scenario_or_an_input_error(table: dict[str, Any]) -> None:
    try:
        scenario = scenario_from(table, "s")
        points = expand(scenario)
    except InputError:
        return
    assert points
