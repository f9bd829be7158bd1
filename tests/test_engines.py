"""Where jobs run: in this process, and as real Ray tasks on a real cluster of this machine."""

import os
import signal
import socket
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_suite import QUIET, TASKS, numbers, settings, write_csv, write_data

from convnova import ray_cluster
from convnova.benchmark import engines, suite
from convnova.benchmark.outcome import Outcome
from convnova.benchmark.results import RESULT_NAME
from convnova.benchmark.suite import benchmark, plan
from convnova.errors import InputError


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Leave out the report, which takes longer than a tiny job."""
    monkeypatch.setattr(suite, "_report", lambda *arguments: None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def ray():
    """Connect to a running cluster of one machine with two CPUs and a GPU, which no job looks at."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    head = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "0")
        cluster = Cluster(initialize_head=True, head_node_args=head)
    ray_cluster._connect(ray, cluster.address)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not see tests/
    yield ray
    ray.shutdown()
    cluster.shutdown()


def told(job, **facts):
    """Return an outcome that tells something."""
    result = {
        **{"metric": "mcc", "scores": {"mcc": 0.5}, "validation": {"mcc": 0.5}, "training_seconds": 1},
        **{"suite": job.suite, "task": job.task, "model": job.model, "seed": job.seed},
        **{"protocol": job.protocol, "job": job.record(), **facts},
    }
    return Outcome(result, np.zeros((1, 2), np.float32), np.zeros(1))


def test_ray_gives_the_numbers_of_this_process(ray, data, tmp_path):
    here = benchmark(settings(data, tmp_path / "here", tasks=TASKS), QUIET)
    there = benchmark(settings(data, tmp_path / "there", tasks=TASKS, engine="ray", gpus=0), QUIET)
    assert numbers(here) == numbers(there)
    for task in ("mouse_2", "tf_3"):
        one, other = (tmp_path / f"{name}/jobs/gue/{task}/tiny/seed0" for name in ("here", "there"))
        with np.load(one / "predictions.npz") as first, np.load(other / "predictions.npz") as second:
            assert np.array_equal(first["predictions"], second["predictions"])
    assert ray.is_initialized()  # a connection that was there stays


def test_what_a_job_refuses_in_a_worker_is_one_line_here(ray, tmp_path):
    data = write_data(tmp_path / "data")
    write_csv(data / "gue/mouse/2/dev.csv", [("ACGTACGTACGT", 1), ("ACGTACGTTTTT", 1)])
    with pytest.raises(InputError) as caught:
        benchmark(settings(data, tmp_path / "output", engine="ray", gpus=0), QUIET)
    message = str(caught.value)
    assert message.startswith("gue mouse/2, tiny, seed 0: ")
    assert "every sequence of validation has the label '1'" in message
    assert "\n" not in message
    assert not list(tmp_path.glob(f"output/jobs/gue/mouse_2/**/{RESULT_NAME}"))


@pytest.mark.parametrize("engine", ["process", "ray"])
def test_a_job_that_fails_stops_no_other(ray, tmp_path, engine):
    data, output = write_data(tmp_path / "data"), tmp_path / "output"
    write_csv(data / "gue/mouse/2/dev.csv", [("ACGTACGTACGT", 1), ("ACGTACGTTTTT", 1)])
    wanted = settings(data, output, tasks=TASKS, engine=engine, **({"gpus": 0} if engine == "ray" else {}))
    with pytest.raises(InputError, match=r"^1 of 2 jobs failed; .* The first: gue mouse/2, tiny, seed 0: "):
        benchmark(wanted, QUIET)
    assert [path.parts[-4] for path in output.glob(f"jobs/**/{RESULT_NAME}")] == ["tf_3"]


def test_the_job_of_a_worker_that_is_killed_runs_again(ray, data, tmp_path, monkeypatch):
    attempts = tmp_path / "attempts"

    def dies_once(job, folder, threads, gpus):
        with attempts.open("a") as file:
            file.write("x")
        if attempts.read_text() == "x":
            os.kill(os.getpid(), signal.SIGKILL)
        return told(job)

    monkeypatch.setattr(engines, "run_with", dies_once)
    (result,) = benchmark(settings(data, tmp_path / "output", engine="ray", gpus=0), QUIET)
    assert result["scores"] == {"mcc": 0.5}
    assert attempts.read_text() == "xx"


