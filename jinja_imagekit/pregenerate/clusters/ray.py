"""Ray's workers make batches (the extra `ray`)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

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
    # It needs an extra.
    import ray

    if ray.is_initialized():
        return RayExecutor(ray, is_own=False)
    try:
        ray.init(f"ray://{address}" if address else None, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ImageKitError(f"No Ray cluster answers at {shown!r}: {error}") from error
    return RayExecutor(ray, is_own=True)


class RayExecutor(ClusterExecutor):
    """Has the workers of the Ray cluster that this process is connected to do the work.

    Args:
        ray: The module.
        is_own: Whether to disconnect when the executor is shut down.
    """

    def __init__(self, ray: Any, *, is_own: bool) -> None:
        self._ray, self._is_own = ray, is_own
        self._remote: dict[Callable[..., Any], Any] = {}

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call a function."""
        if function not in self._remote:
            # What a dead worker had in its hands is tried again elsewhere in this library, one source at a time.
            self._remote[function] = self._ray.remote(max_retries=0)(function)
        reference = self._remote[function].remote(*args, **kwargs)
        future: Future[Any] = reference.future()
        future.add_done_callback(lambda future: self._ray.cancel(reference) if future.cancelled() else None)
        return future

    def count_workers(self) -> int:
        """Return how many processors the cluster has now."""
        return int(self._ray.cluster_resources().get("CPU", 0))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnect, if this executor has connected."""
        if self._is_own:
            self._ray.shutdown()
