# SPDX-License-Identifier: BSD-3-Clause
"""Rings, boards and systems that come of a scenario."""

import pickle

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.core.options import Choice, Count, Duration, Flag, Kind, Share, Word, shown
from ntbbench.datapath.fit import fit, target_of, throughput
from ntbbench.datapath.grid_point import (
    SimulationSpec,
    engine_seed,
    expand,
    queue_of_flow,
    resolve,
    ring_of,
)
from ntbbench.datapath.replicate import replicate
from ntbbench.datapath.scenario_file import (
    KEYS,
    check_scenario,
    preset,
    scenario_from,
    with_settings,
)
from ntbbench.datapath.system import check_system
from ntbbench.ntb.catalogue import hardware_names


def spec_of(
    *settings: str, queues: int = 4, dispatch: str = "per-vector", affinity: str = "spread",
    protocol: str = "tcp", board: str = "generic",
) -> SimulationSpec:  # fmt: skip
    scenario = with_settings(preset(board), settings)
    check_scenario(scenario)
    return SimulationSpec(scenario, queues, dispatch, affinity, protocol)


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
    ring = ring_of(qp_num, qp_count, windows, size, 0x10000)
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
def test_what_cannot_be_had_says_why(settings, queues, protocol, said) -> None:
    reason = spec_of(*settings, queues=queues, protocol=protocol).reason
    assert (reason is None) == (said is None)
    assert said is None or said in str(reason)


def test_an_hrtimer_is_an_option_and_no_part_of_a_result_without_it() -> None:
    assert "tx_time" not in shown(preset("generic"))["device"]
    asked = with_settings(preset("generic"), ["tx_time=250us"])
    assert shown(asked)["device"]["tx_time"] == "250us"
    assert resolve(spec_of("tx_time=250us"), 0).transmit.hrtimer_ps == 250 * 10**6
    assert resolve(spec_of(), 0).transmit.hrtimer_ps == 0


def test_the_preset_meets_the_published_single_queue_and_nothing_else_was_fitted() -> None:
    """TCP 583-589, UDP 580-583 Mbit/s (ntb-facts section 8); the fit gives the preset's number."""
    board = preset("rcar-s4-spider")
    for protocol in ("tcp", "udp"):
        rate = throughput(board, protocol, board.receiver.byte, "specialised")
        assert 580e6 <= rate <= 589e6
    published = target_of([580e6, 583e6, 583e6, 589e6], 0.02)
    found = fit(board, "tcp", published, "specialised")
    assert found.byte_fs == pytest.approx(board.receiver.byte, rel=1e-3)
    assert found.high_fs is not None
    assert found.low_fs < board.receiver.byte < found.high_fs


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
def test_what_the_documents_say_it_predicts(protocol, dispatch, affinity, hashed, balanced) -> None:
    for placement, expected in (("hash", hashed), ("balanced", balanced)):
        spec = spec_of(
            f"placement={placement}", board="rcar-s4-spider", dispatch=dispatch,
            affinity=affinity, protocol=protocol,
        )  # fmt: skip
        rates = [replicate(spec, number, "specialised").throughput_bps for number in range(10)]
        assert np.mean(rates) / 1e9 == pytest.approx(expected, rel=0.1)


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
    scenario = with_settings(preset("generic"), changes)
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
            scenario = scenario_from({section: {key: value}}, "x")
            axes = {"dispatch": ("fallback", "msi"), "protocol": ("tcp", "udp")}
            for spec in expand(msgspec.structs.replace(scenario, **axes, queues=(1, 33))):
                if spec.reason is None:
                    check_system(resolve(spec, 0))
        except InputError as error:
            assert pickle.loads(pickle.dumps(error)).args == error.args
            assert value in (1023, 3600), (name, value, str(error))  # too far, too long
