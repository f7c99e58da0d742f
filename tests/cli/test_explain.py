# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench explain`: predicted and measured by vector and QP, and the likely causes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from captures import CASES, FOUR, GEN1, PCI, ZERO, capture, explained, set_counters, with_info
from recordings import DATA, LOOP_612

from ntbbench.cli.main import main

SLOTS = [[3, 0], [0, 0], [40, 0], [40, 0], [40, 0], [40, 0]]


def codes(one: dict[str, Any]) -> dict[str, int | None]:
    return {cause["code"]: cause["at_most"] for cause in one["causes"]}


@pytest.mark.parametrize(
    ("name", "fan_out", "causes"),
    [
        ("fallback-four-qps", 4, {"fallback-mask", "race-check", "full-budget"}),
        ("two-vectors-four-qps", 2, {"shared-vector", "race-check", "full-budget"}),
        ("per-vector-four-qps", 1, {"race-check", "full-budget"}),
        ("per-vector-one-qp-unlatched", 1, {"full-budget"}),
    ],
)
def test_recordings(name: str, fan_out: int, causes: set[str], tmp_path: Path) -> None:
    code, (one,) = explained(LOOP_612 / name, to=tmp_path)
    assert (code, one["verdict"], one["predicted_amplification"]) == (0, "inside", fan_out)
    assert codes(one).keys() == causes
    assert one["unexplained"] == 0
    for qp in one["qps"]:
        assert qp["predicted_low"] <= qp["measured_low"] <= qp["measured_high"]
        assert qp["measured_high"] <= qp["predicted_high"]


def test_candidates_of_the_lines_tell_old_from_new_driver(tmp_path: Path) -> None:
    """Five runs per interrupt: the legacy driver's fallback makes them, the new one cannot."""
    code, (legacy, new) = explained(capture(tmp_path / "c", ZERO, SLOTS))
    assert code == 0
    assert (legacy["device"], legacy["verdict"]) == ("ntb_hw_epf-legacy", "inside")
    assert codes(legacy)["fallback-mask"] == 480
    assert codes(legacy)["link-interrupts"] is None
    assert (new["device"], new["verdict"]) == ("ntb_hw_epf-v4", "excess")
    assert new["predicted_amplification"] == 1
    assert new["unexplained"] == 800 - new["predicted_runs_high"] > 0
    assert [row["interrupts"] for row in new["vectors"]] == [40] * 4
    code, named = explained(tmp_path / "c", "--hardware", "ntb_hw_epf-v4")
    assert (code, named) == (1, [new])  # what is named and cannot be is a finding


def test_wrong_bits_of_db_read_wake_a_qp_without_packets(tmp_path: Path) -> None:
    """Bit 1 rings 40 times; the legacy db_read() shows bit 2, so QP 2 runs twice each time."""
    folder = capture(tmp_path / "c", ZERO, [[0, 0]] * 3 + [[40, 0]] + [[0, 0]] * 2)
    for qp_num, runs, packets in ((0, 40, 0), (1, 40, 40), (2, 80, 0), (3, 40, 0)):
        for when, factor in (("before", 0), ("after", 1)):
            path = folder / f"{when}-stats" / PCI / f"qp{qp_num}"
            set_counters(path, rx_ring_empty=runs * factor, rx_pkts=packets * factor)
    code, (one,) = explained(folder, "--hardware", "ntb_hw_epf-legacy")
    assert [qp["measured_low"] for qp in one["qps"]] == [40, 40, 80, 40]
    assert [qp["verdict"] for qp in one["qps"]] == ["inside"] * 4
    assert (code, one["verdict"], one["unexplained"]) == (0, "inside", 0)


