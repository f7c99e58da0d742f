# SPDX-License-Identifier: BSD-3-Clause
"""The real driver pair beside the model: what the facts say, a broken driver, a check."""

import json
import re
from pathlib import Path

import pytest

from ntbbench.cli import lab_pair_check
from ntbbench.cli.lab_kernel import pair_lab
from ntbbench.cli.main import main
from ntbbench.lab.packages.cache import Cache, default_root
from ntbbench.lab.pair.boot import pair_task
from ntbbench.lab.pair.sources import DRIVERS, fetch_source
from ntbbench.lab.watch import Limits
from ntbbench.pair.observations import RINGS

# Boots a kernel that is built once: `make test-guest`.
pytestmark = pytest.mark.guest

TO_RC, TO_EP = ("--direction", "ep-to-rc"), ("--direction", "rc-to-ep")
ONE_FLOW = ("--flows", "1")
FOUR = ("--queues", "4", "--packets", "10")


def run(tmp_path: Path, *arguments: str, code: int = 0, quick: bool = True) -> list[dict]:
    output = tmp_path / "pair.json"
    words = [*arguments, *(["--quick"] if quick else []), "-o", str(output)]
    assert main(["lab", "pair", "run", *words]) == code
    result = json.loads(output.read_text())
    assert result["schema"] == "ntbbench.pair/1"
    return result["points"]


def broken(side: str, folder: Path, *changes: tuple[str, str]) -> Path:
    """Return a driver of one's own: each change is code that stands there once, and its place."""
    source = fetch_source(Cache(default_root(None)), "7.3", print).folder
    text = (source / DRIVERS[side]).read_text()
    for code, instead in changes:
        assert text.count(code) == 1, code
        text = text.replace(code, instead)
    path = folder / Path(DRIVERS[side]).name
    path.write_text(text)
    return path


def broken_endpoint(folder: Path, code: str, instead: str) -> Path:
    """Return a pci-epf-vntb of one's own in which `instead` stands for `code`."""
    return broken("ep", folder, (code, instead))


def judged(tmp_path: Path, *arguments: str) -> list[dict]:
    """Return the spaced points of a run with the defaults that is a finding, first to the RC."""
    points = run(tmp_path, *arguments, code=1, quick=False)
    assert [point["direction"] for point in points] == ["ep-to-rc", "rc-to-ep"] * 2
    spaced = [point for point in points if point["gap_us"]]
    assert points[:2] == spaced
    return spaced


EVENT = {
    "ep": "ntb_db_event(ntb->ntb, i - EPF_IRQ_DB_START);",
    "rc": "ntb_db_event(&ndev->ntb, db_vector);",
}


def test_the_defaults_find_the_receive_half_of_either_side_broken(tmp_path: Path) -> None:
    """Of the second queue alone; each half is right where the other one's doorbells go."""
    ep = broken("ep", tmp_path, (EVENT["ep"], f"if (i != EPF_IRQ_DB_START + 1) {EVENT['ep']}"))
    other = EVENT["rc"].replace("db_vector", "db_vector == 1 ? 0 : db_vector")
    rc = broken("rc", tmp_path, (EVENT["rc"], other))
    to_rc, to_ep = judged(tmp_path, "--ep-driver", str(ep), "--rc-driver", str(rc))
    assert (to_rc["verdict"], to_ep["verdict"]) == ("misrouted", "missed")
    for point in (to_rc, to_ep):
        assert not point["agrees"] and min(point["doorbells_per_qp"]) > 0
        assert point["events_per_vector"].keys() == {"0"}
        assert point["slots_per_bit"] == {"0": [2], "1": [3]}


def test_the_defaults_find_a_wrong_valid_mask(tmp_path: Path) -> None:
    """Too few bits for the QPs: the root complex makes one, the endpoint two."""
    rc = broken("rc", tmp_path, ("BIT_ULL(ndev->db_count - 1) - 1", "BIT_ULL(2) - 1"))
    for point in judged(tmp_path, "--rc-driver", str(rc)):
        assert (point["link"], point["predicted_link"]) == ("down", "up")
        assert (point["ep_qp_count"], point["rc_qp_count"]) == (2, 1)


SLOTS_ENUM = "\tEPF_IRQ_RESERVED_DB, /* Historically skipped slot */\n\tEPF_IRQ_DB_START,\n"
FFS = "u32 interrupt_num = ffs(db_bits) + 1;"


