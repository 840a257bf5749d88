"""Sources: what a template may call one, what it may not reach, and what is remembered of files."""

from __future__ import annotations

import errno
import io
import os
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from core_site import Card, Site, photo_bytes, settled
from jinja2 import Environment

from jinja_imagekit import BytesSource, ImageKit, Settings
from jinja_imagekit.exceptions import (
    ImageTooLarge,
    SourceError,
    SourceNotAllowed,
    SourceNotFound,
    UnreadableImage,
)
from jinja_imagekit.images import Limits
from jinja_imagekit.sources import FileSource, Signature, SourceFacts, SourceFinder, bare_name, name_parts

posix_only = pytest.mark.skipif(os.name != "posix", reason="pipes, devices and links of POSIX")


class Memory:
    """A memory of facts that can be looked into."""

    def __init__(self) -> None:
        self.facts: dict[str, tuple[Signature, SourceFacts]] = {}

    def recall(self, path: str, signature: Signature) -> SourceFacts | None:
        """Return the facts of this version."""
        known = self.facts.get(path)
        return known[1] if known and known[0] == signature else None

    def remember(self, path: str, signature: Signature, facts: SourceFacts) -> None:
        """Keep the facts."""
        self.facts[path] = signature, facts


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with one photo."""
    site = Site(tmp_path)
    site.write("photos/canal.jpg")
    return site


@pytest.fixture
def finder(site: Site) -> SourceFinder:
    """Return a finder over the site's folder."""
    return SourceFinder([site.images], Limits(), Memory())


def test_a_name(site: Site, finder: SourceFinder) -> None:
    """A name is looked up in the source folder; `.` and doubled slashes are tidied away."""
    source = finder.find("photos/./canal.jpg")
    assert source is not None
    assert (source.name, source.reference) == ("photos/canal.jpg", "photos/canal.jpg")
    assert source.read() == photo_bytes()
    assert source.size() == (96, 72)
    assert source.kept_format == "JPEG"
    again = finder.find("photos//canal.jpg")
    assert again is not None
    assert again.name == source.name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../secret.jpg", "it leads out of the source folder with '..'"),
        ("photos/../../secret.jpg", "it leads out of the source folder with '..'"),
        ("photos/../photos/canal.jpg", "it leads out of the source folder with '..'"),
        ("..", "it leads out of the source folder with '..'"),
        ("photos\\..\\..\\secret.jpg", "it leads out of the source folder with '..'"),
        ("/etc/passwd", "it is an absolute path; give a name relative to a source folder"),
        (
            "//server/share/a.jpg",
            "it is an address on a server; put the file into a source folder, and give its name there",
        ),
        ("C:/secret.jpg", "it is an absolute path; give a name relative to a source folder"),
        ("C:secret.jpg", "Windows reads 'C:' as a drive; give a name relative to a source folder, without a colon"),
        ("a:b.jpg", "Windows reads 'a:' as a drive; give a name relative to a source folder, without a colon"),
        (
            "\\\\server\\share\\a.jpg",
            "it is an address on a server; put the file into a source folder, and give its name there",
        ),
        ("photos/canal.jpg\0.txt", "its name holds a NUL character"),
        (".", "it is the source folder itself"),
        ("photos", "it is a folder"),
    ],
)
def test_a_name_that_is_not_allowed(site: Site, finder: SourceFinder, name: str, reason: str) -> None:
    """A template's string reaches nothing outside the source folders, and the error says why."""
    settled(site.root / "secret.jpg", photo_bytes())
    with pytest.raises(SourceNotAllowed) as caught:
        finder.find(name)
    assert caught.value.reason == reason
    assert isinstance(caught.value, PermissionError)
    assert str(caught.value).startswith("Source ")


@pytest.mark.parametrize("name", ["none.jpg", "photos/canal.jpg/more.jpg", "n\u00f6ne.jpg"])
def test_a_name_of_nothing(finder: SourceFinder, name: str) -> None:
    """A missing file is an error that names it and where it was looked for."""
    with pytest.raises(SourceNotFound, match=r"no such file in the source folder") as caught:
        finder.find(name)
    assert isinstance(caught.value, FileNotFoundError)


