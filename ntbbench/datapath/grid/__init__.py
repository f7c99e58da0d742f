# SPDX-License-Identifier: BSD-3-Clause
"""Grids of simulated points: tasks on all cores or on a cluster, summed up with intervals."""
