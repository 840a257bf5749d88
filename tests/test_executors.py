"""A process pool of the caller's keeps the contract of executors, as clusters do."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor

import pytest
from cluster_site import ClusterSite
from contracts.executor import ExecutorContract

pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers are killed by SIGKILL")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSite]:
    """Return a site."""
    site = ClusterSite(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


class TestProcessPool(ExecutorContract):
    """A pool of `concurrent.futures`, which breaks for good when one of its processes dies."""

    @pytest.fixture
    def executor(self, site: ClusterSite) -> Iterator[Executor]:
        """Return a pool of two processes."""
        context = multiprocessing.get_context("forkserver")
        # The processes of all tests are forked from one that has imported the library.
        context.set_forkserver_preload(["jinja_imagekit.pregenerate.executors"])
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            yield executor
