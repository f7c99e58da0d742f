# SPDX-License-Identifier: BSD-3-Clause
"""What the system is: hardware maps, transport and netdev limits, workloads, scenarios."""
