# SPDX-License-Identifier: BSD-3-Clause
"""Every way to the counts of a case, each prepared outside of what is timed."""

from collections.abc import Callable
from dataclasses import dataclass

from benches.baseline import Baseline
from benches.cases import Case
from benches.numpy_kernels import BincountProduct, NumpyDispatch
from ntbbench.dispatch import engine
from ntbbench.dispatch.engine import Counts

# Some 300 ns to 10 us a dispatch: a batch as long as that of the others would take minutes.
REFERENCE_INTERRUPTS = 2048


@dataclass(frozen=True)
class Implementation:
    """A prepared batch.

    Parameters
    ----------
    case : what is counted; for the reference, the first interrupts of the others' case.
    run : counts the batch once.
    counts : returns what the last run counted.
    """

    name: str
    case: Case
    run: Callable[[], None]
    counts: Callable[[], Counts]


def compiled(kernel: str, case: Case) -> Implementation:
    """Prepare one of the engine's kernels."""
    prepared = engine.prepare(kernel, *case.positional, **case.keywords)
    return Implementation(kernel, case, prepared.run, prepared.counts)


def implementations(case: Case, baseline: Baseline) -> list[Implementation]:
    """Prepare all that can count a case; a histogram cannot count merging."""
    in_c = baseline.prepare(case)
    in_numpy = NumpyDispatch(case)
    prepared = [
        compiled("reference", case.first(REFERENCE_INTERRUPTS)),
        Implementation("numpy", case, in_numpy.run, in_numpy.counts),
        Implementation("C", case, in_c.run, in_c.counts),
        compiled("scan", case),
        compiled("bitset", case),
    ]
    if case.drain == 1:
        product = BincountProduct(case)
        prepared += [
            Implementation("bincount", case, product.run, product.counts),
            compiled("histogram", case),
        ]
    return prepared
