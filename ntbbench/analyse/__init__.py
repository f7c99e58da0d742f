# SPDX-License-Identifier: BSD-3-Clause
"""Statistics, comparison and gate: pure functions from records to records."""
