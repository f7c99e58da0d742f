# SPDX-License-Identifier: BSD-3-Clause
"""Sheets of several kinds of result: a row a point and QP."""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from ntbbench.report.document import Sheet

PER_QP = "_per_qp"


def qp_sheet(
    points: Sequence[Struct],
    shared: Sequence[str],
    lists: Sequence[str],
    flat: Callable[[object], object] = lambda value: value,
) -> Sheet:
    """Return a row a point and QP: the point's values, then those of the QP.

    A point without QPs has one row, with an empty qp_num. `flat` makes a cell of a value.
    """

    def rows() -> Iterator[list[object]]:
        for point in points:
            values = [flat(getattr(point, name)) for name in shared]
            numbers = [getattr(point, name) or [] for name in lists]
            qps = max(map(len, numbers), default=0)
            for qp_num in range(qps):
                cells = [one[qp_num] if qp_num < len(one) else "" for one in numbers]
                yield [*values, qp_num, *cells]
            if not qps:
                yield [*values, "", *[""] * len(lists)]

    return Sheet([*shared, "qp_num", *(name.removesuffix(PER_QP) for name in lists)], rows())
