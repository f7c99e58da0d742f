# SPDX-License-Identifier: BSD-3-Clause
"""Two real hosts beside the model: recordings of a host before the series and one after it."""

import shutil
from dataclasses import replace

import pytest
from host_recordings import DATA, load

from ntbbench.lab.hosts.bridge_records import HostPoint
from ntbbench.lab.pair.boot.left import PairRecordings
from ntbbench.lab.pair.disagreements import UNPROBED, not_exercised
from ntbbench.lab.pair.observed_drivers import observed_driver
from ntbbench.lab.pair.observed_patches import read_observations
from ntbbench.lab.pair.points import evaluate, observed
from ntbbench.pair.setting import HOST_ENDS

FORTH, BACK = HOST_ENDS.directions


def points_of(name: str) -> dict[str, HostPoint]:
    found = {point.direction: point for point in evaluate(load(DATA / name))}
    assert all(isinstance(point, HostPoint) for point in found.values())
    return found


def test_only_the_receiving_host_decides_what_a_doorbell_wakes() -> None:
    """Three runs a doorbell on the old host, two on the new one; MSI 3 and 4 on both ways."""
    found = points_of("before-after-slots-5")
    to_new, to_old = found[FORTH], found[BACK]
    assert (to_new.runs_per_qp, to_old.runs_per_qp) == ([6, 6], [9, 9])
    assert (to_new.verdict, to_old.verdict) == ("per-vector", "fallback")
    assert to_new.events_per_vector == {"0": 3, "1": 3}
    assert to_old.events_per_vector == {"2": 3, "3": 3}
    for point in found.values():
        assert (point.agrees, point.notes) == (True, [])
        assert point.msis_per_number == point.predicted_msis_per_number == {"3": 3, "4": 3}
        assert point.slots_per_bit == {"0": [2], "1": [3]}
        assert (point.packets_sent, point.packets_received) == (6, 6)


def test_a_mixed_pair_with_four_slots_has_no_link_and_the_model_knows() -> None:
    for point in points_of("before-after-slots-4").values():
        assert (point.link, point.predicted_link, point.agrees) == ("down", "down", True)
        assert (point.ep_qp_count, point.rc_qp_count) == (2, 1)
        assert "2 QPs on host 1, 1 on host 2" in point.cause


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("an MSI more", "msi=3", "msi=4", "MSI number 3"),
        ("another vector", "vector=0", "vector=1", "events of vector 0"),
    ],
)
def test_a_count_that_differs_is_told(tmp_path, name, old, new, said) -> None:
    folder = tmp_path / "boot"
    shutil.copytree(DATA / "before-after-slots-5", folder)
    trace = folder / f"{FORTH}-f2-n3-g12000" / "trace"
    text = trace.read_text()
    assert old in text
    trace.write_text(text.replace(old, new, 1))
    point = evaluate(load(folder))[0]
    assert point.agrees is False
    assert any(note.startswith(said) for note in point.notes), (name, point.notes)


def test_what_no_point_tried_is_told_in_the_names_of_hosts() -> None:
    points = [*points_of("before-after-slots-5").values()]
    untried = not_exercised(points[:1], probed=False)
    assert "doorbells towards host 1 (--direction host2-to-host1)" in untried
    assert UNPROBED in untried


def answers(old: str = "", new: str = "") -> PairRecordings:
    """The boot of 5 slots whose answers have `new` in place of `old`."""
    lines = (DATA / "before-after-slots-5" / "setup" / "observed").read_text()
    assert old in lines
    recordings = load(DATA / "before-after-slots-5")
    seen = read_observations(lines.replace(old, new).splitlines())
    setup = recordings.plan.setup
    assert recordings.joint is not None
    return replace(
        recordings,
        **{
            place: observed_driver(getattr(recordings, place), setup, seen)
            for place in ("ep", "rc", "joint")
        },
    )


def test_both_hosts_and_what_joins_them_are_observed() -> None:
    found = {one.side: one for one in observed(answers())}
    assert [found[side].behaves for side in ("soc", "host1", "host2")] == [
        "that of Linux 7.3",
        "no patch of the series",
        "patches 8-12 (all)",
    ]
    assert not any(one.findings for one in found.values())
    assert min(len(one.observations) for one in found.values()) > 50


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "soc host 1 rings slot 3, MSIs=4 at host 2",
            "soc host 1 rings slot 3, MSIs=1 at host 2",
            "pci-epf-ntb: no known behaviour fits: "
            "host 1 rings slot 3, MSIs: 1 at host 2 instead of 4 at host 2",
        ),
        (
            "rc db_vector_count=6",
            "rc db_vector_count=5",
            "host 2 driver: no known behaviour fits: db_vector_count: 5 instead of 6",
        ),
        (
            "ep link_disable does as LINK_DOWN=yes",
            "ep link_disable does as LINK_DOWN=no",
            "host 1 driver: no known behaviour fits: "
            "link_disable does as LINK_DOWN: no instead of yes",
        ),
    ],
)
def test_an_answer_that_differs_is_told_of_whom_it_is(old: str, new: str, said: str) -> None:
    recordings = answers(old, new)
    assert recordings.findings == (said,)
    assert all(point.agrees is False and said in point.notes for point in evaluate(recordings))


def test_a_slot_that_leads_elsewhere_is_not_told_of_the_host_that_rings_it() -> None:
    """Where pci-epf-ntb leads a ring nowhere, no host's own ring comes out there."""
    lines = "soc host 2 rings slot 2, MSIs=3 at host 1"
    recordings = answers(lines, lines.partition("=")[0] + "=")
    assert [finding.partition(":")[0] for finding in recordings.findings] == ["pci-epf-ntb"]
