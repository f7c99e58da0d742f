# SPDX-License-Identifier: BSD-3-Clause
from ntbbench.dispatch.engine.counts import U64Array

def run(counters: U64Array) -> None: ...
