"""What every storage does: subclass `StorageContract` and define the fixture `storage`."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from jinja_imagekit.exceptions import StorageError
from jinja_imagekit.interfaces import Storage

UNSAFE = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "//host/share/a.jpg",
    "../a.jpg",
    "a/../../b.jpg",
    "a/../b.jpg",
    "./a.jpg",
    "a//b.jpg",
    "a/",
    "a/.. /b.jpg",
    "a\\b.jpg",
    "..\\a.jpg",
    "C:/a.jpg",
    "C:a.jpg",
    "nul\0.jpg",
    "\udcff.jpg",
    ".imagekit-tmp/a.jpg",
    "a/.IMAGEKIT-TMP.x",
]

SAFE = [
    "a.jpg",
    "CACHE/images/photos/canal/0123456789abcdef.jpg",
    "été/\N{CAMERA}.jpg",
    'it\'s "50%" #1?.jpg',
    "a b/c+d&e=f;g.jpg",
    "-rf",
    "~/a.jpg",
    "$HOME/a.jpg",
    ".hidden/a.jpg",
    "..a/b..jpg",
]


class StorageContract:
    """The behaviour that a kit relies on, whatever the storage."""

    def test_saved_file_is_there(self, storage: Storage) -> None:
        """A saved file can be opened, has its size, and is listed."""
        storage.save("CACHE/images/a.jpg", b"content")
        with storage.open("CACHE/images/a.jpg") as file:
            assert file.read() == b"content"
        stored = storage.stat("CACHE/images/a.jpg")
        assert stored is not None
        assert stored.size == 7
        assert list(storage.names()) == ["CACHE/images/a.jpg"]

    def test_missing_file(self, storage: Storage) -> None:
        """A file that is not there has no stat and cannot be opened, and deleting it is not an error."""
        assert storage.stat("missing/a.jpg") is None
        with pytest.raises(StorageError, match="no such file"):
            storage.open("missing/a.jpg")
        storage.delete("missing/a.jpg")
        assert list(storage.names()) == []
        assert list(storage.names("missing")) == []

    def test_save_overwrites_under_the_same_name(self, storage: Storage) -> None:
        """A second save takes the place of the first, shorter or longer, and no second name appears."""
        for content in (b"first", b"second, longer", b"3", b""):
            storage.save("a.jpg", content)
            with storage.open("a.jpg") as file:
                assert file.read() == content
        assert list(storage.names()) == ["a.jpg"]

    def test_deleted_file_is_gone(self, storage: Storage) -> None:
        """Deleting drops this file and no other, and can be done again."""
        storage.save("a/a.jpg", b"1")
        storage.save("a/b.jpg", b"2")
        storage.delete("a/a.jpg")
        storage.delete("a/a.jpg")
        assert storage.stat("a/a.jpg") is None
        assert list(storage.names()) == ["a/b.jpg"]

    def test_names_are_listed_by_folder(self, storage: Storage) -> None:
        """A prefix is a folder, not the beginning of a word."""
        for name in ("a/1.jpg", "a/b/2.jpg", "ab/3.jpg", "4.jpg"):
            storage.save(name, b"x")
        assert sorted(storage.names()) == ["4.jpg", "a/1.jpg", "a/b/2.jpg", "ab/3.jpg"]
        assert sorted(storage.names("a")) == ["a/1.jpg", "a/b/2.jpg"]
        assert sorted(storage.names("a/")) == ["a/1.jpg", "a/b/2.jpg"]
        assert sorted(storage.names("a/b")) == ["a/b/2.jpg"]

    @pytest.mark.parametrize("name", SAFE)
    def test_unusual_names_work(self, storage: Storage, name: str) -> None:
        """Any relative POSIX path is a name."""
        storage.save(name, b"x")
        assert storage.stat(name)
        assert list(storage.names()) == [name]
        storage.delete(name)
        assert list(storage.names()) == []

    @pytest.mark.parametrize("name", UNSAFE)
    def test_unsafe_names_are_refused_by_every_method(self, storage: Storage, name: str) -> None:
        """Names that lead out, or mean something else on another system, are errors that say why."""
        for method in (storage.open, storage.stat, storage.delete, storage.path, storage.url):
            with pytest.raises(StorageError, match="not a safe name"):
                method(name)
        with pytest.raises(StorageError, match="not a safe name"):
            storage.save(name, b"x")
        if name.rstrip("/"):
            with pytest.raises(StorageError, match="not a safe name"):
                list(storage.names(f"{name}/x"))
        assert list(storage.names()) == []

    @pytest.mark.parametrize("value", [None, 7, b"a.jpg", ["a"]])
    def test_what_is_not_a_string_is_refused(self, storage: Storage, value: object) -> None:
        """A name is a string."""
        with pytest.raises(StorageError, match="not a safe name"):
            storage.save(value, b"x")  # type: ignore[arg-type]

    def test_url_is_percent_encoded(self, storage: Storage) -> None:
        """Whatever a name holds, its URL holds nothing that means something in HTML or in URLs."""
        url = storage.url('été/it\'s "50%" #1?<&>.jpg')
        assert url.endswith("/%C3%A9t%C3%A9/it%27s%20%2250%25%22%20%231%3F%3C%26%3E.jpg")

    def test_path_is_absolute_or_none(self, storage: Storage) -> None:
        """A path can be opened by anyone on this machine; a storage without paths has none."""
        storage.save("a/b.jpg", b"content")
        path = storage.path("a/b.jpg")
        if path is not None:
            assert os.path.isabs(path)
            with open(path, "rb") as file:
                assert file.read() == b"content"

    def test_readers_see_whole_files_while_threads_write(self, storage: Storage) -> None:
        """While four threads overwrite one file, a reader sees one of the contents, never a part or none."""
        contents = [bytes([65 + number]) * (60_000 + number) for number in range(4)]
        storage.save("a.jpg", contents[0])

        def write(content: bytes) -> None:
            for _ in range(15):
                storage.save("a.jpg", content)

        with ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(write, content) for content in contents]
            while not all(writer.done() for writer in writers):
                with storage.open("a.jpg") as file:
                    assert file.read() in contents
        for writer in writers:
            writer.result()
        assert list(storage.names()) == ["a.jpg"]
