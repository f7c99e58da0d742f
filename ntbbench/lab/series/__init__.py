# SPDX-License-Identifier: BSD-3-Clause
"""A series of commits on the driver pair, commit by commit."""
