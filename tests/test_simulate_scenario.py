# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios of simulate: keys, presets, TOML there and back, rings, systems, bad input."""

import contextlib
import pickle
import string
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntbbench.cli.main import main
from ntbbench.errors import InputError
from ntbbench.measure.simulation.fit import fit, target_of, throughput
from ntbbench.measure.simulation.replicate import replicate
from ntbbench.model.datapath.checks import check_system
from ntbbench.model.hardware import hardware_names
from ntbbench.model.simulation import load
from ntbbench.model.simulation.boards import BOARDS
from ntbbench.model.simulation.geometry import ring_of
from ntbbench.model.simulation.keys import Choice, Count, Counts, Duration, Flag, Kind, Share, Word
from ntbbench.model.simulation.load import preset
from ntbbench.model.simulation.point import PointSpec, expand
from ntbbench.model.simulation.resolve import engine_seed, queue_of_flow, resolve
from ntbbench.model.simulation.scenario import Scenario

DOC = Path(__file__).parent.parent / "docs" / "simulate.md"
KEYS = {
    f"{section}.{key}": kind
    for section, found in load.all_keys().items()
    for key, kind in found.items()
}


def spec_of(
    *settings: str, queues: int = 4, dispatch: str = "per-vector", affinity: str = "spread",
    protocol: str = "tcp", board: str = "generic",
) -> PointSpec:  # fmt: skip
    scenario = load.with_settings(load.preset(board), settings)
    load.check_scenario(scenario)
    return PointSpec(scenario, queues, dispatch, affinity, protocol)


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


# Bad input: one line that names the field, the value and what is allowed.

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


# Rings: ntb-facts sections 3 and 4, by hand.


@pytest.mark.parametrize(
    ("qp_num", "qp_count", "windows", "size", "frame", "entries"),
    [
        (0, 4, 4, 1 << 20, 0x10000, 15),  # a window a QP: 1 MiB - 4 holds 15 frames
        (0, 3, 2, 1 << 20, 0x10000, 7),  # the first window has two QPs,
        (1, 3, 2, 1 << 20, 0x10000, 15),  # the second one
        (2, 3, 2, 1 << 20, 0x10000, 7),
        (0, 1, 1, 1 << 16, 32766, 2),  # small windows: two frames
        (0, 1, 1, 4, 0, 0),
    ],
)
def test_windows_are_cut_as_the_kernel_cuts_them(
    qp_num: int, qp_count: int, windows: int, size: int, frame: int, entries: int
) -> None:
    ring = ring_of(qp_num, qp_count, windows, size)
    assert (ring.frame, ring.entries) == (frame, entries)


def test_a_packet_of_the_published_measurement_fills_a_frame() -> None:
    """iperf3 -l 65480 is what an MTU of 65510 leaves for UDP, two bytes short."""
    spec = spec_of(board="rcar-s4-spider", protocol="udp")
    assert spec.rings[0].mtu == 65510
    assert (spec.payload, spec.size) == (65480, 65522)
    assert spec_of(board="rcar-s4-spider").payload == 65510 - 52


@pytest.mark.parametrize(
    ("settings", "queues", "protocol", "said"),
    [
        (["device.hardware=ntb_hw_epf-v4", "doorbells=15"], 5, "tcp", "ENOSPC: 5 queues"),
        (["window_size=384KiB"], 1, "tcp", "never 5 free"),
        (["window_size=300KiB", "tx_busy=false"], 1, "tcp", None),
        (["window_size=4"], 1, "tcp", "0 entries"),
        (["window_size=100"], 1, "tcp", "2 entries"),
        (["transport_mtu=64"], 1, "tcp", "no payload"),
        (["length=65483"], 1, "udp", "above the MTU"),
        (["length=65482"], 1, "udp", None),
    ],
)
def test_what_cannot_be_had_says_why(
    settings: list[str], queues: int, protocol: str, said: str | None
) -> None:
    reason = spec_of(*settings, queues=queues, protocol=protocol).reason
    assert (reason is None) == (said is None)
    assert said is None or said in str(reason)


# The board that is fitted.


