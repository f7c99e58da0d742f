# SPDX-License-Identifier: BSD-3-Clause
"""Two real hosts beside the model: recordings of a host before the series and one after it."""

import shutil

import pytest
from host_recordings import DATA, load

from ntbbench.lab.hosts.bridge_records import HostPoint
from ntbbench.lab.pair.disagreements import UNPROBED, not_exercised
from ntbbench.lab.pair.points import evaluate
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
