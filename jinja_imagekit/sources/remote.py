"""Sources on other hosts: downloaded once for all pages and processes, kept on disk, and asked about again in time."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import urllib3
from blake3 import blake3

from ..atomic_files import write_whole
from ..exceptions import ImageKitError, ImageTooLarge, SourceError, SourceNotAllowed, SourceNotFound, StorageError
from ..settings import REMOTE_HOST, Settings
from ..wording import without_credentials
from .base import FileSource, SourceMemory
from .names import file_and_page

if TYPE_CHECKING:
    from ..images import Limits

logger = logging.getLogger("jinja_imagekit.sources")

MOST_REDIRECTS = 5
"""Redirects that are followed; browsers follow 20, but no image needs more than a few."""

TRIES = 3
"""How often a host is asked that does not answer, or answers that it has trouble."""

PAUSE = 0.5
"""Seconds before the second try; each further pause is twice as long."""

FRESH_SECONDS = 3600.0
"""Seconds for which a copy counts as fresh if its host does not say."""

LEAST_FRESH_SECONDS = 60.0
"""Seconds for which a copy counts as fresh whatever its host says, so that no page asks for each of its images."""

DOWNLOADS = 8
"""How many images a run downloads at a time: as many as a browser does, and a few more."""

PIECE = 65_536
"""Bytes that are read at a time."""

_TROUBLE = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that may be better a moment later (RFC 9110, section 15)."""

_GONE = frozenset({404, 410})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_NAT64 = ip_network("64:ff9b::/96")
"""Addresses that hold one of IPv4 (RFC 6052)."""

_PORTS = {"http": 80, "https": 443}

Address = IPv4Address | IPv6Address


class Origin(NamedTuple):
    """A host that may be asked for sources.

    Attributes:
        scheme: "http" or "https".
        host: Its name in lower case; that of the domain above it, if `is_any`.
        port: Its port.
        is_any: Whether all hosts below `host` are meant.
    """

    scheme: str
    host: str
    port: int
    is_any: bool

    @classmethod
    def parsed(cls, entry: str) -> Origin:
        """Return what an entry of the setting `remote_hosts` means.

        Example:
            >>> Origin.parsed("*.cdn.example")
            Origin(scheme='https', host='cdn.example', port=443, is_any=True)
        """
        found = cast("re.Match[str]", re.fullmatch(REMOTE_HOST, entry))
        scheme = found["scheme"] or "https"
        return cls(scheme, found["host"].strip("[]").lower(), int(found["port"] or _PORTS[scheme]), bool(found["any"]))

    def covers(self, scheme: str, host: str, port: int) -> bool:
        """Tell whether this entry allows a host."""
        named = host.endswith(f".{self.host}") if self.is_any else host == self.host
        return named and (scheme, port) == (self.scheme, self.port)


