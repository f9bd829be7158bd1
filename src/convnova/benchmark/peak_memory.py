"""How much memory a call needs, as the system sees it."""

import ctypes
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

_GIVEN_BACK_FROM, _KEPT_UP_TO = 2**20, 2**25
"""Bytes of a block: which go back to the system when freed while memory is counted, and which are kept for
the next one at other times, as glibc comes to do by itself."""
_M_MMAP_THRESHOLD = -3
"""Of mallopt(3) in glibc."""


def added_bytes(call: Callable[[], object]) -> int:
    """Return how many bytes a call adds at its peak to those that the process holds.

    With glibc, blocks of 1 MB and more go back to the system as soon as they are freed, so that what is
    counted is what the call holds, and not less by what earlier calls have left for it. On systems without
    /proc it is what the call adds to the highest peak so far, which may be too little.
    """
    _give_back_from(_GIVEN_BACK_FROM)
    before = peak_bytes()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the highest resident size begins anew, proc(5)
        before = psutil.Process().memory_info().rss
    try:
        call()
        return max(0, peak_bytes() - before)
    finally:
        _give_back_from(_KEPT_UP_TO)


def _give_back_from(size: int) -> None:
    """Tell glibc, where it is there, from what size on freed blocks go back, and give back what is free."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, size)
        libc.malloc_trim(0)


def peak_bytes() -> int:
    """Return the highest resident size of this process.

    On systems without /proc it is not less than that of the process that started it.
    """
    with suppress(OSError):
        rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(rows["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
