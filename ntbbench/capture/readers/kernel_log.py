# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's log (dmesg, journalctl -k) and release: which device it is, and ntb_perf's rates."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ntbbench.capture.readers import Known, Reader
from ntbbench.capture.readers.ntb_perf import logged_rates
from ntbbench.capture.records import Measured
from ntbbench.capture.tool_records import Clue
from ntbbench.core.text_file import read_lines

LINE_MAX = 1 << 14
CLUES_MAX = 1000  # lines of one log
STAMP = re.compile(
    r"^(?:<\d{1,3}>|[a-z]\w{1,7} {0,4}:[a-z]{3,6} {0,4}: )?"
    r"(?:\[\s*\d{1,9}\.\d{6}\]|[A-Z][a-z]{2} {1,2}\d{1,2} [\d:]{8} \S{1,64} kernel:)"
    r"|^\d{4}-\d\d-\d\dT[\d:]{8}[\d.,:+Z-]{0,16} (?:\S{1,64} kernel|\w+(?: \S{1,40})?):"
    r"|^\[[A-Z][a-z]{2} [A-Z][a-z]{2} {1,2}\d{1,2} [\d:]{8} \d{4}\]"
    r"|^(?:ntb_hw_\w+|switchtec|ntb_transport) \S{1,40}: "
    r"|^ntb_perf(?: \S{1,40})?[: ] ?\d{1,5}: [clM]",
    re.MULTILINE,
)
RELEASE = re.compile(r"Linux version (\d{1,3}\.\d{1,4}\S{0,60})")
REGISTERED = re.compile(
    r"\b(ntb_hw_\w{1,20}|switchtec) \S{1,40}: (?:\S{1,40}: )?NTB device registered"
)
SWITCHTEC, INTEL = "ntb_hw_switchtec", "ntb_hw_intel"
# What a line of a driver tells, as the fields of a clue.
TELLING: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], dict[str, Any]]], ...] = (
    (RELEASE, lambda found: {"kernel": found[1]}),
    (
        REGISTERED,
        lambda found: {"driver": SWITCHTEC if found[1] == "switchtec" else found[1]},
    ),
    (
        re.compile(r"\bdbs(?: mask|: shift \d{1,2}/\d{1,2}, mask) ([0-9a-fA-F]{1,16})\b"),
        lambda found: {"driver": SWITCHTEC, "db_valid_mask": hex(int(found[1], 16))},
    ),
    (
        re.compile(r"\bnumber of qps = (\d{1,4})\b|\b(\d{1,4}) qps\b"),
        lambda found: {"qp_count": int(found[1] or found[2])},
    ),
    (
        re.compile(r"\bnumber of mws = (\d{1,4})\b|\b(\d{1,4}) mws\b"),
        lambda found: {"mw_count": int(found[1] or found[2])},
    ),
    (
        re.compile(r"\b(ntb_hw_\w{1,20}) \S{1,40}: Using (\d{1,4}) msix interrupts"),
        lambda found: {"driver": found[1], "vectors": int(found[2])},
    ),
    (
        re.compile(r"\b(ntb_hw_\w{1,20}) \S{1,40}: Using (?:msi|intx) interrupts"),
        lambda found: {"driver": found[1], "vectors": 1},
    ),
    (
        re.compile(r"\bUsing crosslink configuration"),
        lambda _: {"driver": SWITCHTEC, "is_crosslink": True},
    ),
    (
        re.compile(r"\bReduce doorbell count by 1"),
        lambda _: {"driver": INTEL, "is_erratum": True},
    ),
)


def clue_of(line: str, source: str) -> Clue | None:
    """Return what a line tells of the device, if anything.

    Source: Linux 7.3 drivers/ntb/hw/mscc/ntb_hw_switchtec.c (switchtec_ntb_init_db,
    switchtec_ntb_init_crosslink), drivers/ntb/ntb_transport.c (ntb_transport_link_work),
    drivers/ntb/hw/intel/ntb_hw_gen1.c (ndev_init_isr, xeon_init_ntb).
    """
    facts: dict[str, Any] = {}
    for pattern, told in TELLING:
        if (found := pattern.search(line)) is not None:
            facts |= told(found)
    return Clue(source=source, text=line.strip()[:200], **facts) if facts else None


def _log(path: Path, _known: Known) -> Measured:
    """Return the clues of a log, each once, and ntb_perf's rates; a log of neither is none."""
    measured = Measured()
    told: dict[Clue, None] = {}

    def lines() -> Iterator[str]:
        for _, line in read_lines(path, LINE_MAX):
            clue = clue_of(line, str(path)) if len(told) < CLUES_MAX else None
            if clue is not None:
                told[clue] = None
            yield line

    measured.throughput.extend(logged_rates(lines(), str(path)))
    measured.clues.extend(told)
    return measured


def _kernel(path: Path, _known: Known) -> Measured:
    release = next((text.strip() for _, text in read_lines(path) if text.strip()), "")
    return Measured(clues=[Clue(source=str(path), text=release[:200], kernel=release[:60])])


LOG = Reader(
    "kernel log", "what the drivers say of their device; ntb_perf's rates",
    "interrupts and wakeups; what the log's level hides", _log,
    begins=lambda head: STAMP.search(head) is not None,
)  # fmt: skip
RELEASE_FILE = Reader("kernel of a capture", "", "", _kernel, file="kernel")
