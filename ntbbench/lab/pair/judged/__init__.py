# SPDX-License-Identifier: BSD-3-Clause
"""Recordings of the pair beside what the model predicts."""
