# SPDX-License-Identifier: BSD-3-Clause
"""Results of successive commits, and the changes that no single gate sees."""
