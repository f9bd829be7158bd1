"""Where the jobs of a suite run: one after another in this process, or as Ray tasks on a cluster.

Both yield each outcome as it comes. The caller decides which jobs are its own.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from convnova.benchmark.jobs import Job, Outcome, run_job
from convnova.benchmark.settings import BenchmarkSettings
from convnova.errors import InputError

Claimed = tuple[Job, Path]
"""A job that is this process' own, and its folder."""


def run_in_process(claims: Iterable[Claimed], settings: BenchmarkSettings) -> Iterator[tuple[Job, Outcome]]:
    """Yield outcomes one after another."""
    for job, folder in claims:
        yield job, run_job(job, folder, settings.threads)


def run_on_ray(claims: Iterable[Claimed], settings: BenchmarkSettings) -> Iterator[tuple[Job, Outcome]]:
    """Yield outcomes as Ray tasks finish, each with its CPUs and GPUs; a lost worker's job runs again.

    Raises:
        InputError: when Ray is not installed, its cluster does not answer, or it can never run such a job.
    """
    ray = _connected(settings)
    threads = settings.threads or 1
    task = ray.remote(num_cpus=threads, num_gpus=settings.gpus, max_retries=3)(run_job)
    resources = ray.cluster_resources()
    for name, wanted in (("CPU", threads), ("GPU", settings.gpus)):
        if wanted > resources.get(name, 0):
            raise InputError(
                f"a job takes {wanted:g} {name}, and the Ray cluster has {resources.get(name, 0):g}; "
                f"lower {'threads' if name == 'CPU' else 'gpus'}"
            )
    at_once = max(1, int(resources["CPU"] // threads))
    if settings.gpus:
        at_once = min(at_once, max(1, int(resources["GPU"] // settings.gpus)))
    running: dict[Any, Job] = {}
    claims = iter(claims)
    try:
        while True:
            # No more jobs are claimed than run at once: another process may take the others.
            while len(running) < at_once and (claim := next(claims, None)) is not None:
                job, folder = claim
                running[task.remote(job, folder, threads)] = job
            if not running:
                return
            done, _ = ray.wait(list(running), num_returns=1)
            job = running.pop(done[0])
            try:
                yield job, ray.get(done[0])
            except ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        if settings.ray_address is None:
            ray.shutdown()


def _connected(settings: BenchmarkSettings) -> Any:
    try:
        import ray
    except ImportError:
        raise InputError("engine ray needs Ray; install it with: pip install 'convnova[ray]'") from None
    if not ray.is_initialized():
        try:
            ray.init(address=settings.ray_address, log_to_driver=False, include_dashboard=False)
        except ConnectionError as error:
            raise InputError(
                f"ray_address {settings.ray_address}: no Ray cluster answers ({error}); start one with "
                "ray start --head, or leave the address out for a local one"
            ) from None
    return ray


ENGINES: dict[str, Callable[[Iterable[Claimed], BenchmarkSettings], Iterator[tuple[Job, Outcome]]]] = {
    "process": run_in_process,
    "ray": run_on_ray,
}
