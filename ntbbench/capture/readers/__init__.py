# SPDX-License-Identifier: BSD-3-Clause
"""Readers of recordings, counters and traces: one file a source."""
