"""Cache files in an S3 bucket, and sites that are published into one, against a server that speaks S3."""

from __future__ import annotations

import os
import shutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from buckets import Calls, asked, bucket_name, endpoint, methods
from contracts.storage import StorageContract

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.builds.publish import PublishReport
from jinja_imagekit.exceptions import StorageError
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup

pytest.importorskip("s3fs", reason="s3fs is not installed: pip install .[test]")

from jinja_imagekit.storages.fsspec import IMMUTABLE, FsspecStorage  # after the skips

__all__ = ["asked", "bucket_name", "endpoint"]


@pytest.fixture
def bucket(endpoint: str, bucket_name: str) -> Callable[..., FsspecStorage]:
    """Return a function that opens a folder of a new bucket as a storage."""
    options = {"key": "a", "secret": "b", "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"}}

    def open_folder(**more: Any) -> FsspecStorage:
        return FsspecStorage(f"s3://{bucket_name}/site", "https://cdn.example/", **options, **more)

    open_folder().fs.call_s3("create_bucket", Bucket=bucket_name)
    return open_folder


class TestInABucket(StorageContract):
    """Over S3, the storage keeps the contract of all storages."""

    @pytest.fixture
    def storage(self, bucket: Any) -> FsspecStorage:
        """A storage in a folder of a bucket."""
        storage: FsspecStorage = bucket()
        assert not storage.rename
        return storage


def head(storage: FsspecStorage, name: str) -> dict[str, Any]:
    bucket, _, key = f"{storage.root}/{name}".partition("/")
    told: dict[str, Any] = storage.fs.call_s3("head_object", Bucket=bucket, Key=key)
    return told


def test_objects_have_their_type_and_may_be_kept_for_ever(bucket: Any) -> None:
    """Images and style sheets say what they are; only the style sheet, which changes, is asked for again."""
    storage = bucket()
    for name in ("a.webp", "a.avif", "a.jpg", "imagekit.css"):
        storage.save(name, b"content")
    told = {name: head(storage, name) for name in ("a.webp", "a.avif", "a.jpg", "imagekit.css")}
    types = [told[name]["ContentType"] for name in told]
    assert types == ["image/webp", "image/avif", "image/jpeg", "text/css"]
    cached = [told[name]["CacheControl"] for name in told]
    assert cached == [IMMUTABLE, IMMUTABLE, IMMUTABLE, "no-cache"]


def test_a_file_is_written_by_one_request(bucket: Any, asked: Calls) -> None:
    """An object is there whole or not at all: nothing is written under another name, appended or copied."""
    storage = bucket()
    for size in (10, 3_000_000):
        asked.clear()
        version = storage.save("CACHE/a.jpg", b"x" * size)
        assert [(method, path.partition("?")[0]) for method, path in asked] == [("PUT", f"/{storage.root}/CACHE/a.jpg")]
        assert storage.versions("CACHE") == {"CACHE/a.jpg": (size, version)}
        assert len(version) == 32


def test_a_bucket_that_does_not_exist_is_not_made(bucket: Any, bucket_name: str) -> None:
    """A mistyped address is an error, and no new bucket under a name that somebody chose by mistake."""
    storage = bucket()
    mistyped = FsspecStorage(storage.fs, "/", root=f"{bucket_name}-new/site")
    with pytest.raises(StorageError, match=rf"there is no '{bucket_name}-new'"):
        mistyped.save("CACHE/a.jpg", b"x")
    buckets = [each["Name"] for each in storage.fs.call_s3("list_buckets")["Buckets"]]
    assert bucket_name in buckets
    assert f"{bucket_name}-new" not in buckets


def test_a_project_may_say_how_objects_are_written(bucket: Any) -> None:
    """Access rights and headers of one's own go before those of the library."""
    storage = bucket(write_options=lambda name: {"ACL": "public-read", "CacheControl": f"max-age=60, of={name}"})
    storage.save("CACHE/a.jpg", b"content")
    assert head(storage, "CACHE/a.jpg")["CacheControl"] == "max-age=60, of=CACHE/a.jpg"
    name, _, key = f"{storage.root}/CACHE/a.jpg".partition("/")
    grants = storage.fs.call_s3("get_object_acl", Bucket=name, Key=key)["Grants"]
    assert {"READ"} == {each["Permission"] for each in grants if "AllUsers" in each["Grantee"].get("URI", "")}


