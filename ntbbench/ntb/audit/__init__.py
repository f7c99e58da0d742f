# SPDX-License-Identifier: BSD-3-Clause
"""What must hold between a device's doorbells, vectors and QPs."""
