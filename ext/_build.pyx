# SPDX-License-Identifier: BSD-3-Clause
"""How the compiled modules were built: constants of the compiler's command line."""

cdef extern from *:
    """
    #if defined(__clang__)
    #define NTBBENCH_COMPILER "clang " __clang_version__
    #else
    #define NTBBENCH_COMPILER "gcc " __VERSION__
    #endif
    """
    const char *NTBBENCH_COMPILER
    const char *NTBBENCH_FLAGS
    const int NTBBENCH_CHECKED

COMPILER = NTBBENCH_COMPILER.decode("ascii").strip()
FLAGS = NTBBENCH_FLAGS.decode("ascii")
CHECKED = NTBBENCH_CHECKED != 0