class RemoteSource(FileSource):
    """The copy of an image on another host; its reference is the image's URL."""

    # Who put it there is not known, so its coded pixels go into no result unread.
    is_kept = False


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Trouble(Exception):
    """A host could not be asked, or answered that it has trouble."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds
        """Seconds after which it wants to be asked again."""


class RemoteSources:
    """Downloads images from the hosts of the setting `remote_hosts`, and keeps them in the state folder.

    A copy is fresh for as long as its host says (`max-age`), and then asked about by its `ETag` or date. If the host
    does not answer or has trouble, an old copy does. Nothing but the URL is sent: no cookies, credentials or proxies'
    headers. A host's name is resolved once and its address checked before it is connected to, at each redirect.

    Args:
        settings: The kit's settings.
        limits: Caps on what is read.
        lock: Returns a lock of all threads and processes by its name, under which one of them downloads.
        memory: Remembers the facts of files.
    """

    def __init__(
        self,
        settings: Settings,
        limits: Limits,
        lock: Callable[[str], AbstractContextManager[object]],
        memory: SourceMemory | None = None,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._lock = lock
        self._memory = memory
        self._origins = [Origin.parsed(entry) for entry in settings.remote_hosts]
        self._networks = [ip_network(each) for each in settings.remote_networks]
        self._folder = Path(os.path.realpath(settings.state_dir)) / "remote"
        self._fresh: dict[str, float] = {}

    def allows(self, url: str) -> bool:
        """Tell whether a URL's host may be asked."""
        try:
            self._checked(url)
        except SourceNotAllowed:
            return False
        return True

    def has_fresh(self, url: str) -> bool:
        """Tell whether `named` answers at once."""
        return time.time() < self._fresh.get(url, 0)

    def fetch_together(self, urls: Iterable[str]) -> None:
        """Download the images at several URLs at a time, as far as there is no fresh copy.

        What goes wrong is remembered, and said by `named`.
        """
        wanted = [url for url in dict.fromkeys(urls) if not self.has_fresh(url)]
        if len(wanted) < 2:
            return

        def fetch(url: str) -> None:
            with suppress(SourceError):
                self.named(url)

        pool = ThreadPoolExecutor(min(DOWNLOADS, len(wanted)))
        try:
            list(pool.map(fetch, wanted))
        finally:
            # After Ctrl-C, those that are under way end.
            pool.shutdown(cancel_futures=True)

    def prune(self, needed: Container[str], *, dry_run: bool = False) -> int:
        """Delete copies that are no longer fresh and that nobody needs, and what is known about their URLs.

        With the setting `offline` all of them stay, as they could not be had again.

        Args:
            needed: The sources that are needed, by name or URL.
            dry_run: Delete nothing.

        Returns:
            How many.

        Raises:
            StorageError: A file cannot be deleted.
        """
        if self._settings.offline:
            return 0
        try:
            found = {self._folder / name.partition(".")[0] for name in os.listdir(self._folder)}
        except FileNotFoundError:
            return 0
        count = 0
        for copy in sorted(found):
            with self._lock(f"remote:{copy.name}"):
                known = _read(copy)
                url = known.get("url")
                is_needed = isinstance(url, str) and (url in needed or _name_of(urlsplit(url)) in needed)
                if is_needed or time.time() < _number(known, "fresh"):
                    continue
                count += 1
                for path in () if dry_run else (copy, _facts_of(copy)):
                    try:
                        path.unlink(missing_ok=True)
                    except OSError as error:
                        raise StorageError(str(path), f"it cannot be deleted: {error.strerror}") from error
        return count

    def named(self, url: str) -> RemoteSource:
        """Return the source at a URL, downloaded if there is no fresh copy.

        Raises:
            SourceNotAllowed: Its host, or one that it redirects to, may not be asked.
            SourceNotFound: The host has no such file.
            ImageTooLarge: It has more bytes than `max_source_bytes`.
            SourceError: It cannot be downloaded.
        """
        parts = self._checked(url)
        copy = self._folder / blake3(url.encode("utf-8", "surrogatepass")).hexdigest(length=16)
        if not (time.time() < self._fresh.get(url, 0) and copy.exists()):
            self._refresh(url, copy)
        page = file_and_page(url)[1]
        name = _name_of(parts)
        return RemoteSource(str(copy), name, self._limits, original=url, reference=url, memory=self._memory, page=page)

    def _refresh(self, url: str, copy: Path) -> None:
        """See that there is a copy that may be used; many who ask at the same time wait for one download."""
        known = _read(copy)
        if not self._is_usable(url, copy, known):
            with self._lock(f"remote:{copy.name}"):
                # Whoever held the lock before may have downloaded it.
                known = _read(copy)
                if not self._is_usable(url, copy, known):
                    known = self._updated(url, copy, known)
                    self._write(_facts_of(copy), json.dumps(known))
                    if not copy.exists():
                        raise _remembered(url, known)
        if len(self._fresh) > 50_000:
            self._fresh.clear()
        self._fresh[url] = _number(known, "fresh")

    def _is_usable(self, url: str, copy: Path, known: dict[str, Any]) -> bool:
        """Tell whether a copy needs no download; a failure that was remembered is raised."""
        is_there = copy.exists()
        if self._settings.offline:
            if not is_there:
                raise SourceError(url, "it has not been downloaded yet, and with the setting offline nothing is")
            return True
        is_fresh = time.time() < _number(known, "fresh")
        if is_fresh and not is_there and "problem" in known:
            raise _remembered(url, known)
        return is_fresh and is_there

    def _updated(self, url: str, copy: Path, known: dict[str, Any]) -> dict[str, Any]:
        """Ask the host, and return what is known afterwards."""
        is_there = copy.exists()
        asked = {"etag": "If-None-Match", "modified": "If-Modified-Since"} if is_there else {}
        headers = {header: known[fact] for fact, header in asked.items() if isinstance(known.get(fact), str)}
        try:
            answer = self._download(url, headers)
        except (SourceError, _Trouble) as error:
            seconds = getattr(error, "seconds", None)
            until = time.time() + (self._settings.failure_timeout if seconds is None else seconds)
            if is_there and not isinstance(error, SourceNotFound):
                logger.warning("An old copy is used of %s: %s", without_credentials(url), error.reason)
                return {**known, "fresh": until}
            with suppress(FileNotFoundError):
                copy.unlink()
            return {"url": url, "problem": error.reason, "kind": type(error).__name__, "fresh": until}
        fresh = time.time() + _seconds_fresh(answer.headers)
        if answer.status == 304:
            return {**known, "fresh": fresh}
        self._write(copy, answer.body)
        facts = {"etag": answer.headers.get("ETag"), "modified": answer.headers.get("Last-Modified")}
        return {"url": url, "fresh": fresh, **{name: value for name, value in facts.items() if value}}

    def _write(self, path: Path, content: bytes | str) -> None:
        try:
            write_whole(path, content, self._settings)
        except OSError as error:
            raise SourceError(str(path), f"a download cannot be written: {error.strerror}") from error

    def _download(self, url: str, headers: dict[str, str]) -> _Answer:
        """Return a host's answer, whose status is 200 or 304.

        Raises:
            SourceNotFound: The host has no such file.
            SourceNotAllowed: It redirects to where nothing may be read.
            ImageTooLarge: It has more bytes than `max_source_bytes`.
            _Trouble: It did not come, however often it was asked within `remote_timeout`.
        """
        deadline = time.monotonic() + self._settings.remote_timeout
        for attempt in range(TRIES):
            wait, asks = PAUSE * 2**attempt, False
            try:
                answer = self._answer(url, headers, deadline)
            except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
                if isinstance(error, ImageKitError):
                    raise
                reason = f"it cannot be downloaded: {_explained(error)}"
            else:
                if answer.status == 200 or (answer.status == 304 and headers):
                    return answer
                if answer.status in _GONE:
                    raise SourceNotFound(url, f"its host says that there is no such file ({answer.status})")
                reason = f"its host answers with status {answer.status}"
                if answer.status not in _TROUBLE:
                    raise _Trouble(reason)
                after = _retry_after(answer.headers)
                wait, asks = (wait, False) if after is None else (after, True)
            if time.monotonic() >= deadline:
                raise _Trouble(f"it took longer than {self._settings.remote_timeout:g} s, the setting remote_timeout")
            if attempt == TRIES - 1 or time.monotonic() + wait >= deadline:
                raise _Trouble(reason, wait if asks else None)
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _answer(self, url: str, headers: dict[str, str], deadline: float) -> _Answer:
        """Ask once, and follow redirects."""
        at = url
        for _ in range(MOST_REDIRECTS + 1):
            parts = self._checked(at, url)
            with _asked(parts, self._addresses(parts, url), headers, deadline) as response:
                location = response.headers.get("Location")
                if response.status in _REDIRECTS and location:
                    at = urljoin(at, location)
                    continue
                body = self._body(url, response) if response.status == 200 else b""
                # Where no length was announced, a connection that was cut looks like the end.
                if time.monotonic() >= deadline:
                    raise TimeoutError("timed out")
                return _Answer(response.status, response.headers, body)
        raise SourceNotAllowed(url, f"it redirects more than {MOST_REDIRECTS} times")

    def _body(self, url: str, response: urllib3.BaseHTTPResponse) -> bytes:
        most, body = self._limits.max_source_bytes, bytearray()
        announced = response.headers.get("Content-Length", "")
        too_large = ImageTooLarge(url, f"it has more than {most} bytes, which is the setting max_source_bytes")
        if announced.isdecimal() and int(announced) > most:
            raise too_large
        while piece := response.read1(PIECE):
            body += piece
            if len(body) > most:
                raise too_large
        return bytes(body)

    def _checked(self, url: str, first: str | None = None) -> SplitResult:
        """Return the parts of a URL whose host may be asked.

        Args:
            url: The URL.
            first: The URL that redirected to it.
        """
        name = first or without_credentials(url)
        redirected = f"it redirects to {without_credentials(url)!r}: " if first and first != url else ""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            raise SourceNotAllowed(name, f"{redirected}it is not a URL") from None
        if "@" in parts.netloc:
            raise SourceNotAllowed(name, f"{redirected}a URL with a user's name is not asked")
        if not any(origin.covers(parts.scheme, host, port) for origin in self._origins):
            where = f"{parts.scheme}://{host}" + ("" if port == _PORTS.get(parts.scheme) else f":{port}")
            raise SourceNotAllowed(name, f"{redirected}{where!r} is not among the setting remote_hosts")
        return parts

    def _addresses(self, parts: SplitResult, name: str) -> list[str]:
        """Return a host's addresses, as far as they may be connected to."""
        host = str(parts.hostname)
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        addresses = [str(each[4][0]) for each in found]
        allowed = [each for each in addresses if self._is_allowed(ip_address(each.partition("%")[0]))]
        if not allowed:
            raise SourceNotAllowed(
                name,
                f"the address of {host!r} is {addresses[0]}, which is not public; the setting remote_networks may "
                "allow it",
            )
        return allowed

    def _is_allowed(self, address: Address) -> bool:
        if isinstance(address, IPv6Address):
            inner = address.ipv4_mapped or address.sixtofour
            if address in _NAT64:
                inner = IPv4Address(int(address) & 0xFFFFFFFF)
            if inner is not None:
                return self._is_allowed(inner)
        in_networks = any(address.version == each.version and address in each for each in self._networks)
        return in_networks or (address.is_global and not address.is_multicast)


