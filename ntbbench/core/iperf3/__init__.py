# SPDX-License-Identifier: BSD-3-Clause
"""Documents of `iperf3 -J`, for a comparison and for a capture alike."""

from ntbbench.core.iperf3.doubts import REPEATED, Doubt, doubts, loss
from ntbbench.core.iperf3.iperf3_document import BACK, Document, Total, read, split

__all__ = ["BACK", "REPEATED", "Document", "Doubt", "Total", "doubts", "loss", "read", "split"]
