"""Where the jobs of a suite run: one after another in this process, or as Ray tasks on a cluster.

Both take jobs as they get to them, and yield each outcome as it comes: where a job failed, what it raised,
and the others go on.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from convnova.benchmark.claims import POLL_SECONDS, Claims
from convnova.benchmark.jobs import Job
from convnova.benchmark.outcome import Outcome, run_job
from convnova.benchmark.settings import BenchmarkSettings
from convnova.errors import InputError
from convnova.ray_cluster import gpus_of, ray_cluster

RETRIES = 3
"""Times that a job is begun again when its worker dies."""

Ended = tuple[Job, Outcome | InputError]


def run_in_process(claims: Claims[Job], settings: BenchmarkSettings) -> Iterator[Ended]:
    """Yield outcomes one after another."""
    for job in claims.in_turn():
        try:
            outcome: Outcome | InputError = run_job(job, job.folder(claims.output), settings.threads)
        except InputError as error:
            outcome = error
        yield job, outcome


def run_on_ray(claims: Claims[Job], settings: BenchmarkSettings) -> Iterator[Ended]:
    """Yield outcomes as Ray tasks finish, each with its CPUs and GPUs; a lost worker's job runs again.

    Raises:
        InputError: when Ray is not installed, its cluster does not answer, or it can never run such a job.
    """
    running: dict[Any, Job] = {}
    with ray_cluster(settings.ray_address) as ray:
        try:
            threads, gpus, at_once = _shares(ray, settings)
            remote = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=RETRIES)(run_with)
            while claims.waiting or running:
                # No more jobs are taken than run at once: another process may take the others.
                while len(running) < at_once and (job := claims.take()) is not None:
                    running[remote.remote(job, job.folder(claims.output).resolve(), threads, gpus)] = job
                if not running:
                    if claims.waiting:
                        claims.pause()
                    continue
                done, _ = ray.wait(list(running), timeout=POLL_SECONDS)
                for reference in done:
                    job = running.pop(reference)
                    yield job, _result(ray, reference, job)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def run_with(job: Job, folder: Path, threads: int, gpus: float) -> Outcome:
    """Run a job in a Ray worker; one without a GPU of its own sees none, which Ray leaves to us."""
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    return run_job(job, folder, threads)


def _shares(ray: Any, settings: BenchmarkSettings) -> tuple[int, float, int]:
    """Return CPU threads and GPUs of a job, and how many jobs a cluster runs at once.

    Raises:
        InputError: when a job takes more than there is.
    """
    threads, gpus, resources = settings.threads or 1, gpus_of(ray, settings.gpus), ray.cluster_resources()
    at_once = None
    for name, flag, wanted in (("CPU", "threads", threads), ("GPU", "gpus", gpus)):
        there = resources.get(name, 0)
        if wanted > there:
            raise InputError(
                f"a job takes {wanted:g} {name}, and the Ray cluster has {there:g}; lower {flag}"
            )
        if wanted:
            at_once = min(at_once or int(there // wanted), int(there // wanted))
    return threads, gpus, at_once or 1


def _result(ray: Any, reference: Any, job: Job) -> Outcome | InputError:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InputError):
            return InputError(str(error.cause))
        raise
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
        return InputError(
            f"{job}: its worker died {RETRIES + 1} times ({str(error).splitlines()[0]}); give a job more "
            "memory (fewer at once: raise threads), or look into Ray's logs"
        )


ENGINES: dict[str, Callable[[Claims, BenchmarkSettings], Iterator[Ended]]] = {
    "process": run_in_process,
    "ray": run_on_ray,
}
