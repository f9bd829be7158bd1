"""Memory that a call needs: measured, whatever the process had before."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convnova.benchmark.peak_memory import added_bytes, peak_bytes

MB = 2**20


def hold(megabytes):
    return np.ones(megabytes * MB, np.uint8)


@pytest.mark.skipif(sys.platform != "linux", reason="the highest size begins anew only with /proc")
def test_what_a_call_holds_is_counted_whatever_was_held_and_freed_before():
    assert Path("/proc/self/clear_refs").exists()
    del_me = hold(400)
    assert peak_bytes() >= del_me.nbytes
    del del_me
    for megabytes in (100, 20):
        assert added_bytes(lambda megabytes=megabytes: hold(megabytes)) / MB == pytest.approx(
            megabytes, abs=5
        )
    kept = [hold(4) for _ in range(20)]
    kept.clear()
    assert added_bytes(lambda: hold(40)) / MB == pytest.approx(40, abs=5)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_what_the_process_before_held_is_not_counted():
    """The highest size that getrusage tells is never less than that of the process that began this one."""
    held = hold(300)
    code = "from convnova.benchmark.peak_memory import added_bytes, peak_bytes; import numpy as np; "
    code += "print(added_bytes(lambda: np.ones(5 * 2**20, np.uint8)), peak_bytes())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    added, peak = map(int, answer.stdout.split())
    assert added / MB == pytest.approx(5, abs=1)
    assert peak < held.nbytes


def test_what_fails_fails():
    with pytest.raises(MemoryError, match="none"):
        added_bytes(lambda: (_ for _ in ()).throw(MemoryError("none")))
