# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own NTB tests on the pair."""
