# SPDX-License-Identifier: BSD-3-Clause
"""Plotly figures of pages; nothing else imports plotly."""
