# SPDX-License-Identifier: BSD-3-Clause
"""Which of the series' twelve patches a driver's text seems to carry: a hint, and no more.

What a driver does is observed (behaves.py). The text chooses between sets of patches that behave
alike, and stands for a driver that never came to be observed.
"""

import re
from collections.abc import Callable
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.pair.plan import EP, RC

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
PATCHES = {EP: tuple(range(1, 8)), RC: tuple(range(8, 13))}
DRIVERS = {
    EP: "drivers/pci/endpoint/functions/pci-epf-vntb.c",
    RC: "drivers/ntb/hw/epf/ntb_hw_epf.c",
}
NTB_DRIVER = "ntb_register_device"  # the interface that no NTB driver goes without
FIRST_DB = r"(?:EPF_IRQ_DB_START|2)"


def body(code: str, function: str) -> str:
    """Return the body of `function` in kernel style: up to the first brace in column 0."""
    match = re.search(rf"^\w[^\n;]*\b{function}\(.*?^}}", code, re.MULTILINE | re.DOTALL)
    return match[0] if match else ""


def without_comments(source: str) -> str:
    """Return `source` with every comment replaced by one blank."""
    return COMMENT.sub(" ", source)


Test = Callable[[str, str], object]  # (source with its comments, code) -> truthy: carries it


def _loops_start_at_doorbells(_: str, code: str) -> object:
    loop = body(code, "epf_ntb_cmd_handler")
    return re.search(rf"for \(i = {FIRST_DB};", loop) and re.search(
        rf"ntb_db_event\([^;]*i - {FIRST_DB}\)", loop
    )


# Source: the patches' own text, linux-source-7.3; read on 6.1.192, 6.12.95, 6.12.118 and 7.3.4.
TESTS: dict[int, Test] = {
    1: lambda source, _: re.search(r"Legacy mapping|MSI #\d+\s*: unused", source),
    2: lambda _, code: (
        "queue_work" in body(code, "vntb_epf_peer_db_set") and "peer_db_pending" in code
    ),
    3: _loops_start_at_doorbells,
    4: lambda _, code: re.search(
        r"db_count < (?:MIN_DB_COUNT|3)\b", body(code, "epf_ntb_configure_interrupt")
    ),
    5: lambda _, code: "-EOPNOTSUPP" in code and "epc_attached" in code,
    6: lambda _, code: re.search(
        rf"db_vector_count|nr_vec|- {FIRST_DB}\b", body(code, "vntb_epf_db_valid_mask")
    ),
    7: lambda _, code: re.search(r"\.db_vector_count\b", code) and ".db_vector_mask" in code,
    8: lambda source, _: re.search(
        r"[Hh]istorical|[Ll]egacy|backward", body(source, "ntb_epf_peer_db_set")
    ),
    9: lambda _, code: re.search(r"db_valid_mask = BIT_ULL\(ndev->db_count - 1\) - 1", code),
    10: lambda _, code: re.search(rf"irq_no - {FIRST_DB}\b", body(code, "ntb_epf_vec_isr")),
    11: lambda _, code: re.search(r"atomic64_t db_val\b", code) and "pci_irq_vector" not in body(
        code, "ntb_epf_vec_isr"
    ),
    12: lambda _, code: re.search(r"\.db_vector_count\b", code) and ".db_vector_mask" in code,
}  # fmt: skip


def carried(side: str, path: Path) -> tuple[int, ...]:
    """Return the numbers of the patches that the text of the driver at `path` shows, sorted.

    Raises
    ------
    InputError : the file cannot be read, or is no NTB driver.
    """
    source = read_driver(side, path)
    code = without_comments(source)
    return tuple(number for number in PATCHES[side] if TESTS[number](source, code))


def read_driver(side: str, path: Path) -> str:
    """Return the text of the driver at `path`.

    Raises
    ------
    InputError : it cannot be read, or is no NTB driver.
    """
    option = f"--{side}-driver"
    try:
        source = path.read_text(errors="replace")
    except OSError as error:
        raise InputError(option, str(path), error.strerror or str(error)) from None
    if NTB_DRIVER not in source:
        allowed = f"a driver as {Path(DRIVERS[side]).name}: it calls no {NTB_DRIVER}()"
        raise InputError(option, str(path), allowed)
    return source
