# SPDX-License-Identifier: BSD-3-Clause
"""One boot of a kernel in QEMU, and what becomes of it."""
