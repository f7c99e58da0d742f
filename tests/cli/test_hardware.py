# SPDX-License-Identifier: BSD-3-Clause
"""`hardware`, its audit, `compat`, `patches`, `doorbell`; golden outputs hold the reports."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from compare_runs import Ran

from ntbbench.cli.doorbell import parse_bits
from ntbbench.core.errors import InputError
from ntbbench.ntb.catalogue import hardware_names, resolve

Run = Callable[..., Ran]
NAMES = hardware_names()


@pytest.fixture
def hardware(ntbbench: Run) -> Callable[..., str]:
    """Run the command and return what it prints."""

    def run(*words: str, code: int = 0) -> str:
        ran = ntbbench("hardware", *words)
        assert (ran.code, ran.err) == (code, "")
        return str(ran.out)

    return run


@pytest.mark.parametrize("name", NAMES)
def test_every_drawing_names_every_bit(hardware: Callable[..., str], name: str) -> None:
    text = hardware(name)
    assert text.isascii()
    lines = text.splitlines()
    device = resolve(name)
    drawn = [int(n) for line in lines if line.startswith("bit  ") for n in line.split()[1:]]
    mask = device.vector_map.db_valid_mask | device.link_mask | device.reserved_mask
    assert sorted(drawn) == list(range(mask.bit_length()))
    assert name == "generic" or any(line.startswith("  Linux ") for line in lines)


@pytest.mark.parametrize(
    ("device", "shared"),
    [
        ("doorbells=6,vectors=2", "QPs 0-2 wake together: amplification 3; QPs 3-4 wake"),
        ("doorbells=4,vectors=2", "QPs 0-1 wake together: amplification 2; QP 2 wakes alone"),
        ("doorbells=4", "every QP has an interrupt of its own: amplification 1"),
        ("doorbells=1", "no queue can be created"),
    ],
)
def test_the_first_line_says_which_qps_wake_together(hardware, device: str, shared: str) -> None:
    assert hardware("small", "--device", f"small:{device}").startswith(f"small: {shared}")


def test_options_size_the_device(hardware: Callable[..., str]) -> None:
    options = ("--doorbells", "8", "--vectors", "2", "--mw-count", "5", "--format", "json")
    (device,) = json.loads(hardware("generic", *options))["hardware"]
    assert (device["doorbells"], device["vectors"], device["mw_count"]) == (8, 2, 5)
    assert device["db_vector_masks"] == ["0xf", "0xf0"]
    assert (device["qp_count"], device["qp_limit"]) == (5, "5 memory windows (mw_count 5)")
    assert [bit["wakes"] for bit in device["bits"]] == [[0, 1, 2, 3]] * 4 + [[4]] * 4
    assert [bit["role"] for bit in device["bits"]] == ["qp"] * 5 + ["spare"] * 2 + ["top"]
    clients = json.loads(hardware("ntb_hw_amd", "--max-num-clients", "7", "--format", "json"))
    assert clients["hardware"][0]["qp_count"] == 7


def test_an_audit_of_a_custom_device_names_no_driver(hardware: Callable[..., str]) -> None:
    custom = ("board", "--device", "board:doorbells=16,vectors=4,shift=5")
    assert "Nothing found\n  board" in hardware("--audit", *custom)
    sizes = ("generic", "--doorbells", "4", "--vectors", "6")
    assert "no driver's source" in hardware("--audit", *sizes, code=1)
    _, row = hardware("--audit", *sizes, "--format", "csv", code=1).splitlines()
    assert "empty-vector" in row and ".c" not in row


def test_custom_devices_from_a_scenario(hardware: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[device.mine]\nmasks = ['0x1f', '0x3e0']\n")
    text = hardware("mine", "--scenario", str(path))
    assert text.startswith("mine: QPs 0-4 wake together: amplification 5;")
    text = hardware("--scenario", str(path), "--device", "other:doorbells=3")
    assert "\n  mine " in text
    assert "\n  other " in text


@pytest.mark.parametrize("name", ["generic", "ntb_hw_epf-v4", "pci-epf-vntb-v4", "ntb_hw_idt"])
def test_an_audit_without_findings_exits_with_0(hardware: Callable[..., str], name: str) -> None:
    assert hardware("--audit", name, "--format", "csv").count("\n") == 1


def test_the_pair_is_audited_at_every_size_or_at_the_one_asked_for(hardware) -> None:
    audit = ("--audit", "pci-epf-vntb-legacy")
    (every,) = json.loads(hardware(*audit, "--format", "json", code=1))["hardware"]
    assert every["db_counts"] == list(range(1, 33))
    assert {v["rule"]: v["db_counts"] for v in every["violations"]}["qp"] == [2, 3, 4, 5]
    one = hardware(*audit, "--doorbells", "4", code=1)
    assert "db_count 4: QP 2: its doorbell bit has no slot" in one
    limits = ("--mw-count", "2", "--max-num-clients", "2")
    assert "qp:" not in hardware(*audit, "--doorbells", "4", *limits, code=1)
    assert "QP 14:" in hardware(*audit, "--doorbells", "16", "--mw-count", "16", code=1)


def test_a_size_that_a_driver_refuses_is_not_audited(hardware: Callable[..., str]) -> None:
    text = hardware("--audit", "--doorbells", "2", "-v", code=1)
    title, _, rest = " ".join(text.split()).partition("Not audited")
    assert "ntb_hw_epf-v4: ntb_hw_epf takes a db_count from 3 to 31, not 2" in rest
    assert "ntb_hw_epf-v4" not in title


# --- compat, patches, doorbell --------------------------------------------------------------------

NO_BITS = ["", ",", "-1", "0..3", "1..4", "3-1", "0x", "0x0", "0x1" + "0" * 16, "\u0663", "a"]


def test_patches_of_a_setting_that_old_and_new_kernels_do_not_share(ntbbench) -> None:
    """With 6 slots an unpatched and a patched endpoint have different qp_count."""
    answer = " ".join(ntbbench("patches", "--ep-slots", 6).out.split())
    assert answer.startswith(
        "The posted order is NOT bisectable: patch 6 and later lose the link (peer unpatched, "
        "ep-to-rc); 1152 of 4096 subsets are safe"
    )


@pytest.mark.usefixtures("in_an_empty_folder")
def test_an_output_is_written_in_place_of_stdout(ntbbench) -> None:
    ran = ntbbench("compat", "-o", "c.txt")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert Path("c.txt").read_text() == ntbbench("compat").out


@pytest.mark.parametrize(
    ("text", "mask"),
    [("0", 1), ("0,2", 5), ("0-3", 15), ("0x5", 5), ("63", 1 << 63), ("0, 2", 5), ("1,1", 2)],
)
def test_bits(text: str, mask: int) -> None:
    assert parse_bits(text) == mask


@pytest.mark.parametrize("text", NO_BITS)
def test_no_bits(text: str) -> None:
    with pytest.raises(InputError, match="--bits"):
        parse_bits(text)
