"""A site whose images are made by the workers of a real queue, on a real Redis, for the tests of queues."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import drawing
from jinja_imagekit import ImageKit, loading
from jinja_imagekit.queues.backend import QueueBackend
from jinja_imagekit.queues.jobs import make_job


class ListQueue(QueueBackend):
    """A queue in this process, whose worker is a call of `work`."""

    leaves_existing = True

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.is_down = False

    def send(self, message: dict[str, Any]) -> None:
        """Keep a message as JSON, as a broker would."""
        if self.is_down:
            raise ConnectionError("connection refused")
        self.messages.append(json.dumps(message))

    def work(self) -> None:
        """Do what a worker does until nothing waits."""
        while self.messages:
            make_job(json.loads(self.messages.pop(0)))


GATE = '''
import os
import time
from pathlib import Path

FOLDER = Path(__file__).parent


class Gate:
    """A processor that says in which process it runs, and waits until the gate is open."""

    def process(self, image):
        with open(FOLDER / "begun.txt", "a") as file:
            file.write(f"{os.getpid()}\\n")
        while not (FOLDER / "gate").exists():
            time.sleep(0.01)
        return image

    def output_size(self, size):
        return size
'''
"""The beginning of a module beside which a test opens the gate."""

_SITE = f"""{GATE}

from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.queues import leases

# The tests need not wait as long as a site may.
leases.LEASE_SECONDS, leases.BEAT_SECONDS = 1.5, 0.3


class Card(ImageSpec):
    processors = (ResizeToFill(40, 30), Gate())
    format = "PNG"


class Raises:
    def process(self, image):
        Gate().process(image)
        raise RuntimeError("the ink ran out")


class Broken(Card):
    processors = (Raises(),)


class Dies:
    def process(self, image):
        Gate().process(image)
        os._exit(9)


class Deadly(Card):
    processors = (Dies(),)


def make_kit(**settings):
    kit = ImageKit(
        source_dirs=[FOLDER / "images"],
        location=FOLDER / "output",
        state_dir=FOLDER / "state",
        import_name="mysite:kit",
        **settings,
    )
    kit.register.generator("card", Card)
    kit.register.generator("broken", Broken)
    kit.register.generator("deadly", Deadly)
    return kit

"""

_BROKERS = {
    "celery": """
from celery import Celery

app = Celery("mysite", broker=os.environ["SITE_BROKER"], include=["jinja_imagekit.queues.celery"])
app.conf.broker_transport_options = {"visibility_timeout": 1}
app.set_default()
kit = make_kit(default_cachefile_backend="jinja_imagekit.queues.celery.Celery")
""",
    "rq": """
kit = make_kit(default_cachefile_backend="jinja_imagekit.queues.rq.RQ")
""",
    "dramatiq": """
import dramatiq
from dramatiq.brokers.redis import RedisBroker

# A worker is taken for dead after two seconds, and each command looks for dead ones.
dramatiq.set_broker(RedisBroker(url=os.environ["SITE_BROKER"], heartbeat_timeout=2000, maintenance_chance=1_000_000))
kit = make_kit(default_cachefile_backend="jinja_imagekit.queues.dramatiq.Dramatiq")
""",
}

_WORKERS = {
    "celery": "-m celery --app mysite worker --concurrency 1 --loglevel WARNING"
    " --without-gossip --without-mingle --without-heartbeat",
    "rq": "-m rq.cli worker --serializer rq.serializers.JSONSerializer",
    "dramatiq": "-m dramatiq mysite jinja_imagekit.queues.dramatiq --processes 1 --threads 1",
}

# Celery's and Dramatiq's commands import the site's module, which makes the kit.
_ENVIRONMENTS = {"rq": {"IMAGEKIT_KITS": "mysite:kit"}}

QUEUES = tuple(_WORKERS)


@contextmanager
def redis_server(folder: Path, address: str = "127.0.0.1") -> Iterator[str]:
    """Run a Redis on a free port of an address of this machine, and yield its URL."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", address, "--save", "", "--dir", str(folder)]
    # Others than this machine itself may ask it.
    command += ["--protected-mode", "no"]
    with open(folder / "redis.log", "wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            wait_until(lambda: _listens(address, port), "Redis listens")
            yield f"redis://{address}:{port}/0"
        finally:
            server.kill()


def has_redis() -> bool:
    """Tell whether this machine has a Redis to start, and workers can be killed as the tests do."""
    return os.name == "posix" and shutil.which("redis-server") is not None


def _listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: It does not within that many seconds.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} seconds in vain until {what}"
        time.sleep(0.02)


class QueueSite:
    """A site in a folder, its kit in this process, and a worker in another.

    Attributes:
        queue: Which library has the queue.
        folder: The site's folder.
        broker: The URL of Redis.
        kit: The kit.
    """

    def __init__(self, queue: str, folder: Path, broker: str) -> None:
        self.queue, self.folder, self.broker = queue, folder, broker
        (folder / "images").mkdir()
        (folder / "mysite.py").write_text(_SITE + _BROKERS[queue], encoding="utf-8")
        self._patch = pytest.MonkeyPatch()
        self._patch.setenv("SITE_BROKER", broker)
        self._patch.setenv("RQ_REDIS_URL", broker)
        self._patch.syspath_prepend(folder)
        # Dramatiq's actors belong to the broker that was set when their module was imported.
        for module in ("mysite", "jinja_imagekit.queues.dramatiq"):
            self._patch.delitem(sys.modules, module, raising=False)
        loading._load_path.cache_clear()
        self.kit: ImageKit = importlib.import_module("mysite").kit
        self._worker: subprocess.Popen[bytes] | None = None
        self.open_gate()

    def write(self, name: str, seed: int = 0) -> str:
        """Draw a source."""
        drawing.photo(80, 60, seed).save(self.folder / "images" / name)
        return name

    def card(self, source: str, id: str = "card") -> Any:
        """Return a cache file as a page of a new request would."""
        return self.kit.cachefile(id, source=source)

    def start_worker(self) -> None:
        """Start a worker, which leads a process group of its own."""
        path = os.pathsep.join(filter(None, [str(self.folder), os.environ.get("PYTHONPATH")]))
        with open(self.log, "ab") as log:
            self._worker = subprocess.Popen(
                [sys.executable, *_WORKERS[self.queue].split()],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": path, **_ENVIRONMENTS.get(self.queue, {})},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill_workers(self) -> None:
        """Kill the worker and all its children at once."""
        if self._worker:
            os.killpg(self._worker.pid, signal.SIGKILL)
            self._worker.wait()
            self._worker = None

    def restart_worker_if_ended(self) -> None:
        """Do what a supervisor does: start a worker anew that has given up, as Dramatiq's does over a dead child."""
        if self._worker and self._worker.poll() is not None:
            self.start_worker()

    @property
    def log(self) -> Path:
        """What the workers say."""
        return self.folder / "worker.log"

    @property
    def said(self) -> str:
        """What the workers have said."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    @property
    def begun(self) -> list[int]:
        """The processes in which an image was begun."""
        path = self.folder / "begun.txt"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def forget_begun(self) -> None:
        """Begin to count anew."""
        (self.folder / "begun.txt").unlink(missing_ok=True)

    def open_gate(self) -> None:
        """Let images be made."""
        (self.folder / "gate").touch()

    def close_gate(self) -> None:
        """Let workers wait in the middle of an image."""
        (self.folder / "gate").unlink()

    def close(self) -> None:
        """End the worker, and leave this process as it was."""
        self.open_gate()
        self.kill_workers()
        self.kit.close()
        sys.modules.pop("mysite", None)
        self._patch.undo()
