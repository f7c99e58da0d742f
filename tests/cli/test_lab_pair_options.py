# SPDX-License-Identifier: BSD-3-Clause
"""Options of `ntbbench lab pair`: what they ask for and refuse, and which code ends a run."""

import errno
import json
from pathlib import Path

import pytest
from pair_fake import Lab

from ntbbench.cli.main import main
from ntbbench.core.errors import InputError
from ntbbench.core.options import kinds
from ntbbench.lab.lab_errors import (
    LAB_FAILED,
    BuildError,
    GuestError,
    HostError,
    MissingToolError,
    UnjudgedError,
)
from ntbbench.lab.pair.plan import PairSetup
from ntbbench.pair.setting import Traffic

KINDS = ("run", "check", "matrix")
BOTH = ["ep-to-rc", "rc-to-ep"]
EP, RC = tuple(range(1, 8)), tuple(range(8, 13))


# --- traffic -------------------------------------------------------------------------------------


def sent(lab: Lab, kind: str, *options: str) -> list[tuple[Traffic, ...]]:
    """Return the traffic of each boot that a command asks for."""
    lab.plans.clear()
    main(["lab", "pair", kind, *options, "-o", "r.json"])
    return [plan.traffic for plan in lab.plans]


def test_defaults_are_those_that_are_documented(lab: Lab) -> None:
    (traffic,) = sent(lab, "run")
    setup = lab.plans[0].setup
    assert (setup.ep_driver, setup.rc_driver, setup.doorbell) == ("after", "after", "poll")
    assert (setup.ep_slots, setup.mw_count, setup.queues) == (8, 2, None)
    assert [point.direction for point in traffic] == BOTH
    assert {(point.flows, point.packets, point.gap_us) for point in traffic} == {(2, 20, 12_000)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "flows"),
    [
        ((), 2),
        (("--queues", "4"), 4),
        (("--queues", "1"), 1),
        (("--mw-count", "1"), 1),
        (("--mw-count", "1", "--queues", "3"), 3),
        (("--queues", "64"), 15),  # the root complex has 16 MSIs: a bit for each but two, and one
        (("--flows", "3"), 3),
        (("--queues", "4", "--flows", "0x1"), 1),
    ],
)
def test_both_directions_have_a_flow_for_each_qp(lab: Lab, kind: str, options, flows) -> None:
    boots = sent(lab, kind, *options)
    assert boots
    for traffic in boots:
        assert [point.direction for point in traffic] == BOTH
        assert [point.flows for point in traffic] == [flows] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_direction_narrows_it(lab: Lab, kind: str) -> None:
    for direction in BOTH:
        for traffic in sent(lab, kind, "--direction", direction):
            assert [(point.direction, point.flows) for point in traffic] == [(direction, 2)]


def test_a_bisection_sends_the_same(lab: Lab) -> None:
    assert sent(lab, "run", "--bisect") == sent(lab, "run")


def test_a_matrix_has_a_flow_for_each_qp_of_each_cell(lab: Lab) -> None:
    one = ("--ep-driver", "after", "--rc-driver", "after", "--mw-count", "1-2", "--jobs", "1")
    flows = [[point.flows for point in traffic] for traffic in sent(lab, "matrix", *one)]
    assert flows == [[1, 1], [2, 2]]


def test_a_matrix_that_was_asked_for_four_flows_goes_on_with_four(lab: Lab) -> None:
    """As every file of an older version says."""
    sent(lab, "matrix", "--flows", "4")
    out = Path("r.json")
    result = json.loads(out.read_text())
    assert result["scenario"]["flows"] == 4
    out.write_text(json.dumps({**result, "points": result["points"][:2], "complete": False}))
    lab.plans.clear()
    assert main(["lab", "pair", "matrix", "--resume", str(out)]) == 0
    assert {point.flows for plan in lab.plans for point in plan.traffic} == {4}
    assert len(lab.plans) == 3


# --- patches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "side", "patches"),
    [
        ("none", "ep", ()),
        ("full", "ep", EP),
        ("full", "rc", RC),
        ("1-7", "ep", EP),
        ("2,3,5", "ep", (2, 3, 5)),
        ("5, 2-3,3", "ep", (2, 3, 5)),
        ("9-11", "rc", (9, 10, 11)),
        ("12", "rc", (12,)),
    ],
)
def test_a_list_of_patches(text: str, side: str, patches: tuple[int, ...]) -> None:
    kind = kinds(PairSetup)[f"{side}_patches"]
    assert kind.parse("--x", text) == patches
    assert kind.parse("--x", kind.show(patches)) == patches


