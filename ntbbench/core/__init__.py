# SPDX-License-Identifier: BSD-3-Clause
"""What every product uses: errors, names, numbers, files with limits, the environment."""
