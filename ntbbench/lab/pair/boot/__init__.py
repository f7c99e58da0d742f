# SPDX-License-Identifier: BSD-3-Clause
"""One boot of the pair: what its guest is told, and what it left."""
