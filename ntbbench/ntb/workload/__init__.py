# SPDX-License-Identifier: BSD-3-Clause
"""Workloads, and the streams of doorbell interrupts that they become on a device."""