def test_no_folder_to_look_in() -> None:
    """A name without source folders is an error that says what to set."""
    with pytest.raises(SourceNotFound, match=r"set source_dirs, or pass a pathlib.Path"):
        SourceFinder((), Limits()).find("a.jpg")


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "y" * 300 + "/a.jpg", "z/" * 5000 + "a.jpg"])
def test_a_name_that_is_too_long(finder: SourceFinder, name: str) -> None:
    """A name that no file can have is one clear error, which does not repeat all of it."""
    with pytest.raises(SourceNotFound, match=r"name too long|no such file") as caught:
        finder.find(name)
    assert len(str(caught.value)) < 250


@posix_only
def test_a_link_that_leads_out(site: Site, finder: SourceFinder) -> None:
    """Links are resolved, then checked: of files, of folders, and of links to links."""
    outside = settled(site.root / "secret" / "a.jpg", photo_bytes())
    (site.images / "file.jpg").symlink_to(outside)
    (site.images / "folder").symlink_to(outside.parent)
    (site.images / "twice.jpg").symlink_to(site.images / "file.jpg")
    # A sibling whose name begins like the source folder's.
    sibling = settled(site.root / "images2" / "a.jpg", photo_bytes())
    (site.images / "sibling.jpg").symlink_to(sibling)
    for name in ("file.jpg", "folder/a.jpg", "twice.jpg", "sibling.jpg"):
        with pytest.raises(SourceNotAllowed, match=r"leads out of the source folder through a symbolic link"):
            finder.find(name)


@posix_only
def test_a_link_within(site: Site, finder: SourceFinder) -> None:
    """A link that stays within the source folders is a name like any other; one in a circle is an error."""
    (site.images / "same.jpg").symlink_to("photos/canal.jpg")
    source = finder.find("same.jpg")
    assert source is not None
    assert source.name == "same.jpg"
    assert source.read() == photo_bytes()
    (site.images / "circle.jpg").symlink_to("circle.jpg")
    with pytest.raises(SourceNotFound, match=r"symbolic links"):
        finder.find("circle.jpg")
    (site.images / "dangling.jpg").symlink_to("gone.jpg")
    with pytest.raises(SourceNotFound):
        finder.find("dangling.jpg")


@posix_only
def test_only_regular_files_are_opened(site: Site, finder: SourceFinder) -> None:
    """A pipe would wait for ever, a device never ends: neither is opened, by name or by path."""
    os.mkfifo(site.images / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        folder = Path(tempfile.mkdtemp())
        listening.bind(str(folder / "s"))
        for value in ("pipe.jpg", site.images / "pipe.jpg", Path("/dev/zero"), folder / "s"):
            begun = time.monotonic()
            with pytest.raises(SourceNotAllowed, match=r"a pipe, a socket or a device, not a regular file"):
                finder.find(value)
            assert time.monotonic() - begun < 1
        (folder / "s").unlink()
        folder.rmdir()
    with pytest.raises(SourceNotAllowed, match=r"it is a folder"):
        finder.find(site.images)


@posix_only
def test_what_becomes_a_pipe_after_it_was_found(site: Site, finder: SourceFinder) -> None:
    """The check is made again on what was opened, without waiting for a writer."""
    path = site.images / "photos/canal.jpg"
    source = finder.find("photos/canal.jpg")
    assert source is not None
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SourceNotAllowed, match=r"not a regular file"):
        source.read()
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(SourceError):
        source.read()


