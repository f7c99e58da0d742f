# SPDX-License-Identifier: BSD-3-Clause
"""The lab: the real Linux NTB code in a virtual machine, counted beside the model."""
