"""The command `convnova`, also as `python -m convnova`.

On Linux it starts itself once more with huge pages for the C library's memory. Tensors of many megabytes are
made and dropped at every layer, and with pages of 4 kB much of a training step on a CPU goes into them: with
huge ones a step is 1.3 times faster (docs/performance.md). What GLIBC_TUNABLES says already is left alone.
"""

import os
import platform
import signal
import sys

TUNABLES, HUGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
FIRST_VERSION = (2, 35)
"""Of the GNU C library with this tunable."""


def run() -> None:
    """Run the command line and exit with its status."""
    if wants_huge_pages():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | {TUNABLES: HUGE_PAGES})
    from convnova.cli import main

    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main())


def _stop(number: int, frame: object) -> None:
    """End as by an error, so that nothing is left half-written; a training saves a checkpoint instead."""
    from convnova.errors import TerminatedError

    raise TerminatedError("stopped by SIGTERM", 128 + number)


def wants_huge_pages() -> bool:
    """Return whether this process could have huge pages and has not been told about them."""
    library, version = platform.libc_ver()
    if library != "glibc" or TUNABLES in os.environ:
        return False
    return tuple(int(number) for number in version.split(".")[:2]) >= FIRST_VERSION


if __name__ == "__main__":
    run()