def test_the_first_folder_wins(site: Site, tmp_path: Path) -> None:
    """With several folders the first one that has the name is it, and the error counts them."""
    second = tmp_path / "second"
    settled(second / "photos/canal.jpg", photo_bytes(seed=1))
    settled(second / "other.jpg", photo_bytes(seed=2))
    finder = SourceFinder([tmp_path / "missing", site.images, second], Limits())
    found, other = finder.find("photos/canal.jpg"), finder.find("other.jpg")
    assert found is not None
    assert other is not None
    assert (found.read(), other.read()) == (photo_bytes(), photo_bytes(seed=2))
    with pytest.raises(SourceNotFound, match=r"any of the 3 source folders"):
        finder.find("nothing.jpg")


def test_one_that_appears_in_an_earlier_folder(site: Site, tmp_path: Path) -> None:
    """A warm tag notices that a folder which comes first has the name now, and that it is gone again."""
    first = tmp_path / "first"
    first.mkdir()
    kit = site.new_kit(source_dirs=[first, site.images])

    def warm_name() -> str:
        known = kit.known_files.find("card", {"source": "photos/canal.jpg"})
        if known:
            return known.name
        file = kit.cachefile("card", source="photos/canal.jpg")
        assert file.url
        kit.known_files.remember(file, {"source": "photos/canal.jpg"})
        return str(file.name)

    before = warm_name()
    assert kit.known_files.find("card", {"source": "photos/canal.jpg"})
    settled(first / "photos/canal.jpg", photo_bytes(seed=3))
    assert kit.known_files.find("card", {"source": "photos/canal.jpg"}) is None
    after = warm_name()
    assert after != before
    (first / "photos/canal.jpg").unlink()
    assert warm_name() == before


def test_a_path(site: Site, finder: SourceFinder, tmp_path: Path) -> None:
    """A `Path` may lie anywhere, since code and not a template made it; below a source folder it has its name there."""
    inside = finder.find(site.images / "photos" / "canal.jpg")
    assert inside is not None
    assert inside.name == "photos/canal.jpg"
    elsewhere = finder.find(settled(tmp_path / "x y\u00e9.jpg", photo_bytes()))
    assert elsewhere is not None
    assert elsewhere.name == "x y\u00e9.jpg"
    again = finder.by_reference(str(elsewhere.reference))
    assert again.read() == photo_bytes()
    with pytest.raises(SourceNotFound, match=r"no such file"):
        finder.find(tmp_path / "gone.jpg")
    with pytest.raises(SourceError):
        finder.find(tmp_path / ("x" * 300))
    with pytest.raises(SourceNotAllowed, match=r"NUL"):
        finder.find(Path("a\0b.jpg"))


def test_an_open_file_is_neither_closed_nor_moved_nor_held(site: Site, finder: SourceFinder) -> None:
    """The caller's file stays open where it was; a file with a path is read by its path."""
    with (site.images / "photos/canal.jpg").open("rb") as file:
        file.seek(7)
        source = finder.find(file)
        assert isinstance(source, FileSource)
        assert source.original is not file
        assert source.read() == photo_bytes()
        assert not file.closed
        assert file.tell() == 7
    assert source.read() == photo_bytes()


def test_a_file_that_was_closed_before(site: Site, finder: SourceFinder) -> None:
    """A closed file works as long as its path does, or it can open itself; otherwise the error says what to pass."""
    path = site.images / "photos/canal.jpg"
    with path.open("rb") as file:
        pass
    source = finder.find(file)
    assert source is not None
    assert source.read() == photo_bytes()
    path.unlink()
    gone = finder.find(file)
    assert gone is not None
    with pytest.raises(UnreadableImage, match=r"the file is closed and cannot be opened again; pass its path or bytes"):
        gone.read()


class FieldFile:
    """A file object that can open itself again, as those of Django's fields."""

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        self._content = content
        self._file: io.BytesIO | None = None
        self.opened = 0

    @property
    def closed(self) -> bool:
        """Tell whether it is closed."""
        return self._file is None

    def open(self) -> None:
        """Open it."""
        self.opened += 1
        self._file = io.BytesIO(self._content)

    def close(self) -> None:
        """Close it."""
        self._file = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_file"], name)

    def read(self, count: int = -1) -> bytes:
        """Read it."""
        assert self._file is not None
        return self._file.read(count)


