# SPDX-License-Identifier: BSD-3-Clause
"""pci-epf-vntb and ntb_hw_epf as state machines whose behaviour depends on the applied patches."""
