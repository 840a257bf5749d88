"""Ray's workers make batches (the extra `ray`)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import ray

from ...exceptions import ImageKitError
from ..batches import ClusterExecutor

if TYPE_CHECKING:
    from ...kit import ImageKit


def connect(address: str, shown: str, kit: ImageKit) -> RayExecutor:
    """Connect to a Ray cluster.

    Args:
        address: Host and port of its head; empty for the cluster that this machine belongs to, or else a new one.
        shown: What errors call it.
        kit: The kit whose images are to be made.

    Raises:
        ImageKitError: The cluster does not answer.
    """
    if ray.is_initialized():
        return RayExecutor(is_own=False)
    try:
        ray.init(f"ray://{address}" if address else None, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ImageKitError(f"No Ray cluster answers at {shown!r}: {error}") from error
    return RayExecutor(is_own=True)


class RayExecutor(ClusterExecutor):
    """Has the workers of the Ray cluster that this process is connected to do the work.

    Args:
        is_own: Whether to disconnect when the executor is shut down.
    """

    def __init__(self, is_own: bool) -> None:
        self._is_own = is_own
        self._remote: dict[Callable[..., Any], Any] = {}

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call a function."""
        if function not in self._remote:
            # What a dead worker had in its hands is tried again elsewhere in this library, one source at a time.
            self._remote[function] = ray.remote(max_retries=0)(function)
        reference = self._remote[function].remote(*args, **kwargs)
        future: Future[Any] = reference.future()
        future.add_done_callback(lambda future: ray.cancel(reference) if future.cancelled() else None)
        return future

    def count_workers(self) -> int:
        """Return how many processors the cluster has now."""
        return int(ray.cluster_resources().get("CPU", 0))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnect, if this executor has connected."""
        if self._is_own:
            ray.shutdown()