def test_a_closed_file_that_can_open_itself(finder: SourceFinder) -> None:
    """It is opened, read, and closed again."""
    file = FieldFile(photo_bytes(), "photos/me.jpg")
    source = finder.find(file)
    assert source is not None
    assert source.read() == photo_bytes()
    assert (file.closed, file.opened, source.name) == (True, 1, "me.jpg")


def test_a_deleted_file_that_is_still_open(finder: SourceFinder, tmp_path: Path) -> None:
    """An anonymous temporary file is read through the object."""
    with tempfile.TemporaryFile() as file:
        file.write(photo_bytes())
        source = finder.find(file)
        assert source is not None
        assert source.read() == photo_bytes()
        assert file.tell() == len(photo_bytes())
        assert source.reference is None


class Upload:
    """An upload as web frameworks hand it over: a file name and a stream."""

    def __init__(self, filename: str, content: bytes) -> None:
        self.filename = filename
        self._stream = io.BytesIO(content)
        self.reads = 0

    def read(self, count: int = -1) -> bytes:
        """Read the stream, which cannot be wound back."""
        self.reads += 1
        return self._stream.read(count)


@pytest.mark.parametrize(
    ("claimed", "name"),
    [
        ("me.jpg", "me.jpg"),
        ("C:\\photos\\me.jpg", "me.jpg"),
        ("../../etc/passwd", "passwd"),
        ("/etc/..", ""),
        ("a/b\0c.jpg", "bc.jpg"),
        ("", ""),
    ],
)
def test_an_upload(finder: SourceFinder, claimed: str, name: str) -> None:
    """Only the last part of an upload's name counts; what cannot be wound back is read once."""
    upload = Upload(claimed, photo_bytes())
    source = finder.find(upload)
    assert source is not None
    assert source.name == name == bare_name(claimed)
    assert source.read() == source.read() == photo_bytes()
    assert upload.reads == 1


def test_an_upload_named_like_a_file_of_this_machine(finder: SourceFinder) -> None:
    """A name that a visitor chose opens nothing."""
    for claimed in ("/etc/passwd", str(Path(__file__))):
        source = finder.find(Upload(claimed, photo_bytes()))
        assert source is not None
        assert source.read() == photo_bytes()
        stream = io.BytesIO(photo_bytes())
        stream.name = claimed  # type: ignore[attr-defined]
        source = finder.find(stream)
        assert source is not None
        assert source.read() == photo_bytes()


def test_bytes(finder: SourceFinder) -> None:
    """Bytes are a source, with a name where one is given."""
    bare, named = finder.find(bytearray(photo_bytes())), finder.find(BytesSource(photo_bytes(), "x/me.jpg"))
    assert bare is not None
    assert named is not None
    assert (bare.name, named.name) == ("", "me.jpg")
    assert bare.digest == named.digest
    assert bare.read() == named.read() == photo_bytes()


def test_a_file_in_text_mode(site: Site, finder: SourceFinder) -> None:
    """Text is not an image, and the error says how to open it."""
    source = finder.find(io.StringIO("hello"))
    assert source is not None
    with pytest.raises(UnreadableImage, match=r"open it in binary mode \('rb'\)"):
        source.read()


class EmptyField:
    """An empty file field: false, with a `read` that fails."""

    def __bool__(self) -> bool:
        return False

    def read(self) -> bytes:
        """Raise."""
        raise ValueError("no file")


@pytest.mark.parametrize("value", [None, "", EmptyField(), 0, ()])
def test_an_empty_value_is_not_a_source(finder: SourceFinder, value: object) -> None:
    """An article without a photo has no source, which is not an error."""
    assert finder.find(value) is None


@pytest.mark.parametrize("value", [3, object(), ["a.jpg"], {"source": "a.jpg"}])
def test_a_value_that_cannot_be_a_source(finder: SourceFinder, value: object) -> None:
    """Everything else is an error that names its type and what to pass."""
    with pytest.raises(SourceError, match=r"cannot be a source; pass a name, a path, an open file or bytes"):
        finder.find(value)


