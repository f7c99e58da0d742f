# SPDX-License-Identifier: BSD-3-Clause
"""What a guest of the pair is told to do, and its machine; settings that it cannot have."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntbbench.core.errors import InputError
from ntbbench.lab.pair import runner as task
from ntbbench.lab.pair.pair_kernel import GUEST
from ntbbench.lab.pair.plan import PairPlan, PairSetup
from ntbbench.lab.pair.runner import accelerator_options, machine
from ntbbench.pair.setting import Traffic


@pytest.mark.parametrize(
    ("setting", "option"),
    [
        ({"ep_slots": 33}, "--ep-slots"),
        ({"ep_slots": -1}, "--ep-slots"),
        ({"mw_count": 3}, "--mw-count"),
        ({"mw_count": 0}, "--mw-count"),
        ({"queues": 65}, "--queues"),
        ({"queues": 0}, "--queues"),
        ({"doorbell": "intx"}, "--doorbell"),
        ({"cpus": 9}, "--cpus"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict[str, int], option: str) -> None:
    with pytest.raises(InputError, match=f"^{option}: "):
        PairSetup(**setting)  # type: ignore[arg-type]


def test_counting_instructions_takes_one_cpu() -> None:
    with pytest.raises(InputError, match="--cpus: 2: 1 in deterministic mode"):
        PairPlan(PairSetup(cpus=2))


@given(
    st.integers(1, 2),
    st.one_of(st.none(), st.integers(1, 64)),
    st.integers(1, 64),
    st.integers(1, 2000),
)
def test_windows_hold_rings_and_the_trace_holds_a_point(
    mw_count: int, queues: int | None, flows: int, packets: int
) -> None:
    setup = PairSetup(mw_count=mw_count, queues=queues)
    size = task.window_size(setup)
    assert size & (size - 1) == 0 and task.WINDOW_MIN <= size <= task.WINDOW_MAX
    a_window = -(-min(queues or mw_count, 14) // mw_count)
    if size < task.WINDOW_MAX:
        assert size // a_window // task.FRAME >= task.ENTRIES
    kb = task.trace_kb(PairPlan(setup, (Traffic("ep-to-rc", flows, packets),)))
    assert task.TRACE_KB_MIN <= kb <= task.TRACE_KB_MAX


def test_the_trace_holds_the_polls_between_two_packets() -> None:
    """Each poll leaves the doorbell words: a long gap has many, where the endpoint polls."""
    kb = {
        (gap, mode): task.trace_kb(
            PairPlan(PairSetup(doorbell=mode), (Traffic(packets=200, gap_us=gap),))
        )
        for gap in (12_000, 1_000_000)
        for mode in ("poll", "msi")
    }
    assert kb[1_000_000, "poll"] * 1024 >= 200 * 200 * (task.WORDS_BYTES + task.EVENT_BYTES)
    assert {kb[12_000, "poll"], *(kb[gap, "msi"] for gap in (12_000, 1_000_000))} == {
        task.TRACE_KB_MIN
    }


def test_a_deterministic_machine_takes_no_clock_and_no_chance_from_the_host() -> None:
    words = " ".join(machine(PairSetup(), True).options)
    assert "clock=vm" in words and "rdrand=off" in words and "rdseed=off" in words
    assert "-icount" in accelerator_options(True, True, 1)
    assert machine(PairSetup(), True).devices == ()
    assert machine(PairSetup(doorbell="msi"), True).devices == ("-device", "edu")
    assert "thread=multi" in accelerator_options(False, False, 2)[1]


def test_guest_scripts_are_shell() -> None:
    subprocess.run(["sh", "-n", str(GUEST / "pair")], check=True)
