"""What models cost at several lengths: it is measured, and what is not possible is said."""

import json
import math
import subprocess

import pytest
import torch

from convnova.benchmark import costs
from convnova.benchmark.compare import SYSTEMS
from convnova.benchmark.costs import Cost, growth, measure_cost, measure_one, size_of


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", costs.KINDS)
def test_speed_and_memory_are_measured(kind):
    found = measure_one("preset:cnn", kind, 128, 2)
    assert found["bp_per_second"] > 0
    assert found["bytes"] >= 0


def test_a_sequence_that_a_model_does_not_read_is_a_failure_and_no_crash():
    found = measure_one("preset:dnabert-3-0.5m", "inference", 600, 1)
    assert found["failure"].startswith("reads no more (a sequence of 600 bp is longer than dnabert reads")


def test_memory_that_is_not_there_is_a_failure_and_other_errors_are_not_hidden(monkeypatch):
    for message, is_memory in (("DefaultCPUAllocator: can't allocate memory", True), ("a bug", False)):

        def made(source, length, message=message):
            raise RuntimeError(message)

        monkeypatch.setattr(costs, "made", made)
        if is_memory:
            assert measure_one("preset:cnn", "training", 128, 2) == {"failure": "out of memory"}
        else:
            with pytest.raises(RuntimeError, match="a bug"):
                measure_one("preset:cnn", "training", 128, 2)


def test_each_measurement_is_a_process_of_its_own_and_what_ends_it_is_said(monkeypatch):
    answers = {
        "good": subprocess.CompletedProcess([], 0, 'x\n{"bp_per_second": 5.0, "bytes": 7}\n', ""),
        "killed": subprocess.CompletedProcess([], -9, "", ""),
        "broken": subprocess.CompletedProcess([], 1, "", "Traceback\nTypeError: a bug\n"),
    }

    def run(command, *, timeout, **kwargs):
        source, kind, length, batch, threads = json.loads(command[-1])
        assert (kind, length, batch, threads) == ("training", 1000, 32, 1)
        assert timeout == costs._START_SECONDS + 9
        if source == "slow":
            raise subprocess.TimeoutExpired(command, timeout)
        return answers[source]

    monkeypatch.setattr(costs.subprocess, "run", run)
    asked = Cost("a", "preset:a", "training", 1000, 32, 1, "a processor")
    found = {name: measure_cost(asked, name, 9) for name in ("good", "killed", "slow", "broken")}
    assert found["good"] == asked._replace(bp_per_second=5.0, bytes=7)
    assert (found["killed"].failure, found["slow"].failure) == ("out of memory", "longer than 9 s")
    assert found["broken"].failure == "failed (TypeError: a bug)"


def test_a_process_of_its_own_measures():
    cost = measure_cost(Cost("cnn", "", "inference", 128, 4, 1, ""), "preset:cnn", 120)
    assert cost.failure == ""
    assert cost.bp_per_second > 0


def test_multiply_adds_are_counted_and_parameters_are_those_in_use():
    size = size_of("preset:nt-0.5m")
    assert size.parameters == 426_562
    assert size.multiply_adds_per_bp == pytest.approx(423_552, rel=1e-3)


@pytest.mark.parametrize("preset", sorted({sizes["0.5m"] for sizes in SYSTEMS.values()} - {"dnabert2-0.5m"}))
def test_every_system_has_a_size(preset):
    """Also those that read no sequence of the length that sizes are counted at; DNABERT-2 takes long."""
    size = size_of(f"preset:{preset}")
    assert size.parameters > 0
    assert size.multiply_adds_per_bp > 0


def test_attention_and_recurrence_are_counted():
    """Not by the fast kernels that they run on: PyTorch knows no formula for those."""
    short, long = (_size(length) for length in (240, 960))
    assert long / short == pytest.approx(1.15, abs=0.1)  # attention grows with the length, words do not
    assert size_of("preset:danq").multiply_adds_per_bp > 320 * 26 * 4 + 2 * 4 * 640 * 320 / 13


def _size(length):
    costs._SIZE_BP, before = length, costs._SIZE_BP
    try:
        return size_of("preset:nt-v2-0.5m").multiply_adds_per_bp
    finally:
        costs._SIZE_BP = before


def test_growth_is_the_exponent_over_the_longer_half():
    a = Cost("a", "", "training", 0, 1, 1, "")
    quadratic = [
        a._replace(length_bp=n, bp_per_second=n / (1e-6 * n**2), bytes=3.0 * n) for n in (64, 128, 256, 512)
    ]
    assert growth(quadratic, "seconds") == pytest.approx(2)
    assert growth(quadratic, "bytes") == pytest.approx(1)
    failed = a._replace(length_bp=1024, failure="out of memory")
    assert growth([*quadratic, failed], "seconds") == pytest.approx(2)
    assert math.isnan(growth([failed], "seconds"))
