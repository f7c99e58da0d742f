# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's rules: vector maps, ntb_transport, ntb_netdev, softirqs."""
