"""The fsspec storage, over memory and over a local disk, keeps the contract of all storages."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.storage import StorageContract

from jinja_imagekit.atomic_files import PREFIX
from jinja_imagekit.exceptions import StorageError

fsspec = pytest.importorskip("fsspec", reason="the extra fsspec is not installed")

from jinja_imagekit.storages.fsspec import FsspecStorage  # noqa: E402  # after the skip


class TestInMemory(StorageContract):
    """Over fsspec's memory, which writes a file in one step, as object stores do."""

    @pytest.fixture
    def storage(self) -> Iterator[FsspecStorage]:
        """A storage in a folder of its own in memory."""
        storage = FsspecStorage("memory://site/out", "/media/")
        assert not storage.rename
        yield storage
        if storage.fs.exists("/site"):
            storage.fs.rm("/site", recursive=True)


class TestOnLocalDisk(StorageContract):
    """Over fsspec's local file system, with a temporary file and a move."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> FsspecStorage:
        """A storage in a folder that is not there yet."""
        storage = FsspecStorage(f"file://{tmp_path.as_posix()}/out", "/media/")
        assert storage.rename
        return storage


class TestWithAFileSystem(StorageContract):
    """Over a file system that the caller made."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> FsspecStorage:
        """A storage in a folder of the caller's file system."""
        return FsspecStorage(fsspec.filesystem("file"), "https://cdn.example", root=str(tmp_path))


def test_it_has_no_path(tmp_path: Path) -> None:
    """Nothing of it is on this machine, whatever the file system says."""
    storage = FsspecStorage(f"file://{tmp_path.as_posix()}", "/")
    storage.save("a.jpg", b"x")
    assert storage.path("a.jpg") is None
    assert not storage.is_local
    assert "LocalFileSystem" in repr(storage)


def test_it_can_be_pickled(tmp_path: Path) -> None:
    """A copy in another process writes to the same place."""
    storage = FsspecStorage(f"file://{tmp_path.as_posix()}", "/")
    pickle.loads(pickle.dumps(storage)).save("a.jpg", b"x")
    assert storage.stat("a.jpg")


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    """A file system that fails in the middle is a StorageError; the old file is whole and no temporary is left."""

    class Failing(type(fsspec.filesystem("file"))):  # type: ignore[misc]  # fsspec has no types
        """A local disk that cannot move."""

        cachable = False

        def mv(self, *args: object, **kwargs: object) -> None:
            """Fail with an error that is not an OSError, as clients of object stores do."""
            raise RuntimeError("no route")

    FsspecStorage(fsspec.filesystem("file"), "/", root=str(tmp_path)).save("a.jpg", b"old")
    storage = FsspecStorage(Failing(), "/", root=str(tmp_path))
    with pytest.raises(StorageError, match="no route"):
        storage.save("a.jpg", b"new")
    with storage.open("a.jpg") as file:
        assert file.read() == b"old"
    assert list(storage.names()) == ["a.jpg"]
    assert not list((tmp_path / PREFIX).iterdir())


def test_folder_is_not_a_file(tmp_path: Path) -> None:
    """A folder under a cache file's name is not a file, and is neither read, deleted nor replaced."""
    storage = FsspecStorage(f"file://{tmp_path.as_posix()}", "/")
    storage.save("a/b.jpg", b"x")
    assert storage.stat("a") is None
    with pytest.raises(StorageError):
        storage.open("a")
    with pytest.raises(StorageError):
        storage.delete("a")
    with pytest.raises(StorageError):
        storage.save("a", b"x")
    assert list(storage.names()) == ["a/b.jpg"]


def test_old_temporaries_are_swept(tmp_path: Path) -> None:
    """Temporary files of yesterday go; those of today may still be written."""
    storage = FsspecStorage(f"file://{tmp_path.as_posix()}", "/")
    assert storage.sweep() == 0
    storage.save("a.jpg", b"x")
    for name, age in (("old", 90_000), ("new", 3_600)):
        (tmp_path / PREFIX / name).touch()
        os.utime(tmp_path / PREFIX / name, (time.time() - age,) * 2)
    assert storage.sweep() == 1
    assert [path.name for path in (tmp_path / PREFIX).iterdir()] == ["new"]