MakeKit = Callable[..., ImageKit]


@pytest.fixture
def make_kit(tmp_path: Path) -> MakeKit:
    """Return a function that makes a kit over ten photos, as a new process would make it."""
    (tmp_path / "photos").mkdir()
    for number in range(10):
        (tmp_path / f"photos/{number}.jpg").write_bytes(drawing.jpeg(80, 60, number))

    def make(**values: Any) -> ImageKit:
        settings = {"source_dirs": [tmp_path / "photos"], "location": tmp_path / "out", "state_dir": tmp_path / "state"}
        kit = ImageKit(**settings, **values)
        kit.spec("card", processors=[ResizeToFit(40, 40)])
        return kit

    return make


def test_warm_page_asks_the_bucket_nothing(bucket: Any, make_kit: MakeKit, asked: Calls) -> None:
    """The record decides: URLs and sizes of images that were made cost no request, in a new process neither."""

    def page(kit: ImageKit) -> list[tuple[str, int]]:
        files = [kit.cachefile("card", source=f"{number}.jpg") for number in range(10)]
        return [(file.url, file.width) for file in files]

    first = page(make_kit(default_file_storage=bucket()))
    assert first[0][0].startswith("https://cdn.example/CACHE/images/0/")
    assert any(method == "PUT" for method, _ in asked)
    asked.clear()
    assert page(make_kit(default_file_storage=bucket())) == first
    assert asked == []


def test_what_is_there_is_taken_by_a_machine_that_knows_nothing(
    bucket: Any, make_kit: MakeKit, tmp_path: Path, asked: Calls
) -> None:
    """A file that has the name of what would be made is read once, and not written again."""
    kit = make_kit(default_file_storage=bucket())
    kit.register.source_group("card", GlobSourceGroup("*.jpg"))
    assert len(kit.generate().generated) == 10
    kit.close()
    shutil.rmtree(tmp_path / "state")
    asked.clear()
    kit = make_kit(default_file_storage=bucket())
    kit.register.source_group("card", GlobSourceGroup("*.jpg"))
    assert len(kit.generate().skipped) == 10
    assert (methods(asked).count("GET"), methods(asked).count("PUT")) == (10, 0)


def test_warm_page_with_a_style_sheet_asks_the_bucket_nothing(bucket: Any, make_kit: MakeKit, asked: Calls) -> None:
    """Neither do pictures whose styles are classes: the style sheet that this process has written is there."""
    kit = make_kit(default_file_storage=bucket(), picture_css="class", picture_placeholder="color")
    first = [str(kit.picture("20x", f"{number}.jpg", alt="")) for number in range(3)]
    assert "class=" in first[0]
    asked.clear()
    assert [str(kit.picture("20x", f"{number}.jpg", alt="")) for number in range(3)] == first
    assert asked == []


def test_doctor_reads_only_what_was_changed(bucket: Any, make_kit: MakeKit, asked: Calls) -> None:
    """Records hold the objects' tags, so that a listing tells which files are what was written."""
    storage = bucket()
    kit = make_kit(default_file_storage=storage)
    names = [str(kit.cachefile("card", source=f"{number}.jpg").url).partition("example/")[2] for number in range(10)]
    asked.clear()
    assert make_kit(default_file_storage=bucket()).doctor() == []
    # One to compare records with files, one to find files without a record.
    assert methods(asked) == ["LIST", "LIST"]
    size = storage.stat(names[3]).size
    storage.save(names[3], b"x" * size)
    storage.save(names[4], b"short")
    storage.delete(names[5])
    asked.clear()
    found = {(finding.kind, finding.name) for finding in make_kit(default_file_storage=bucket()).doctor()}
    assert found == {("unreadable", names[3]), ("truncated", names[4]), ("missing", names[5])}
    assert methods(asked).count("GET") == 1