def test_the_preset_meets_the_published_single_queue_and_nothing_else_was_fitted() -> None:
    """TCP 583-589, UDP 580-583 Mbit/s (ntb-facts section 8); the fit gives the preset's number."""
    board = preset("rcar-s4-spider")
    for protocol in ("tcp", "udp"):
        rate = throughput(board, protocol, board.receiver.byte, "specialised")
        assert 580e6 <= rate <= 589e6
    published = target_of([580e6, 583e6, 583e6, 589e6], 0.02)
    found = fit(board, "tcp", published, "specialised")
    assert found.byte == pytest.approx(board.receiver.byte, rel=1e-3)
    assert found.high is not None
    assert found.low < board.receiver.byte < found.high


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("dispatch", "affinity", "hashed", "balanced"),
    [
        ("fallback", "single", 0.58, 0.58),
        ("per-vector", "single", 0.58, 0.58),
        ("fallback", "spread", 0.8, 1.1),
        ("per-vector", "spread", 1.6, 2.3),
    ],
)
def test_what_the_documents_say_it_predicts(
    protocol: str, dispatch: str, affinity: str, hashed: float, balanced: float
) -> None:
    for placement, expected in (("hash", hashed), ("balanced", balanced)):
        spec = spec_of(
            f"placement={placement}", board="rcar-s4-spider", dispatch=dispatch,
            affinity=affinity, protocol=protocol,
        )  # fmt: skip
        rates = [replicate(spec, number, "specialised").throughput_bps for number in range(10)]
        assert np.mean(rates) / 1e9 == pytest.approx(expected, rel=0.1)


# Systems.


def test_dispatch_decides_what_an_interrupt_may_wake() -> None:
    def callbacks(dispatch: str) -> list[tuple[int, ...]]:
        return [source.callbacks for source in resolve(spec_of(dispatch=dispatch), 0).sources]

    everything = (1 << 64) - 1
    assert callbacks("fallback") == [(everything,)] * 4
    assert callbacks("per-vector") == [(1,), (2,), (4,), (8,)]
    msi = resolve(spec_of(dispatch="msi"), 0)
    assert [source.kind for source in msi.sources] == ["msi"] * 4
    assert not any(queue.db_bits for queue in msi.queues)


def test_affinity_places_the_interrupts() -> None:
    def cpus(affinity: str, *settings: str) -> list[int]:
        system = resolve(spec_of(*settings, affinity=affinity), 0)
        return [source.cpu for source in system.sources]

    assert cpus("single", "single_cpu=3") == [3, 3, 3, 3]
    assert cpus("spread") == [0, 1, 2, 3]
    assert cpus("spread", "spread_cpus=5,7") == [5, 7, 5, 7]
    assert cpus("spread", "receiver.cpus=2") == [0, 1, 0, 1]


def test_shared_vectors_are_one_interrupt() -> None:
    system = resolve(spec_of("doorbells=16", "vectors=8"), 0)
    assert [source.callbacks for source in system.sources] == [(3,), (12,)]
    assert [queue.source for queue in system.queues] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("hardware", "bits", "latch"),
    [
        ("ntb_hw_epf-v4", [1, 2], "set"),
        ("ntb_hw_epf-legacy", [3, 4], "overwrite"),  # a number: bit + 3
        ("pci-epf-vntb-legacy", [2, 4], "set"),  # the next bit
    ],
)
def test_db_read_shows_what_the_driver_shows(hardware: str, bits: list[int], latch: str) -> None:
    system = resolve(spec_of(f"hardware={hardware}", "doorbells=15", queues=2), 0)
    assert [queue.db_bits for queue in system.queues] == bits
    assert system.latch == latch


def test_the_embedded_doorbell_reports_every_slot() -> None:
    spec = spec_of(
        "hardware=pci-epf-vntb-v4", "doorbells=8", "link.doorbell=embedded", queues=2
    )  # fmt: skip
    (source,) = resolve(spec, 0).sources
    assert source.callbacks == tuple(1 << bit for bit in range(6))
    assert resolve(spec, 0).queues[0].db_bits == 0x3F


