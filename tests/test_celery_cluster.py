"""Celery's workers make a site's images for `generate`: real workers, on a real Redis."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from cluster_site import ClusterSite
from contracts.executor import ExecutorContract
from queue_site import has_redis, redis_server, wait_until
from redis import Redis

from jinja_imagekit.cli import commands
from jinja_imagekit.exceptions import CannotRebuild, ImageKitError, InvalidSetting
from jinja_imagekit.pregenerate import executors
from jinja_imagekit.sourcegroups import GlobSourceGroup

celery = pytest.importorskip("celery", reason="needs Celery")
pytestmark = pytest.mark.skipif(not has_redis(), reason="needs the program redis-server, and POSIX signals")

from jinja_imagekit.pregenerate.clusters import celery as module  # noqa: E402

COMMAND = "-m celery --broker {} worker --include jinja_imagekit.queues.celery --prefetch-multiplier 1 --concurrency {}"
QUICK = "--without-gossip --without-mingle --without-heartbeat --loglevel WARNING"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Redis, and return its URL."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


class Workers:
    """Machines on each of which Celery's command runs, with two processes for the images.

    Args:
        broker: The broker's URL.
        folder: The site's folder.
        names: The machines' names.
    """

    def __init__(self, broker: str, folder: Path, *names: str, **environment: str) -> None:
        self._log = open(folder / "workers.log", "ab")  # noqa: SIM115  # closed below
        command = [*COMMAND.format(broker, 2).split(), *QUICK.split(), "--hostname"]
        self.processes = {
            name: subprocess.Popen(
                [sys.executable, *command, name],
                cwd=folder,
                env={**os.environ, **environment},
                stdout=self._log,
                stderr=self._log,
                start_new_session=True,
            )
            for name in names
        }

    def kill(self, name: str) -> None:
        """Kill all processes of a machine at once, as a power cut would."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        """End all."""
        for name in list(self.processes):
            self.kill(name)
        self._log.close()


@pytest.fixture(autouse=True)
def _asked_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one machine, workers answer sooner than over a network."""
    monkeypatch.setattr(module, "ASK_SECONDS", 0.1)


@pytest.fixture(scope="module")
def site(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSite]:
    """Return a site with a worker of two processes."""
    site = ClusterSite(tmp_path_factory.mktemp("site"))
    workers = Workers(broker, site.folder, "one@here")
    yield site
    workers.close()
    site.close()


class TestCelery(ExecutorContract):
    """The workers of Celery keep the contract."""

    @pytest.fixture
    def executor(self, site: ClusterSite, broker: str) -> str:
        """Return the address of the broker."""
        return f"celery://{broker}"


def test_a_machine_that_goes_away_with_its_batches(
    site: ClusterSite, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut takes those that were begun and those that were fetched: others make them, none is lost."""
    monkeypatch.setattr(module, "LEASE_SECONDS", 1.5)
    monkeypatch.setattr(module, "UNBEGUN_SECONDS", 2.0)
    site.write("cut", 12)
    site.close_gate()
    workers = Workers(broker, site.folder, "two@here")
    try:
        wait_until(lambda: "two@here" in names_of_workers(broker), "the second machine is there")
        reports = site.begin(f"celery://{broker}", "cut")
        wait_until(lambda: len(set(site.begun)) == 4, "all four processes have begun")
        workers.kill("two@here")
        site.open_gate()
        wait_until(lambda: reports, "all are made", 60)
    finally:
        workers.close()
    assert (reports[0].total, reports[0].failed) == (12, [])
    assert len(site.files("cut")) == 12


def names_of_workers(broker: str) -> set[str]:
    """Return the names of the workers that answer."""
    with celery.Celery(broker=broker, set_as_current=False) as app:
        return set(app.control.inspect(timeout=0.2).registered() or {})


@pytest.mark.parametrize("lost", ["workers", "broker"])
def test_a_cluster_that_is_gone(
    lost: str,
    site: ClusterSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The machine that wanted the images makes the rest itself, and says why."""
    monkeypatch.setattr(executors, "QUIET_SECONDS", 1.0)
    site.write(lost, 6)
    with redis_server(tmp_path) as own:
        workers = Workers(own, site.folder, "only@here")
        try:
            wait_until(lambda: "only@here" in names_of_workers(own), "the machine is there")
            site.close_gate()
            reports = site.begin(f"celery://{own}", lost)
            site.wait_for_worker()
            if lost == "workers":
                workers.kill("only@here")
            else:
                with suppress(ConnectionError), Redis.from_url(own) as redis:
                    redis.shutdown(nosave=True)
            monkeypatch.setattr(module, "SECONDS", 1.0)
            site.open_gate()
            wait_until(lambda: reports, "all are made", 60)
        finally:
            workers.close()
    assert (reports[0].total, reports[0].failed) == (6, [])
    assert len(site.files(lost)) == 6
    assert [each.message for each in caplog.records if each.message.startswith("The rest is made here: ")]


def test_the_command(site: ClusterSite, broker: str) -> None:
    """`--executor` takes the broker's address; nothing is left in the broker afterwards."""
    site.write("command", 3)
    group = GlobSourceGroup("command/*.jpg")
    site.kit.register.source_group("card", group)
    result = CliRunner().invoke(
        commands(lambda: site.kit), ["generate", "card", "--executor", f"celery://{broker}", "--json"]
    )
    site.kit.unregister.source_group("card", group)
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["generated"]) == 3
    with Redis.from_url(broker) as redis:
        assert redis.keys("*imagekit*") == []


def test_a_kit_that_the_workers_were_not_started_with(
    site: ClusterSite, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message imports nothing of its own accord: the run ends, and says what to do."""
    site.write("other", 2)
    monkeypatch.setattr(site.kit, "import_name", "os:abort")
    with pytest.raises(CannotRebuild, match="IMAGEKIT_KITS=os:abort"):
        site.generate(f"celery://{broker}", "other")


@pytest.mark.parametrize("message", [{}, None, [], {"version": 1}, {"replies": "celery"}])
def test_what_is_no_batch_is_dropped(message: object) -> None:
    """It is refused before anything is looked at."""
    with pytest.raises(ValueError, match="is not a batch"):
        module._Order.from_message(message)


def test_nobody_works(site: ClusterSite, broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to start a worker, and comes before anything is sent; a password is not shown."""
    site.write("nobody", 1)
    monkeypatch.setattr(module, "SECONDS", 0.5)
    with pytest.raises(ImageKitError, match=r"No worker .* IMAGEKIT_KITS=cluster_pages:kit python -m celery"):
        site.generate(f"celery://{broker.removesuffix('0')}2", "nobody")
    with pytest.raises(ImageKitError, match=r"No broker answers at 'celery://redis://127.0.0.1:9'"):
        site.generate("celery://redis://user:secret@127.0.0.1:9", "nobody")
    with pytest.raises(ImageKitError, match="No broker"):
        site.generate("celery://no-such-broker://here", "nobody")


def test_a_kit_without_a_name(site: ClusterSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workers could not find it."""
    site.write("nameless", 1)
    monkeypatch.setattr(site.kit, "import_name", None)
    with pytest.raises(InvalidSetting, match="import_name"):
        site.generate("celery://redis://127.0.0.1:9", "nameless")
