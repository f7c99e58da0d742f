# SPDX-License-Identifier: BSD-3-Clause
from ntbbench.dispatch.engine.batch import U8Array, U64Array

def run(
    vectors: U8Array,
    every_vector: U8Array,
    scanned: U64Array,
    called: U64Array,
    rung: U64Array,
    active: int,
    drain: int,
    counters: U64Array,
) -> None: ...
def run_coded(
    codes: U8Array,
    code_vectors: U8Array,
    scanned: U64Array,
    called: U64Array,
    code_rung: U64Array,
    active: int,
    drain: int,
    counters: U64Array,
) -> None: ...
