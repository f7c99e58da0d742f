# SPDX-License-Identifier: BSD-3-Clause
"""What the guest is told to do, and the recordings that come back."""

import base64
import binascii
import gzip
import io
import re
import shlex
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

from ntbbench.core.ending import scratch_folder
from ntbbench.core.errors import InputError
from ntbbench.lab.commands import GuestError, HostError
from ntbbench.lab.qemu import Boot, GuestMachine, boot, pack_initramfs
from ntbbench.lab.watch import Limits, exceeded

# Processor time that only a guest which hangs comes to: Debian's kernel boots in 5 s.
BOOT_SECONDS = 60.0
MARK = "@@ "
POINT = re.compile(rf"^{MARK}point (\S+)\n([^@]*)^{MARK}end$", re.MULTILINE)  # whole ones
SPARE_BYTES = 1 << 20  # QEMU does not say when a guest's words do not fit on the disk


@dataclass(frozen=True)
class Task:
    """What the guest does in one boot."""

    script: Path  # the shell script that it runs after what every guest does first
    lines: tuple[str, ...]  # one line per point, for the script
    names: tuple[str, ...]  # of the recordings that must come back, in order
    limits: Limits  # what it may take; generous, for they only end a guest that hangs
    settings: Mapping[str, object]  # shell variables of the script
    # what a guest that panics, hangs or gives up has recorded by then is a result
    may_die: bool = False
    about: str = ""  # what it is, for whoever waits
    programs: tuple[str, ...] = ()  # names of the lab's programs that it calls


def script(name: str) -> Path:
    """Return the lab's guest script `name`."""
    return Path(str(files("ntbbench.lab") / "guest" / name))


@dataclass(frozen=True)
class Recordings:
    """What one boot recorded."""

    release: str  # the guest's uname -r
    folder: Path  # holds `kernel` and a folder per point, in the layout of a recording
    boot: Boot  # the guest's words


def record(
    task: Task,
    folder: Path,
    *,
    image: Path,
    modules: Path,
    accel: tuple[str, ...],
    machine: GuestMachine,
    programs: tuple[Path, ...] = (),
) -> Recordings:
    """Boot `image` once, run `task` and leave its recordings below `folder`.

    GuestError: the guest panicked, hung or gave up and may not, or left no whole recording.
    HostError: QEMU or the disk failed.
    """
    with scratch_folder() as scratch:
        initramfs = packed(task, scratch, modules, programs)
        booted = boot(image, initramfs, accel, machine, partial(exceeded, limits=task.limits))
        if shutil.disk_usage(scratch).free < SPARE_BYTES:
            raise HostError(f"the disk of {scratch} is full: what the guest said may be cut off")
    names = list(task.names)
    if booted.died:
        if not task.may_die:
            raise booted.error
        names = names[: len(POINT.findall(booted.data))]
    return Recordings(unpack(booted, names, folder), folder, booted)


def packed(
    task: Task,
    folder: Path,
    modules: Path,
    programs: tuple[Path, ...],
    overlays: tuple[Path, ...] = (),
) -> Path:
    """Pack what the guest needs for a task into an archive in `folder`, and return it.

    `overlays`: folders whose files go to the same places of the guest's root.
    """
    root, initramfs = folder / "root", folder / "initramfs"
    (root / "lib").mkdir(parents=True)
    (root / "bin").mkdir()
    for overlay in overlays:
        shutil.copytree(overlay, root, dirs_exist_ok=True)
    shutil.copy(script("init"), root / "init")
    (root / "init").chmod(0o755)
    shutil.copy(task.script, root / "task")
    for module in sorted(modules.glob("*.ko")):
        shutil.copy(module, root / "lib")
    for program in programs:
        shutil.copy(program, root / "bin" / program.name)
    words = [f"{name}={shlex.quote(str(value))}\n" for name, value in task.settings.items()]
    (root / "settings").write_text("".join(words))
    (root / "points").write_text("".join(task.lines))
    pack_initramfs(root, initramfs)
    return initramfs


def unpack(booted: Boot, names: list[str], folder: Path) -> str:
    """Unpack the recordings that a boot reported below `folder`; return the guest's uname -r.

    GuestError: what it reported is not all of `names`, whole and in order.
    InputError: `folder` cannot be written; then nothing of it is left.
    """
    kernel = re.search(rf"^{MARK}kernel (\S+)\n{MARK}version (.*)$", booted.data, re.MULTILINE)
    found = POINT.findall(booted.data)
    done = booted.died or f"{MARK}done" in booted.data
    if kernel is None or [name for name, _ in found] != names or not done:
        if booted.died:
            raise booted.error
        raise GuestError("the guest powered off before it had recorded every point")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder.parent, ".new-") as fresh:
            whole = fresh / "recordings"
            whole.mkdir()
            (whole / "kernel").write_text(f"{kernel[1]}\n{kernel[2]}\n")
            for name, packed in found:
                _unpack_one(packed, whole / name)
            folder.mkdir(exist_ok=True)
            for entry in whole.iterdir():  # nothing can fill a disk from here on
                shutil.rmtree(folder / entry.name, ignore_errors=True)  # of an earlier boot
                entry.rename(folder / entry.name)
    except OSError as error:
        raise InputError(str(folder), "", f"cannot be written: {error.strerror}") from error
    return kernel[1]


def _unpack_one(packed: str, folder: Path) -> None:
    try:
        data = gzip.decompress(base64.b64decode(packed, validate=False))
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            # Its filters came with Python 3.11.4, and our own check needs none of them.
            archive.extraction_filter = lambda member, _path: member
            archive.extractall(folder, members=_files(archive, folder))  # noqa: S202 - checked there
    except (binascii.Error, gzip.BadGzipFile, zlib.error, tarfile.TarError, EOFError) as error:
        raise GuestError(f"recording {folder.name} arrived damaged: {error}") from error


def _files(archive: tarfile.TarFile, folder: Path) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a recording; GuestError: one that is no file, or leads out of it."""
    for member in archive:
        name = Path(member.name)
        if name.is_absolute() or ".." in name.parts or not (member.isfile() or member.isdir()):
            raise GuestError(f"recording {folder.name} arrived damaged: {member.name!r} in it")
        yield member
