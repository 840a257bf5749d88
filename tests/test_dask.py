"""A Dask cluster makes the images: real worker processes, a real scheduler, shared folders."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from cluster_site import ClusterSite
from contracts.executor import ExecutorContract

from jinja_imagekit.cli import commands
from jinja_imagekit.exceptions import ImageKitError, InvalidOption
from jinja_imagekit.sourcegroups import GlobSourceGroup

distributed = pytest.importorskip("distributed", reason="needs dask.distributed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSite]:
    """Return a site."""
    site = ClusterSite(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(scope="module")
def client(site: ClusterSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a client of a local cluster of two worker processes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            worker_dashboard_address=None,
            local_directory=str(tmp_path_factory.mktemp("dask")),
        )
        # By default three workers may die of a task before it is given up.
        cluster.scheduler.allowed_failures = 0
        client = distributed.Client(cluster)
        yield client
        client.close()
        cluster.close()


@pytest.fixture
def executor(client: Any) -> str:
    """Return the cluster's address."""
    return str(client.scheduler.address.replace("tcp://", "dask://"))


class TestDask(ExecutorContract):
    """The workers of Dask keep the contract."""


def test_an_executor_of_a_client(site: ClusterSite, client: Any) -> None:
    """`client.get_executor()` does as well, as any executor does."""
    site.write("own", 4)
    assert len(site.generate(client.get_executor(), "own").generated) == 4
    assert site.files("own")


def test_the_command_finds_a_cluster_by_its_address(site: ClusterSite, executor: str) -> None:
    """`--executor` sends the work to the scheduler's workers."""
    site.write("command", 3)
    site.kit.register.source_group("card", GlobSourceGroup("command/*.jpg"))
    result = CliRunner().invoke(commands(lambda: site.kit), ["generate", "--executor", executor, "--json"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["generated"]) == 3


@pytest.mark.parametrize("address", ["dask", "dask://", "celery://", "slurm://host:1", "host:8786"])
def test_an_address_of_no_cluster(site: ClusterSite, address: str) -> None:
    """The error shows what to write; it comes with the first image to be made."""
    site.write("nowhere", 1)
    with pytest.raises(InvalidOption, match="dask://host:8786"):
        site.generate(address, "nowhere")


def test_a_scheduler_that_is_not_there(site: ClusterSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says so, and nothing is made."""
    site.write("away", 1)
    monkeypatch.setattr("jinja_imagekit.pregenerate.clusters.dask.SECONDS", 0.2)
    with pytest.raises(ImageKitError, match="No scheduler answers"):
        site.generate("dask://127.0.0.1:9", "away")
    assert site.files("away") == {}
