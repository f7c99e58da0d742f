# SPDX-License-Identifier: BSD-3-Clause
"""What ntb_perf says of its threads: in its `run` of debugfs, or in the kernel's log."""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ntbbench.capture.readers import Known, Reader
from ntbbench.capture.records import Measured, Throughput
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_small

COPIED = re.compile(r"(\d{1,5}): copied (\d{1,19}) bytes in (\d{1,19}) usecs, (\d{1,19}) MBytes/s")
FAILED = re.compile(r"(\d{1,5}): error (?:status )?(-?\d{1,5})")
TITLE = re.compile(r"Peer \d{1,5} test statistics:")
ELSE = re.compile(r"Test status: .*|running")
# `0: copied B bytes` of the debug messages, `ntb_perf 0: copied B bytes` before Linux 4.16
LOGGED = re.compile(
    r"(?:.*?\s)?(?:ntb_perf )?(\d{1,5}): (?:(copied|lasted) (\d{1,19}) (?:bytes|usecs)"
    r"|(\d{1,19}) MBytes/s|MBytes/s: (\d{1,19}))"
)
KERNELS_OWN = {512: "ERESTARTSYS", 516: "ERESTART_RESTARTBLOCK", 517: "EPROBE_DEFER"}


def errno_words(status: int) -> str:
    """Return what a kernel's negative error number means, or "" for one that is none."""
    number = -status
    name = KERNELS_OWN.get(number) or errno.errorcode.get(number, "")
    if not name:
        return ""
    return f"{name}: {os.strerror(number)}" if number in errno.errorcode else name


def _failure(status: str) -> str:
    words = errno_words(int(status))
    return f"error status {status} ({words})" if words else f"error status {status}"


def _row(source: str, thread: str, copied: int, usecs: int) -> Throughput:
    seconds = usecs / 1e6
    return Throughput(
        source=source,
        tool="ntb_perf",
        what=f"thread {thread}",
        bits_per_second=copied * 8 / seconds,
        seconds=seconds,
    )


def _ntb_perf(path: Path, _known: Known) -> Measured:
    """Read `run`; a thread that failed is named, its error number in words.

    Source: Linux 7.3 drivers/ntb/test/ntb_perf.c (perf_read_stats), 4.15 (debugfs_run_read).
    """
    measured = Measured()
    for number, line in enumerate(read_small(path).split("\n"), 1):
        text = line.strip()
        if (match := COPIED.fullmatch(text)) is not None:
            copied, usecs, rate = map(int, match.groups()[1:])
            if not usecs or copied // usecs != rate:
                raise bad_line(path, number, line, "a rate that is bytes / usecs: damaged")
            measured.throughput.append(_row(str(path), match[1], copied, usecs))
        elif (failed := FAILED.fullmatch(text)) is not None:
            why = f"ntb_perf thread {failed[1]}: {_failure(failed[2])}"
            measured.failures.append(f"{path}:{number}: {why}")
        elif ELSE.fullmatch(text):
            measured.cautions.append(f"{path}:{number}: ntb_perf says: {text}")
        elif text and not TITLE.fullmatch(text):
            raise bad_line(path, number, line, "N: copied B bytes in T usecs, R MBytes/s")
    if not measured.throughput and not measured.failures:
        raise InputError(str(path), "no thread", "at least one line of a finished thread")
    return measured


def logged_rates(lines: Iterable[str], source: str) -> Iterator[Throughput]:
    """Yield the threads whose bytes and microseconds stand in a kernel's log, as they end."""
    copied: dict[str, int] = {}
    for line in lines:
        if (match := LOGGED.fullmatch(line.rstrip())) is None:
            continue
        if match[2] == "copied":
            copied[match[1]] = int(match[3])
        elif match[2] == "lasted" and match[1] in copied and int(match[3]):
            yield _row(source, match[1], copied.pop(match[1]), int(match[3]))


def _begins(head: str) -> bool:
    lines = [line.strip() for line in head.split("\n")[:9]]
    is_title = any(TITLE.fullmatch(line) for line in lines)
    return is_title or any(COPIED.fullmatch(x) or FAILED.fullmatch(x) for x in lines)


PERF = Reader(
    "ntb_perf", "copy throughput a thread, and which failed", "anything of ntb_transport",
    _ntb_perf, begins=_begins,
)  # fmt: skip
