# SPDX-License-Identifier: BSD-3-Clause
"""Until its last user is in report/figures/: names of ntbbench.report.figures.style."""

from ntbbench.report.figures.style import BOTTOM, OTHER_STYLE, STYLES, framed

__all__ = ["BOTTOM", "OTHER_STYLE", "STYLES", "framed"]
