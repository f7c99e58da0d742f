# SPDX-License-Identifier: BSD-3-Clause
"""How the compiled kernels were built: part of the environment of every measurement."""

from dataclasses import dataclass

from ntbbench.core import _build


@dataclass(frozen=True)
class Build:
    """The compiler and its flags.

    Parameters
    ----------
    compiler : name and version.
    flags : those of the compiler's command line that decide about code, in order.
    checked : built with NTBBENCH_CHECKED=1; never a variant to time.
    """

    compiler: str
    flags: str
    checked: bool


BUILD = Build(compiler=_build.COMPILER, flags=_build.FLAGS, checked=_build.CHECKED)
