# SPDX-License-Identifier: BSD-3-Clause
"""Measurements of ntbbench itself: `python -m benches.kernels` for ratios, `pytest benches`."""
