"""Source folders in buckets: the same images as from a folder, few requests, nothing outside of them."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from buckets import Calls, asked, bucket_name, credentials, endpoint, methods
from core_site import Site, photo_bytes
from jinja2 import Environment
from PIL import Image

import documents
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageKitError, InvalidOption, InvalidSetting, SourceError, SourceNotFound
from jinja_imagekit.settings import READABLE_FORMATS, Settings
from jinja_imagekit.sourcegroups import GlobSourceGroup

fsspec = pytest.importorskip("fsspec", reason="the extra fsspec is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed: pip install .[test]")

from jinja_imagekit.sources import buckets as module  # noqa: E402  # after the skips

__all__ = ["asked", "bucket_name", "credentials", "endpoint"]


class Bucket:
    """A bucket, its folder `photos`, and what is beside it.

    Attributes:
        url: The folder's URL.
        name: The bucket's name.
        fs: The file system.
    """

    def __init__(self, name: str) -> None:
        from s3fs import S3FileSystem

        self.name, self.url = name, f"s3://{name}/photos"
        self.fs = S3FileSystem()
        self.fs.call_s3("create_bucket", Bucket=name)

    def put(self, name: str, content: bytes) -> None:
        """Write a file below the folder."""
        self.fs.pipe_file(f"{self.name}/photos/{name}", content)

    def remove(self, name: str) -> None:
        """Delete a file below the folder."""
        self.fs.rm_file(f"{self.name}/photos/{name}")


@pytest.fixture
def bucket(credentials: None, bucket_name: str) -> Bucket:
    """A bucket with five photos in its folder, and one beside it."""
    bucket = Bucket(bucket_name)
    for number in range(5):
        bucket.put(f"{number}.jpg", photo_bytes(80, 60, number))
    bucket.fs.pipe_file(f"{bucket_name}/secret.jpg", photo_bytes(80, 60, 9))
    return bucket


@pytest.fixture
def site(tmp_path: Path, bucket: Bucket) -> Site:
    """A site whose only source folder is in the bucket."""
    return Site(tmp_path, source_dirs=[bucket.url])


@pytest.fixture
def memory() -> Iterator[Any]:
    """The file system in memory, empty."""
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def url(kit: ImageKit, source: str = "1.jpg") -> str:
    return kit.cachefile("card", source=source).url


def test_same_image_wherever_the_folder_is(tmp_path: Path, bucket: Bucket, memory: Any, asked: Calls) -> None:
    """Tags, filters, pictures and HTML show what they would of a file here; names hold the content's digest."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(photo_bytes(80, 60, 1))
    memory.pipe_file("/site/photos/1.jpg", photo_bytes(80, 60, 1))
    found = []
    for number, place in enumerate((folder, folder.as_uri(), "memory://site/photos", bucket.url)):
        kit = ImageKit(source_dirs=[place], location=tmp_path / f"{number}", state_dir=tmp_path / f"state{number}")
        environment = kit.install(Environment(autoescape=True))
        template = environment.from_string(
            "{% thumbnail '40x40' '1.jpg' -- alt='A' %}{% picture '60x' '1.jpg' alt='A' placeholder='blur' %}"
            "{{ '1.jpg' | thumbnail('20x') }}"
        )
        page = kit.transform('<p><img src="1.jpg" alt="A"></p>')
        info = kit.imageinfo("1.jpg")
        found.append((template.render(), page, info.width, info.bytes, info.color))
    assert found[0][0].count("/CACHE/images/1/") > 5
    assert "<picture" in found[0][1]
    assert found[1:] == found[:1] * 3
    results = [
        {path.name: path.read_bytes() for path in (tmp_path / f"{number}").rglob("*.*") if path.is_file()}
        for number in range(4)
    ]
    assert results[1:] == results[:1] * 3
    # All images of the photo were made of one download.
    assert methods(asked).count("GET") == 1


