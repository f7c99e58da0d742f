# SPDX-License-Identifier: BSD-3-Clause
"""Capture folders and single files, read into one record of measured numbers."""

from collections.abc import Sequence
from pathlib import Path

from ntbbench.capture.amplification import amplifications
from ntbbench.capture.measured_records import Measured, Source
from ntbbench.capture.readers import Known, Reader, earlier
from ntbbench.capture.readers.doorbell_point import is_setup
from ntbbench.capture.readers.ntb_interrupts import ACTIONS, INTERRUPTS, told_line
from ntbbench.capture.readers.table import READERS, reader_of
from ntbbench.capture.readers.tool_output import CHANNELS, UNREAD
from ntbbench.capture.readers.trace import FULL
from ntbbench.core.errors import InputError

SNAPSHOTS = [reader for reader in READERS if reader.snapshots]
NAMED = [reader for reader in READERS if reader.file and reader is not UNREAD]
SNAPSHOT = ("before-", "after-")
# Any of these makes a folder a capture; the first ones are named where there is none.
PARTS = (*(f"before-{reader.snapshots}" for reader in SNAPSHOTS), "trace", "capture")
PARTS_AFTER = tuple(f"after-{reader.snapshots}" for reader in SNAPSHOTS)
# Not read, or not as a file of its own: of a recording also its traffic's counts and its log.
TEXTS = {"kernel", "capture", "trace", FULL, "README.md", "sent", "received", "dmesg"}
TEXTS |= {reader.file for reader in (*NAMED, UNREAD)}
BELOW = ("ethtool", "info")  # folders of a capture that hold a file a device
FILES_MAX = 1000  # of one folder


def ingest(paths: Sequence[Path]) -> Measured:
    """Read folders and files; a file that cannot be used is one line of `errors`.

    Parameters
    ----------
    paths : capture folders, folders of capture folders, or single files of a known format.
    """
    measured, runs = Measured(), Known().runs
    for path in paths:
        for capture in _captures(path, measured.errors):
            _add(measured, _Capture(capture, Known(runs=runs)).read())
    return measured


def _add(to: Measured, found: Measured) -> None:
    for name in Measured.__struct_fields__[1:]:
        getattr(to, name).extend(getattr(found, name))


def _captures(path: Path, errors: list[str]) -> list[Path]:
    if not path.is_dir():
        return [path]
    if _is_capture(path) or not any(child.is_dir() for child in path.iterdir()):
        return [path]
    found = [child for child in sorted(path.iterdir()) if child.is_dir() and _is_capture(child)]
    if not found:
        errors.append(str(InputError("DIR", str(path), "holds no capture: " + ", ".join(PARTS))))
    return found


def _is_capture(folder: Path) -> bool:
    parts = (*PARTS, *PARTS_AFTER)
    return not is_setup(folder) and any((folder / part).exists() for part in parts)


class _Capture:
    """One folder or file; each of its parts fails by itself."""

    def __init__(self, path: Path, known: Known) -> None:
        self.path = path
        self.known = known
        self.found = Measured()

    def read(self) -> Measured:
        if self.path.is_dir():
            self._folder()
        else:
            self._try(self.path)
        self._tell_lines()
        amplifications(self.found, str(self.path))
        return self.found

    def _folder(self) -> None:
        for reader in SNAPSHOTS:
            self._pair(reader)
        for reader in NAMED:
            self._if_there(reader)
        files = [p for p in sorted(self.path.iterdir()) if p.is_file() and p.name not in TEXTS]
        files += [p for name in BELOW for p in sorted(self.path.glob(f"{name}/*"))]
        files += [trace] if (trace := self.path / "trace").is_file() else []
        for path in files[:FILES_MAX]:
            if not path.name.startswith(SNAPSHOT):
                self._try(path)
        self._if_there(UNREAD)
        if self._has_no_ntb():
            self.found.without_ntb.append(str(self.path))
        if len(files) > FILES_MAX:
            self._error(InputError(str(self.path), len(files), f"at most {FILES_MAX} files"))
        if not self.found.sources:
            allowed = "before- and after- snapshots, or a trace"
            self._error(InputError(str(self.path), "nothing usable", allowed))

    def _if_there(self, reader: Reader) -> None:
        if (path := self.path / reader.file).is_file():
            self._try(path, reader)

    def _pair(self, reader: Reader) -> None:
        after = self.path / f"after-{reader.snapshots}"
        before = earlier(after)
        if before.exists() and after.exists():
            self._try(after, reader)
        elif before.exists() or after.exists():
            there, gone = (before, after) if before.exists() else (after, before)
            self.found.cautions.append(f"{there}: no {gone.name} beside it: no difference")

    def _try(self, path: Path, reader: Reader | None = None) -> None:
        """Add what a file says; nothing of one that cannot be used but the error."""
        try:
            reader = reader or reader_of(path)
            found = reader.read(path, self.known)
        except InputError as error:
            self._error(error)
        except OSError as error:
            self._error(InputError(str(path), "", f"cannot be read: {error.strerror}"))
        else:
            if reader.gives:
                found.sources.append(
                    Source(
                        name=str(path),
                        capture=str(self.path),
                        kind=reader.name,
                        gives=reader.gives,
                        cannot_tell=reader.cannot_tell,
                    )
                )
            _add(self.found, found)

    def _error(self, error: InputError) -> None:
        self.found.errors.append(" ".join(str(error).split()))

    def _has_no_ntb(self) -> bool:
        """Return whether the interrupts were read, and neither they nor anything else is NTB's."""
        found = self.found
        return any(source.kind == INTERRUPTS.name for source in found.sources) and not (
            any(irq.slot is not None for irq in found.interrupts)
            or found.qps
            or found.devices
            or any(count.name not in CHANNELS for count in found.counts)
            or any(t.db_events or t.woken for t in found.traces)
            or any(handler.name in ACTIONS for t in found.traces for handler in t.handlers)
        )

    def _tell_lines(self) -> None:
        for index, irq in enumerate(self.found.interrupts):
            self.found.interrupts[index] = told = told_line(irq, self.found.devices)
            if told.others:
                shared = f"line {irq.label} is shared with {', '.join(told.others)}"
                at_most = f"{irq.source}: {shared}: NTB's interrupts are at most its count"
                self.found.cautions.append(at_most)
