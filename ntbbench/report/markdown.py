# SPDX-License-Identifier: BSD-3-Clause
"""Until its last user is a Document: `escaped` of ntbbench.report.render.markdown."""

from ntbbench.report.render.markdown import escaped

__all__ = ["escaped"]
