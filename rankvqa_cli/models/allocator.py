"""The C allocator's habits, which decide how much of the time goes into page faults. Knows no torch."""

from __future__ import annotations

import ctypes
import os
import platform

# mallopt's parameters in glibc's malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
# The largest mmap threshold that 64-bit glibc takes; blocks above it are mapped whatever is asked.
_LARGEST_MMAP_THRESHOLD = 32 << 20
_KEEP_BYTES = 1 << 30


def keep_pages() -> bool:
    """Ask glibc to keep freed memory instead of returning it to the kernel, for the life of the process.

    To be called before there are threads: a thread keeps the arena that it began with. Activations come and go by the
    megabyte; returned memory costs a page fault for every 4 KiB when it comes back, which took more time than the
    arithmetic. Whoever set glibc's own environment variables is left alone. Returns whether glibc took it; elsewhere
    (musl, macOS) nothing happens.
    """
    own = {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"}
    if platform.libc_ver()[0] != "glibc" or own & os.environ.keys():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    mallopt.argtypes, mallopt.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    taken = [
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD),
        mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES),
        # The trim threshold holds for the main arena alone, and memory that one thread frees another can use.
        mallopt(_M_ARENA_MAX, 1),
    ]
    return all(taken)