def test_folders_and_buckets_in_order(tmp_path: Path, bucket: Bucket) -> None:
    """The first place that has a name is asked, prefixes come last, and a group lists each name once."""
    site = Site(tmp_path)
    site.write("1.jpg", seed=20)
    site.write("here.jpg")
    bucket.put("shop/hat.jpg", photo_bytes())
    prefixes = {"goods": f"{bucket.url}/shop", "local": site.images}

    def kit(*places: Any) -> ImageKit:
        return site.new_kit(source_dirs=places, source_prefixes=prefixes)

    here, there = kit(site.images).source("1.jpg"), kit(bucket.url).source("1.jpg")
    assert here
    assert there
    assert here.digest != there.digest
    for places, first in (((site.images, bucket.url), here), ((bucket.url, site.images), there)):
        mixed = kit(*places)
        for _ in range(2):
            assert mixed.source("1.jpg").digest == first.digest  # type: ignore[union-attr]
            assert url(mixed) == url(kit(*places))
        assert mixed.source("here.jpg").name == "here.jpg"  # type: ignore[union-attr]
        assert mixed.source("goods/hat.jpg").name == "goods/hat.jpg"  # type: ignore[union-attr]
        assert mixed.source("local/here.jpg").name == "local/here.jpg"  # type: ignore[union-attr]
        mixed.register.source_group("card", GlobSourceGroup("*.jpg"))
        mixed.register.source_group("card", GlobSourceGroup("goods/**/*.JPG"))
        report = mixed.generate()
        names = [outcome.source for outcome in (*report.generated, *report.skipped)]
        assert sorted(map(str, names)) == [*(f"{n}.jpg" for n in range(5)), "goods/hat.jpg", "here.jpg"]
    (site.images / "1.jpg").unlink()
    assert mixed.source("1.jpg").digest == there.digest  # type: ignore[union-attr]


BAD_NAMES = [
    "../secret.jpg",
    "/secret.jpg",
    "//secret.jpg",
    "a/../../secret.jpg",
    "..\\secret.jpg",
    "a\\..\\..\\secret.jpg",
    "..%2fsecret.jpg",
    "%2e%2e/secret.jpg",
    "%252e%252e%252fsecret.jpg",
    ".. /secret.jpg",
    "1.jpg?versionId=null",
    "1.jpg::memory://x",
    "s3://{bucket}/secret.jpg",
    "s3:/{bucket}/secret.jpg",
    "C:/secret.jpg",
    "1.jpg\0",
    ".",
]


def test_no_name_leads_out_of_the_folder(site: Site, bucket: Bucket, asked: Calls) -> None:
    """Neither `..` nor an absolute name, an encoded or a foreign one is ever asked for, and there is an error."""
    for name in BAD_NAMES:
        asked.clear()
        with pytest.raises(SourceError):
            site.kit.source(name.format(bucket=bucket.name))
        # Whether the folder is there at all, for the message.
        assert {path for method, path in asked if method == "HEAD"} <= {f"/{bucket.name}/photos"}
        assert "GET" not in methods(asked)
        assert not site.kit.sources.may_wait(name)


def test_pages_of_a_document(site: Site, bucket: Bucket) -> None:
    """A page of a PDF is named as in a folder, and has cache files and facts of its own."""
    pytest.importorskip("pypdfium2")
    pages = [documents.Page(400, 600, "1 0 0 rg 0 300 400 300 re f"), documents.Page(300, 100, "0 0 1 rg 0 0 9 9 re f")]
    bucket.put("a/report.pdf", documents.pdf(pages))
    for _ in range(2):
        kit = site.new_kit(readable_formats=(*READABLE_FORMATS, "PDF"))
        sizes = [
            kit.cachefile("imagekit:thumbnail", source=f"a/report.pdf{page}", width=30) for page in ("", "#page=2")
        ]
        assert [file.height for file in sizes] == [45, 10]
        assert len({file.url for file in sizes}) == 2
        kit.close()


USABLE = [
    "a b.jpg",
    "100 %.jpg",
    "a%20b.jpg",
    "é/ß #1.jpg",
    "[a]*.jpg",
    "q?x=1&y.jpg",
    "12:30.jpg",
    "e\u0301.jpg",
    "+~'\".jpg",
]
"""Signs that mean nothing to a bucket are part of a name."""

UNUSABLE = {
    "a:b.jpg": "give a name relative to a source folder, without a colon",
    "in/a\\b.jpg": "must not hold a backslash: give the object another name.",
    "in/a//b.jpg": "must not hold segments that are empty",
    "in/a::b.jpg": "must not hold '::'",
    "in/a%2Fb.jpg": "must not hold an encoded slash",
    "in/a\tb.jpg": "must not hold '\\t'",
}


def test_every_name_of_a_bucket_works_or_fails_with_a_reason(site: Site, bucket: Bucket) -> None:
    """Keys of objects may hold any sign; neither a run nor doctor passes one over in silence."""
    for number, name in enumerate((*USABLE, *UNUSABLE)):
        # Not by the file system, which has ideas of its own about names.
        bucket.fs.call_s3("put_object", Bucket=bucket.name, Key=f"photos/{name}", Body=photo_bytes(80, 60, number))
    site.kit.register.source_group("card", GlobSourceGroup("**/*.jpg"))
    report = site.kit.generate()
    assert {outcome.source for outcome in report.generated} == {*USABLE, *(f"{number}.jpg" for number in range(5))}
    reasons = {str(outcome.source): outcome.reason for outcome in report.failed}
    assert reasons.keys() == UNUSABLE.keys()
    assert all(UNUSABLE[name] in reason for name, reason in reasons.items())
    assert {finding.name for finding in site.kit.doctor()} == UNUSABLE.keys()


