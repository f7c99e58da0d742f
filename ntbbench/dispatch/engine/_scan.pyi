# SPDX-License-Identifier: BSD-3-Clause
from ntbbench.dispatch.engine.batch import U8Array, U64Array

def run(
    vectors: U8Array,
    rung: U64Array,
    db_vector_masks: U64Array,
    qp_bitmap: int,
    qp_bitmap_free: int,
    active: int,
    drain: int,
    counters: U64Array,
) -> None: ...
