# SPDX-License-Identifier: BSD-3-Clause
"""The guest of the pair as a board: an ssh server with a user for each end of the link."""
