"""A Ray cluster, that of an address or one on this machine, for as long as it is needed."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from convnova.errors import InputError

ANSWER_SECONDS = 10.0
"""Time that a cluster has to answer."""
_STORE_BYTES = 200_000_000


@contextmanager
def ray_cluster(address: str | None) -> Iterator[Any]:
    """Give Ray, connected; what was connected here is shut down at the end.

    Args:
        address: HOST:PORT or auto; None for a cluster on this machine alone.

    Raises:
        InputError: when Ray is not installed, or its cluster does not answer.
    """
    ray = _ray()
    is_ours = not ray.is_initialized()
    if is_ours:
        _connect(ray, address)
    try:
        yield ray
    finally:
        if is_ours:
            ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise InputError("engine ray needs Ray; install it with: pip install 'convnova[ray]'") from None
    return ray


def _connect(ray: Any, address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        # "local", since without an address Ray joins whatever cluster runs on this machine.
        ray.init("local", include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
        return
    try:
        if address != "auto":
            # A dead address would keep Ray itself trying for minutes.
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        ray.init(address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"ray_address {address}: no Ray cluster answers ({reason}); start one with ray start --head and "
            "give its HOST:PORT, or leave the address out for a local one"
        ) from None


def gpus_of(ray: Any, gpus: float | None) -> float:
    """Return the GPUs of a job: those given, or one where the cluster has some."""
    return gpus if gpus is not None else min(1.0, ray.cluster_resources().get("GPU", 0.0))
