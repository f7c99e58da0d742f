# SPDX-License-Identifier: BSD-3-Clause
"""The sweep: wakeup amplification over queue and doorbell counts."""