def test_deleted_version_is_not_read(site: Site, bucket: Bucket) -> None:
    """A bucket that keeps what was deleted does not show it under a name that S3's client would take apart."""
    versioning = {"Status": "Enabled"}
    bucket.fs.call_s3("put_bucket_versioning", Bucket=bucket.name, VersioningConfiguration=versioning)
    version = bucket.fs.call_s3("put_object", Bucket=bucket.name, Key="photos/v.jpg", Body=b"x")["VersionId"]
    bucket.remove("v.jpg")
    with pytest.raises(SourceNotFound):
        site.kit.source(f"v.jpg?versionId={version}")


def test_requests_of_pages(site: Site, bucket: Bucket, asked: Calls) -> None:
    """A photo is read once; a warm tag asks nothing, a new process once for each photo whether it is the same."""
    first = url(site.kit)
    assert methods(asked) == ["HEAD", "GET"]
    asked.clear()
    assert {url(site.kit) for _ in range(3)} == {first}
    environment = site.kit.install(Environment(autoescape=True))
    template = environment.from_string("{% thumbnail '40x40' '1.jpg' %}{% picture '60x' '1.jpg' alt='' %}")
    page = template.render()
    # Whether the bucket has a sidecar file, once for all images; S3's client asks for a folder of that name, too.
    sidecar = ["HEAD", "LIST"]
    assert methods(asked) == sidecar
    asked.clear()
    assert template.render() == page
    assert asked == []
    other = site.new_kit()
    assert url(other) == first
    assert (
        other.install(Environment(autoescape=True)).from_string("{% picture '60x' '1.jpg' alt='' %}").render() in page
    )
    assert methods(asked) == ["HEAD", *sidecar]


def test_file_that_came_in_pieces(site: Site, bucket: Bucket, asked: Calls) -> None:
    """Its tag is no digest of its content: that it was not replaced while it was read is asked, and remembered."""
    place = {"Bucket": bucket.name, "Key": "photos/pieces.jpg"}
    upload = bucket.fs.call_s3("create_multipart_upload", **place)["UploadId"]
    part = bucket.fs.call_s3("upload_part", **place, UploadId=upload, PartNumber=1, Body=photo_bytes(80, 60, 7))
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    bucket.fs.call_s3("complete_multipart_upload", **place, UploadId=upload, MultipartUpload=parts)
    for requests in (["HEAD", "GET", "HEAD"], ["HEAD"]):
        asked.clear()
        assert url(site.new_kit(), "pieces.jpg")
        assert methods(asked) == requests