def test_no_file_stays_open(site: Site, finder: SourceFinder) -> None:
    """Reading, failing to read and examining leave no descriptor behind."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("counts descriptors in /proc")
    settled(site.images / "text.jpg", b"hello")

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    for name in ("photos/canal.jpg", "text.jpg"):
        source = finder.find(name)
        assert source is not None
        source.read()
        assert source.digest
    assert descriptors() == before


def test_an_unchanged_file_is_read_once(site: Site) -> None:
    """Another source of the same file takes its digest and header from memory; a change is noticed."""
    memory = Memory()
    finder = SourceFinder([site.images], Limits(), memory)
    first = finder.named("photos/canal.jpg")
    digest = first.digest
    again = finder.named("photos/canal.jpg")
    again.open = lambda: pytest.fail("it was opened")  # type: ignore[method-assign]
    assert (again.digest, again.size()) == (digest, (96, 72))
    settled(site.images / "photos/canal.jpg", photo_bytes(seed=1))
    assert finder.named("photos/canal.jpg").digest != digest


def test_a_file_that_has_just_been_written_is_not_trusted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may change twice within one tick of the clock, so that its facts are not remembered yet."""
    memory = Memory()
    finder = SourceFinder([site.images], Limits(), memory)
    path = settled(site.images / "new.jpg", photo_bytes())
    monkeypatch.setattr("time.time_ns", lambda: path.stat().st_ctime_ns + 5_000_000)
    source = finder.named("new.jpg")
    assert source.digest
    assert source.known_signature is None
    assert not memory.facts


@pytest.mark.parametrize("age", [-5, -86_400 * 365, 86_400 * 365 * 40], ids=["5 s to come", "next year", "long ago"])
def test_whatever_date_a_file_bears_it_is_read_once(site: Site, age: float) -> None:
    """A camera's clock may be wrong; only a change of a moment ago is worth another look."""
    memory = Memory()
    settled(site.images / "dated.jpg", photo_bytes(), age=age)
    source = SourceFinder([site.images], Limits(), memory).named("dated.jpg")
    assert source.digest
    assert source.known_signature is not None
    again = SourceFinder([site.images], Limits(), memory).named("dated.jpg")
    again.open = lambda: pytest.fail("it was opened")  # type: ignore[method-assign]
    assert again.digest == source.digest