def test_intel_rebuilt_from_info(tmp_path: Path) -> None:
    """Three vectors of five bits: all four QPs lie under vector 0."""
    folder = capture(tmp_path / "c", ZERO[:3], [[160, 0], [0, 0], [0, 0]], action="ndev_vec_isr")
    code, (one,) = explained(with_info(folder, **GEN1))
    assert (code, one["device"]) == (0, "rebuilt from the capture")
    (vector,) = one["vectors"]
    assert (vector["db_vector_mask"], vector["fan_out"]) == ("0x1f", 4)
    assert codes(one)["shared-vector"] == 480
    assert "link-interrupts" in codes(one)


def test_amd_with_msi(tmp_path: Path) -> None:
    folder = capture(tmp_path / "c", ZERO[:1], [[160, 0]], action="ndev_irq_isr")
    _, (one,) = explained(folder, "--hardware", "ntb_hw_amd-intx")
    assert "amd-msi" in codes(one)
    assert any("no doorbell on this device" in caution for caution in one["cautions"])


def test_amd_with_msi_as_a_machine_shows_it(tmp_path: Path) -> None:
    """The line is there, no interrupt comes, every QP is down: that is all there is to see."""
    folder = capture(tmp_path / "c", ZERO[:1], ZERO[:1], action="ndev_irq_isr")
    for path in folder.glob("*-stats/*/qp*"):
        path.write_text("")
    code, (intel, *later, amd) = explained(folder)
    assert (intel["device"], amd["device"]) == ("ntb_hw_intel-gen1-intx", "ntb_hw_amd-intx")
    assert [one["device"] for one in later] == [
        "ntb_hw_intel-gen3-intx", "ntb_hw_intel-gen4-intx",
    ]  # fmt: skip
    assert "amd-msi" in codes(amd)
    assert "amd-msi" not in codes(intel)
    assert (code, amd["verdict"], amd["interrupts"]) == (0, "unknown", 0)


def test_interrupts_of_a_vector_without_doorbells_are_no_doorbells(tmp_path: Path) -> None:
    """Vector 3 of gen1 covers the link bit alone: its interrupts must not lower the ratio."""
    slots = [[160, 0], [0, 0], [0, 0], [37, 0]]
    folder = capture(tmp_path / "c", ZERO[:4], slots, action="ndev_vec_isr")
    code, (one,) = explained(folder, "--hardware", "ntb_hw_intel-gen1")
    assert (code, one["interrupts"], one["predicted_amplification"]) == (0, 160, 4)
    assert one["excess"] == 800 - 160
    assert [row["vector"] for row in one["vectors"]] == [0]
    (text,) = [cause["text"] for cause in one["causes"] if cause["code"] == "link-interrupts"]
    assert text.startswith("37 interrupts")


def test_runs_of_a_trace_are_held_against_the_trace_s_own_interrupts(tmp_path: Path) -> None:
    """The snapshots may cover more time than a trace whose buffer was full."""
    folder = capture(tmp_path / "c", ZERO, [[9000, 0]] * 6)
    for when in ("before", "after"):
        shutil.rmtree(folder / f"{when}-stats")
    shutil.copy(FOUR / "trace", folder / "trace")
    _, (one, _) = explained(folder)
    assert one["device"] == "ntb_hw_epf-legacy"
    assert (one["interrupts"], one["measured_runs_low"]) == (160, 800)
    assert one["verdict"] == "inside"


def test_netdev_reposts(tmp_path: Path) -> None:
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    (folder / "ethtool").mkdir()
    (folder / "ethtool" / "eth1").write_text(
        "Channel parameters for eth1:\nPre-set maximums:\nCombined:\t8\n"
        "Current hardware settings:\nCombined:\t4\n"
    )
    _, (one, _) = explained(folder)
    assert codes(one)["buffer-repost"] == 160


