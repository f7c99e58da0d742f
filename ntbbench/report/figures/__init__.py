# SPDX-License-Identifier: BSD-3-Clause
"""One file a kind of result: its plotly figures, imported only where a page is made."""
