# SPDX-License-Identifier: BSD-3-Clause
from typing import Any

from numpy.typing import NDArray

SIZES: dict[str, int]

def run(until: int, *buffers: NDArray[Any]) -> None: ...