def test_server_looks_for_changes_in_time(
    site: Site, bucket: Bucket, asked: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `bucket_max_age` the bucket is asked; the same content under a new date is not read again."""
    kit = site.new_kit(keep_notes=False)
    first, now = url(kit), time.monotonic()
    bucket.put("1.jpg", photo_bytes(80, 60, 1))
    asked.clear()
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 61)
    assert url(kit) == first
    assert methods(asked) == ["HEAD"]
    bucket.put("1.jpg", photo_bytes(80, 60, 30))
    assert url(kit) == first
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 122)
    changed = url(kit)
    assert changed != first
    bucket.remove("1.jpg")
    assert url(kit) == changed
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 183)
    with pytest.raises(SourceNotFound):
        url(kit)


def test_pregenerate_lists_once_and_reads_what_is_new(site: Site, bucket: Bucket, asked: Calls) -> None:
    """A run lists the bucket and reads nothing that is unchanged, nor does one that starts with the state alone."""

    def run() -> tuple[int, list[str]]:
        asked.clear()
        kit = site.new_kit()
        kit.spec("wide", processors=[], format="PNG")
        for id in ("card", "wide"):
            kit.register.source_group(id, GlobSourceGroup("**/*.jpg"))
        report = kit.generate()
        kit.close()
        assert report.ok
        assert report.total == 2 * len(bucket.fs.find(bucket.url))
        return len(report.generated), methods(asked)[:-1]

    made, requests = run()
    assert made == 10
    assert requests[0] == "LIST"
    assert [requests.count(each) for each in ("GET", "HEAD", "LIST")] == [5, 0, 1]
    assert run() == (0, ["LIST"])
    bucket.put("1.jpg", photo_bytes(80, 60, 30))
    bucket.put("new/deep/6.jpg", photo_bytes(80, 60, 31))
    bucket.put("2.jpg", photo_bytes(80, 60, 2))
    made, requests = run()
    assert made == 4
    assert [requests.count(each) for each in ("GET", "HEAD", "LIST")] == [2, 0, 1]


def test_listing_comes_in_pages(site: Site, bucket: Bucket, asked: Calls) -> None:
    """A folder of 1,100 files is two requests, and a pattern without `**` does not list what lies deeper."""
    backends = pytest.importorskip("moto.s3.models").s3_backends
    store = next(account["aws"] for account in backends.values() if bucket.name in account["aws"].buckets)
    for number in range(1_100):
        store.put_object(bucket.name, f"photos/many/deep/{number}.jpg", b"x")
    asked.clear()
    names = list(GlobSourceGroup("**/*.jpg").names_in(*site.kit._source_places()))
    assert len(names) == 1_105
    assert methods(asked) == ["LIST"] * 2
    asked.clear()
    assert len(list(GlobSourceGroup("*.jpg").names_in(*site.kit._source_places()))) == 5
    assert len(list(GlobSourceGroup("Many/*.jpg").names_in(*site.kit._source_places()))) == 0
    assert methods(asked) == ["LIST"] * 3


def test_what_a_later_listing_does_not_name_is_gone(site: Site, bucket: Bucket, asked: Calls) -> None:
    """Also what was asked for by itself; a listing of one folder tells nothing of what lies deeper."""
    bucket.put("a/deep/6.jpg", photo_bytes())

    def found() -> list[bool]:
        return [site.kit.sources.lookup(name) is not None for name in ("0.jpg", "1.jpg", "a/deep/6.jpg")]

    assert found() == [True, True, True]
    for name in ("0.jpg", "a/deep/6.jpg"):
        bucket.remove(name)
    for pattern, left in (("*.jpg", [False, True, True]), ("**/*.jpg", [False, True, False])):
        names = GlobSourceGroup(pattern).names_in(site.kit.sources.source_dirs)
        assert list(names) == [f"{number}.jpg" for number in range(1, 5)]
        assert found() == left
    assert methods(asked).count("HEAD") == 3


def test_group_does_not_eat_results(tmp_path: Path, bucket: Bucket) -> None:
    """Cache files in the same bucket, hidden files and objects for folders are no sources."""
    from jinja_imagekit.storages.fsspec import FsspecStorage

    bucket.put(".hidden/a.jpg", photo_bytes())
    bucket.put("folder.jpg/", b"")
    for _ in range(3):
        site = Site(tmp_path, source_dirs=[bucket.url], default_file_storage=FsspecStorage(bucket.url, "/"))
        site.kit.register.source_group("card", GlobSourceGroup("**/*.jpg"))
        assert site.kit.generate().total == 5
        # A template may name it all the same.
        assert site.kit.source(".hidden/a.jpg")
    assert len(bucket.fs.find(f"{bucket.url}/CACHE/images")) == 5


def test_build_lists_a_folder_of_which_it_needs_much(site: Site, bucket: Bucket, asked: Calls) -> None:
    """It asks for a few names one by one, lists then, and holds by that until the render ends; a server never lists."""
    for number in range(30):
        bucket.put(f"a/{number}.jpg", photo_bytes(16, 12))
    build = site.new_kit(default_cachefile_strategy="Deferred")
    server = site.new_kit(keep_notes=False)
    for kit, requests in ((build, ["HEAD"] * module.SINGLY + ["LIST"]), (server, ["HEAD"] * 30)):
        asked.clear()
        assert sum(kit.sources.lookup(f"a/{number}.jpg") is not None for number in range(30)) == 30
        assert methods(asked) == requests
    asked.clear()
    assert build.sources.lookup("a/missing.jpg") is None
    assert asked == []
    bucket.put("a/missing.jpg", photo_bytes(16, 12))
    assert build.sources.lookup("a/missing.jpg") is None
    build.finish()
    assert build.sources.lookup("a/missing.jpg") is not None


def test_deferred_builds(site: Site, bucket: Bucket, asked: Calls) -> None:
    """Pages refer to images that `finish` makes; later builds read nothing, and follow what has changed."""

    def build() -> tuple[str, int]:
        kit = site.new_kit(default_cachefile_strategy="Deferred")
        environment = kit.install(Environment(autoescape=True))
        page = environment.from_string(
            "{% for n in '0123' %}{% picture '60x' n ~ '.jpg' alt='' %}{% endfor %}"
        ).render()
        made = len(kit.finish().generated)
        kit.close()
        return page, made

    page, made = build()
    # The URL in `src` is among those of `srcset`.
    assert made == page.count("CACHE") - 4 == 24
    asked.clear()
    assert build() == (page, 0)
    assert methods(asked).count("HEAD") == 4 + 1
    assert "GET" not in methods(asked)
    bucket.put("1.jpg", photo_bytes(80, 60, 30))
    changed, made = build()
    assert made == 6
    assert changed.count("CACHE") == page.count("CACHE")
    assert changed != page
    assert len(site.new_kit().generate().skipped) == 24
    bucket.remove("2.jpg")
    assert len(site.new_kit().generate().skipped) == 18


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_workers(site: Site, executor: str) -> None:
    """Other threads and processes open the bucket by themselves."""
    site.kit.register.source_group("card", GlobSourceGroup("*.jpg"))
    report = site.kit.generate(workers=1, processes=executor == "processes")
    assert len(report.generated) == 5


def test_source_can_be_pickled(site: Site) -> None:
    """Who gets it in another process can read it."""
    source = site.kit.source("1.jpg")
    assert pickle.loads(pickle.dumps(source)).read() == photo_bytes(80, 60, 1)
    assert "1.jpg" in repr(source)


def test_forked_server(site: Site, bucket: Bucket) -> None:
    """A worker that was forked after the first image asks over a connection of its own."""
    if not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    script = """
import os, signal, sys
sys.path[:0] = sys.argv[3:]
from pathlib import Path
from core_site import Site
site = Site(Path(sys.argv[1]), source_dirs=[sys.argv[2]])
assert site.kit.cachefile("card", source="1.jpg").url
pid = os.fork()
if not pid:
    signal.alarm(30)
    os._exit(0 if site.kit.cachefile("card", source="2.jpg").width == 24 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    here = Path(__file__).parent
    paths = [str(here), str(here.parent / "examples"), str(here.parent)]
    done = subprocess.run([sys.executable, "-c", script, str(site.root), bucket.url, *paths], timeout=60)
    assert done.returncode == 0
    assert len(site.files()) == 2


def test_event_loop_does_not_wait_for_a_bucket(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an asynchronous environment requests are made in threads; what is known is answered at once."""
    environment = site.kit.install(Environment(enable_async=True, autoescape=True))
    template = environment.from_string("{% thumbnail '40x40' '1.jpg' %}{% picture '60x' '2.jpg' alt='' %}")
    answer, threads = module.Bucket._answer, []

    def watched(*args: Any) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            threads.append("another")
        else:
            threads.append("the loop's")
        return answer(*args)

    monkeypatch.setattr(module.Bucket, "_answer", watched)
    first = asyncio.run(template.render_async())
    assert set(threads) == {"another"}
    threads.clear()
    assert asyncio.run(template.render_async()) == first
    assert threads == []


# --- trouble ------------------------------------------------------------------------------------------------------


class Flaky(fsspec.get_filesystem_class("memory")):  # type: ignore[misc]  # fsspec has no types
    """Memory that fails as clients of object stores do."""

    protocol = "flaky"
    problem: Exception | None = None
    calls: list[str] = []  # one for all

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("flaky://")))

    def _try(self, what: str) -> None:
        self.calls.append(what)
        if self.problem:
            raise self.problem

    def info(self, path: str, **kwargs: Any) -> Any:
        """Return facts, or fail."""
        self._try("info")
        return super().info(path, **kwargs)

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return names, or fail."""
        self._try("find")
        return super().find(path, *args, **kwargs)

    def cat_file(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Return bytes, or fail."""
        self._try("cat_file")
        return super().cat_file(path, *args, **kwargs)


@pytest.fixture
def flaky(memory: Any, monkeypatch: pytest.MonkeyPatch) -> type[Flaky]:
    """The class of a file system that fails on demand, with a photo in it."""
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    memory.pipe_file("/site/photos/1.jpg", photo_bytes(80, 60, 1))
    memory.pipe_file("/site/photos/2.jpg", photo_bytes(80, 60, 2))
    monkeypatch.setattr(Flaky, "calls", [])
    return Flaky


def test_bucket_that_does_not_answer(tmp_path: Path, flaky: type[Flaky], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages say so once for all images, and it is not asked again for each of them; a run has one failure."""
    place = "flaky://me:geheim@site/photos"
    kit = Site(tmp_path, source_dirs=["flaky://site/photos"]).kit
    monkeypatch.setattr(flaky, "problem", RuntimeError("no route to https://key:secret@host"))
    with pytest.raises(SourceError, match=r"^Source '1.jpg': the source folder 'flaky://site/photos' does not answer"):
        url(kit)
    with pytest.raises(SourceError, match=r"'2.jpg'.*no route to https://host"):
        url(kit, "2.jpg")
    assert len(flaky.calls) == 1
    kit.register.source_group("card", GlobSourceGroup("**/*.jpg"))
    (failure,) = kit.generate().failed
    assert "'flaky://site/photos' does not answer" in failure.reason
    environment = kit.install(Environment(autoescape=True))
    assert "data:image" in environment.from_string("{% thumbnail '9x9' '1.jpg' on_error='placeholder' %}").render()
    # A URL in HTML may be an image's, so that silence would lose it.
    with pytest.raises(ImageKitError, match="does not answer"):
        kit.transform('<img src="1.jpg" alt="">')
    monkeypatch.setattr(flaky, "problem", PermissionError("Forbidden"))
    other = Site(tmp_path, source_dirs=[place]).kit
    with pytest.raises(SourceError, match=r"'flaky://site/photos' refuses it \(Forbidden\): check the credentials"):
        url(other)


def test_bucket_that_may_not_be_listed(tmp_path: Path, flaky: type[Flaky], monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 refuses there to say that a file is missing: it has no sidecar file then, and its images are made."""
    info = flaky.info

    def refused(self: Any, path: str, **kwargs: Any) -> Any:
        try:
            return info(self, path, **kwargs)
        except FileNotFoundError:
            raise PermissionError("Forbidden") from None

    monkeypatch.setattr(flaky, "info", refused)
    kit = Site(tmp_path, source_dirs=["flaky://site/photos"]).kit
    assert "<picture" in kit.picture("20x40", "1.jpg", alt="").html()
    with pytest.raises(SourceError, match=r"'9.jpg'.*refuses it"):
        url(kit, "9.jpg")


def test_server_goes_on_with_what_it_knows(
    tmp_path: Path, flaky: type[Flaky], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bucket that fails later on costs a warning, and pages stay as they are."""
    now = time.monotonic()
    kit = Site(tmp_path, source_dirs=["flaky://site/photos"], keep_notes=False).kit
    # Memory has no tags, and its files' times are not certain at once.
    monkeypatch.setattr(module, "RACY_SECONDS", -1.0)
    first = url(kit)
    monkeypatch.setattr(flaky, "problem", RuntimeError("no route"))
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 61)
    with caplog.at_level(logging.WARNING, "jinja_imagekit"):
        assert url(kit) == url(kit) == first
    assert [record.getMessage() for record in caplog.records] == [
        "Source '1.jpg': the source folder 'flaky://site/photos' does not answer: no route; "
        "what is known of '1.jpg' is used."
    ]
    with pytest.raises(SourceError):
        url(kit, "2.jpg")


def test_file_that_changes_while_it_is_read(tmp_path: Path, flaky: type[Flaky], memory: Any) -> None:
    """Nothing is remembered of a version that nobody has read; a longer one is an error, which passes."""
    kit = Site(tmp_path, source_dirs=["flaky://site/photos"]).kit
    source = kit.source("1.jpg")
    memory.pipe_file("/site/photos/1.jpg", photo_bytes(80, 60, 30))
    with pytest.raises(SourceError, match="is being changed"):
        source.read()  # type: ignore[union-attr]
    assert kit.source("1.jpg").read() == photo_bytes(80, 60, 30)  # type: ignore[union-attr]
    source = kit.source("2.jpg")
    memory.rm_file("/site/photos/2.jpg")
    with pytest.raises(SourceNotFound, match="no longer in 'flaky://site/photos'"):
        source.read()  # type: ignore[union-attr]


def test_what_is_wrong_with_a_file(site: Site, bucket: Bucket, asked: Calls) -> None:
    """One that is empty, too large or no image has the error of one in a folder; a large one is not read."""
    bucket.put("empty.jpg", b"")
    bucket.put("text.jpg", b"no image")
    with pytest.raises(ImageKitError, match="the file is empty"):
        url(site.kit, "empty.jpg")
    with pytest.raises(ImageKitError, match="not an image"):
        url(site.kit, "text.jpg")
    asked.clear()
    with pytest.raises(ImageKitError, match="max_source_bytes"):
        url(site.new_kit(max_source_bytes=1_000))
    assert methods(asked) == ["HEAD"]


def test_messages_about_names(site: Site, bucket: Bucket) -> None:
    """They name the bucket, and say what may have been meant."""

    def said(name: str, **settings: Any) -> str:
        with pytest.raises(SourceNotFound) as caught:
            site.new_kit(**settings).source(name)
        return caught.value.message()

    assert f"no such file in the source folder '{bucket.url}'" in said("missing.jpg")
    assert said(f"{bucket.url}/1.jpg").endswith(f"names are relative to '{bucket.url}': write '1.jpg'")
    assert said("photos/missing.jpg", source_dirs=[f"{bucket.url}/none"]).endswith(
        f"'{bucket.url}/none' does not exist, or is empty. See the setting source_dirs."
    )
    kit = site.new_kit(source_dirs=[f"{bucket.url}/none"])
    kit.register.source_group("card", GlobSourceGroup("*.jpg"))
    assert any("does not exist, or is empty" in warning for warning in kit.generate().warnings)
    # What a run made is not pruned because somebody has mistyped a URL since.
    with pytest.raises(ImageKitError, match="does not exist, or is empty"):
        kit.prune(without_render=True)
    with pytest.raises(InvalidOption, match="a bucket is a source folder of the kit"):
        GlobSourceGroup("*.jpg", [bucket.url])


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("s3://", "names no bucket"),
        ("s3:///", "names no bucket"),
        ("https://cdn.example/photos", "see remote_hosts"),
        ("file://photos/a", "three slashes"),
    ],
)
def test_urls_that_are_no_source_folder(place: str, problem: str) -> None:
    """They are refused where they are set."""
    with pytest.raises(InvalidSetting, match=problem):
        Settings(source_dirs=[place])  # type: ignore[arg-type]
    with pytest.raises(InvalidSetting, match=problem):
        Settings(source_prefixes={"a": place})  # type: ignore[arg-type]


def test_unknown_protocol(tmp_path: Path) -> None:
    """A protocol that is not installed is a mistake in the settings, which no policy hides."""
    kit = Site(tmp_path, source_dirs=["nope://bucket/photos"]).kit
    with pytest.raises(InvalidSetting, match=r"'source_dirs'.*nope"):
        kit.source("1.jpg")


def test_sidecar_files_of_folders_and_buckets(tmp_path: Path, bucket: Bucket, asked: Calls) -> None:
    """`images.toml` of each counts for images of all, the first place's before others; a warm page asks nothing."""
    site = Site(tmp_path)
    (site.images / "images.toml").write_text('["1.jpg"]\nalt = "A canal"\n["2.jpg"]\nalt = "A pier"\n')
    bucket.put("images.toml", b'["1.jpg"]\nalt = "A mill"\n["here.jpg"]\nalt = "A barn"\n["0.jpg"]\nalt = "A dike"\n')
    site.write("here.jpg")
    kit = site.new_kit(source_dirs=[site.images, bucket.url])
    asked.clear()
    template = kit.install(Environment(autoescape=True)).from_string(
        "{% for name in ('0.jpg', '1.jpg', '2.jpg', 'here.jpg') %}{% picture '20x40' name %}{% endfor %}"
    )
    page = template.render()
    assert [alt in page for alt in ("A dike", "A canal", "A pier", "A barn", "A mill")] == [True] * 4 + [False]
    assert [method for method, path in asked if "toml" in path] == ["HEAD", "GET"]
    asked.clear()
    assert template.render() == page
    assert asked == []


def test_focus_that_a_bucket_says(site: Site, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crops keep it, in a thumbnail as in a picture; a server notices another one as it notices another image."""
    kit = site.new_kit(keep_notes=False)
    environment = kit.install(Environment(autoescape=True))
    template = environment.from_string("{% thumbnail '20x40' '1.jpg' %}{% picture '20x40' '1.jpg' alt='' %}")
    given = environment.from_string(
        "{% thumbnail '20x40' '1.jpg' focus=f %}{% picture '20x40' '1.jpg' alt='' focus=f %}"
    )
    now, plain = time.monotonic(), template.render()
    for minutes, focus in enumerate(("90% 10%", "10% 90%"), 1):
        bucket.put("images.toml", f'["1.jpg"]\nfocus = "{focus}"\n'.encode())
        assert template.render() != given.render(f=focus)
        monkeypatch.setattr(module.time, "monotonic", lambda seconds=61 * minutes: now + seconds)
        assert template.render() == given.render(f=focus) != plain
    bucket.remove("images.toml")
    monkeypatch.setattr(module.time, "monotonic", lambda: now + 200)
    assert template.render() == plain
    bucket.put("images.toml", b"focus = ")
    with pytest.raises(ImageKitError, match=r"images\.toml cannot be read"):
        site.new_kit().picture("20x40", "1.jpg", alt="").html()


def test_pages_rendered_in_an_event_loop_wait_elsewhere_for_a_sidecar(site: Site, bucket: Bucket) -> None:
    """The loop goes on while a bucket is asked, and the page is the one of a loop's absence."""
    bucket.put("images.toml", b'["1.jpg"]\nfocus = "90% 10%"\n')
    page = "{% thumbnail '20x40' '1.jpg' %}"
    expected = site.new_kit().install(Environment(autoescape=True)).from_string(page).render()
    kit = site.new_kit()
    threads = set[int]()
    find = module.Bucket.ask

    def ask(*args: Any) -> Any:
        threads.add(threading.get_ident())
        return find(*args)

    module.Bucket.ask = ask  # type: ignore[method-assign]
    try:
        environment = kit.install(Environment(autoescape=True, enable_async=True))
        assert asyncio.run(environment.from_string(page).render_async()) == expected
    finally:
        module.Bucket.ask = find  # type: ignore[method-assign]
    assert threads
    assert threading.get_ident() not in threads


def test_sidecars_beside_images_of_a_bucket_are_named(site: Site, bucket: Bucket) -> None:
    """They are not read, since each would cost requests, which a run and doctor say; others are nobody's."""
    for name in ("1.jpg.toml", "2.jpg.toml", "pyproject.toml"):
        bucket.put(name, b"")
    site.kit.register.source_group("card", GlobSourceGroup("*.jpg"))
    (warning,) = site.kit.generate().warnings
    assert "2 sidecar files beside images, such as '1.jpg.toml', are not read" in warning
    assert "images.toml" in warning
    assert [finding.detail for finding in site.kit.doctor()] == [warning]


def test_posters_of_videos(tmp_path: Path, bucket: Bucket, asked: Calls) -> None:
    """A video is downloaded once for whoever makes posters, which have the names that they have in a folder."""
    pytest.importorskip("av")
    film, paths = documents.film(), list[Path]()

    def poster(path: Path) -> Image.Image:
        assert path.read_bytes() == film
        paths.append(path)
        return Image.new("RGB", (160, 90), "red")

    site = Site(tmp_path)
    site.images.mkdir(exist_ok=True)
    (site.images / "canal.mp4").write_bytes(film)
    bucket.put("canal.mp4", film)
    # Images may be smaller than a video.
    given = {"video_poster": poster, "max_source_bytes": len(film) - 1, "picture_formats": ("WEBP",)}

    def shown(number: int, **settings: Any) -> tuple[str, str]:
        kit = site.new_kit(state_dir=tmp_path / f"state{number}", **given, **settings)
        found = str(kit.picture("60x", "canal.mp4", alt="")), kit.cachefile("card", source="canal.mp4").url
        kit.close()
        return found

    here = shown(0, source_dirs=[site.images])
    asked.clear()
    there = shown(1, source_dirs=[bucket.url])
    assert there == here
    # Its first bytes tell that it is one; at last, whether it was replaced in the meantime.
    requests = [method for method, path in asked if "canal" in path]
    assert requests == ["HEAD", "GET", "GET", "HEAD"]
    assert [path.suffix for path in paths] == [".mp4"] * 2
    assert not paths[1].exists()
    asked.clear()
    assert shown(1, source_dirs=[bucket.url]) == here
    assert "GET" not in [method for method, path in asked if "canal" in path]
    with pytest.raises(ImageKitError, match="video"):
        url(site.new_kit(source_dirs=[bucket.url]), "canal.mp4")


def test_hosts_leave_urls_as_they_are(tmp_path: Path) -> None:
    """Flask joins folders with its own, but no URL."""
    flask = pytest.importorskip("flask")
    from jinja_imagekit.flask.app import settings_of

    app = flask.Flask(__name__, root_path=str(tmp_path))
    app.config["IMAGEKIT_SOURCE_DIRS"] = ["photos", "s3://bucket/photos"]
    app.config["IMAGEKIT_SOURCE_PREFIXES"] = {"up": "s3://bucket/up", "down": "down"}
    settings = settings_of(app)
    assert settings.source_dirs == (tmp_path / "photos", "s3://bucket/photos")
    assert settings.source_prefixes == (("up", "s3://bucket/up"), ("down", tmp_path / "down"))
    absolute = Settings(source_dirs=["a", "s3://bucket/photos/"]).with_absolute_paths()  # type: ignore[arg-type]
    assert absolute.source_dirs == (Path("a").absolute(), "s3://bucket/photos")


@pytest.mark.usefixtures("credentials")
def test_what_a_client_says_of_a_bucket_holds_no_password(tmp_path: Path) -> None:
    """S3 has no users in URLs, and its client says that of the whole part before the bucket's path."""
    site = Site(tmp_path, source_dirs=["s3://me:hidden@photos/site"])
    with pytest.raises(SourceError) as caught:
        _ = site.kit.cachefile("imagekit:thumbnail", source="a.jpg", dimensions="20x").url
    assert "does not answer" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert "me:" not in str(caught.value)
