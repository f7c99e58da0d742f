# SPDX-License-Identifier: BSD-3-Clause
"""The C baseline, built with the flags of the kernels and called on the engine's own buffers."""

import ctypes
import shlex
import subprocess
import sysconfig
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benches.cases import Case
from ntbbench.core.environment import BUILD
from ntbbench.dispatch.engine.batch import VECTOR_COUNT_MAX, Counters, DispatchCounts

SOURCE = Path(__file__).with_name("dispatch.c")


class PreparedBaseline:
    """A case bound to the C function and to its buffers, as `engine.Prepared` is."""

    def __init__(self, dispatch: Callable[..., None], case: Case) -> None:
        self._counters = Counters()
        self._vector_count = case.masks.size
        # The function gets addresses: these arrays must live as long as it may be called.
        masks = np.zeros(VECTOR_COUNT_MAX, np.uint64)
        masks[: case.masks.size] = case.masks
        self._arrays: list[NDArray[np.generic]] = [case.vectors, case.rung, masks]
        vectors, rung, table = (array.ctypes.data for array in self._arrays)
        bitmap = case.qp_bitmap
        block = self._counters.block.ctypes.data
        self._dispatch = partial(
            dispatch, vectors, rung, case.vectors.size, table, bitmap, 0, bitmap, case.drain, block
        )

    def run(self) -> None:
        """Count the case once."""
        self._counters.block.fill(0)
        self._dispatch()

    def counts(self) -> DispatchCounts:
        """Return what the last run counted."""
        return self._counters.read(self._vector_count)


class Baseline:
    """The loop of dispatch.c, compiled into `directory`."""

    def __init__(self, directory: Path) -> None:
        library = directory / "dispatch.so"
        compiler = shlex.split(sysconfig.get_config_var("CC"))
        flags = [*BUILD.flags.split(), "-shared", "-fPIC"]
        subprocess.run([*compiler, *flags, str(SOURCE), "-o", str(library)], check=True)
        word, address = ctypes.c_uint64, ctypes.c_void_p
        self._dispatch = ctypes.CDLL(str(library)).dispatch
        self._dispatch.argtypes = [
            *(address, address, ctypes.c_int64, address),
            *(word, word, word, word, address),
        ]
        self._dispatch.restype = None

    def prepare(self, case: Case) -> PreparedBaseline:
        """Bind a case."""
        return PreparedBaseline(self._dispatch, case)