def moved(side: str, folder: Path, first: int) -> Path:
    """Return a driver whose doorbell bit 0 has slot `first`, in both of its halves."""
    names = f"\tEPF_IRQ_RESERVED_DB = 32,\n\tEPF_IRQ_DB_START = {first},\n"
    changes = [(SLOTS_ENUM, names)]
    if side == "rc":
        changes.append((FFS, f"u32 interrupt_num = ffs(db_bits) - 1 + {first};"))
    return broken(side, folder, *changes)


@pytest.mark.parametrize(("first", "doorbell"), [(1, "poll"), (3, "msi")])
def test_a_pair_whose_slots_moved_together_is_a_finding(first, doorbell, tmp_path) -> None:
    """They get on with each other: every packet arrives, every doorbell wakes its own queue."""
    ep, rc = (moved(side, tmp_path, first) for side in ("ep", "rc"))
    options = ("--ep-driver", str(ep), "--rc-driver", str(rc), "--doorbell", doorbell)
    for point in judged(tmp_path, *options):
        assert (point["link"], point["verdict"]) == ("up", "per-vector")
        assert point["packets_received"] == point["packets_sent"]
        assert point["runs_per_qp"] == point["predicted_runs_per_qp"]
        assert point["slots_per_bit"] == {"0": [first], "1": [first + 1]}
        for bit, note in enumerate(point["notes"][:2]):
            assert note.startswith(f"doorbell bit {bit} rang slot {first + bit}")
            assert f"; slot {bit + 2}" in note and note.endswith(
                "expected, by peers of any version"
            )


@pytest.mark.parametrize(("first", "doorbell"), [(1, "poll"), (3, "embedded")])
def test_a_root_complex_that_rings_other_slots_is_told_which(first, doorbell, tmp_path) -> None:
    """The endpoint never looks at slot 1: the word stays set, and shows the first ring only.

    One interrupt serves all slots of an embedded doorbell, so there nothing else tells.
    """
    rc = broken("rc", tmp_path, (FFS, f"u32 interrupt_num = ffs(db_bits) - 1 + {first};"))
    to_rc, to_ep = judged(tmp_path, "--rc-driver", str(rc), "--doorbell", doorbell)
    # The other direction's counts are right; what the driver does is a finding of the whole boot.
    assert to_rc["runs_per_qp"] == to_rc["predicted_runs_per_qp"]
    assert [note.partition(":")[0] for note in to_rc["notes"]] == ["RC driver"]
    assert not to_ep["agrees"]
    assert to_ep["slots_per_bit"] == {"0": [first], "1": [first + 1]}
    told = [note for note in to_ep["notes"] if note.startswith("doorbell bit ")]
    assert [note.partition(";")[0] for note in told] == [
        f"doorbell bit 0 rang slot {first}{' (reserved)' if first == 1 else ''}",
        f"doorbell bit 1 rang slot {first + 1}",
    ]


def test_a_broken_driver_of_ones_own_is_a_finding(tmp_path: Path) -> None:
    """With the endpoint's vector off by one, doorbells wake the wrong queue: bisect says bad."""
    broken = broken_endpoint(tmp_path, "BIT_ULL(db_vector)", "BIT_ULL(db_vector + 1)")
    arguments = ["--ep-driver", str(broken), *TO_EP, *FOUR, *ONE_FLOW, "--bisect"]
    (point,) = run(tmp_path, *arguments, code=1)
    assert (point["verdict"], point["predicted_verdict"]) == ("misrouted", "per-vector")
    broken.write_text("int broken(;\n" + broken.read_text())
    assert main(["lab", "pair", "run", *arguments]) == 125


def test_a_driver_that_rings_nothing_is_a_point_and_no_hang(tmp_path: Path, capsys) -> None:
    """No packet is taken from the ring, so ntb_netdev stops its queue, and the sender gives up."""
    silent = broken_endpoint(tmp_path, "atomic64_or(db_bits, &", "atomic64_or(db_bits & ~1ULL, &")
    arguments = ["--ep-driver", str(silent), "--rc-driver", "before", "--require", "packets"]
    many = (*TO_RC, *ONE_FLOW, "--packets", "200")
    (point,) = run(tmp_path, *arguments, *many, "--bisect", code=1)
    assert "--require packets: ep-to-rc is not" in capsys.readouterr().err
    assert not point["agrees"] and point["msis_raised"] == point["packets_received"] == 0
    assert 0 < point["packets_sent"] < point["packets"] == 200
    told = f"{point['packets_sent']} of 200 packets sent: the sender's queue stayed stopped"
    assert told in point["notes"]


