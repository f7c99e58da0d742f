# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench hardware`, in-process."""

import csv
import io
import json
from pathlib import Path

import pytest

from ntbbench.cli.main import main
from ntbbench.ntb.devices.catalogue import hardware_names, resolve

DRAWING = """\
small: custom device

db_valid_mask  0x3f: 6 doorbells
vectors        db_vector_count 2
windows        unlimited
scratchpads    unlimited
db_read()      latched
queue pairs    5: doorbell bits: ilog2(db_valid_mask 0x3f) = 5

bit                                             6   5   4   3   2   1   0
interrupt                                           1   1   1   0   0   0
QP                                              L   T   4   3   2   1   0
wakes                                                   2   2   3   3   3

number  the doorbell of this QP; wakes: QPs that one ring of it schedules
T       the top valid bit, which ntb_transport never uses (ilog2)
L       link events, outside db_valid_mask

  interrupt  raised by bits      db_vector_mask  wakes QPs
-----------  ----------------  ----------------  -----------
          0  0-2                            0x7  0-2
          1  3-5                           0x38  3-4

QPs 0-2 wake together: amplification 3.
QPs 3-4 wake together: amplification 2.
"""


def output(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["hardware", *args]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refusal(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["hardware", *args]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_the_list_has_every_preset(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys)
    assert all(len(line) <= 80 for line in text.splitlines())
    names = [line.split()[0] for line in text.splitlines() if line.startswith(("ntb_", "pci-"))]
    assert {*names, "generic"} == set(hardware_names())
    row = next(line for line in text.splitlines() if line.startswith("ntb_hw_intel-gen1 "))
    assert row.split() == ["ntb_hw_intel-gen1", "15", "15", "4", "5", "2", "2"]


def test_one_drawing_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    device = "small:doorbells=6,vectors=2,link_mask=0x40"
    assert output(capsys, "small", "--device", device) == DRAWING
    markdown = output(capsys, "small", "--device", device, "--format", "md")
    assert markdown == f"### small\n\n```\n{DRAWING}```\n"


@pytest.mark.parametrize("name", hardware_names())
def test_every_drawing_fits_and_names_every_bit(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    lines = output(capsys, name).splitlines()
    assert all(len(line) <= 80 and line.isascii() for line in lines)
    hardware = resolve(name)
    drawn = [int(n) for line in lines if line.startswith("bit  ") for n in line.split()[1:]]
    mask = hardware.vector_map.db_valid_mask | hardware.link_mask | hardware.reserved_mask
    assert sorted(drawn) == list(range(mask.bit_length()))
    assert name == "generic" or any(line.startswith("source: Linux") for line in lines)


def test_options_size_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--doorbells", "8", "--vectors", "2", "--mw-count", "5", "--format", "json")
    device = json.loads(output(capsys, "generic", *options))["hardware"][0]
    assert (device["doorbells"], device["vectors"], device["mw_count"]) == (8, 2, 5)
    assert device["db_vector_masks"] == ["0xf", "0xf0"]
    assert (device["qp_count"], device["qp_limit"]) == (5, "5 memory windows (mw_count 5)")
    assert [bit["wakes"] for bit in device["bits"]] == [[0, 1, 2, 3]] * 4 + [[4]] * 4
    assert [bit["role"] for bit in device["bits"]] == ["qp"] * 5 + ["spare"] * 2 + ["top"]
    clients = json.loads(output(capsys, "ntb_hw_amd", "--max-num-clients", "7", "--format", "json"))
    assert clients["hardware"][0]["qp_count"] == 7


def test_json_of_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    listing = json.loads(output(capsys, "--format", "json"))
    assert listing["schema"] == "ntbbench.hardware/1"
    assert [device["name"] for device in listing["hardware"]] == list(hardware_names())
    assert all("bits" not in device for device in listing["hardware"])
    by_name = {device["name"]: device for device in listing["hardware"]}
    assert by_name["ntb_hw_intel-gen3"]["link_mask"] == "0x180000000"
    assert by_name["ntb_hw_switchtec-crosslink"]["db_valid_mask"] == "0xfffffffffffffff"
    assert by_name["ntb_hw_idt"]["refusal"].startswith("ntb_transport does not bind")


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(output(capsys, "--format", "csv"))))
    assert [row["name"] for row in rows] == list(hardware_names())
    assert rows[-1]["db_valid_mask"] == "0xffffffff"
    rows = list(csv.DictReader(io.StringIO(output(capsys, "ntb_hw_amd", "--format", "csv"))))
    assert [int(row["bit"]) for row in rows] == list(range(16))
    assert rows[15]["role"] == "link"
    assert rows[0]["wakes"] == "0"


def test_markdown_list(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "--format", "md").splitlines()
    assert len(lines) == 2 + len(hardware_names())
    assert all(line.startswith("|") and line.endswith("|") for line in lines)


def test_custom_devices_from_a_scenario(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[device.mine]\nmasks = ['0x1f', '0x3e0']\n")
    text = output(capsys, "mine", "--scenario", str(path))
    assert "QPs 0-4 wake together: amplification 5." in text
    text = output(capsys, "--scenario", str(path), "--device", "other:doorbells=3")
    assert "\nmine " in text
    assert "\nother " in text
    twice = refusal(capsys, "--scenario", str(path), "--device", "mine:doorbells=3")
    assert "--device: 'mine': each device once" in twice


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["ntb_hw_epf"], "did you mean ntb_hw_epf-v4?"),
        (["generic", "--doorbells", "65"], "--doorbells: 65: a whole number from 1 to 64"),
        (["generic", "--vectors", "x"], "--vectors: 'x': a whole number from 1 to 64"),
        (["generic", "--mw-count", "-1"], "--mw-count: '-1'"),
        (["--doorbells", "0"], "--doorbells: 0"),
        (["ntb_hw_epf-v4", "--doorbells", "32"], "takes a db_count from 3 to 31, not 32 (EINVAL)"),
        (["x", "--device", "x:shift=3"], "device x: 'doorbells'"),
        (["--scenario", "missing.toml"], "scenario: 'missing.toml': No such file"),
    ],
)
def test_bad_input(capsys: pytest.CaptureFixture[str], args: list[str], message: str) -> None:
    assert message in refusal(capsys, *args)
