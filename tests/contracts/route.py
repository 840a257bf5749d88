"""What every host answers to who asks for a cache file, whatever the framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import NamedTuple

import pytest

Asked = Callable[..., tuple[int, Mapping[str, str], bytes]]
"""Asks for a URL by a method, with headers, and returns status, headers by lower-case name, and body."""


class Hosted(NamedTuple):
    """A site of a host with `OnRequest`, of whose page one image has been promised, and none made.

    Attributes:
        ask: Asks the site: `ask("GET", "/a.webp", {"Range": "bytes=0-3"})`.
        url: The URL of the image, a WebP, as the page has it.
        source: The image's source.
        location: The folder of the cache files.
    """

    ask: Asked
    url: str
    source: Path
    location: Path

    def made(self) -> list[Path]:
        """Return the cache files that exist."""
        return sorted(self.location.glob("CACHE/**/*.*"))


class RouteContract:
    """Tests for a subclass whose fixture `hosted` is a `Hosted`."""

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_the_first_who_asks_has_it_made(self, hosted: Hosted, method: str) -> None:
        """With its type and length; it may be kept for a year by anybody, and runs nothing."""
        assert hosted.made() == []
        status, headers, body = hosted.ask(method, hosted.url)
        [made] = hosted.made()
        image = made.read_bytes()
        assert (status, body) == (200, image if method == "GET" else b"")
        assert headers["content-type"] == "image/webp"
        assert headers["content-length"] == str(len(image))
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        assert headers["accept-ranges"] == "bytes"
        stat = made.stat()
        assert headers["etag"] == f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        assert headers["last-modified"] == formatdate(int(stat.st_mtime), usegmt=True)

    def test_who_has_a_copy_is_told_so(self, hosted: Hosted) -> None:
        """By its entity tag, one of several or a weak one, or else by its date."""
        _, first, _ = hosted.ask("GET", hosted.url)
        tag, date = first["etag"], first["last-modified"]
        later = formatdate(parsedate_to_datetime(date).timestamp() + 60, usegmt=True)
        for method in ("GET", "HEAD"):
            for asked in (
                {"If-None-Match": tag},
                {"If-None-Match": f'"other", W/{tag}'},
                {"If-None-Match": "*"},
                {"If-None-Match": tag, "If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
                {"If-Modified-Since": date},
                {"If-Modified-Since": later},
                {"If-None-Match": tag, "Range": "bytes=0-3"},
            ):
                status, headers, body = hosted.ask(method, hosted.url, asked)
                assert (status, body) == (304, b""), asked
                assert (headers["etag"], headers["cache-control"]) == (tag, first["cache-control"])
                # Caches would take it over.
                assert "content-type" not in headers

    def test_who_has_another_copy_gets_the_image(self, hosted: Hosted) -> None:
        """A tag goes before a date, and a date that is none does not count."""
        _, first, image = hosted.ask("GET", hosted.url)
        for asked in (
            {"If-None-Match": '"other"'},
            {"If-None-Match": '"*"'},
            {"If-None-Match": '"other"', "If-Modified-Since": first["last-modified"]},
            {"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
            {"If-Modified-Since": "yesterday"},
        ):
            status, _, body = hosted.ask("GET", hosted.url, asked)
            assert (status, body) == (200, image), asked

    def test_a_part_of_it(self, hosted: Hosted) -> None:
        """From a byte, to a byte, or the last ones; of what lies beyond its end nothing is sent."""
        _, first, image = hosted.ask("GET", hosted.url)
        size = len(image)
        for asked, start, stop in (
            ("bytes=0-3", 0, 4),
            ("bytes=4-", 4, size),
            ("bytes=-5", size - 5, size),
            (f"bytes=8-{size + 100}", 8, size),
            (f"bytes=-{size + 100}", 0, size),
        ):
            for condition in ({}, {"If-Range": first["etag"]}, {"If-Range": first["last-modified"]}):
                status, headers, body = hosted.ask("GET", hosted.url, {"Range": asked, **condition})
                assert (status, body) == (206, image[start:stop])
                assert headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
                assert headers["content-length"] == str(stop - start)
                assert (headers["content-type"], headers["etag"]) == ("image/webp", first["etag"])
        for asked in (f"bytes={size}-", "bytes=-0"):
            status, headers, body = hosted.ask("GET", hosted.url, {"Range": asked})
            assert (status, body, headers["content-range"]) == (416, b"", f"bytes */{size}")

    def test_what_is_no_part_is_the_whole(self, hosted: Hosted) -> None:
        """Several parts, other units, what makes no sense, parts of another copy, and any part of a HEAD."""
        image = hosted.ask("GET", hosted.url)[2]
        for asked in (
            {"Range": "bytes=0-1,3-4"},
            {"Range": "pixels=0-1"},
            {"Range": "bytes=4-2"},
            {"Range": "bytes=-"},
            {"Range": f"bytes={'9' * 5000}-"},
            {"Range": "bytes=0-3", "If-Range": '"other"'},
            {"Range": "bytes=0-3", "If-Range": "Mon, 01 Jan 2001 00:00:00 GMT"},
        ):
            assert hosted.ask("GET", hosted.url, asked)[::2] == (200, image), asked
        status, headers, _ = hosted.ask("HEAD", hosted.url, {"Range": "bytes=0-3"})
        assert (status, headers["content-length"]) == (200, str(len(image)))

    def test_the_image_of_another_source_is_elsewhere(self, hosted: Hosted) -> None:
        """The URL of before the source was replaced leads to the new image, which nobody keeps under the old name."""
        hosted.source.write_bytes(hosted.source.read_bytes() + b"\0")
        status, headers, _ = hosted.ask("GET", hosted.url)
        assert (status, headers["cache-control"]) == (302, "no-store")
        assert headers["location"] != hosted.url
        assert hosted.ask("GET", headers["location"])[0] == 200

    def test_what_is_not_there_is_not_found(self, hosted: Hosted) -> None:
        """Neither what no page was promised, nor what can no longer be made; and nothing of it may be kept."""
        hosted.source.write_bytes(b"no image")
        for url in (hosted.url, hosted.url.replace(".webp", ".png")):
            for method in ("GET", "HEAD"):
                status, headers, _ = hosted.ask(method, url)
                assert status == 404
                assert "immutable" not in headers.get("cache-control", "")
        assert hosted.made() == []

    def test_nothing_else_is_done_to_it(self, hosted: Hosted) -> None:
        """Whatever else is asked for is refused, or is a question for the application, and changes nothing."""
        for method in ("POST", "DELETE", "PUT"):
            assert hosted.ask(method, hosted.url)[0] in (404, 405)
        assert hosted.made() == []
