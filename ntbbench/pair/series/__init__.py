# SPDX-License-Identifier: BSD-3-Clause
"""The series patch by patch: its effects, dependencies and compatibility, computed.

A driver that refuses the setting raises DriverError from any of them.
"""
