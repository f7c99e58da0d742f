# SPDX-License-Identifier: BSD-3-Clause
"""Recordings of a real kernel beside what the model predicts."""
