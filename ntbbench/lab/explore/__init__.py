# SPDX-License-Identifier: BSD-3-Clause
"""Schedules of the driver pair on several CPUs: drawn, run, judged, shrunk, replayed."""
