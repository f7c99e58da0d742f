# SPDX-License-Identifier: BSD-3-Clause
"""Estimates, intervals and tests; nothing here knows of files or policies."""
