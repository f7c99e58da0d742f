# SPDX-License-Identifier: BSD-3-Clause
"""The data path of one simulated point: what is simulated, and what is counted."""
