"""Keeping large freed blocks in the process, for CPU runs on glibc.

Every operation of a forward allocates a few megabytes and frees them at once. By default glibc hands blocks of that
size back to the kernel, and the next operation pays for fresh zeroed pages: up to a third of a forward.
"""

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEEP_BELOW = 1 << 30


@cache
def keep_freed_memory() -> bool:
    """Ask glibc to keep freed blocks below a gibibyte, once per process. False where the C library cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _KEEP_BELOW)) and bool(mallopt(_TRIM_THRESHOLD, _KEEP_BELOW))
