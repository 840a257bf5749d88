"""A Ray cluster of two worker processes makes the images; Ray is large, and so it is no part of the tests' extra."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cluster_site import ClusterSite
from contracts.executor import ExecutorContract

from jinja_imagekit.exceptions import ImageKitError

ray: Any = pytest.importorskip("ray", reason="Ray is not installed: pip install 'jinja-imagekit[ray]'")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSite]:
    """Return a site."""
    site = ClusterSite(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(scope="module")
def _cluster(site: ClusterSite) -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


class TestRay(ExecutorContract):
    """The workers of Ray keep the contract."""

    @pytest.fixture
    def executor(self, _cluster: None) -> str:
        """Return the address of the cluster that this process is connected to."""
        return "ray"


def test_a_cluster_that_is_not_there(site: ClusterSite) -> None:
    """The error names the address."""
    if ray.is_initialized():
        ray.shutdown()
    site.write("away", 1)
    with pytest.raises(ImageKitError, match=r"No Ray cluster answers at 'ray://127\.0\.0\.1:9'"):
        site.generate("ray://127.0.0.1:9", "away")
