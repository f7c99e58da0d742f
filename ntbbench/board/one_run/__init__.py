# SPDX-License-Identifier: BSD-3-Clause
"""One run of a cell: its programs, the counters around them, the captures."""
