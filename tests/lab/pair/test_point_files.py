# SPDX-License-Identifier: BSD-3-Clause
"""The files of a point: whose QPs are whose, `state` and `point`, and the doorbell words."""

import shutil
from pathlib import Path

import pytest
from captures import FOUR, PCI, set_counters

from ntbbench.lab.commands import GuestError
from ntbbench.lab.pair.plan import DriverSource, PairSetup
from ntbbench.lab.pair.point_files import read_sides, read_words, write_point, write_state
from ntbbench.lab.pair.ring_trace_file import NO_SLOT, WORDS, WireSlots
from ntbbench.pair.setting import Traffic

SETUP_TRACE = """\
  ln-50  [000] ..Zff  0.57: set_ctx: (x [ntb]) ntb=0xa8 ctx=0xc0 dev="0000:10:00.0"
  kworker/0:1-10  [000] ..Zff  0.58: set_ctx: (x [ntb]) ntb=0xb8 ctx=0xd0 dev="0010:00:00.0"
  insmod-60  [000] .....  0.67: create_queue: (y [ntb_transport]) dev="0000:10:00.0"
  insmod-60  [000] .....  0.67: queue_created: (z <- y) qp=0x100
  insmod-60  [000] .....  0.67: create_queue: (y [ntb_transport]) dev="0010:00:00.0"
  insmod-60  [000] .....  0.67: queue_created: (z <- y) qp=0x200
  ntb_flow-69  [000] .....  0.69: create_queue: (y [ntb_transport]) dev="0000:10:00.0"
  ntb_flow-69  [000] .....  0.69: queue_created: (z <- y) qp=0x140
  ntb_flow-69  [000] .....  0.69: create_queue: (y [ntb_transport]) dev="0000:10:00.0"
  ntb_flow-69  [000] .....  0.69: queue_created: (z <- y) qp=0x0
"""


def write_stats(folder: Path, packets: dict[tuple[str, str], tuple[int, int]]) -> None:
    for (device, qp), (sent, received) in packets.items():
        place = folder / device
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(FOUR / "after-stats" / PCI / "qp0", place / qp)
        set_counters(place / qp, rx_pkts=received, tx_pkts=sent)


def test_sides_and_qps_come_from_the_trace_of_the_setup(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(SETUP_TRACE)
    sides = read_sides(tmp_path / "trace")
    assert sides["ep"].ctx == 0xC0 and sides["ep"].qps == (0x100, 0x140)
    assert sides["rc"].ntb == 0xB8 and sides["rc"].qps == (0x200,)
    point = tmp_path / "point"
    write_stats(point / "before-stats", {("0000:10:00.0", "qp1"): (2, 0)})
    write_stats(
        point / "after-stats",
        {("0000:10:00.0", "qp1"): (7, 0), ("0010:00:00.0", "qp0"): (0, 5)},
    )
    (point / "after-stats" / "0000:10:00.0" / "qp0").touch()  # without a link
    write_state(point, sides)
    assert (point / "state").read_text().splitlines() == [
        "port 0 qp 0 up 0 tx 0 rx 0 bad 0 ptr 0x100",
        "port 0 qp 1 up 1 tx 7 rx 0 bad 0 ptr 0x140",
        "port 1 qp 0 up 1 tx 0 rx 5 bad 0 ptr 0x200",
    ]
    sides_of = {
        side: DriverSource(side, "after", "", tmp_path, patches)
        for side, patches in (("ep", (1, 2)), ("rc", (9, 11, 12)))
    }
    write_point(point, PairSetup(), Traffic(), sides_of)
    told = dict(line.split("=", 1) for line in (point / "point").read_text().splitlines())
    assert (
        told["sending_qps"] == "1" and told["vectors"] == "14" and told["rc_patches"] == "9 11 12"
    )


def test_a_qp_that_no_one_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(SETUP_TRACE)
    write_stats(tmp_path / "after-stats", {("0010:00:00.0", "qp1"): (1, 1)})
    with pytest.raises(GuestError, match="that no one created"):
        write_state(tmp_path, read_sides(tmp_path / "trace"))


def test_words_are_the_slots_that_the_endpoint_published(tmp_path: Path) -> None:
    path = tmp_path / "doorbells"
    assert read_words(path) == WORDS
    path.write_text("words 0xffa0000018001000\n")
    assert read_words(path) == WORDS
    lines = (f"slot {slot} offset {8 * slot} data {slot + 1:#x}\n" for slot in range(16))
    path.write_text("".join(lines))
    apart = WireSlots(read_words(path))
    for bit, word in ((0, 4), (1, 6), (2, 7)):
        apart.ring(1 << bit)
        apart.rang([int(number == word) for number in range(32)])
    assert apart.of_bits() == {0: [2], 1: [3], 2: [NO_SLOT]}
