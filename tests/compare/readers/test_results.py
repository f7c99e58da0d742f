# SPDX-License-Identifier: BSD-3-Clause
"""Our own results in a comparison: what their records declare, by point."""

import pytest
from compare_data import compat, lab, sweep
from golden_cases import INPUTS

from ntbbench.compare.readers.detect import load_variant
from ntbbench.compare.readers.own_results import OWN
from ntbbench.compare.readers.results import Results
from ntbbench.core.fields import COMPARED, declared

METRICS = {
    "sweep-base": "status|queues|qp_count|interrupts|rings|scan_iterations|schedule_calls|wakeups|"
    "merged|spurious_wakeups|useful_wakeups|race_check_runs|missed|misrouted|amplification|distribution|"
    "ns_per_dispatch",
    "simulation-base": "status|missed|misrouted|throughput|latency_p50|latency_p99|latency_p999|"
    "cpu_hardirq_per_packet|cpu_empty_softirq_per_packet|cpu_spinning_per_packet|amplification|"
    "effective_amplification|drops",  # and no spurious_ratio, which is undefined there
    "lab-netdev": "agrees|packets_received|doorbells|throughput|events|runs|runs beyond prediction",
    "pair-run": "status|link|agrees|kernel warnings|ep_qp_count|rc_qp_count|doorbells_rung|"
    "msis_raised|events|packets_sent|packets_received|slot of bit 0|slot of bit 1|runs|"
    "runs of QP 0|runs of QP 1|complete",
    "pair-hosts": "status|link|agrees|kernel warnings|host1_qp_count|host2_qp_count|"
    "doorbells_rung|msis_raised|events|packets_sent|packets_received|slot of bit 0|slot of bit 1|"
    "runs|runs of QP 0|runs of QP 1|complete",
}


@pytest.mark.parametrize("kind", OWN, ids=lambda kind: kind.schema)
def test_names_of_points_are_made_of_declared_axes(kind: Results) -> None:
    about = declared(kind.point)
    assert {about[axis].kind for _, axis in kind._axes} == {"axis"}
    for name in (*kind.order, *kind.each, *kind.sums, *kind.zeros, *kind.joined, *kind.called):
        assert about[name].kind in COMPARED, name


@pytest.mark.parametrize("name", METRICS)
def test_what_a_record_declares_as_compared_is_compared(name: str) -> None:
    """Another metric of a result of ours is to be seen here: old baselines lack it."""
    series = load_variant(str(INPUTS / f"{name}.json")).series
    assert {metric.rpartition(":")[2] for metric in series} == set(METRICS[name].split("|"))
    assert {one.better for one in series.values()} <= {"lower", "higher", "none"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 0),
        ({"runs_per_qp": [100, 100], "tasklet_schedules": 200}, 0),  # fewer: improved
        ({"runs_per_qp": [150, 151]}, 1),
        ({"packets_received": 99}, 1),
        ({"agrees": False}, 1),
        ({"vectors": 2}, 4),  # another point: both are missing on one side
        ({"doorbells_rung": -1}, 2),
        ({"runs_per_qp": [150, -1]}, 2),
    ],
)
def test_lab_results(gated, fields: dict[str, object], code: int) -> None:
    ran = gated(lab(), lab(**fields) | {"kernel": "7.3"})
    assert (ran.code, "a count that is not negative" in ran.err) == (code, code == 2)


def test_less_work_of_a_lab_for_fewer_packets_is_no_improvement(gated) -> None:
    ran = gated(lab(), lab(packets_received=90, runs_per_qp=[140, 140], tasklet_schedules=280))
    totals = ran.report["totals"]
    assert (ran.code, totals["improved"], totals["regressed"]) == (1, 0, 1)
    assert totals["inconclusive"] == 3


def test_timed_sweeps(gated) -> None:
    slow = sweep(2, 12)
    timing = slow["points"][3]["ns_per_dispatch"]
    timing["samples"] = [x * 2.2 for x in timing["samples"]]
    ran = gated(sweep(1, 12), slow)
    worse = [m for m, c in ran.comparisons.items() if c["verdict"] == "regressed"]
    name = "generic/fallback/q2/d8/v1/round-robin/drain1:ns_per_dispatch"
    assert (ran.code, worse) == (1, [name])


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        *(({"ep7": "missed"}, 1), ({"ep0": "per-vector"}, 0), ({"ep7": "link-down"}, 1)),
        ({"ep7": "great"}, 2),
    ],
)
def test_compat_results(gated, verdicts: dict[str, str], code: int) -> None:
    ran = gated(compat(), compat(**verdicts))
    told = "rc-to-ep/ep 7/rc 5:verdict: 'great': one of link-down, missed, misrouted, fallback"
    assert (ran.code, told in ran.err) == (code, code == 2)
