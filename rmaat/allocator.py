"""What becomes of memory that a process frees on the CPU."""

import ctypes
import os
import platform

# from glibc's malloc.h, for its mallopt()
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
NEVER, LARGEST_BLOCK = -1, 32 * 2**20  # the largest that glibc accepts; blocks above it are given back at once


def keep_freed_memory() -> bool:
    """Let this process keep what a segment frees for the next segment; whether that was to be had.

    AMRB frees a segment's activations before it replays the next. glibc gives such memory back to the system at once
    and then fetches it again page by page: some hundred page faults a segment. For programs that train until they
    end, on Linux with glibc; elsewhere, and where the environment has MALLOC_ settings of its own, it does nothing.
    What torch asks for, and its peak, stay the same.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_TRIM_THRESHOLD, NEVER)) and bool(mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK))