def test_storage_in_a_forked_process(bucket: Any) -> None:
    """A server's workers, forked after the first request to the bucket, have connections of their own."""
    storage = bucket()
    storage.save("a.jpg", b"before")
    with warnings.catch_warnings():
        # From Python 3.12 on it warns that threads do not survive, as those of the file system do not.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork() if hasattr(os, "fork") else pytest.skip("this system does not fork")
    if not pid:
        signal.alarm(30)
        storage.save("a.jpg", b"after")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with storage.open("a.jpg") as file:
        assert file.read() == b"after"


def render(kit: ImageKit, *numbers: int) -> set[str]:
    files = [kit.cachefile("card", source=f"{number}.jpg") for number in numbers]
    assert all(file.url for file in files)
    assert kit.finish().ok
    return {str(file.name) for file in files}


def test_publish_uploads_what_is_missing_and_removes_what_it_put_there(
    bucket: Any, make_kit: MakeKit, asked: Calls
) -> None:
    """A repeated publish uploads nothing; what pages no longer need goes, and what others put there stays."""
    target = bucket()
    target.save("CACHE/images/theirs.jpg", b"by hand")
    wanted = render(make_kit(), *range(8))
    planned = make_kit().publish(target, dry_run=True)
    assert set(planned.put) == wanted
    assert set(target.names()) == {"CACHE/images/theirs.jpg"}
    report = make_kit().publish(target)
    assert report == PublishReport(put=sorted(wanted))
    assert set(target.names()) == {*wanted, "CACHE/images/theirs.jpg"}
    assert head(target, min(wanted))["ContentType"] == "image/jpeg"
    asked.clear()
    assert make_kit().publish(target) == PublishReport(unchanged=sorted(wanted))
    # One page of a listing is enough.
    assert methods(asked) == ["LIST"]
    fewer = render(make_kit(), *range(5))
    planned = make_kit().publish(target, dry_run=True)
    assert set(planned.removed) == wanted - fewer
    assert make_kit().publish(target) == PublishReport(unchanged=sorted(fewer), removed=sorted(wanted - fewer))
    assert set(target.names()) == {*fewer, "CACHE/images/theirs.jpg"}


def test_publish_from_a_machine_that_knows_nothing_uploads_nothing(
    bucket: Any, make_kit: MakeKit, tmp_path: Path
) -> None:
    """What is there, whole and under its name, is left there by a fresh machine, which removes nothing either."""
    target = bucket()
    wanted = render(make_kit(), 0, 1)
    make_kit().publish(target)
    for path in sorted((tmp_path / "state").rglob("*.json")):
        path.unlink()
    render(make_kit(), 0, 1)
    assert make_kit().publish(target) == PublishReport(unchanged=sorted(wanted))


def test_publish_that_was_killed_is_gone_on_with(
    bucket: Any, make_kit: MakeKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed publish had uploaded counts as its own, and a later one goes on from there."""
    target = bucket()
    wanted = sorted(render(make_kit(), *range(4)))
    save = target.save

    def fail(name: str, content: bytes) -> None:
        if name == wanted[2]:
            raise KeyboardInterrupt
        save(name, content)

    monkeypatch.setattr(target, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        make_kit().publish(target)
    monkeypatch.undo()
    report = make_kit().publish(target)
    assert wanted[2] in report.put
    assert sorted([*report.put, *report.unchanged]) == wanted
    render(make_kit(), 0)
    assert len(make_kit().publish(target).removed) == 3


def test_file_that_somebody_changed_is_left_alone(bucket: Any, make_kit: MakeKit) -> None:
    """An object that has a cache file's name and other content is neither replaced nor removed."""
    target = bucket()
    wanted = sorted(render(make_kit(), 0, 1))
    make_kit().publish(target)
    target.save(wanted[0], b"by hand")
    assert make_kit().publish(target).foreign == [wanted[0]]
    with target.open(wanted[0]) as file:
        assert file.read() == b"by hand"
