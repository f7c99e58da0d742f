# SPDX-License-Identifier: BSD-3-Clause
from ntbbench.engine.counts import U64Array

def run(state: U64Array, qp: U64Array) -> None: ...