class _Connection(urllib3.connection.HTTPConnection):
    """A connection to an address that was checked, whatever its host's name leads to by now."""

    dial: Callable[[], socket.socket]

    def _new_conn(self) -> socket.socket:
        return self.dial()


class _SecureConnection(urllib3.connection.HTTPSConnection):
    dial: Callable[[], socket.socket]

    def _new_conn(self) -> socket.socket:
        return self.dial()


class _Line:
    """A connection to the first of some addresses that answers, which can be cut whoever reads from it.

    Args:
        addresses: The addresses.
        port: Their port.
        seconds: For how long is waited for each piece of an answer.
    """

    def __init__(self, addresses: Sequence[str], port: int, seconds: float) -> None:
        self._addresses, self._port, self._seconds = addresses, port, seconds
        # TLS, and an answer without an end, take the socket itself out of everybody's hands.
        self._handle: socket.socket | None = None

    def dial(self) -> socket.socket:
        """Connect."""
        problem: OSError = OSError("it has no address")
        for address in self._addresses:
            try:
                sock = socket.create_connection((address, self._port), self._seconds)
            except OSError as error:
                problem = error
            else:
                self._handle = sock.dup()
                return sock
        raise problem

    def cut(self) -> None:
        """End the connection, so that its reader gets no further byte."""
        if self._handle is not None:
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection."""
        if self._handle is not None:
            self._handle.close()


@contextmanager
def _asked(
    parts: SplitResult, addresses: Sequence[str], headers: dict[str, str], deadline: float
) -> Iterator[urllib3.BaseHTTPResponse]:
    """Ask a host, and yield its answer, whose body is not read yet; at the deadline the connection is cut."""
    left = max(0.01, deadline - time.monotonic())
    kind = _SecureConnection if parts.scheme == "https" else _Connection
    connection = kind(str(parts.hostname), parts.port or _PORTS[parts.scheme], timeout=left)
    line = _Line(addresses, connection.port, left)
    connection.dial = line.dial
    # A host that sends a byte now and then keeps within the timeout of a socket for ever.
    timer = threading.Timer(left, line.cut)
    timer.daemon = True
    timer.start()
    response: urllib3.BaseHTTPResponse | None = None
    try:
        connection.request(
            "GET",
            f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}",
            headers={"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "jinja-imagekit", **headers},
            preload_content=False,
        )
        response = connection.getresponse()
        yield response
    finally:
        timer.cancel()
        if response is not None:
            response.close()
        connection.close()
        line.close()


def _explained(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _seconds_fresh(headers: Mapping[str, str]) -> float:
    """Return for how many seconds a copy is fresh (RFC 9111, section 4.2.1)."""
    control = headers.get("Cache-Control", "").lower()
    found = re.search(r"(?:^|[\s,])max-age=\"?(\d{1,10})", control)
    seconds = float(found[1]) if found else FRESH_SECONDS
    if re.search(r"(?:^|[\s,])no-(?:cache|store)\b", control):
        seconds = 0.0
    age = headers.get("Age", "")
    return max(LEAST_FRESH_SECONDS, seconds - (int(age) if age.isdecimal() else 0))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return after how many seconds a host wants to be asked again; None if it does not say."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(min(int(value), 86_400))
    try:
        return min(max(0.0, parsedate_to_datetime(value).timestamp() - time.time()), 86_400.0)
    except ValueError:
        return None


def _facts_of(copy: Path) -> Path:
    return copy.with_name(f"{copy.name}.json")


def _read(copy: Path) -> dict[str, Any]:
    """Return what is known about a copy; nothing if that was never written, or is damaged."""
    try:
        known = json.loads(_facts_of(copy).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _remembered(url: str, known: Mapping[str, Any]) -> SourceError:
    kinds: tuple[type[SourceError], ...] = (SourceNotFound, SourceNotAllowed, ImageTooLarge)
    kind = next((each for each in kinds if each.__name__ == known.get("kind")), SourceError)
    return kind(url, str(known.get("problem") or "it cannot be downloaded"))


def _number(known: Mapping[str, Any], name: str) -> float:
    value = known.get(name)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _name_of(parts: SplitResult) -> str:
    """Return the name of the source at a URL: its host and path; a query tells no two names apart.

    Example:
        >>> _name_of(urlsplit("https://cdn.example/photos/a%20b.jpg?w=1"))
        'cdn.example/photos/a b.jpg'
    """
    segments = [re.sub(r"[/\\\x00]", "_", unquote(each)) for each in parts.path.split("/")]
    host = (parts.hostname or "").replace(":", "_") + (f"_{parts.port}" if parts.port else "")
    return "/".join([host, *(each for each in segments if each not in ("", ".", ".."))])