def test_poll_and_deferral_are_of_doorbells_not_of_msi() -> None:
    polled = resolve(spec_of("link.doorbell=poll"), 0)
    assert polled.poll is not None
    assert polled.poll.jiffies == 2  # 5 ms are two jiffies of 4 ms
    assert resolve(spec_of("link.doorbell=poll", dispatch="msi"), 0).poll is None
    assert resolve(spec_of("link.doorbell=deferred"), 0).deferral is not None
    assert resolve(spec_of("link.doorbell=deferred", dispatch="msi"), 0).deferral is None


@pytest.mark.parametrize(("length", "copied"), [(1023 - 66, "CPU"), (1024 - 66, "DMA")])
def test_short_packets_are_copied_by_the_cpu_with_a_channel_too(length: int, copied: str) -> None:
    spec = spec_of("dma=true", f"length={length}", "dma_packet=7us")
    assert spec.size == length + 66
    costs = resolve(spec, 0).costs
    assert (costs.channel is None) == (copied == "CPU")
    assert (costs.copy.byte_fs > 0) == (copied == "CPU")


def test_flows_hash_alike_in_one_replication_and_anew_in_the_next() -> None:
    one, other = spec_of(dispatch="fallback"), spec_of(affinity="single")
    assert queue_of_flow(one, 0) == queue_of_flow(other, 0)
    assert queue_of_flow(one, 0) != queue_of_flow(one, 1)
    assert engine_seed(one, 0) == engine_seed(other, 0) != engine_seed(one, 1)
    assert queue_of_flow(spec_of("placement=balanced"), 0) == [f % 4 for f in range(16)]


def test_four_flows_on_two_queues_share_one_by_chance() -> None:
    """With probability 1/8 all of them (ntb-facts section 4)."""
    spec = spec_of("traffic.flows=4", queues=2)
    alone = sum(len(set(queue_of_flow(spec, number))) == 1 for number in range(4000))
    assert abs(alone / 4000 - 1 / 8) < 0.02  # four standard errors


@settings(deadline=None)  # the machine is shared
@given(
    changes=st.lists(
        st.sampled_from(
            ["link.doorbell=poll", "link.doorbell=embedded", "dma=true", "hz=1000",
             "traffic.rate=1Gbit/s", "arrivals=exponential", "placement=balanced",
             "doorbells=8", "vectors=3", "window_size=4MiB", "receiver.cpus=1", "reposts=false"]
        ),
        max_size=5,
    )
)  # fmt: skip
def test_every_point_is_a_system_that_the_engines_take(changes: list[str]) -> None:
    scenario = load.with_settings(load.preset("generic"), changes)
    axes = {"dispatch": ("fallback", "per-vector", "msi"), "protocol": ("tcp", "udp")}
    specs = expand(msgspec.structs.replace(scenario, **axes, queues=(1, 3, 7)))
    assert len(specs) == 3 * 3 * 2 * 2
    for spec in specs:
        if spec.reason is None:
            check_system(resolve(spec, 0))
        else:
            assert spec.queues > 6


def ends_of(kind: Kind) -> list[object]:
    if isinstance(kind, Duration | Count):
        return [kind.low, kind.high]
    if isinstance(kind, Choice):
        return [*kind.known]
    if isinstance(kind, Share):
        return [0, 1]
    if isinstance(kind, Flag):
        return [True, False]
    if isinstance(kind, Word):
        return list(kind.known or ("generic", *hardware_names()))
    return [[], [0], [15]]


@pytest.mark.parametrize("name", KEYS)
def test_the_ends_of_every_range_are_systems_or_one_line(name: str) -> None:
    section, _, key = name.partition(".")
    for value in ends_of(KEYS[name]):
        try:
            scenario = load.scenario_from({section: {key: value}}, "x")
            axes = {"dispatch": ("fallback", "msi"), "protocol": ("tcp", "udp")}
            for spec in expand(msgspec.structs.replace(scenario, **axes, queues=(1, 33))):
                if spec.reason is None:
                    check_system(resolve(spec, 0))
        except InputError as error:
            assert pickle.loads(pickle.dumps(error)).args == error.args
            assert value in (1023, 3600), (name, value, str(error))  # too far, too long


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