def test_without_counters_runs_and_active_qps_are_unknown_not_0(tmp_path: Path, capsys) -> None:
    """A board without root shows /proc/interrupts and no debugfs: nothing there speaks of runs."""
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    for when in ("before", "after"):
        shutil.rmtree(folder / f"{when}-stats")
    code, (one,) = explained(folder, "--hardware", "ntb_hw_epf-v4")
    assert (code, one["verdict"], one["interrupts"]) == (0, "unknown", 160)
    assert len([key for key, value in one.items() if value is None]) == 8
    assert [row["fan_out"] for row in one["vectors"]] == [None] * 4
    assert [row["interrupts"] for row in one["vectors"]] == [40] * 4
    assert codes(one).keys() == {"link-interrupts"}
    capsys.readouterr()
    assert main(["explain", str(tmp_path / "m.json"), "--hardware", "ntb_hw_epf-v4"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "runs and active QPs not known: no debugfs counters" in told and "measured 0" not in told


def logged(folder: Path, *lines: str, release: str = "") -> Path:
    """Put a kernel's log, and a release, into a capture."""
    stamped = [f"[    9.{i:06}] {line}\n" for i, line in enumerate(lines)]
    (folder / "dmesg").write_text("".join(stamped))
    if release:
        (folder / "kernel").write_text(f"{release}\n")
    return folder


def devices(path: Path) -> tuple[list[str], list[str]]:
    """Return the devices that a capture is held against, and those that it rules out."""
    _, found = explained(path)
    record = json.loads((path.parent / "e.json").read_text())
    ruled_out = record["ruled_out"].get(str(path), [])
    return [one["device"] for one in found], [text.split(":")[0] for text in ruled_out]


def crosslink(folder: Path, *lines: str) -> Path:
    shutil.copytree(CASES / "irq-switchtec-crosslink", folder)
    return logged(folder, *lines) if lines else folder


PAIR, LINK = "ntb_hw_switchtec", "ntb_hw_switchtec-crosslink"


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("", [PAIR, LINK]),
        ("switchtec switchtec0: dbs: shift 0/0, mask 0fffffffffffffff", [LINK]),
        ("switchtec 0000:3b:00.1: dbs mask 0fffffffffffffff, 2 qps, 2 mws", [LINK]),
        ("switchtec switchtec0: dbs: shift 0/32, mask 000000000fffffff", [PAIR]),
        ("switchtec switchtec0: Using crosslink configuration", [LINK]),
        ("switchtec 0000:3b:00.1: Remote max number of qps = 30", [LINK]),
        ("switchtec 0000:3b:00.1: Remote max number of qps = 2", [PAIR, LINK]),
        ("switchtec switchtec0: dbs: shift 0/0, mask 0000000000000003", [PAIR, LINK]),  # no preset
    ],
)
def test_the_log_narrows_the_presets(line: str, left: list[str], tmp_path: Path) -> None:
    folder = crosslink(tmp_path / "c", *[line] * bool(line))
    code, found = explained(folder)
    assert [one["device"] for one in found] == left
    assert code == 0
    for one in found:
        told = one["interrupts"], one["measured_runs_low"], one["verdict"]
        assert told == (20, 40, "inside")


def test_a_qp_beyond_a_device_s_doorbells_rules_it_out(tmp_path: Path) -> None:
    folder = crosslink(tmp_path / "c")
    for when in ("before", "after"):
        path = folder / f"{when}-stats" / "0000:3b:00.1"
        (path / "qp0").rename(path / "qp40")
    assert devices(folder) == ([LINK], [PAIR])


def vectors(folder: Path, count: int, action: str = "ndev_vec_isr") -> Path:
    slots = [[40, 0] for _ in range(4)] + [[0, 0] for _ in range(count - 4)]
    return capture(folder, [[0, 0] for _ in range(count)], slots, action=action)


ERRATUM, GEN4 = "ntb_hw_intel-gen1-erratum", "ntb_hw_intel-gen4"


