# SPDX-License-Identifier: BSD-3-Clause
from ntbbench.dispatch.engine.batch import U8Array, U64Array

def run(
    vectors: U8Array,
    rung: U64Array,
    qp_masks: U64Array,
    active: int,
    drain: int,
    counters: U64Array,
) -> None: ...
