# SPDX-License-Identifier: BSD-3-Clause
"""`ntbbench lab pair selftest` and `lab shell` from the command line, without a guest."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from compare_runs import Ran
from pair_fake import Lab

from ntbbench.cli import lab_pair_selftest
from ntbbench.lab.hosts.hosts_lab import HostLab
from ntbbench.lab.pair.plan import AnySetup
from ntbbench.lab.selftest.records import FAILED, KNOWN, NOT_RUN, PASSED, SelftestPart
from ntbbench.lab.selftest.selftest_run import kind_of_part

Run = Callable[..., Ran]
ORDER = (PASSED, KNOWN, NOT_RUN)


@pytest.fixture
def parts(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each boot's parts come to, by their order."""
    found = list(ORDER)

    def boot(_lab: object, setup: AnySetup) -> list[SelftestPart]:
        return [
            kind_of_part(setup)(
                ep_driver=setup.ep_driver,
                rc_driver=setup.rc_driver,
                name=f"part-{n}",
                status=status,
                reason=f"why {n}",
            )
            for n, status in enumerate(found)
        ]

    monkeypatch.setattr(lab_pair_selftest, "boot_tests", boot)
    return found


def test_known_failures_fail_nothing(parts: list[str], ntbbench: Run) -> None:
    ran = ntbbench("lab", "pair", "selftest", "-o", "s.json")
    assert ran.code == 0
    assert ran.out.startswith(
        "1 of 2 parts passed; 1 failed as known, by no fault of a driver; 1 not run\n"
    )
    ktap = ntbbench("lab", "pair", "selftest", "-o", "s.json", "--format", "ktap").out
    assert "  ok 1 part-0\n" in ktap and "  ok 2 part-1 # SKIP why 1\n" in ktap


def test_another_failure_does(parts: list[str], ntbbench: Run) -> None:
    parts.append(FAILED)
    drivers = ("--ep-driver", "before,after", "--rc-driver", "after")
    ran = ntbbench("lab", "pair", "selftest", *drivers, "-o", "s.json")
    assert ran.code == 1 and ran.out.startswith("2 parts of 6 FAILED, first part-3; ")
    ktap = ntbbench("show", "s.json", "--format", "ktap").out
    assert ktap.count("  not ok 4 part-3\n") == 2 and "# Subtest: EP before, RC after\n" in ktap


def test_two_hosts_have_their_own_names(parts: list[str], ntbbench: Run, monkeypatch) -> None:
    monkeypatch.setattr(HostLab, "read_sources", lambda *_: {"kernel": "7.3.4"})
    parts.append(FAILED)
    words = ("--function", "ntb", "--host1-driver", "before,after", "-o", "s.json")
    ran = ntbbench("lab", "pair", "selftest", *words)
    assert ran.code == 1 and "host 1 before" in ran.out and " EP" not in ran.out
    result = json.loads(Path("s.json").read_bytes())
    assert result["schema"] == "ntbbench.selftest-ntb/1"
    assert result["parts"][0] | {"host1_driver": "before"} == result["parts"][0]
    csv = ntbbench("show", "s.json", "--format", "csv").out
    assert csv.startswith('"host1_driver","host2_driver",')
    refused = ntbbench("lab", "pair", "selftest", "--function", "ntb", "--ep-driver", "before")
    assert refused.code == 2 and "only with --function vntb" in refused.err


def test_a_shell_takes_a_terminal(lab: Lab, ntbbench: Run) -> None:
    ran = ntbbench("lab", "shell")
    assert ran.code == 2 and "a terminal: the shell is interactive" in ran.err
