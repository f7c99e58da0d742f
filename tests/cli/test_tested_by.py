# SPDX-License-Identifier: BSD-3-Clause
"""`--format mail` of the lab: what was tested on what, and who signs for it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from compare_runs import Ran
from msgspec import structs
from pair_fake import Lab

from ntbbench import __version__
from ntbbench.lab.pair.boot.left import PairRecordings

Run = Callable[..., Ran]
WHO = "Jörg Größe <joerg@example.org>"
SIGNED = ("--format", "mail", "--tested-by", WHO)
RUN = ("lab", "pair", "run", "-o", "r.json")


def test_a_mail_says_what_was_tested_on_what(lab: Lab, ntbbench: Run) -> None:
    ran = ntbbench(*RUN, "--ep-slots", 4, "--format", "mail")
    block = ran.out.partition("\nTested on\n")[2]
    assert "  kernel: " in block and "  qemu: none\n" in block
    assert f"  ntbbench: {__version__}\n" in block
    told = " ".join(block.partition("  command: ")[2].split())
    assert told == "ntbbench lab pair run -o r.json --ep-slots 4 --format mail"
    assert "Tested-by" not in ran.out
    assert all(len(line) <= 75 for line in ran.out.splitlines())


@pytest.mark.parametrize("kind", ["run", "matrix", "check"])
def test_a_good_test_is_signed(lab: Lab, ntbbench: Run, kind: str) -> None:
    ran = ntbbench("lab", "pair", kind, "-o", "r.json", *SIGNED)
    assert ran.code == 0 and ran.out.endswith(f"\n\nTested-by: {WHO}\n")


def test_nobody_signs_for_what_failed(lab: Lab, ntbbench: Run) -> None:
    def disagreeing(old: PairRecordings) -> PairRecordings:
        setup = structs.replace(old.plan.setup, ep_slots=5)
        return replace(old, plan=replace(old.plan, setup=setup), ep_qp_count=1)

    lab.change = disagreeing
    ran = ntbbench(*RUN, *SIGNED)
    assert ran.code == 1 and "Tested-by" not in ran.out


def test_nobody_signs_for_what_did_not_run(lab: Lab, ntbbench: Run) -> None:
    lab.change = lambda old: replace(old, available=False, link="down", cause="why", points=())
    ran = ntbbench(*RUN, *SIGNED)
    assert ran.code == 0 and "Tested-by" not in ran.out


def test_a_saved_result_is_signed_without_a_command(lab: Lab, ntbbench: Run) -> None:
    assert ntbbench(*RUN).code == 0
    ran = ntbbench("show", "r.json", *SIGNED)
    assert ran.out.endswith(f"\n\nTested-by: {WHO}\n") and "command: " not in ran.out
    assert "Tested-by" not in ntbbench("show", "r.json", "--tested-by", WHO).out


@pytest.mark.parametrize("text", ["Jörg", "<a@b.org>", "A <a>", "A <a@b>\nAcked-by: B <b@c>", ""])
def test_a_name_without_an_address_is_refused(lab: Lab, ntbbench: Run, text: str) -> None:
    ran = ntbbench(*RUN, "--format", "mail", "--tested-by", text)
    assert ran.code == 2 and f"--tested-by: {text!r}: a name and a mail address" in ran.err