def test_a_burst_without_an_msi_for_a_bit_is_out_of_bounds(tmp_path: Path) -> None:
    """The work drops the MSI of bit 1, and packets of QP 1 wait until another bit is rung."""
    silent = broken_endpoint(tmp_path, "atomic64_or(db_bits, &", "atomic64_or(db_bits & ~2ULL, &")
    burst = (*TO_RC, "--queues", "4", "--packets", "5", "--gap", "0")
    (point,) = run(tmp_path, "--ep-driver", str(silent), *burst, code=1)
    # how often bit 1 rings before its queue stops follows from what the flows' search sent on it
    told = re.compile(r"MSI number 4: 0, possible are 1 \.\. [1-5]")
    assert any(told.fullmatch(note) for note in point["notes"]), point["notes"]


# Ten MSIs for the first doorbell of a burst; those after it are gathered until they are few again.
EARLY = """
	{
		static unsigned long last;
		bool first = time_after(jiffies, last + HZ / 100);

		if (!first)
			msleep(2);
		for (int more = 0; first && more < 9; more++)
			pci_epc_raise_irq(epf->epc, func_no, vfunc_no, PCI_IRQ_MSI, interrupt_num);
		last = jiffies;
	}
"""


def test_a_burst_whose_msis_come_early_is_out_of_bounds(tmp_path: Path) -> None:
    """There are fewer of them than doorbells: their order alone tells."""
    clear = "db_bits &= ~BIT_ULL(db_bit);"
    early = broken_endpoint(tmp_path, clear, f"{clear}{EARLY}")
    burst = (*TO_RC, *ONE_FLOW, "--packets", "48", "--gap", "0")
    (point,) = run(tmp_path, "--ep-driver", str(early), *burst, code=1)
    assert point["least_msis"] <= point["msis_raised"] <= point["most_msis"]
    assert "MSI number 3: came once more than it was asked for until then" in point["notes"]


