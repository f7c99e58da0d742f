# SPDX-License-Identifier: BSD-3-Clause
"""The plain records of the endpoint tests: a field is a key of the JSON."""

from typing import Annotated, Any

from msgspec import Struct

from ntbbench.core.fields import axis, fact
from ntbbench.core.fields import verdict as conclusion
from ntbbench.lab.selftest.records import FAILED, KNOWN, NOT_RUN, PASSED

EP_SCHEMA = "ntbbench.ep/1"
SKIPPED = "skipped"


class EpPart(Struct, frozen=True, kw_only=True):
    """One test of the kernel's pci_endpoint_test on one controller."""

    controller: Annotated[str, axis("controller", "features of the controller, as asked for")]
    name: Annotated[str, axis("part", "of the selftest; rebind is ntbbench's own")]
    status: Annotated[
        str,
        conclusion(
            "status",
            "passed; failed; known: the kernel's own defect; skipped: the test says that the "
            "controller lacks what it is for; not run: an earlier part hangs",
            ranks=(FAILED, NOT_RUN, KNOWN, SKIPPED, PASSED),
        ),
    ]
    errno: Annotated[str, fact("errno", "that the driver returned, by its name")] = ""
    reason: Annotated[str, fact("reason", "why it did not pass")] = ""
    output: Annotated[list[str], fact("output", "of the test, line by line")] = []
    log: Annotated[list[str], fact("log", "the guest kernel's, during this part")] = []


class EpResult(Struct, frozen=True, kw_only=True):
    """The kernel's endpoint tests on software endpoint controllers."""

    schema: str = EP_SCHEMA
    kernel: Annotated[str, fact("kernel", "uname -r of the guest")]
    kernel_source: Annotated[str, fact("asked for", "debian:7.3")]
    accelerator: Annotated[str, fact("accelerator", "tcg or kvm")]
    deterministic: Annotated[bool, fact("deterministic", "two runs do the same")]
    ep_driver: Annotated[str, fact("endpoint's driver", "pci-epf-test of the kernel, or a file")]
    host_driver: Annotated[str, fact("host's driver", "pci_endpoint_test of the kernel, or a file")]
    bar_sizes: Annotated[str, fact("BAR sizes", "that the endpoint's driver is told to take")]
    environment: dict[str, str] = {}
    sources: Annotated[dict[str, str], fact("sources", "SHA-256 of what ran")] = {}
    controllers: Annotated[
        dict[str, dict[str, str]], fact("controllers", "every feature of each, by its name")
    ] = {}
    parts: list[EpPart]
    warnings: list[str] = []
    scenario: dict[str, Any] = {}
