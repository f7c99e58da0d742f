# SPDX-License-Identifier: BSD-3-Clause
"""What the lab needs of this machine, what is missing, and the command that installs it."""

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from ntbbench.lab.commands import MissingToolError, program
from ntbbench.lab.packages.apt import KEYRING
from ntbbench.lab.packages.cache import CHECKSUMS, Cache, damaged
from ntbbench.lab.packages.fetch import cached
from ntbbench.lab.qemu import QEMU, kvm_runs

# program: (Debian package, what for)
PROGRAMS = {
    QEMU: ("qemu-system-x86", "runs the guest"),
    "busybox": ("busybox-static", "the guest's only program"),
    "cpio": ("cpio", "packs the guest's files"),
    "gcc": ("gcc libc6-dev", "builds the modules"),
    "make": ("make", "builds the modules"),
    "dpkg-deb": ("dpkg", "unpacks the kernel packages"),
    "tar": ("tar", "unpacks the kernel's source"),
    "xz": ("xz-utils", "unpacks the kernel's source"),
    "apt-get": ("apt", "fetches the kernel packages"),
    "setpriv": ("util-linux", "ends the guest with its parent"),
    "flex": ("flex", "builds the kernel of `lab pair`"),
    "bison": ("bison", "builds the kernel of `lab pair`"),
    "bc": ("bc", "builds the kernel of `lab pair`"),
}
LIBELF = Path("/usr/include/gelf.h")


@dataclass(frozen=True)
class Need:
    """One thing the lab needs; `package` is the Debian package that brings it, if one does."""

    name: str
    found: bool
    detail: str
    package: str | None = None


def examine(cache: Cache, wanted: str) -> list[Need]:
    """Return what a run of kernel `wanted` needs, in the order in which a run needs it."""
    needs = [_program(name, package, what) for name, (package, what) in PROGRAMS.items()]
    what = "builds the kernel of `lab pair` (installing it needs root)"
    has_libelf, keyring = LIBELF.is_file(), "debian-archive-keyring"
    needs += [
        Need("libelf-dev", has_libelf, str(LIBELF) if has_libelf else what, "libelf-dev"),
        Need(keyring, KEYRING.is_file(), "checks the packages' signatures", keyring),
    ]
    machine = platform.machine()
    needs.append(Need("machine", True, f"{machine}; {_acceleration(machine)}"))
    needs.append(_kernel(cache, wanted))
    return needs


def install_command(needs: list[Need], spec: str) -> str:
    """Return the one command that brings what is missing; empty: nothing is."""
    packages = sorted({need.package for need in needs if not need.found and need.package})
    root = "" if os.geteuid() == 0 else "sudo "
    commands = [f"{root}apt-get install --no-install-recommends {' '.join(packages)}"]
    commands = commands if packages else []
    if any(not need.found and need.package is None for need in needs):
        commands.append(f"ntbbench lab fetch --kernel {spec}")
    return " && ".join(commands)


def _program(name: str, package: str, what: str) -> Need:
    try:
        return Need(name, True, program(name), package)
    except MissingToolError:
        return Need(name, False, f"{what} (package {package}; installing it needs root)", package)


def _acceleration(machine: str) -> str:
    if machine == "x86_64" and shutil.which(QEMU) and kvm_runs():
        return "KVM runs guests here"
    return "no working KVM: guests run emulated, which is enough"


def _kernel(cache: Cache, wanted: str) -> Need:
    kernel = cached(cache, wanted)
    name = f"kernel image, headers and source of debian:{wanted}"
    if kernel is None:
        return Need(name, False, f"not in {cache.root} (fetched without root, 200 to 280 MB)")
    has_sums = (kernel.folder / CHECKSUMS).is_file()
    wrong = damaged(kernel.folder) if has_sums else [CHECKSUMS]
    if wrong:
        shown = f"{len(wrong)} files damaged, first {wrong[0]}: remove {kernel.folder}"
        return Need(name, False, shown)
    return Need(name, True, f"{kernel.manifest.version} in {kernel.folder}, checksums right")
