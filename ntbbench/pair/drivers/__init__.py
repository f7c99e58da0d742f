# SPDX-License-Identifier: BSD-3-Clause
"""ntb_hw_epf and pci-epf-vntb as state machines, by the patches they carry."""
