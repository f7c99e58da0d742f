# SPDX-License-Identifier: BSD-3-Clause
"""Two real hosts in one guest: ntb_hw_epf on each, joined by pci-epf-ntb."""
