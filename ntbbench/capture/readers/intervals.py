# SPDX-License-Identifier: BSD-3-Clause
"""What lay between two snapshots: the `capture` file, and how often a carrier changed."""

from pathlib import Path

from ntbbench.capture.readers import Known, Reader, earlier
from ntbbench.capture.records import Measured, MeasuredCount
from ntbbench.capture.transmit_records import CaptureInterval
from ntbbench.core.errors import InputError
from ntbbench.core.text_file import bad_line, read_lines, read_small

FORMAT = "ntbbench.capture/1"
INTERRUPTED = "interrupted"
SECONDS_MAX = 1e9
EXIT_MAX = 255
CARRIER = "carrier changes"


def _capture(path: Path, _known: Known) -> Measured:
    found: dict[str, str] = {}
    for number, line in read_lines(path):
        key, _, value = line.strip().partition("=")
        if number == 1 and key != FORMAT:
            raise bad_line(path, 1, line, FORMAT)
        found.setdefault(key, value)
    code = found.get("exit", "")
    if code and not (code.isascii() and code.isdecimal() and int(code) <= EXIT_MAX):
        raise InputError(str(path), f"exit={code}", f"0 to {EXIT_MAX}")
    kernel = path.with_name("kernel")
    interval = CaptureInterval(
        source=str(path),
        capture=str(path.parent),
        seconds=_seconds(path, found, "elapsed"),
        kernel=read_small(kernel).strip() if kernel.is_file() else "",
        asked=_seconds(path, found, "seconds"),
        command=found.get("command", ""),
        exit_code=int(code) if code else None,
        is_interrupted=INTERRUPTED in found,
    )
    return Measured(intervals=[interval])


def _seconds(path: Path, found: dict[str, str], name: str) -> float | None:
    text = found.get(name)
    if not text:
        return None
    whole, _, part = text.partition(".")
    if not (f"{whole}{part}".isdecimal() and text.isascii() and float(text) <= SECONDS_MAX):
        raise InputError(str(path), f"{name}={text}", "seconds")
    return float(text)


def _carrier(after: Path, _known: Known) -> Measured:
    """Count the changes of each net device's carrier; one of a single snapshot is a caution."""
    old, new = ({p.name: _changes(p) for p in side.iterdir()} for side in (earlier(after), after))
    measured = Measured()
    for name in sorted({*old, *new}):
        if name not in old or name not in new or new[name] < old[name]:
            measured.cautions.append(f"{after}: {name}: made anew between the snapshots")
            continue
        change = new[name] - old[name]
        count = MeasuredCount(source=str(after), name=CARRIER, key=name, value=change)
        measured.counts.append(count)
        if change:
            caution = f"the carrier of {name} changed {change} times between the snapshots"
            measured.cautions.append(f"{after}: {caution}")
    return measured


def _changes(path: Path) -> int:
    text = read_small(path).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise InputError(str(path), text[:40], "a number of carrier changes")
    return int(text)


CAPTURE = Reader("capture", "", "", _capture, file="capture")
CARRIER_CHANGES = Reader(
    "carrier_changes",
    "how often the carrier of ntb_netdev came or went",
    "which QP's link it was: the carrier is on while any is up",
    _carrier,
    snapshots="carrier",
)
