# SPDX-License-Identifier: BSD-3-Clause
"""Build of the compiled kernels; everything else about the package is in pyproject.toml.

NTBBENCH_CHECKED=1 builds the checked variant: index checks, C asserts, address and undefined
behaviour sanitizers. It has its own build directory, so the two never share an object.
"""

import os
import shlex
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# The room of each kernel, which alone imports it.
ROOM_OF_KERNEL = {
    "_bitset": "dispatch.engine",
    "_datapath_heap": "datapath.engine",
    "_datapath_slots": "datapath.engine",
    "_msi": "dispatch.engine",
    "_rings": "ntb.workload",
    "_scan": "dispatch.engine",
}
# Two words stored apart and then loaded as a pair wait for each other, and the datapath engines
# live on words stored just now. A minimum of eight made into a chain takes seven steps, not three.
UNPAIRED = {
    name: ["-fno-tree-slp-vectorize", "-fno-tree-reassoc"]
    for name in ("_datapath_heap", "_datapath_slots")
}
# auditwheel tells the platform by the C library, which a module of few calls would not name.
LIBC = ["-Wl,--no-as-needed", "-lc", "-Wl,--as-needed"]
SHARED = (".pxd", ".pxi", ".h")
# One wheel for every CPython from 3.11 on; one without the GIL has no stable interface yet.
LIMITED = "0x030b0000"
# Where man and the shells look, below the prefix: what `make reference` has made.
SHELL = {
    "share/man/man1": ["docs/shell/man/ntbbench.1"],
    "share/bash-completion/completions": ["docs/shell/bash/ntbbench"],
    "share/zsh/site-functions": ["docs/shell/zsh/_ntbbench"],
    "share/fish/vendor_completions.d": ["docs/shell/fish/ntbbench.fish"],
}

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "embedsignature": False,
    "freethreading_compatible": True,  # loops over buffers of the caller, and no state of their own
}
# Never -march=native: a wheel runs on every machine of its architecture. Without debug information,
# which is two thirds of the modules and tells where they were built.
PORTABLE = ["-O3", "-g0"]
CHECKED = [
    "-O1",
    "-g",
    "-UNDEBUG",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
]


def is_checked() -> bool:
    """Read NTBBENCH_CHECKED; a typing error there must not build the wrong variant."""
    value = os.environ.get("NTBBENCH_CHECKED", "0")
    if value not in ("0", "1"):
        raise SystemExit(f"NTBBENCH_CHECKED: {value!r}: 0 or 1")
    return value == "1"


def is_limited() -> bool:
    """Tell whether the modules are built for the limited API."""
    return not (is_checked() or sysconfig.get_config_var("Py_GIL_DISABLED"))


def extensions(checked: bool, flags: list[str]) -> list[Extension]:
    """Name every compiled module; a glob would build an empty wheel and report success."""
    limited = is_limited()
    macros = [("Py_LIMITED_API", LIMITED)] if limited else []
    link = [*LIBC, *(flag for flag in flags if flag.startswith("-fsanitize"))]
    cflags = [sysconfig.get_config_var("CFLAGS") or "", os.environ.get("CFLAGS", ""), *flags]
    recorded = " ".join(shlex.split(" ".join(cflags)))
    build = Extension(
        "ntbbench.core._build",
        ["ext/_build.pyx"],
        define_macros=[
            ("NTBBENCH_FLAGS", f'"{recorded}"'),
            ("NTBBENCH_CHECKED", str(int(checked))),
            *macros,
        ],
        py_limited_api=limited,
        extra_compile_args=flags,
        extra_link_args=link,
    )
    kernels = [
        Extension(
            f"ntbbench.{room}.{name}",
            [f"ext/{name}.pyx"],
            depends=[str(path) for path in Path("ext").iterdir() if path.suffix in SHARED],
            include_dirs=["ext"],
            define_macros=macros,
            py_limited_api=limited,
            extra_compile_args=flags + UNPAIRED.get(name, []),
            extra_link_args=link,
        )
        for name, room in ROOM_OF_KERNEL.items()
    ]
    return [build, *kernels]


checked = is_checked()
base = "build/checked" if checked else "build"
setup(
    ext_modules=cythonize(
        extensions(checked, CHECKED if checked else PORTABLE),
        include_path=["ext"],
        build_dir=f"{base}/cython",
        compiler_directives=DIRECTIVES
        | {"boundscheck": checked, "initializedcheck": checked, "cdivision": not checked},
    ),
    data_files=list(SHELL.items()),
    options={
        "build": {"build_base": base},
        "build_ext": {"parallel": os.cpu_count()},
        **({"bdist_wheel": {"py_limited_api": "cp311"}} if is_limited() else {}),
    },
)