@pytest.mark.parametrize(
    ("threads", "gpus", "expected"),
    [(1, 0.0, {"CPU": 1.0}), (2, 0.5, {"CPU": 2.0, "GPU": 0.5})],
)
def test_a_job_has_the_resources_that_were_asked_for(
    ray, data, tmp_path, monkeypatch, threads, gpus, expected
):
    def tells(job, folder, threads, gpus):
        import ray

        return told(job, has=ray.get_runtime_context().get_assigned_resources(), given=[threads, gpus])

    monkeypatch.setattr(engines, "run_with", tells)
    wanted = settings(data, tmp_path, engine="ray", threads=threads, gpus=gpus)
    (result,) = benchmark(wanted, QUIET)
    assert {name: result["has"].get(name) for name in expected} == expected
    assert result["given"] == [expected["CPU"], expected.get("GPU", 0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads": 3}, "a job takes 3 CPU, and the Ray cluster has 2; lower threads"),
        ({"gpus": 1.5}, "a job takes 1.5 GPU, and the Ray cluster has 1; lower gpus"),
    ],
)
def test_a_job_that_no_machine_can_run_is_refused(ray, data, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        benchmark(settings(data, tmp_path, engine="ray", **change), QUIET)


@pytest.mark.parametrize(
    ("resources", "threads", "gpus", "expected"),
    [
        ({"CPU": 8.0}, None, None, (1, 0, 8)),
        ({"CPU": 8.0}, 3, None, (3, 0, 2)),
        ({"CPU": 8.0, "GPU": 2.0}, None, None, (1, 1, 2)),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 0.25, (1, 0.25, 8)),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 0.0, (1, 0, 8)),
    ],
)
def test_jobs_at_once_are_what_cpus_and_gpus_allow(tmp_path, resources, threads, gpus, expected):
    wanted = settings(tmp_path, tmp_path, engine="ray", threads=threads, gpus=gpus)
    ray = SimpleNamespace(cluster_resources=lambda: resources)
    assert engines._shares(ray, wanted) == expected


def closed_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "nonsense"])
def test_an_address_without_cluster_is_refused_at_once(address):
    address = address.format(closed_port())
    with pytest.raises(InputError) as caught:
        ray_cluster._connect(SimpleNamespace(init=None), address)
    assert str(caught.value).startswith(f"ray_address {address}: no Ray cluster answers (")
    assert "start one with ray start --head" in str(caught.value)


def test_without_address_a_local_cluster_is_started_and_ended(data, tmp_path, monkeypatch):
    calls = []

    class Task:
        def remote(self, job, *rest):
            calls.append(job.task)
            return len(calls)

    fake = SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda address, **rest: calls.append(address),
        shutdown=lambda: calls.append("shutdown"),
        cluster_resources=lambda: {"CPU": 2.0},
        remote=lambda **resources: lambda function: calls.append(resources) or Task(),
        wait=lambda references, timeout: (references[:1], references[1:]),
        cancel=None,
    )
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setattr(engines, "_result", lambda ray, reference, job: told(job))
    wanted = settings(data, tmp_path, tasks=TASKS, engine="ray")
    assert [one["task"] for one in benchmark(wanted, QUIET)] == ["mouse/2", "tf/3"]
    resources = {"num_cpus": 1, "num_gpus": 0, "max_retries": 3}
    assert calls == ["local", resources, "mouse/2", "tf/3", "shutdown"]


def test_a_job_whose_workers_keep_dying_is_one_line(data, tmp_path):
    ray = pytest.importorskip("ray")

    def get(reference):
        raise ray.exceptions.WorkerCrashedError

    fake = SimpleNamespace(get=get, exceptions=ray.exceptions)
    error = engines._result(fake, None, plan(settings(data, tmp_path))[0])
    assert isinstance(error, InputError)
    assert str(error).startswith("gue mouse/2, tiny, seed 0: its worker died 4 times (")
    assert "\n" not in str(error)


def test_a_job_without_gpu_sees_none(data, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(engines, "run_job", lambda *arguments: os.environ["CUDA_VISIBLE_DEVICES"])
    (job,) = plan(settings(data, tmp_path))
    assert engines.run_with(job, tmp_path, 1, 0.5) == "0"
    assert engines.run_with(job, tmp_path, 1, 0.0) == ""


def test_without_ray_the_pip_line_is_given(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    wanted = replace(settings(data, tmp_path), engine="ray")
    with pytest.raises(
        InputError, match=r"engine ray needs Ray; install it with: pip install 'convnova\[ray"
    ):
        benchmark(wanted, QUIET)
