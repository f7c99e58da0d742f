# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import NDArray

def draw(
    generator: NDArray[np.uint64],
    limits: NDArray[np.uint64],
    guide: NDArray[np.uint8],
    queues: NDArray[np.uint8],
) -> None: ...
def coalesce(
    queues: NDArray[np.uint8],
    burst: int,
    sources: NDArray[np.uint8],
    bits: NDArray[np.uint64],
    masks: NDArray[np.uint64],
    vectors: NDArray[np.uint8],
    rung: NDArray[np.uint64],
) -> tuple[int, int]: ...
