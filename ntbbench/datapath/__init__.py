# SPDX-License-Identifier: BSD-3-Clause
"""The simulator of the receive path: throughput, latency and CPU time."""
