"""Measures a cold page of 50 photos on a server of four workers: made while it renders, or when they are asked for.

Run it with `PYTHONPATH=examples python tests/benchmarks/on_request.py`. Six connections, as many as browsers open to a
host by HTTP/1.1, fetch the images in order; meanwhile another visitor asks for a page without images every 20 ms.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import drawing

IMAGES = 50
CONNECTIONS = 6
TAG = "{% thumbnail '600x400' name format='WEBP' -- alt='A hill' %}"


def make_app(folder: str, strategy: str):  # type: ignore[no-untyped-def]  # the server's workers import it
    """Return the application that the server runs."""
    import flask

    from jinja_imagekit.flask import ImageKit

    app = flask.Flask("bench", root_path=folder, instance_path=f"{folder}/{strategy}")
    app.config["IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY"] = strategy
    ImageKit(app)
    names = sorted(path.name for path in Path(folder, "static").iterdir())
    app.add_url_rule("/other", "other", lambda: "another page")

    @app.get("/")
    def page() -> str:
        return flask.render_template_string(f"{{% for name in names %}}{TAG}{{% endfor %}}", names=names)

    return app


def draw(folder: Path) -> None:
    """Draw photos of 12 megapixels that differ in their last byte before the end."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = drawing.encoded(drawing.photo(4000, 3000, seed=3), "JPEG", quality=88)
    for number in range(IMAGES):
        comment = b"\xff\xfe\x00\x04" + number.to_bytes(2, "big")
        path = folder / f"{number:02}.jpg"
        path.write_bytes(photo[:2] + comment + photo[2:])
        os.utime(path, (1_000_000_000, 1_000_000_000))


def get(port: int, path: str) -> bytes:
    """Return the body of a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, (path, response.status)
        return body
    finally:
        connection.close()


def measure(folder: Path, strategy: str, threads: int) -> tuple[float, float, float]:
    """Return the seconds to the page and to the last image, and the longest that the other page took."""
    shutil.rmtree(folder / strategy, ignore_errors=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    application = f"on_request:make_app({str(folder)!r}, {strategy!r})"
    command = [sys.executable, "-m", "gunicorn", "--workers=4", f"--threads={threads}", f"--bind=127.0.0.1:{port}"]
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(
        [*command, "--timeout=300", "--log-level=error", application], cwd=here.parents[1], env=environment
    ) as server:
        try:
            _wait_for(port)
            return _visit(port)
        finally:
            server.send_signal(signal.SIGTERM)


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            for _ in range(16):
                get(port, "/other")
            return
        except OSError:
            time.sleep(0.1)


def _visit(port: int) -> tuple[float, float, float]:
    done = threading.Event()
    latencies: list[float] = []

    def visit_other() -> None:
        while not done.is_set():
            begun = time.perf_counter()
            get(port, "/other")
            latencies.append(time.perf_counter() - begun)
            done.wait(0.02)

    other = threading.Thread(target=visit_other)
    other.start()
    begun = time.perf_counter()
    page = get(port, "/").decode()
    to_page = time.perf_counter() - begun
    urls: queue.SimpleQueue[str] = queue.SimpleQueue()
    for url in re.findall('src="([^"]+)"', page):
        urls.put(url)

    def fetch() -> None:
        while True:
            try:
                get(port, urls.get_nowait())
            except queue.Empty:
                return

    connections = [threading.Thread(target=fetch) for _ in range(CONNECTIONS)]
    for connection in connections:
        connection.start()
    for connection in connections:
        connection.join()
    to_last = time.perf_counter() - begun
    done.set()
    other.join()
    return to_page, to_last, max(latencies)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/on-request"))
    folder = parser.parse_args().folder.absolute()
    if len(list((folder / "static").glob("*.jpg"))) < IMAGES:
        draw(folder / "static")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{IMAGES} photos of 12 MP, {os.cpu_count()} cores, {python}")
    print(f"{'':32}{'the page':>12}{'last image':>12}{'other, worst':>14}")
    for threads in (1, 8):
        for strategy in ("JustInTime", "OnRequest"):
            page, last, other = measure(folder, strategy, threads)
            label = f"{strategy}, 4 × {threads} threads"
            print(f"{label:32}{page:>10.2f} s{last:>10.2f} s{other:>12.2f} s")


if __name__ == "__main__":
    main()
