"""Executors of clusters, by their addresses; each library has a module of its own, which needs its extra."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ...exceptions import InvalidOption
from ...wording import without_credentials

if TYPE_CHECKING:
    from ...kit import ImageKit
    from ..batches import ClusterExecutor

CLUSTERS = {"dask": "distributed", "celery": "celery", "ray": "ray"}
"""The packages that lead to clusters, by the schemes of addresses, which are the names of extras too."""


def scheme_and_address(url: str) -> tuple[str, str]:
    """Return which library leads to a cluster, and the address that it is given.

    Raises:
        InvalidOption: No cluster has such an address.

    Example:
        >>> scheme_and_address("celery://redis://host:6379/0"), scheme_and_address("ray")
        (('celery', 'redis://host:6379/0'), ('ray', ''))
    """
    scheme, _, address = url.partition("://")
    if scheme not in CLUSTERS or not (address or (url == scheme and scheme != "dask")):
        shapes = "'dask://host:8786', 'celery://redis://host:6379/0' or 'ray://host:10001'"
        raise InvalidOption("executor", without_credentials(url), f"write the address of a cluster, such as {shapes}")
    return scheme, address


def executor_at(url: str, kit: ImageKit) -> ClusterExecutor:
    """Connect to a cluster, and return its executor, which disconnects when it is shut down.

    Args:
        url: The address of a Dask scheduler, such as `"dask://scheduler.example:8786"`; of the broker that Celery's
            workers serve, after `"celery://"`; of a Ray cluster, such as `"ray://head.example:10001"`. `"celery"`
            stands for the site's own Celery application, and `"ray"` for the Ray cluster of this machine.
        kit: The kit whose images are to be made.

    Raises:
        InvalidOption: No cluster has such an address, or what leads to it is not installed.
        InvalidSetting: Its workers could not find the kit.
        ImageKitError: It does not answer, or has no workers.
    """
    scheme, address = scheme_and_address(url)
    shown = without_credentials(url)
    try:
        executor: ClusterExecutor = import_module(f".{scheme}", __name__).connect(address, shown, kit)
    except ModuleNotFoundError as error:
        if error.name != CLUSTERS[scheme]:
            raise
        raise InvalidOption("executor", shown, f"it needs an extra: pip install 'jinja-imagekit[{scheme}]'") from error
    return executor
