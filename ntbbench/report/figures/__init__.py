# SPDX-License-Identifier: BSD-3-Clause
"""Figures of pages, a file a view: what loads plotly."""
