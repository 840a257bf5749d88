"""Dask's workers make batches (the extra `dask`)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import distributed

from ...exceptions import ImageKitError
from ..batches import ClusterExecutor

if TYPE_CHECKING:
    from ...kit import ImageKit

SECONDS = 10
"""Seconds within which a scheduler has to answer."""


def connect(address: str, shown: str, kit: ImageKit) -> DaskExecutor:
    """Connect to the scheduler at an address.

    Args:
        address: Its host and port.
        shown: What errors call it.
        kit: The kit whose images are to be made.

    Raises:
        ImageKitError: The scheduler does not answer.
    """
    new_client: Any = distributed.Client
    try:
        return DaskExecutor(new_client(f"tcp://{address}", timeout=SECONDS))
    except (OSError, ValueError) as error:
        raise ImageKitError(f"No scheduler answers at {shown!r}: {error}") from error


class DaskExecutor(ClusterExecutor):
    """Has the workers of a Dask cluster do the work.

    Args:
        client: A client of the cluster, which is closed with the executor.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call a function."""
        future: Future[Any] = self._executor.submit(function, *args, **kwargs)
        return future

    def count_workers(self) -> int:
        """Return how many threads the workers have that are there now."""
        return sum(self._client.nthreads().values())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnect; the workers go on with nothing of what is left."""
        self._client.close()