@pytest.mark.parametrize(
    "text", ["", "0", "8", "7-1", "1-", "-3", "1,,2", "all", "1.5", "9999", "²"]
)
def test_what_is_no_list_of_patches_is_told_with_what_is(text: str, capsys) -> None:
    with pytest.raises(InputError, match=r"none, full, or patches of 1-7 as 1-7 or 1,7"):
        kinds(PairSetup)["ep_patches"].parse("--ep-patches", text)
    assert main(["lab", "pair", "run", f"--ep-patches={text}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--ep-patches: '{text}'" in line


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_patches_reach_the_boot(lab: Lab, command: str) -> None:
    words = ["lab", "pair", command, "-o", "r.json"]
    assert main([*words, "--ep-patches", "1-7"]) == 0
    assert (lab.plans[-1].setup.ep_patches, lab.plans[-1].setup.rc_patches) == (EP, None)
    assert main([*words, "--rc-driver", "before", "--rc-patches", "none"]) == 0
    assert (lab.plans[-1].setup.ep_patches, lab.plans[-1].setup.rc_patches) == (None, ())


@pytest.mark.parametrize(
    ("driver", "given", "allowed"), [("before", "1-7", "none"), ("after", "1-6", "full")]
)
def test_a_named_driver_has_the_patches_of_its_name(
    lab: Lab, capsys, driver: str, given: str, allowed: str
) -> None:
    words = ["lab", "pair", "run", "--ep-driver", driver, "--ep-patches", given]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert f"--ep-patches: '{given}'" in told and f"{allowed}, which `{driver}` stands for" in told
    assert main([*words, "--bisect"]) == 255
    assert lab.plans == []


# --- bad input and exit codes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "plain", "bisect"),
    [
        (BuildError("pci-epf-vntb.c:9: error: expected ';'"), LAB_FAILED, 125),
        (GuestError("the guest panicked: kernel BUG at vntb.c:1"), LAB_FAILED, 1),
        (UnjudgedError("the guest gave up: no probe 'commands'"), LAB_FAILED, 125),
        (HostError("QEMU failed: Killed"), LAB_FAILED, 255),
        (MissingToolError("cpio: not found on this machine"), 2, 255),
        (RuntimeError("a defect of ours"), 70, 255),
    ],
)
def test_exit_codes_of_failures_fit_git_bisect(lab: Lab, error, plain, bisect, capsys) -> None:
    lab.error = error
    assert main(["lab", "pair", "run"]) == plain
    assert main(["lab", "pair", "run", "--bisect"]) == bisect
    for line in capsys.readouterr().err.splitlines():
        assert str(error) in line


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(("words", "code"), [([], 70), (["--bisect"], 255)])
def test_a_defect_is_named_as_one_under_bisect_too(
    lab: Lab, words: list[str], code: int, debug: bool, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    lab.error = KeyError("ep_slots")
    monkeypatch.setenv("NTBBENCH_DEBUG", "1" if debug else "")
    assert main(["lab", "pair", "run", *words]) == code
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == "ntbbench: internal error: KeyError: 'ep_slots'"
    assert ("Traceback (most recent call last):" in told) == debug
    assert debug or len(told) == 1


@pytest.mark.parametrize("spec", ["foo", "debian:6.12", "7.3"])
def test_a_kernel_that_the_pair_cannot_boot_is_told_one_that_it_can(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["lab", "pair", "run", "--cache", str(tmp_path / "cache"), "--kernel", spec]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"ntbbench: --kernel: '{spec}': debian:7.3 or newer: ")
    assert len(told.splitlines()) == 1


def test_a_full_disk_is_named_not_the_file_that_was_copied(lab: Lab, capsys) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/package/a.c", None, "/cache/a.c")
    lab.error = full
    assert main(["lab", "pair", "run", "-o", "x.json"]) == 2
    assert capsys.readouterr().err == "ntbbench: '/cache/a.c': No space left on device\n"
    assert not Path("x.json").exists()
