# SPDX-License-Identifier: BSD-3-Clause
"""The drivers of the pair: where they come from, and which patches they carry."""
