# SPDX-License-Identifier: BSD-3-Clause
"""What the guest is told to do, and the recordings that come back."""

import base64
import binascii
import gzip
import io
import re
import shutil
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ntbbench.errors import InputError
from ntbbench.lab.build import MODULES
from ntbbench.lab.errors import GuestError
from ntbbench.lab.qemu import Boot, boot, pack_initramfs

BOOT_SECONDS = 60.0
MARK = "@@ "


@dataclass(frozen=True)
class PointPlan:
    """One point as the guest runs it.

    Parameters
    ----------
    vectors : 0: the device has no vector callbacks; k: bit b belongs to vector b % k.
    latched : db_read() shows a rung bit until db_clear(); else it always reads 0.
    gap_us : microseconds between two packets of one sender.
    packets : packets of each sending QP.
    order : `turn`: one sender, a packet on each QP in turn; `together`: a sender for each QP.
    sending_qps : numbers of the QPs that send.
    """

    name: str
    vectors: int
    latched: bool
    gap_us: int
    packets: int
    order: str
    sending_qps: tuple[int, ...]

    @property
    def line(self) -> str:
        """The point's line in /points."""
        qps = " ".join(map(str, self.sending_qps))
        head = f"{self.name} {self.vectors} {int(self.latched)} {self.gap_us} {self.packets}"
        return f"{head} {self.order} {qps}\n"

    @property
    def seconds(self) -> float:
        """What the point may take: generous, for it only ends a guest that hangs."""
        sent = self.packets * len(self.sending_qps)
        return 30 + sent * (0.05 + self.gap_us * 1e-5)


@dataclass(frozen=True)
class Task:
    """What the guest does in one boot.

    Parameters
    ----------
    script : which of guest/ it runs: `points` or `netdev`.
    lines : one line a point, for the script.
    names : of the recordings that must come back, in order.
    seconds : what it may take; generous, for it only ends a guest that hangs.
    """

    script: str
    lines: tuple[str, ...]
    names: tuple[str, ...]
    seconds: float


def points_task(points: list[PointPlan]) -> Task:
    """Return the task that records `points`."""
    return Task(
        script="points",
        lines=tuple(point.line for point in points),
        names=tuple(point.name for point in points),
        seconds=BOOT_SECONDS + sum(point.seconds for point in points),
    )


@dataclass(frozen=True)
class Recordings:
    """What one boot recorded.

    Parameters
    ----------
    release : the guest's uname -r.
    folder : holds `kernel` and a folder a point, in the layout of a recording.
    boot : the guest's words.
    """

    release: str
    folder: Path
    boot: Boot


def record(
    task: Task,
    folder: Path,
    *,
    queues: int,
    image: Path,
    modules: Path,
    accel: tuple[str, ...],
    programs: tuple[Path, ...] = (),
) -> Recordings:
    """Boot `image` once, run `task` and leave its recordings below `folder`.

    Raises
    ------
    GuestError : the guest panicked, hung, gave up, or left no whole recording.
    """
    scripts = Path(str(files("ntbbench.lab") / "guest"))
    with tempfile.TemporaryDirectory() as name:
        root, initramfs = Path(name) / "root", Path(name) / "initramfs"
        (root / "lib").mkdir(parents=True)
        (root / "bin").mkdir()
        shutil.copy(scripts / "init", root / "init")
        (root / "init").chmod(0o755)
        shutil.copy(scripts / task.script, root / "task")
        for module in MODULES:
            shutil.copy(modules / module, root / "lib" / module)
        for program in programs:
            shutil.copy(program, root / "bin" / program.name)
        (root / "queues").write_text(f"{queues}\n")
        (root / "points").write_text("".join(task.lines))
        pack_initramfs(root, initramfs)
        booted = boot(image, initramfs, accel, task.seconds)
    return Recordings(unpack(booted, list(task.names), folder), folder, booted)


def unpack(booted: Boot, names: list[str], folder: Path) -> str:
    """Unpack the recordings that a boot reported below `folder`; return the guest's uname -r.

    Raises
    ------
    GuestError : what it reported is not all of `names`, whole and in order.
    InputError : `folder` cannot be written; then nothing of it is left.
    """
    failed = re.search(rf"^{MARK}failed (.*)$", booted.data, re.MULTILINE)
    if failed:
        raise GuestError(f"the guest gave up: {failed[1]}")
    kernel = re.search(rf"^{MARK}kernel (\S+)\n{MARK}version (.*)$", booted.data, re.MULTILINE)
    found = re.findall(rf"^{MARK}point (\S+)\n(.*?)^{MARK}end$", booted.data, re.S | re.M)
    if kernel is None or [name for name, _ in found] != names or f"{MARK}done" not in booted.data:
        raise GuestError("the guest powered off before it had recorded every point")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as fresh:
            whole = Path(fresh) / "recordings"
            whole.mkdir()
            (whole / "kernel").write_text(f"{kernel[1]}\n{kernel[2]}\n")
            for name, packed in found:
                _unpack_one(packed, whole / name)
            whole.rename(folder)
    except OSError as error:
        raise InputError(str(folder), "", f"cannot be written: {error.strerror}") from error
    return kernel[1]


def _unpack_one(packed: str, folder: Path) -> None:
    try:
        data = gzip.decompress(base64.b64decode(packed, validate=False))
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            archive.extractall(folder, filter="data")
    except (binascii.Error, gzip.BadGzipFile, zlib.error, tarfile.TarError, EOFError) as error:
        raise GuestError(f"recording {folder.name} arrived damaged: {error}") from error
