# SPDX-License-Identifier: BSD-3-Clause
"""What a comparison concludes of one metric."""
