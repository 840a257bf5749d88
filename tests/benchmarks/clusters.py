"""Measures two local workers of Dask, Celery and Ray against two threads: 400 photographs, two JPEGs each.

Run it with `PYTHONPATH=examples python tests/benchmarks/clusters.py`. The contenders run in turn, each from the plan to
the report, while the workers are up already; each round gives one ratio, and medians are printed. Celery needs the
program redis-server. Whatever is not installed is left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from photographs import draw_photographs

SITE = """
from pathlib import Path
from jinja_imagekit import ImageKit
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup

FOLDER = Path(__file__).parent
kit = ImageKit(
    source_dirs=[FOLDER / "photos"],
    location=FOLDER / "out",
    state_dir=FOLDER / "state",
    import_name="cluster_bench:kit",
)
for width in (300, 600):
    kit.spec(f"site:{width}", processors=[ResizeToFit(width)], format="JPEG")
    kit.register.source_group(f"site:{width}", GlobSourceGroup("*.jpg"))
kit.spec("warm", processors=[ResizeToFit(100)], format="JPEG")
kit.register.source_group("warm", GlobSourceGroup("photo-00?.jpg"))
"""


@contextmanager
def dask() -> Iterator[str]:
    """Run two workers of Dask, and yield their address."""
    import distributed

    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, worker_dashboard_address=None
    )
    yield cluster.scheduler_address.replace("tcp://", "dask://")
    cluster.close()


@contextmanager
def celery(folder: Path) -> Iterator[str]:
    """Run a Redis and a worker of Celery with two processes, and yield their address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    server = subprocess.Popen(["redis-server", "--port", str(port), "--save", ""], **quiet)
    broker = f"redis://127.0.0.1:{port}/0"
    time.sleep(1)
    command = f"-m celery --broker {broker} worker --include jinja_imagekit.queues.celery --prefetch-multiplier 1 -c 2"
    worker = subprocess.Popen([sys.executable, *command.split()], **quiet)
    yield f"celery://{broker}"
    worker.terminate()
    worker.wait()
    server.terminate()
    server.wait()


@contextmanager
def ray() -> Iterator[str]:
    """Run a Ray cluster of two workers."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield "ray"
    ray.shutdown()


def measure(kit: Any, folder: Path, options: dict[str, Any]) -> float:
    """Return the seconds that a run takes from nothing."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    begun = time.perf_counter()
    report = kit.generate("site", force=True, **options)
    seconds = time.perf_counter() - begun
    assert report.ok, report.failed[0]
    return seconds


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photographs", type=Path, default=Path("build/benchmarks/photographs-750"))
    parser.add_argument("--only", nargs="*", default=["dask", "celery", "ray"])
    arguments = parser.parse_args()
    drawn = draw_photographs(arguments.photographs.resolve(), arguments.photos, (1000, 750))
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(dir=arguments.photographs.parent.resolve())))
        (folder / "photos").mkdir()
        for path in drawn:
            os.link(path, folder / "photos" / path.name)
        (folder / "cluster_bench.py").write_text(SITE)
        sys.path.insert(0, str(folder))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        os.environ["IMAGEKIT_KITS"] = "cluster_bench:kit"
        from cluster_bench import kit

        contenders: dict[str, dict[str, Any]] = {"threads": {"workers": 2}}
        if "dask" in arguments.only and find_spec("distributed"):
            contenders["dask"] = {"executor": running.enter_context(dask())}
        if "celery" in arguments.only and find_spec("celery") and shutil.which("redis-server"):
            contenders["celery"] = {"executor": running.enter_context(celery(folder))}
        if "ray" in arguments.only and find_spec("ray"):
            contenders["ray"] = {"executor": running.enter_context(ray())}
        for options in contenders.values():
            # Workers import the library and the site with their first work.
            kit.generate("warm", force=True, **options)
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(arguments.rounds):
            for name, options in contenders.items():
                seconds[name].append(measure(kit, folder, options))
                print(f"{name} {seconds[name][-1]:.1f} s", file=sys.stderr)
    print(f"{arguments.photos} photographs, {2 * arguments.photos} images, {arguments.rounds} rounds")
    for name, taken in seconds.items():
        ratio = statistics.median(each / threads for each, threads in zip(taken, seconds["threads"], strict=True))
        print(f"{name:8} {statistics.median(taken):6.1f} s   {ratio:.2f} x")


if __name__ == "__main__":
    main()
