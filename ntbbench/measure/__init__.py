# SPDX-License-Identifier: BSD-3-Clause
"""The only clock: sweeps, timing, the environment, result files."""
