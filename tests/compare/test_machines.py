# SPDX-License-Identifier: BSD-3-Clause
"""Results from machines that do not name their CPU: an absent key equals nothing."""

import copy
from pathlib import Path
from typing import Any

import pytest
from compare_data import pyperf, pytest_benchmark, sweep, written

BOARD: dict[str, Any] = {
    "node": "rock5b",
    "processor": "",
    "machine": "aarch64",
    "python_compiler": "GCC 12.2.0",
    "python_implementation": "CPython",
    "cpu": {
        "arch": "ARM_8",
        "arch_string_raw": "aarch64",
        "bits": 64,
        "count": 8,
        "flags": ["aes", "asimd", "fp"],
        "model": 0,
        "hz_actual": [1800000000, 0],
        "cpuinfo_version_string": "9.0.0",
    },
}


def on_a_board(seed: int = 1, cpu: dict[str, Any] | None = None, **machine: Any) -> dict[str, Any]:
    """A file of pytest-benchmark from BOARD; None takes a key away."""
    record = pytest_benchmark(seed)
    found = copy.deepcopy(BOARD) | machine
    found["cpu"] |= cpu or {}
    found["cpu"] = {key: value for key, value in found["cpu"].items() if value is not None}
    record["machine_info"] = {key: value for key, value in found.items() if value is not None}
    return record


def test_boards_of_which_neither_names_its_cpu_are_not_the_same(ntbbench, sides) -> None:
    other = on_a_board(2, node="rpi4", cpu={"model": 3})
    files = sides(on_a_board(), other)
    told = (
        "the CPU is not known (no cpu.brand_raw), and the machines differ: node 'rock5b' against "
        "'rpi4', cpu.model '0' against '3' (b)"
    )
    for command in ("gate", "compare"):
        ran = ntbbench(command, *files)
        assert (ran.code, ran.out) == (5, "")
        assert ran.err.startswith(f"ntbbench: the two sides are not comparable: {told}; ")
    assert ntbbench("gate", *files, "--force", "the same board, renamed").code == 0
    assert ntbbench("gate", *files, "--ignore-environment", "cpu.brand_raw").code == 0
    ignored = ["--ignore-environment", "node"]
    assert ntbbench("gate", *files, *ignored).code == 5
    assert ntbbench("gate", *files, *ignored, "--ignore-environment", "cpu.model").code == 0


@pytest.mark.parametrize(
    "machine",
    [
        {"node": "rpi4"},
        {"processor": "cortex"},
        {"cpu": {"model": 3}},
        {"cpu": {"count": 4}},
        {"cpu": {"hardware_raw": "BCM2835"}, "base": {"hardware_raw": "BCM2711"}},
        {"cpu": {"l2_cache_size": 1}, "base": {"l2_cache_size": 2}},
        {"cpu": {"stepping": 1}, "base": {"stepping": 3}},
    ],
)
def test_any_difference_of_what_is_known_is_one(gated, machine) -> None:
    base = on_a_board(cpu=machine.pop("base", None), processor="armv8")
    machine.setdefault("processor", "armv8")
    assert gated(base, on_a_board(2, **machine)).code == 5


@pytest.mark.parametrize(
    "name", [None, "", "0", "7", "0xd0b", "unknown", "ARMv8 Processor rev 4 (v8l)"]
)
def test_what_names_no_cpu_equals_nothing_either(gated, name) -> None:
    """py-cpuinfo takes the number of a core for its name; every ARMv8 core has the last one."""
    base, same = (on_a_board(seed, cpu={"brand_raw": name}) for seed in (1, 2))
    other = on_a_board(2, cpu={"brand_raw": name}, node="rpi4")
    assert gated(base, other).code == 5
    ran = gated(base, same)
    assert (ran.code, ran.report["environment"]["differences"]) == (0, [])


def test_results_of_one_board_are_comparable(gated) -> None:
    """With another frequency, kernel, Python and version of py-cpuinfo, and fewer keys."""
    moved = {"hz_actual": [408000000, 0], "cpuinfo_version_string": "9.1.0", "bits": None}
    new = on_a_board(2, cpu=moved, release="6.12", python_version="3.12")
    ran = gated(on_a_board(), new)
    assert ran.code == 0
    (note,) = ran.report["environment"]["notes"][-1:]
    told = "the CPU is not known (no cpu.brand_raw); the machines agree in node, cpu.arch, "
    assert note == f"{told}cpu.arch_string_raw, cpu.count, cpu.model (b)"


