# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of the kernel's own tests: a field is a key of the JSON."""

from typing import Annotated, Any

from msgspec import Struct

from ntbbench.core.fields import axis, fact
from ntbbench.core.fields import verdict as conclusion

SELFTEST_SCHEMA = "ntbbench.selftest/1"
HOST_SELFTEST_SCHEMA = "ntbbench.selftest-ntb/1"
PASSED, FAILED, KNOWN, NOT_RUN = "passed", "failed", "known", "not run"


class SelftestPart(Struct, frozen=True, kw_only=True):
    """One part of ntb_test.sh with one pair of drivers."""

    ep_driver: Annotated[str, axis("EP", "driver of the endpoint, as it was asked for")]
    rc_driver: Annotated[str, axis("RC", "driver of the root complex, as it was asked for")]
    name: Annotated[str, axis("part", "of the kernel's ntb_test.sh")]
    status: Annotated[
        str,
        conclusion(
            "status",
            "passed; failed; known: the test's own defect, or what this pair cannot do; "
            "not run: the guest had died, or the device lacks it",
            ranks=(FAILED, NOT_RUN, KNOWN, PASSED),
        ),
    ]
    reason: Annotated[str, fact("reason", "why it did not pass")] = ""
    output: Annotated[list[str], fact("output", "of the test, line by line")] = []
    log: Annotated[list[str], fact("log", "the guest kernel's, during this part")] = []


class HostSelftestPart(
    SelftestPart,
    frozen=True,
    kw_only=True,
    rename={"ep_driver": "host1_driver", "rc_driver": "host2_driver"},
):
    """One part of ntb_test.sh between two hosts that pci-epf-ntb joins."""

    ep_driver: Annotated[str, axis("host 1", "its driver, as it was asked for")]
    rc_driver: Annotated[str, axis("host 2", "its driver, as it was asked for")]


class SelftestResult(Struct, frozen=True, kw_only=True):
    """The kernel's own tests on the pair."""

    schema: str = SELFTEST_SCHEMA
    kernel: Annotated[str, fact("kernel", "uname -r of the guest")]
    kernel_source: Annotated[str, fact("asked for", "debian:7.3")]
    accelerator: Annotated[str, fact("accelerator", "tcg or kvm")]
    deterministic: Annotated[bool, fact("deterministic", "two runs do the same")]
    environment: dict[str, str] = {}
    sources: Annotated[dict[str, str], fact("sources", "SHA-256 of what ran")] = {}
    parts: list[SelftestPart]
    warnings: list[str] = []
    scenario: dict[str, Any] = {}


class HostSelftestResult(SelftestResult, frozen=True, kw_only=True):
    """The kernel's own tests between two hosts."""

    schema: str = HOST_SELFTEST_SCHEMA
    parts: list[HostSelftestPart]  # type: ignore[assignment]  # a list is of one kind or the other
