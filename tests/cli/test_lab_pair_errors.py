# SPDX-License-Identifier: BSD-3-Clause
"""What `ntbbench lab pair` refuses, and what its exit codes say of failures."""

import errno
from pathlib import Path

import pytest
from pair_fake import Lab

from ntbbench.cli.main import main
from ntbbench.lab.lab_errors import (
    LAB_FAILED,
    BuildError,
    GuestError,
    HostError,
    MissingToolError,
    UnjudgedError,
)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--gap", "0"], "a --gap of 700 us or more, not 0"),
        (["--mw-count", "1"], "two QPs or more, not the one of --mw-count 1"),
        (["--queues", "1"], "two QPs or more, not the one of --queues 1"),
    ],
)
def test_per_vector_is_not_required_where_it_cannot_be(lab: Lab, options, words, capsys) -> None:
    command = ["lab", "pair", "run", "--require", "per-vector", *options]
    assert main(command) == 2
    assert main([*command, "--bisect"]) == 255
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and all(f"--require: 'per-vector': {words}" in line for line in told)
    assert lab.plans == []


def test_an_unwritable_page_is_named_by_its_option(lab: Lab, capsys) -> None:
    for kind in ("run", "matrix", "check"):
        assert main(["lab", "pair", kind, "--html", "no/such/page.html"]) == 2
        assert "--html: 'no/such/page.html': cannot be written" in capsys.readouterr().err
    assert lab.plans == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ep-slots", "33"], "--ep-slots: 33: "),
        (["--mw-count", "3"], "--mw-count: 3: "),
        (["--mw-count", "0"], "--mw-count: 0: "),
        (["--queues", "many"], "--queues: 'many': "),
        (["--doorbell", "smoke"], "--doorbell"),
        (["--direction", "up"], "--direction: 'up': "),
        (["--flows", "0"], "--flows: 0: "),
        (["--packets", "-1"], "--packets"),
        (["--gap", "soon"], "--gap: 'soon': "),
        (["--format", "pdf"], "--format"),
        (["--record", "full"], "--record: 'full': a new or an empty folder"),
        (["-o", "no/such/folder.json"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_boots_nothing(lab: Lab, arguments, words, capsys) -> None:
    Path("full").mkdir()
    Path("full/something").touch()
    try:
        code = main(["lab", "pair", "run", *arguments])
    except SystemExit as error:
        code = error.code
    told = capsys.readouterr().err.splitlines()
    assert code == 2 and lab.plans == []
    assert len(told) == 1 and words in told[0]


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


def test_bad_input_stops_a_bisection(lab: Lab, capsys) -> None:
    assert main(["lab", "pair", "run", "--bisect", "--ep-slots", "99"]) == 255
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_full_cache_is_named_not_the_file_that_was_copied(lab: Lab, tmp_path, capsys) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/package/a.c", None, "/cache/a.c")
    lab.error = full
    assert main(["lab", "pair", "run", "-o", str(tmp_path / "x.json")]) == 2
    assert capsys.readouterr().err == "ntbbench: '/cache/a.c': No space left on device\n"
    assert not (tmp_path / "x.json").exists()
