"""glibc's allocator set to keep large freed blocks in the process, for runs on a CPU.

Every operation of a forward allocates a few megabytes and frees them at once. By default glibc returns blocks of that
size to the kernel, and the next operation pays for new zeroed pages: up to a third of a forward's time.
"""

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEEP_BELOW = 1 << 30


@cache
def keep_freed_memory() -> bool:
    """Make glibc keep freed blocks below 1 GiB, once per process; returns False if the C library cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _KEEP_BELOW)) and bool(mallopt(_TRIM_THRESHOLD, _KEEP_BELOW))