@pytest.mark.parametrize(
    ("count", "release", "left", "out"),
    [
        (24, "", ["ntb_hw_amd"], ["ntb_hw_intel-gen1", ERRATUM, "ntb_hw_intel-gen3", GEN4]),
        (16, "5.10.0", ["ntb_hw_amd"], None),
        (24, "5.4.0-42-generic", ["ntb_hw_amd-before-5.7"], None),
        (4, "", ["ntb_hw_intel-gen1", ERRATUM], ["ntb_hw_intel-gen3", GEN4, "ntb_hw_amd"]),
        (33, "", ["ntb_hw_intel-gen3", GEN4], None),
        (33, "6.1.100", ["ntb_hw_intel-gen3", "ntb_hw_intel-gen3-before-6.15", GEN4], None),
        (33, "6.15.0", ["ntb_hw_intel-gen3", GEN4], None),
    ],
)
def test_the_number_of_lines_and_the_release_narrow_the_presets(
    count, release, left, out, tmp_path
) -> None:
    found = devices(logged(vectors(tmp_path / "c", count), release=release))
    assert found[0] == left
    assert out is None or found[1] == out


def test_the_lines_of_the_pair_tell_its_db_count(tmp_path: Path) -> None:
    """Six lines: the link's, the reserved one, and four doorbells."""
    _, found = explained(capture(tmp_path / "c", ZERO, SLOTS))
    masks = [{row["db_vector_mask"] for row in one["vectors"]} for one in found]
    assert masks == [{"0x1f"}, {"0x1", "0x2", "0x4", "0x8"}]


def conclusion(ntbbench: Any, folder: Path, *args: str) -> str:
    saved = folder.parent / "m.json"
    ntbbench("ingest", folder, "-o", saved)
    out = ntbbench("explain", saved, *args).out
    return " ".join(out.split("\n\n")[0].split())


def test_it_concludes_in_words(ntbbench, tmp_path: Path) -> None:
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    assert conclusion(ntbbench, folder).startswith(
        f"{folder}: this looks like ntb_hw_epf before the series: up to 480 of 640 excess runs, "
        "the fallback mask is in force"
    )
    named = conclusion(ntbbench, folder, "--hardware", "ntb_hw_epf-v4")
    assert "this is not ntb_hw_epf after the series: MORE runs than the model allows" in named
    fitting = conclusion(ntbbench, folder, "--hardware", "ntb_hw_epf-legacy")
    assert "this fits ntb_hw_epf before the series" in fitting


def test_what_cannot_be_told_is_said(ntbbench, tmp_path: Path) -> None:
    said = conclusion(ntbbench, crosslink(tmp_path / "c"))
    assert f"this may be {PAIR} or {LINK}: the runs cannot tell which, both allow 1..40" in said


def test_nothing_fits(ntbbench, tmp_path: Path) -> None:
    """More runs than even the fallback makes."""
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    for path in folder.glob("after-stats/*/qp*"):
        set_counters(path, rx_ring_empty=5000)
    said = conclusion(ntbbench, folder)
    assert "this fits none of ntb_hw_epf before the series or ntb_hw_epf after the series" in said
    assert "MORE runs than the model allows" in said


def test_too_little_is_known(ntbbench, tmp_path: Path) -> None:
    folder = capture(tmp_path / "c", ZERO, SLOTS)
    for when in ("before", "after"):
        shutil.rmtree(folder / f"{when}-stats")
    said = conclusion(ntbbench, folder)
    assert "not enough is known to compare it with ntb_hw_epf before the series or" in said
    assert "no debugfs counters" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [("fallback-four-qps", "the device that the capture describes")],
)
def test_a_device_that_the_capture_describes(ntbbench, name, words, tmp_path) -> None:
    folder = shutil.copytree(LOOP_612 / name, tmp_path / "r")
    assert f"this is {words}: up to" in conclusion(ntbbench, folder)


def test_the_side_of_the_pair_that_a_recording_names(ntbbench, tmp_path: Path) -> None:
    folder = shutil.copytree(DATA / "pair" / "before-before", tmp_path / "r")
    point = next(folder.glob("ep-to-rc*"))
    said = conclusion(ntbbench, shutil.copytree(point, tmp_path / "p"))
    assert "this is ntb_hw_epf before the series, as the capture describes it" in said