@pytest.mark.skipif(os.name == "nt", reason="Windows does not say when a file was changed last")
def test_an_edit_in_place_that_keeps_size_and_date_is_noticed(site: Site) -> None:
    """As of `exiftool -P -overwrite_original_in_place`: pages get the new image, and so does a new process."""
    path = site.write("plain.bmp", format="BMP")
    url = site.kit.cachefile("card", source="plain.bmp").url
    before = path.stat()
    with path.open("r+b") as file:
        file.write(photo_bytes(seed=7, format="BMP"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    now = path.stat()
    assert (now.st_size, now.st_mtime_ns, now.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    changed = {kit.cachefile("card", source="plain.bmp").url for kit in (site.kit, site.new_kit())}
    assert len(changed) == 1
    assert url not in changed


def test_a_fresh_checkout_makes_nothing_anew(site: Site) -> None:
    """Where all dates and inodes are others and the content is the same, sources are read again, and that is all."""
    site.kit.register.cachefiles("card", [{"source": "photos/canal.jpg"}])
    assert len(site.kit.generate().generated) == 1
    path = site.images / "photos/canal.jpg"
    copy = settled(site.images / "copy", path.read_bytes(), age=1_000)
    os.replace(copy, path)
    report = site.kit.generate()
    assert (len(report.generated), len(report.skipped)) == (0, 1)


class FailingFile(io.BytesIO):
    """A file whose disk fails while it is read."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def read(self, size: int | None = -1, /) -> bytes:
        """Fail."""
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EMFILE], ids=errno.errorcode.get)
def test_trouble_with_the_disk_is_an_error_of_the_source(
    site: Site, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whether opening, reading or the look before fails: it names the source, and templates may have a policy."""
    template = site.kit.install(Environment()).from_string(
        "{% generateimage 'card' source='photos/canal.jpg' on_error='omit' %}ok"
    )

    def fail(*args: object, **options: object) -> Any:
        raise OSError(number, os.strerror(number))

    for what, replacement in (
        ("jinja_imagekit.sources.base.open_file", lambda path: FailingFile(number)),
        ("jinja_imagekit.sources.base.open_file", fail),
        ("jinja_imagekit.sources.finder.os.lstat", fail),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(what, replacement)
            with pytest.raises(SourceError, match=r"canal\.jpg") as caught:
                site.kit.source("photos/canal.jpg").read()
            assert type(caught.value) is SourceError
            assert os.strerror(number).lower() in str(caught.value)
            assert template.render() == "ok"
    upload = FailingFile(number)
    with pytest.raises(SourceError, match="cannot be read"):
        site.kit.process(upload, format="PNG")


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="this system does not list open files")
def test_what_fails_while_a_file_is_opened_leaves_no_descriptor(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever call fails, and whatever is found in the file's place."""
    source = site.kit.source("photos/canal.jpg")
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr("os.fstat", lambda descriptor: (_ for _ in ()).throw(OSError(errno.EIO, "trouble")))
        with pytest.raises(SourceError, match="trouble"):
            source.open()
    path = site.images / "photos/canal.jpg"
    path.unlink()
    for replace in (path.mkdir, lambda: (path.rmdir(), os.mkfifo(path))):
        replace()
        with pytest.raises(SourceNotAllowed):
            source.open()
    assert len(os.listdir("/proc/self/fd")) == before


def _exchange(path: Path, target: Path, stop: threading.Event) -> None:
    aside = path.with_name("aside")
    while not stop.is_set():
        path.rename(aside)
        path.symlink_to(target)
        path.unlink()
        aside.rename(path)
        # Now and then the folder is what it was.
        stop.wait(0.0002)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
@pytest.mark.parametrize("folder", ["images", "images/photos", "images/photos/deep"])
def test_a_folder_that_is_exchanged_for_a_link_leads_nowhere(site: Site, folder: str) -> None:
    """While a folder, or the source folder itself, is a link now and then, nothing outside is ever read."""
    settled(site.images / "photos/deep/x.jpg", photo_bytes())
    settled(site.root / "outside" / "photos/deep/x.jpg", b"secret")
    target = site.root / folder.replace("images", "outside")
    source = site.kit.source("photos/deep/x.jpg")
    stop = threading.Event()
    thread = threading.Thread(target=_exchange, args=(site.root / folder, target, stop))
    thread.start()
    seen, errors = set(), 0
    try:
        for _ in range(1_000):
            try:
                with source.open() as file:
                    seen.add(file.read())
            except SourceError:
                errors += 1
    finally:
        stop.set()
        thread.join()
    assert seen <= {photo_bytes()}
    assert seen
    assert errors


def test_a_file_that_changes_while_it_is_read(site: Site) -> None:
    """The facts are those of the bytes that were read, and are not remembered."""
    memory = Memory()
    finder = SourceFinder([site.images], Limits(), memory)
    source = finder.named("photos/canal.jpg")
    opened = source.open

    def open_and_replace() -> Any:
        file = opened()
        settled(site.images / "photos/canal.jpg", photo_bytes(seed=9), age=30)
        return file

    source.open = open_and_replace  # type: ignore[method-assign]
    data = source.read()
    assert source.digest == BytesSource(data).digest
    assert not memory.facts


def test_too_many_bytes(site: Site) -> None:
    """The cap on bytes holds before a file is opened, and for streams while they are read."""
    limits = Limits(max_source_bytes=100)
    finder = SourceFinder([site.images], limits)
    for value in ("photos/canal.jpg", photo_bytes(), io.BytesIO(photo_bytes()), Upload("a.jpg", photo_bytes())):
        source = finder.find(value)
        assert source is not None
        with pytest.raises(ImageTooLarge, match=r"it has more than 100 bytes, which is the setting max_source_bytes"):
            source.read()


def test_a_raised_cap_is_noticed(site: Site) -> None:
    """A source that was refused under one setting is read again under another, in a new process too."""
    small = site.new_kit(max_source_pixels=100)
    file = small.cachefile("card", source="photos/canal.jpg")
    with pytest.raises(ImageTooLarge):
        _ = file.url
    source = small.source("photos/canal.jpg")
    assert source is not None
    with pytest.raises(UnreadableImage, match=r"max_source_pixels"):
        _ = source.header
    small.close()
    large = site.new_kit(failure_timeout=0)
    assert large.cachefile("card", source="photos/canal.jpg").width == 24
    again = large.source("photos/canal.jpg")
    assert again is not None
    assert again.size() == (96, 72)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty|the file is empty"),
        (b"hello", "it is not an image of a readable format"),
        (photo_bytes()[:900], "truncated|ends|damaged"),
    ],
)
def test_a_source_that_is_not_an_image(site: Site, content: bytes, message: str) -> None:
    """A missing picture behind an image's name is one class of error, which names the source."""
    settled(site.images / "bad.jpg", content)
    with pytest.raises(UnreadableImage, match=message) as caught:
        _ = site.kit.cachefile("card", source="bad.jpg").url
    assert caught.value.source == "bad.jpg"
    assert caught.value.generator_id == "card"


def test_a_jpeg_named_png(site: Site) -> None:
    """The content says what it is, whatever the name says."""
    settled(site.images / "photo.png", photo_bytes())
    file = site.kit.cachefile("imagekit:thumbnail", source="photo.png", width=30)
    assert (file.format, Path(str(file.name)).suffix) == ("JPEG", ".jpg")


def test_a_cache_file_as_a_source(site: Site) -> None:
    """A thumbnail of a hero: named for it, made of its content, and made anew with it."""
    hero = site.kit.cachefile("card", source="photos/canal.jpg")
    thumbnail = site.kit.cachefile("imagekit:thumbnail", source=hero, width=12)
    assert not site.files()
    assert (thumbnail.width, thumbnail.height) == (12, 8)
    assert len(site.files()) == 2
    first = thumbnail.name
    site.write("photos/canal.jpg", seed=5)
    new_hero = site.kit.cachefile("card", source="photos/canal.jpg")
    assert site.kit.cachefile("imagekit:thumbnail", source=new_hero, width=12).name != first
    nothing = site.kit.cachefile("card", source=None)
    assert not site.kit.cachefile("imagekit:thumbnail", source=nothing, width=12)


@pytest.mark.parametrize("name", ["a.jpg", "a/b.jpg", "ä ö.jpg", "a'b&c.jpg", "-", "a..b.jpg", "...", ".hidden/x"])
def test_names_that_are_fine(name: str) -> None:
    """Names are taken as they are as long as they stay below their folder."""
    assert "/".join(name_parts(name)) == name


def test_the_facts_of_a_spec_without_a_kit(site: Site) -> None:
    """A spec on its own reads what it is handed, and has no folder for names."""
    with (site.images / "photos/canal.jpg").open("rb") as file:
        made = Card(source=file).generate().read()
    assert made == Card(source=photo_bytes()).generate().read()
    with pytest.raises(SourceNotFound, match=r"pass a pathlib.Path"):
        Card(source="photos/canal.jpg")


def test_a_folder_without_a_kit_s_settings(tmp_path: Path) -> None:
    """A kit over a source folder that does not exist says that it is the folder that is missing."""
    kit = ImageKit(Settings(source_dirs=(tmp_path / "none",), location=tmp_path / "o", state_dir=tmp_path / "s"))
    with pytest.raises(SourceNotFound, match=r"the source folder '.*none' does not exist"):
        _ = kit.cachefile("imagekit:thumbnail", source="a.jpg", width=3).url
