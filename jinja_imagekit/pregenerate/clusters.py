"""Executors of clusters, by the address of their scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from ..exceptions import ImageKitError, InvalidOption

SECONDS = 10
"""Seconds within which a scheduler has to answer."""


@contextmanager
def executor_at(url: str) -> Iterator[tuple[Executor, int]]:
    """Connect to a cluster for the block, and yield its executor and how many workers it has.

    Args:
        url: The address of a Dask scheduler, such as `"dask://scheduler.example:8786"`.

    Raises:
        InvalidOption: No cluster has such an address, or Dask is not installed.
        ImageKitError: The scheduler does not answer.
    """
    scheme, _, address = url.partition("://")
    if scheme != "dask" or not address:
        raise InvalidOption("executor", url, "write the address of a Dask scheduler, such as 'dask://host:8786'")
    try:
        # It needs an extra.
        import distributed
    except ModuleNotFoundError as error:
        raise InvalidOption("executor", url, "it needs Dask: pip install 'jinja-imagekit[dask]'") from error
    connect: Any = distributed.Client
    try:
        client = connect(f"tcp://{address}", timeout=SECONDS)
    except (OSError, ValueError) as error:
        raise ImageKitError(f"No scheduler answers at {url!r}: {error}") from error
    with client:
        yield client.get_executor(), sum(client.nthreads().values())
