# SPDX-License-Identifier: BSD-3-Clause
"""Statistics, verdicts and the gate: pure functions from records to records."""