def test_a_cpu_that_both_name_needs_no_more(gated) -> None:
    """A hosted runner has another name each time."""
    named = {"brand_raw": "Neoverse-N1"}
    base, new = on_a_board(cpu=named), on_a_board(2, cpu=named | {"count": 4}, node="runner-7")
    ran = gated(base, new)
    assert ran.code == 0
    assert not any("CPU" in note for note in ran.report["environment"]["notes"])


def test_a_cpu_that_one_side_names_equals_nothing(ntbbench, sides) -> None:
    """A node name such as localhost says little; who knows better ignores the key."""
    named = on_a_board(2, cpu={"brand_raw": "Cortex-A76"})
    files = sides(on_a_board(), named)
    for pair in (files, files[::-1]):
        ran = ntbbench("gate", *pair)
        assert ran.code == 5
        assert "only one side names its CPU" in ran.err
        assert ntbbench("gate", *pair, "--ignore-environment", "cpu.brand_raw").code == 0


def test_files_that_know_nothing_are_compared_with_a_word(gated) -> None:
    bare = [pytest_benchmark(seed) | {"machine_info": {}} for seed in (1, 2)]
    ran = gated(*bare)
    notes = " ".join(ran.report["environment"]["notes"])
    assert ran.code == 0
    assert "the CPU is not known (no cpu.brand_raw), nor the machine" in notes
    assert "neither side knows, so not compared: machine, python_compiler" in notes


def test_a_folder_of_boards_is_no_variant(ntbbench, sides) -> None:
    files = sides(on_a_board(), on_a_board(2, node="rpi4"))
    ran = ntbbench("gate", ",".join(files), files[0])
    assert (ran.code, "another run of the same" in ran.err) == (2, True)
    same = sides(on_a_board(), on_a_board(2))
    assert ntbbench("compare", ",".join(same), ",".join(same)).code == 0


def test_pyperf_of_boards(gated) -> None:
    def on(host: str, cpus: int = 8, **metadata: Any) -> dict[str, Any]:
        record = pyperf()
        known = {"hostname": host, "cpu_count": cpus, "python_implementation": "cpython"}
        record["metadata"] = {"unit": "second"} | known | metadata
        return record

    assert gated(on("a"), on("a")).code == 0
    assert gated(on("a"), on("b")).code == 5
    assert gated(on("a"), on("a", 4)).code == 5
    named = {"cpu_model_name": "Example 1"}
    assert gated(on("a", **named), on("b", **named)).code == 0


def test_sweeps_that_could_not_read_the_cpu(gated) -> None:
    def of(model: str | None, cores: int, flags: object = ("fp",)) -> dict[str, Any]:
        record = sweep()
        cpu = {"model": model, "flags": flags, "architecture": "aarch64", "cores": cores}
        record["environment"]["cpu"] = {k: v for k, v in cpu.items() if v is not None}
        return record

    unread = "not readable: /proc/cpuinfo does not name it"
    for model in (unread, "0xd05", None):
        base = of(model, 8)
        assert gated(base, of(model, 8)).code == 0
        assert gated(base, of(model, 4)).code == 5
    assert gated(of("Example", 8), of("Example", 4)).code == 0
    blind = of(unread, 8, unread)
    ran = gated(blind, blind)
    assert ran.report["environment"]["notes"] == [
        "the CPU is not known (no cpu.model); the machines agree in cpu.cores (b)",
        "neither side knows, so not compared: cpu.flags (b)",
    ]


def test_calibration_and_history_tell_boards_apart(ntbbench, tmp_path: Path) -> None:
    files = [
        written(tmp_path / f"{i}.json", on_a_board(i, node="rpi4" if i == 3 else "rock5b"))
        for i in range(4)
    ]
    assert ntbbench("calibrate", *files).code == 5
    store = tmp_path / "store.sqlite"
    for i, file in enumerate(files):
        assert ntbbench("history", "add", file, "--commit", i, "--store", store).code == 0
    told = ntbbench("history", "check", "--store", store).out
    assert "the results come from 2 environments" in told
