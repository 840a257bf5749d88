"""Images on other hosts, from a real server that is slow, endless, lying, redirecting, busy or gone."""

from __future__ import annotations

import json
import logging
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, photo_bytes
from jinja2 import Environment

from jinja_imagekit.exceptions import (
    ImageTooLarge,
    InvalidSetting,
    SourceError,
    SourceNotAllowed,
    SourceNotFound,
)

pytest.importorskip("urllib3", reason="needs the extra [remote]")

from jinja_imagekit.sources import remote as module  # after the skip

PHOTO = photo_bytes(200, 150, 1)


class Host:
    """A server whose answers a test chooses.

    Attributes:
        asked: How often each path was asked for.
        headers: The headers of each request.
        answers: What answers a path.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.answers: dict[str, Callable[[Any], None]] = {}
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked[self.path] += 1
                host.headers.append(dict(self.headers))
                with suppress(OSError):
                    host.answers.get(self.path, answer(404))(self)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            # Each connection shakes hands in its own thread.
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.origin = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        """End the server."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Callable[[Any], None]:
    """Return what answers a request in one go."""

    def respond(request: Any) -> None:
        request.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return respond


def in_turn(*answers: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return what answers each request in another way, and the last ones in the same."""
    left = list(answers)
    return lambda request: (left.pop(0) if len(left) > 1 else left[0])(request)


@pytest.fixture
def host() -> Iterator[Host]:
    """Return a running server."""
    host = Host()
    yield host
    host.close()


@pytest.fixture
def site(tmp_path: Path, host: Host) -> Site:
    """Return a site that may read from the server."""
    return Site(tmp_path, remote_hosts=[host.origin], remote_networks=["127.0.0.0/8"], remote_timeout=10.0)


def expire(site: Site) -> None:
    """Make all copies stale, as time would."""
    for path in (site.state / "remote").glob("*.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "fresh": 0}))


def test_a_picture_of_another_host(site: Site, host: Host) -> None:
    """A URL is a source like a name, in tags and in HTML; one download is enough for all pages and runs."""
    host.answers["/photos/a.jpg?v=2"] = answer(body=PHOTO)
    url = f"{host.origin}/photos/a.jpg?v=2"
    environment = site.kit.install(Environment(autoescape=True))
    template = environment.from_string("{% thumbnail '50x' url %}")
    html = template.render(url=url)
    assert "/CACHE/images/127.0.0.1_" in html
    assert "/photos/a/" in html
    assert 'width="50"' in html
    assert template.render(url=url) == html
    assert "<picture>" in site.new_kit().transform(f'<img src="{url}" alt="">')
    environment = site.new_kit().install(Environment(autoescape=True))
    assert environment.from_string("{% thumbnail '50x' url %}").render(url=url) == html
    assert host.asked == {"/photos/a.jpg?v=2": 1}


def test_notes_of_a_render_lead_to_urls(site: Site, host: Host) -> None:
    """What pages needed is made again without rendering, in this process and in others."""
    host.answers["/a.jpg"] = answer(body=PHOTO)
    kit = site.new_kit(default_cachefile_strategy="Deferred")
    _ = kit.cachefile("card", source=f"{host.origin}/a.jpg").url
    assert len(kit.finish().generated) == 1
    made = site.files()
    again = site.new_kit()
    assert len(again.generate().skipped) == 1
    assert again.prune().removed == []
    assert len(again.generate(force=True, processes=True, workers=1).generated) == 1
    assert site.files() == made


def test_nobody_is_asked_who_is_not_on_the_list(site: Site, host: Host) -> None:
    """Not without the setting, not by another scheme or port, not with a password; HTML keeps such images."""
    host.answers["/a.jpg"] = answer(body=PHOTO)
    port = host.server.server_port
    for url in (
        "https://cdn.example/a.jpg",
        f"https://127.0.0.1:{port}/a.jpg",
        f"http://127.0.0.1:{port + 1}/a.jpg",
        f"http://127.0.0.1:{port}@evil.example/a.jpg",
        f"http://me:secret@127.0.0.1:{port}/a.jpg",
        f"http://127.0.0.1:{port}.evil.example/a.jpg",
        "http://[/a.jpg",
    ):
        with pytest.raises(SourceNotAllowed) as refused:
            _ = site.kit.cachefile("card", source=url).url
        assert "secret" not in str(refused.value)
        html = f'<img src="{url}" alt="">'
        assert site.kit.transform(html) == html
    with pytest.raises(SourceNotFound, match="remote_hosts"):
        _ = site.new_kit(remote_hosts=[]).cachefile("card", source=f"{host.origin}/a.jpg").url
    assert not host.asked


def test_a_private_address_is_not_connected_to(site: Site, host: Host) -> None:
    """A listed host may not lead into the machine or its network unless that is allowed."""
    host.answers["/a.jpg"] = answer(body=PHOTO)
    port = host.server.server_port
    for name in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "169.254.169.254", "[64:ff9b::7f00:1]"):
        kit = site.new_kit(remote_hosts=[f"http://{name}:{port}"], remote_networks=[])
        with pytest.raises(SourceNotAllowed, match="not public"):
            _ = kit.cachefile("card", source=f"http://{name}:{port}/a.jpg").url
    assert not host.asked


def test_each_redirect_is_checked(site: Site, host: Host) -> None:
    """A redirect within the list is followed, one that leads elsewhere is an error, and so is a circle."""
    host.answers["/a.jpg"] = answer(302, Location="/b.jpg")
    host.answers["/b.jpg"] = answer(body=PHOTO)
    host.answers["/inwards.jpg"] = answer(301, Location="http://169.254.169.254/latest/meta-data")
    host.answers["/file.jpg"] = answer(301, Location="file:///etc/passwd")
    host.answers["/circle.jpg"] = answer(302, Location="/circle.jpg")
    assert site.kit.cachefile("card", source=f"{host.origin}/a.jpg").width == 24
    for name, reason in {"inwards": "169.254", "file": "file:///", "circle": "redirects more than 5"}.items():
        with pytest.raises(SourceNotAllowed, match=reason):
            _ = site.kit.cachefile("card", source=f"{host.origin}/{name}.jpg").url
    # The error is remembered for a minute.
    with pytest.raises(SourceNotAllowed, match="not among"):
        _ = site.new_kit().cachefile("card", source=f"{host.origin}/inwards.jpg").url
    assert host.asked["/inwards.jpg"] == 1


def test_a_stale_copy_is_asked_about(site: Site, host: Host) -> None:
    """An unchanged image is not sent again, a changed one replaces the copy, and `max-age` says when to ask."""
    url, etag = f"{host.origin}/a.jpg", '"one"'
    host.answers["/a.jpg"] = in_turn(
        answer(body=PHOTO, ETag=etag, Cache_Control="public, max-age=100000"),
        answer(304),
        answer(body=photo_bytes(200, 150, 2)),
    )
    first = site.kit.cachefile("card", source=url).url
    (facts,) = (site.state / "remote").glob("*.json")
    assert 99_000 < json.loads(facts.read_text())["fresh"] - time.time() <= 100_000
    expire(site)
    assert site.new_kit().cachefile("card", source=url).url == first
    assert host.headers[1]["If-None-Match"] == etag
    assert site.new_kit().cachefile("card", source=url).url == first
    expire(site)
    assert site.new_kit().cachefile("card", source=url).url != first
    assert host.asked["/a.jpg"] == 3
    assert not {"Cookie", "Authorization", "Referer"} & {name for headers in host.headers for name in headers}


def test_an_old_copy_will_do_in_times_of_trouble(site: Site, host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """While the host is down its copies are used, with a warning, and it is not asked for each page."""
    url = f"{host.origin}/a.jpg"
    host.answers["/a.jpg"] = in_turn(answer(body=PHOTO), answer(503, Retry_After="3600"))
    first = site.kit.cachefile("card", source=url).url
    expire(site)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert site.new_kit().cachefile("card", source=url).url == first
    assert [each.message.startswith("An old copy is used") for each in caplog.records] == [True]
    assert host.asked["/a.jpg"] == 2
    host.answers["/a.jpg"] = answer(404)
    expire(site)
    with pytest.raises(SourceNotFound, match="404"):
        _ = site.new_kit().cachefile("card", source=url).url


def test_trouble_that_passes(site: Site, host: Host) -> None:
    """A host that fails once, or asks for a second's patience, is asked again at once."""
    host.answers["/a.jpg"] = in_turn(answer(500), answer(body=PHOTO))
    host.answers["/b.jpg"] = in_turn(answer(429, Retry_After="0"), answer(body=PHOTO))
    for name in ("a", "b"):
        assert site.kit.cachefile("card", source=f"{host.origin}/{name}.jpg").width == 24
    assert host.asked == {"/a.jpg": 2, "/b.jpg": 2}


def test_trouble_that_lasts_is_remembered(site: Site, host: Host) -> None:
    """Who is told to wait for an hour waits, and so do other processes; other errors are not asked about twice."""
    host.answers["/a.jpg"] = answer(429, Retry_After="3600")
    for kit in (site.kit, site.new_kit()):
        with pytest.raises(SourceError, match="status 429"):
            _ = kit.cachefile("card", source=f"{host.origin}/a.jpg").url
        with pytest.raises(SourceNotFound, match="404"):
            _ = kit.cachefile("card", source=f"{host.origin}/none.jpg").url
    assert host.asked == {"/a.jpg": 1, "/none.jpg": 1}


def drip(request: Any) -> None:
    """Send a byte now and then, without an end."""
    request.send_response(200)
    request.end_headers()
    for _ in range(200):
        request.wfile.write(b"\xff")
        time.sleep(0.05)


def drip_headers(request: Any) -> None:
    """Never end the headers."""
    request.wfile.write(b"HTTP/1.0 200 OK\r\n")
    for _ in range(200):
        request.wfile.write(b"X: y\r\n" if _ % 20 == 0 else b"")
        request.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize("slow", [drip, drip_headers, lambda request: time.sleep(10)])
def test_a_slow_host_is_left_in_time(site: Site, host: Host, slow: Any) -> None:
    """A download has one deadline, however steadily bytes arrive."""
    host.answers["/a.jpg"] = slow
    kit = site.new_kit(remote_timeout=0.4)
    with pytest.raises(SourceError, match=r"remote_timeout|timed out"):
        _ = kit.cachefile("card", source=f"{host.origin}/a.jpg").url
    assert host.asked["/a.jpg"] == 1


def flood(request: Any) -> None:
    """Send bytes without an end."""
    request.send_response(200)
    request.end_headers()
    for _ in range(10_000):
        request.wfile.write(bytes(10_000))


@pytest.mark.parametrize("flooding", [flood, answer(body=PHOTO, Content_Length="99999999")])
def test_an_endless_body_is_not_kept(site: Site, host: Host, flooding: Any) -> None:
    """`max_source_bytes` holds for downloads, announced or not."""
    host.answers["/a.jpg"] = flooding
    with pytest.raises(ImageTooLarge, match="max_source_bytes"):
        _ = site.new_kit(max_source_bytes=200_000).cachefile("card", source=f"{host.origin}/a.jpg").url


def test_a_body_that_ends_early_is_no_image(site: Site, host: Host) -> None:
    """A length that is not kept is trouble, and nothing is left of it."""
    host.answers["/a.jpg"] = in_turn(
        answer(body=PHOTO, Content_Length=str(len(PHOTO) + 10)), answer(body=PHOTO[:-100] * 2)
    )
    host.answers["/b.jpg"] = in_turn(answer(body=PHOTO, Content_Length=str(len(PHOTO) + 10)), answer(body=PHOTO))
    assert site.kit.cachefile("card", source=f"{host.origin}/b.jpg").width == 24
    assert host.asked["/b.jpg"] == 2


def test_offline_only_copies_are_used(site: Site, host: Host) -> None:
    """Nothing is asked: an old copy does, and without one there is an error that says why."""
    host.answers["/a.jpg"] = answer(body=PHOTO)
    url = site.kit.cachefile("card", source=f"{host.origin}/a.jpg").url
    expire(site)
    offline = site.new_kit(offline=True)
    assert offline.cachefile("card", source=f"{host.origin}/a.jpg").url == url
    with pytest.raises(SourceError, match="offline"):
        _ = offline.cachefile("card", source=f"{host.origin}/b.jpg").url
    assert host.asked == {"/a.jpg": 1}


PROCESS = """
import sys
from pathlib import Path
from jinja_imagekit import ImageKit
root, origin = Path(sys.argv[1]), sys.argv[2]
kit = ImageKit(
    source_dirs=[root / "images"], location=root / "output", state_dir=root / "state", remote_hosts=[origin],
    remote_networks=["127.0.0.0/8"],
)
print(kit.cachefile("imagekit:thumbnail", source=f"{origin}/a.jpg", width=30).url)
"""


def test_one_download_for_many(site: Site, host: Host, tmp_path: Path) -> None:
    """Threads and processes that want an image at the same time wait for one download."""

    def slowly(request: Any) -> None:
        time.sleep(0.5)
        answer(body=PHOTO)(request)

    host.answers["/a.jpg"] = slowly
    command = [sys.executable, "-c", PROCESS, str(tmp_path), host.origin]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    with ThreadPoolExecutor(4) as threads:
        urls = list(threads.map(lambda _: site.new_kit().source(f"{host.origin}/a.jpg").digest, range(4)))  # type: ignore[union-attr]
    assert len(set(urls)) == 1
    assert len({other.communicate()[0] for other in others}) == 1
    assert [other.returncode for other in others] == [0, 0]
    assert host.asked == {"/a.jpg": 1}


@pytest.mark.parametrize(
    "settings",
    [{"remote_hosts": ["*"]}, {"remote_hosts": ["https://cdn.example/a"]}, {"remote_networks": ["10.0.0.1/8"]}],
)
def test_settings_that_cannot_be_meant(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Any host at all, a path, or bits outside of a network's mask are errors."""
    with pytest.raises(InvalidSetting, match="remote_"):
        Site(tmp_path, **settings)


def test_a_domain_with_all_below_it(tmp_path: Path) -> None:
    """A star stands for hosts below a domain; neither for itself nor for others that end like it."""
    remote = Site(tmp_path, remote_hosts=["*.cdn.example"]).kit.sources.remote
    assert remote is not None
    allowed = ["https://a.cdn.example/x.jpg", "https://b.a.CDN.example:443/x.jpg"]
    refused = ["https://cdn.example/x.jpg", "https://evilcdn.example/x.jpg", "http://a.cdn.example/x.jpg"]
    assert [remote.allows(url) for url in [*allowed, *refused]] == [True] * 2 + [False] * 3


@pytest.mark.parametrize(
    ("name", "is_trusted", "problem"),
    [("127.0.0.1", True, None), ("127.0.0.1", False, "certificate"), ("another.example", True, "127.0.0.1")],
)
def test_https(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_trusted: bool, problem: str | None
) -> None:
    """A certificate must be of an authority that this machine trusts, and for the host's name."""
    trustme = pytest.importorskip("trustme", reason="trustme is not installed: pip install .[test]")
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(tls)
    (authority if is_trusted else trustme.CA()).cert_pem.write_to_path(tmp_path / "trusted.pem")
    # Where OpenSSL looks for the authorities that are trusted.
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    host = Host(tls)
    try:
        host.answers["/a.jpg"] = answer(body=PHOTO)
        site = Site(tmp_path, remote_hosts=[host.origin], remote_networks=["127.0.0.0/8"], remote_timeout=0.4)
        file = site.kit.cachefile("card", source=f"{host.origin}/a.jpg")
        if problem is None:
            assert file.width == 24
        else:
            with pytest.raises(SourceError, match=problem):
                _ = file.width
            assert host.asked == {}
    finally:
        host.close()


def test_a_run_downloads_several_at_a_time(site: Site, host: Host) -> None:
    """Eight images of a host that takes its time come in the time of one, and those that fail are told of."""
    waiting = threading.Barrier(module.DOWNLOADS)

    def together(request: Any) -> None:
        waiting.wait(20)
        answer(body=PHOTO)(request)

    urls = [f"{host.origin}/{number}.jpg" for number in range(module.DOWNLOADS + 1)]
    for url in urls[:-1]:
        host.answers[url.removeprefix(host.origin)] = together
    site.kit.register.cachefiles("card", ({"source": url} for url in urls))
    report = site.kit.generate()
    assert len(report.generated) == module.DOWNLOADS
    assert ["status" in each.reason or "404" in each.reason for each in report.failed] == [True]
    assert set(host.asked.values()) == {1}


def test_prune_deletes_downloads_that_nobody_needs(site: Site, host: Host) -> None:
    """A copy goes once it is stale and no file is made of it any more; what pages or registrations need stays."""
    for name in ("noted", "registered", "old", "fresh"):
        host.answers[f"/{name}.jpg"] = answer(body=PHOTO)

    def url(name: str) -> str:
        return f"{host.origin}/{name}.jpg"

    def kept() -> set[str]:
        return {json.loads(path.read_text())["url"] for path in (site.state / "remote").glob("*.json")}

    kit = site.new_kit(default_cachefile_strategy="Deferred")
    assert kit.cachefile("card", source=url("noted")).url
    kit.finish()
    for name in ("registered", "old"):
        assert site.kit.cachefile("card", source=url(name)).width
    expire(site)
    assert site.kit.source(url("fresh"))
    offline = site.new_kit(offline=True)
    assert offline.prune(dry_run=True).downloads == 0
    kit.register.cachefiles("card", [{"source": url("registered")}])
    assert kit.prune(dry_run=True).downloads == 1
    assert kept() == {*map(url, ("noted", "registered", "old", "fresh"))}
    report = kit.prune()
    assert (len(report.removed), report.downloads) == (1, 1)
    assert kept() == {*map(url, ("noted", "registered", "fresh"))}
    assert len(list((site.state / "remote").iterdir())) == 6
