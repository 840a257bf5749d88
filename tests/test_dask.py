"""A Dask cluster makes the images: real worker processes, a real scheduler, shared folders."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from core_site import Chart, DeadlyCard, Site

from jinja_imagekit.cli import commands
from jinja_imagekit.exceptions import ImageKitError, InvalidOption
from jinja_imagekit.sourcegroups import GlobSourceGroup

distributed = pytest.importorskip("distributed", reason="needs dask.distributed")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
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
def site(tmp_path: Path) -> Site:
    """Return a site with five photos and a group of them for the card."""
    site = Site(tmp_path)
    for number in range(5):
        site.write(f"photos/{number}.jpg", seed=number)
    site.kit.register.source_group("card", GlobSourceGroup("photos/*.jpg"))
    site.kit.register.generator("chart", Chart)
    site.kit.register.cachefiles("chart", [{"values": (1, 2)}])
    return site


def test_a_cluster_makes_the_same_bytes(site: Site, client: Any) -> None:
    """All files are made on its workers, and none again by the second run."""
    workers = {worker["pid"] for worker in client.run(_process).values()}
    assert len(workers) == 2
    report = site.kit.generate(executor=client.get_executor())
    assert (len(report.generated), report.failed) == (6, [])
    on_the_cluster = site.files()
    assert len(site.kit.generate(executor=client.get_executor()).skipped) == 6
    site.kit.generate(force=True)
    assert site.files() == on_the_cluster


def test_a_worker_that_dies(site: Site, client: Any) -> None:
    """What kills its worker is reported, and everything else is made."""
    site.write("photos/big.jpg", 160, 120)
    site.kit.register.generator("deadly", DeadlyCard)
    site.kit.register.source_group("deadly", GlobSourceGroup("photos/*.jpg"))
    report = site.kit.generate("deadly", executor=client.get_executor())
    assert len(report.generated) == 5
    assert [each.source for each in report.failed] == ["photos/big.jpg"]
    assert report.failed[0].reason


def test_the_command_finds_a_cluster_by_its_address(site: Site, client: Any) -> None:
    """`--executor` sends the work to the scheduler's workers, which make the bytes that threads make."""
    address = client.scheduler.address.replace("tcp://", "dask://")
    result = CliRunner().invoke(commands(lambda: site.kit), ["generate", "--executor", address, "--json"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["generated"]) == 6
    on_the_cluster = site.files()
    site.kit.generate(force=True)
    assert site.files() == on_the_cluster


@pytest.mark.parametrize("address", ["dask://", "slurm://host:1", "host:8786"])
def test_an_address_of_no_cluster(site: Site, address: str) -> None:
    """The error shows what to write; it comes with the first image to be made."""
    with pytest.raises(InvalidOption, match="dask://host:8786"):
        site.kit.generate(executor=address)


def test_a_scheduler_that_is_not_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says so, and nothing is made."""
    monkeypatch.setattr("jinja_imagekit.pregenerate.clusters.SECONDS", 0.2)
    with pytest.raises(ImageKitError, match="No scheduler answers"):
        site.kit.generate(executor="dask://127.0.0.1:9")
    assert site.files() == {}


def _process() -> dict[str, int]:
    import os

    return {"pid": os.getpid()}
