# SPDX-License-Identifier: BSD-3-Clause
"""The real driver pair in one guest: ntb_hw_epf against pci-epf-vntb."""
