"""Two machines pregenerate one site with one server of state: each image is made once, even if one of them dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from core_site import photo_bytes
from queue_site import has_redis, redis_server, wait_until

pytest.importorskip("redis", reason="redis is not installed: pip install 'jinja-imagekit[redis]'")

pytestmark = pytest.mark.skipif(not has_redis(), reason="needs the program redis-server, and POSIX signals")

MACHINE = """
import json, sys, time
from pathlib import Path
from jinja_imagekit import ImageKit
from jinja_imagekit.sourcegroups import GlobSourceGroup
from jinja_imagekit.state import redis
from jinja_imagekit.storages import FileSystemStorage

url, folder, machine, pause = sys.argv[1:]
folder = Path(folder)
redis.LEASE_SECONDS = 2

class Slow:
    def process(self, image):
        time.sleep(float(pause))
        return image

class Noting(FileSystemStorage):
    def save(self, name, content):
        super().save(name, content)
        with open(folder / "saved.txt", "a") as file:
            file.write(f"{machine} {name}\\n")

kit = ImageKit(
    source_dirs=[folder / "photos"],
    location=folder / "out",
    state_dir=folder / machine,
    state_store=url,
    default_file_storage=Noting(folder / "out", "/"),
)
kit.spec("site:card", processors=[Slow()], format="PNG")
kit.register.source_group("site:card", GlobSourceGroup("*.jpg"))
(folder / f"{machine}.ready").touch()
while not (folder / "go").exists():
    time.sleep(0.01)
report = kit.generate(workers=2)
print(json.dumps([len(report.generated), len(report.skipped), len(report.failed)]))
"""

Prefix = Callable[[str], list[str]]
"""Returns what stands before a machine's command."""


@contextmanager
def namespaces() -> Iterator[tuple[str, Prefix]]:
    """Give each machine a network and a host name of its own; yield this machine's address and what starts them.

    Where that cannot be, groups of processes are the machines.
    """
    own, net = f"ik{os.getpid() % 100_000}", f"10.213.{os.getpid() % 250}"
    with ExitStack() as undone:

        def ip(*words: str) -> bool:
            return subprocess.run(["ip", *words], capture_output=True).returncode == 0

        # A bridge in this machine is the network's switch.
        able = os.geteuid() == 0 and bool(shutil.which("ip") and shutil.which("unshare"))
        if not able or not ip("link", "add", f"{own}b", "type", "bridge"):
            yield "127.0.0.1", lambda name: []
            return
        undone.callback(ip, "link", "del", f"{own}b")
        made = ip("address", "add", f"{net}.1/24", "dev", f"{own}b") and ip("link", "set", f"{own}b", "up")
        for number, name in enumerate(("one", "two"), 2):
            made = made and ip("netns", "add", f"{own}{name}")
            undone.callback(ip, "netns", "del", f"{own}{name}")
            ip("link", "add", f"{own}v{number}", "type", "veth", "peer", "name", "up0", "netns", f"{own}{name}")
            ip("link", "set", f"{own}v{number}", "master", f"{own}b", "up")
            ip("-n", f"{own}{name}", "address", "add", f"{net}.{number}/24", "dev", "up0")
            made = made and ip("-n", f"{own}{name}", "link", "set", "up0", "up")
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"']
        if made:
            yield f"{net}.1", lambda name: ["ip", "netns", "exec", f"{own}{name}", *named, name]
        else:
            yield "127.0.0.1", lambda name: []


class Machines:
    """Machines that make one site's images.

    Attributes:
        folder: What all of them mount.
        log: A line for each image that was saved: the machine and the image's name.
    """

    def __init__(self, folder: Path, url: str, prefix: Prefix) -> None:
        self.folder, self._url, self._prefix = folder, url, prefix
        self.log = folder / "saved.txt"
        self._runs: list[subprocess.Popen[str]] = []

    def start(self, pause: float) -> list[subprocess.Popen[str]]:
        """Start the runs of both machines at once, each image of which takes at least so many seconds."""
        for name in ("one", "two"):
            command = [sys.executable, "-c", MACHINE, self._url, str(self.folder), name, str(pause)]
            self._runs.append(
                subprocess.Popen(
                    [*self._prefix(name), *command], stdout=subprocess.PIPE, text=True, start_new_session=True
                )
            )
        ready = [self.folder / f"{name}.ready" for name in ("one", "two")]
        wait_until(lambda: all(map(Path.exists, ready)), "both are ready")
        (self.folder / "go").touch()
        return self._runs

    def close(self) -> None:
        """End what still runs, after a test that has failed."""
        for run in self._runs:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
            assert run.stdout
            run.stdout.close()
            run.wait()

    def saved(self) -> list[tuple[str, str]]:
        """Return machine and name of all images that were saved, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(machine, name) for machine, _, name in (line.partition(" ") for line in lines)]

    def images(self) -> int:
        """Return how many images there are."""
        return len(list((self.folder / "out").rglob("*.png")))


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """Return machines with 24 photos."""
    (tmp_path / "photos").mkdir()
    for number in range(24):
        (tmp_path / f"photos/{number}.jpg").write_bytes(photo_bytes(seed=number))
    with namespaces() as (address, prefix), redis_server(tmp_path, address) as url:
        machines = Machines(tmp_path, url, prefix)
        yield machines
        machines.close()


def test_each_image_is_made_once(machines: Machines) -> None:
    """Two runs at the same time share the work between them; what one has made, the other skips."""
    reports = [json.loads(run.communicate(timeout=120)[0]) for run in machines.start(0.05)]
    names = [name for _, name in machines.saved()]
    assert len(names) == len(set(names)) == machines.images() == 24
    assert [sum(each) for each in zip(*reports, strict=True)] == [24, 24, 0]
    assert all(generated > 3 for generated, _, _ in reports)


def test_a_machine_that_is_killed_in_the_middle(machines: Machines) -> None:
    """The other makes what is left once the dead one's locks have ended; nothing is made twice, and nothing lacks."""
    one, two = machines.start(0.2)
    wait_until(lambda: {machine for machine, _ in machines.saved()} == {"one", "two"}, "both have made some")
    os.killpg(one.pid, signal.SIGKILL)
    one.wait()
    generated, skipped, failed = json.loads(two.communicate(timeout=120)[0])
    names = [name for _, name in machines.saved()]
    assert len(names) == len(set(names))
    assert (machines.images(), generated + skipped, failed) == (24, 24, 0)
    assert generated < 24