def test_what_a_run_records_is_replayed(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "kept"
    run(tmp_path, "--queues", "4", "--packets", "5", "--record", str(folder))
    capsys.readouterr()
    assert main(["replay", str(folder), "--format", "json"]) == 0
    points = json.loads(capsys.readouterr().out)["points"]
    assert [point["recorded"]["runs"] for point in points] == [40, 40]
    assert {point["verdict"] for point in points} == {"agrees"}


# pci_epf_write_msi_msg(), of the endpoint core, looks for its controller under a raw spinlock.
UNDER_RAW_LOCK = ("sleep", "[ BUG: Invalid wait context ]", "epf_ntb_bind", 1)


@pytest.mark.parametrize(
    ("doorbell", "findings"), [("poll", []), ("msi", [UNDER_RAW_LOCK]), ("embedded", [])]
)
def test_check_finds_nothing_of_the_drivers_after_the_series(doorbell, findings, tmp_path) -> None:
    """On a debug kernel, over rounds of unbind and bind, and the counts are the model's there."""
    output, kept = tmp_path / "check.json", tmp_path / "kept"
    few = ("--packets", "5", "--rounds", "2", "--doorbell", doorbell)
    saved = ("--record", str(kept), "-o", str(output))
    assert main(["lab", "pair", "check", *few, *saved]) == bool(findings)
    result = json.loads(output.read_text())
    keys = ("kind", "line", "function", "count")
    assert [tuple(found[key] for key in keys) for found in result["findings"]] == findings
    assert result["complete"] and "KASAN" in result["checks"]
    assert len(result["points"]) == 2
    for point in result["points"]:
        assert point["agrees"] and point["packets_received"] == point["doorbells_rung"] == 2 * 5
        assert point["runs_per_qp"] == point["predicted_runs_per_qp"]
    rounds = (kept / "rounds" / "result").read_text().splitlines()
    assert rounds == ["round=1 cause=", "round=2 cause=", "unload cause="]


def hanging_root_complex(folder: Path) -> Path:
    """Return an ntb_hw_epf that warns at each doorbell of traffic, and hangs at the second one."""
    opening = "static int ntb_epf_peer_db_set(struct ntb_dev *ntb, u64 db_bits)\n{"
    observed = RINGS + 1  # each bit, and all at once
    hang = f"\tstatic int rung;\n\n\tWARN_ON(++rung > {observed});\n"
    hang += f"\twhile (rung > {observed + 1})\n\t\tcpu_relax();\n"
    return broken("rc", folder, (opening, f"{opening}\n{hang}"))


def test_a_cell_of_a_matrix_that_hangs_is_a_point_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    driver, output = hanging_root_complex(tmp_path), tmp_path / "matrix.json"
    monkeypatch.setattr(pair_task, "limits", lambda _plan, _factor: Limits(15))
    few = ("--ep-driver", "after", "--rc-driver", f"after,{driver}", "--packets", "5")
    assert main(["lab", "pair", "matrix", *few, "-o", str(output)]) == 3
    first = output.read_bytes()
    result = json.loads(first)
    assert result["complete"]
    told = [(point["rc_driver"], point["direction"], point["status"]) for point in result["points"]]
    assert told == [
        ("after", "ep-to-rc", "ok"),
        ("after", "rc-to-ep", "ok"),
        (str(driver), "ep-to-rc", "ok"),
        (str(driver), "rc-to-ep", "failed"),
    ]
    failed = result["points"][-1]
    assert (failed["link"], failed["agrees"]) == ("down", False)
    assert "in ntb_epf_peer_db_set() of ntb_hw_epf" in failed["cause"]
    assert len(failed["warnings"]) == 2  # its own, and none that the lab's Oops provoked
    assert main(["lab", "pair", "matrix", "--resume", str(output)]) == 3
    assert output.read_bytes() == first
    assert "1 of 2 boots failed; " in capsys.readouterr().err


def test_check_keeps_what_a_guest_said_before_it_hung(tmp_path, monkeypatch) -> None:
    """On the plain kernel, for it is quicker, and on the second packet of the second direction."""
    driver = hanging_root_complex(tmp_path)
    monkeypatch.setattr(lab_pair_check, "pair_lab", lambda args, _variant: pair_lab(args))
    monkeypatch.setattr(pair_task, "limits", lambda _plan, _factor: Limits(15))
    output = tmp_path / "check.json"
    words = ("--rc-driver", str(driver), *FOUR, "--rounds", "1", "-o", str(output))
    assert main(["lab", "pair", "check", *words]) == 1
    result = json.loads(output.read_text())
    assert result["kind"] == "check" and not result["complete"]
    assert [point["direction"] for point in result["points"]] == ["ep-to-rc"]
    assert result["points"][0]["agrees"]
    assert [found["kind"] for found in result["findings"]] == ["other", "hang"]
    assert {found["function"] for found in result["findings"]} == {"ntb_epf_peer_db_set"}
    end = "after it had recorded ep-to-rc-f4-n10-g12000: was in ntb_epf_peer_db_set() of ntb_hw_epf"
    assert result["findings"][1]["line"].endswith(end)


def test_check_keeps_what_a_guest_said_before_it_gave_up(tmp_path, monkeypatch) -> None:
    """The endpoint's driver complains, and then it does not load."""
    opening = "static int __init epf_ntb_init(void)\n{"
    driver = broken_endpoint(tmp_path, opening, f"{opening}\n\tif (WARN_ON(1)) return -EIO;\n")
    monkeypatch.setattr(lab_pair_check, "pair_lab", lambda args, _variant: pair_lab(args))
    output = tmp_path / "check.json"
    assert main(["lab", "pair", "check", "--ep-driver", str(driver), "-o", str(output)]) == 1
    result = json.loads(output.read_text())
    assert not result["complete"] and result["points"] == []
    first, last = result["findings"]
    assert (first["kind"], first["function"]) == ("other", "epf_ntb_init")
    assert last["line"].startswith("the guest gave up: cannot load pci-epf-vntb.ko: ")


def test_check_finds_the_atomic_sleep_before_the_series(tmp_path: Path) -> None:
    output = tmp_path / "check.json"
    old = ("--ep-driver", "before", "--packets", "5", "--rounds", "1", "-o", str(output))
    assert main(["lab", "pair", "check", *old]) == 1
    found = json.loads(output.read_text())["findings"]
    sleeps = [finding for finding in found if finding["kind"] == "sleep"]
    assert any(finding["function"] == "vntb_epf_peer_db_set" for finding in sleeps)
    assert all(finding["expected"] for finding in sleeps)
