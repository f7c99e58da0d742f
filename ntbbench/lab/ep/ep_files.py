# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's endpoint tests: fetched with its source, or of a user, and built for the guest."""

import os
from dataclasses import dataclass
from pathlib import Path

from ntbbench.core.errors import InputError
from ntbbench.lab.packages.cache import Cache, sha256
from ntbbench.lab.packages.modules import ModuleSet, build_modules, compile_program
from ntbbench.lab.pair.pair_kernel import PairKernel, Say
from ntbbench.lab.pair.pair_modules import build_stack, driver_sources, merged
from ntbbench.lab.pair.sources import COMMENT
from ntbbench.lab.selftest.selftest_files import fetch_files

KERNELS_OWN = "kernel"
SELFTESTS = "tools/testing/selftests"
SELFTEST = f"{SELFTESTS}/pci_endpoint/pci_endpoint_test.c"
HEADERS = (
    f"{SELFTESTS}/kselftest_harness.h",
    f"{SELFTESTS}/kselftest.h",
    "include/uapi/linux/pcitest.h",  # the selftest names it by its place in the tree
)


@dataclass(frozen=True)
class TestDriver:
    """One of the two drivers: where the kernel has it, and what no other driver has in its text."""

    option: str
    path: str
    mark: str

    @property
    def module(self) -> str:
        """What is built of it."""
        return f"{Path(self.path).stem}.ko"


EP_TEST = TestDriver(
    "--ep-driver", "drivers/pci/endpoint/functions/pci-epf-test.c", "pci_epf_register_driver"
)
HOST_TEST = TestDriver("--host-driver", "drivers/misc/pci_endpoint_test.c", "PCITEST_BAR")
FILES = (EP_TEST.path, HOST_TEST.path, SELFTEST, *HEADERS)


def fetch_endpoint_tests(cache: Cache, kernel: PairKernel, say: Say) -> Path:
    """Return a folder with `FILES` of the kernel's source; FetchError: as `fetch_files`."""
    return fetch_files(cache, kernel.source, ("endpoint-tests", "endpoint tests"), FILES, say)


def own_driver(driver: TestDriver, spec: str, tests: Path) -> Path:
    """Return the C file that an option names: the kernel's own, a file, or that of a kernel tree.

    InputError: no such file, or another driver.
    """
    if spec == KERNELS_OWN:
        return tests / driver.path
    given = Path(spec)
    path = given / driver.path if given.is_dir() else given
    name = Path(driver.path).name
    if not path.is_file():
        raise InputError(driver.option, spec, f"{KERNELS_OWN}, a {name} or a kernel tree with it")
    if not os.access(path, os.R_OK):
        raise InputError(driver.option, spec, "a file that can be read")
    if driver.mark not in COMMENT.sub(" ", path.read_text(errors="replace")):
        raise InputError(driver.option, spec, f"a driver as {name}: it has no {driver.mark}")
    return path.absolute()


def build_drivers(cache: Cache, kernel: PairKernel, ep: Path, host: Path, say: Say) -> Path:
    """Return the folder with the modules of a boot; BuildError: with the compiler's first error."""
    stack = build_stack(cache, kernel, None, say)
    folders = [stack]
    for driver, path in ((EP_TEST, ep), (HOST_TEST, host)):
        name = Path(driver.path).name
        sources = {**driver_sources(kernel, None, stack), name: path}
        folders.append(
            build_modules(cache, ModuleSet(name, kernel.kbuild, sources, (driver.module,)), say)
        )
    return merged(cache, folders, say)


def build_selftest(cache: Cache, tests: Path, say: Say) -> Path:
    """Return the selftest as a program for the guest; BuildError: with the first error."""
    headers = tuple(tests / name for name in HEADERS)
    return compile_program(cache, tests / SELFTEST, headers, say)


def sums(tests: Path, ep: Path, host: Path) -> dict[str, str]:
    """Return the SHA-256 of what runs beside the kernel."""
    named = {"pci-epf-test": ep, "pci_endpoint_test": host, "selftest": tests / SELFTEST}
    return {name: sha256(path) for name, path in named.items()}
