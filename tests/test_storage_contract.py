"""The file system storage: the contract of all storages, and what it promises beyond."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from contracts.storage import StorageContract
from core_site import mounted

from jinja_imagekit import atomic_files, no_links
from jinja_imagekit.exceptions import StorageError
from jinja_imagekit.settings import Settings
from jinja_imagekit.storages import folder as storage_module
from jinja_imagekit.storages.folder import FileSystemStorage

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
needs_modes = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")


@pytest.fixture
def storage(tmp_path: Path) -> FileSystemStorage:
    """A storage in a folder that is not there yet."""
    return FileSystemStorage(tmp_path / "out")


class TestFileSystemStorage(StorageContract):
    """The storage in a folder keeps the contract."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> FileSystemStorage:
        """A storage in a folder that is not there yet."""
        return FileSystemStorage(tmp_path / "deep" / "out")


class TestFileSystemStorageWithFsync(StorageContract):
    """So does one that waits for the disk and leaves modes alone."""

    @pytest.fixture
    def storage(self, tmp_path: Path) -> FileSystemStorage:
        """A storage with the other values of its settings."""
        return FileSystemStorage(tmp_path, fsync=True, file_permissions=None, directory_permissions=None)


class TestFileSystemStorageWithoutFolderDescriptors(StorageContract):
    """And one where folders cannot be opened, as on Windows."""

    @pytest.fixture
    def storage(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileSystemStorage:
        """A storage that works by paths alone."""
        monkeypatch.setattr(no_links, "HAS_FOLDER_DESCRIPTORS", False)
        return FileSystemStorage(tmp_path / "deep" / "out")


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("/", "/a/b.jpg"),
        ("", "/a/b.jpg"),
        ("/media", "/media/a/b.jpg"),
        ("/media/", "/media/a/b.jpg"),
        ("https://cdn.example", "https://cdn.example/a/b.jpg"),
        ("https://cdn.example/x//", "https://cdn.example/x/a/b.jpg"),
    ],
)
def test_url_joins_with_one_slash(tmp_path: Path, base_url: str, url: str) -> None:
    """Whether the base URL ends with a slash or not, there is one before the name."""
    assert FileSystemStorage(tmp_path, base_url).url("a/b.jpg") == url


def test_settings_describe_the_storage(tmp_path: Path) -> None:
    """The kit's settings are used."""
    settings = Settings(
        location=tmp_path, base_url="/m/", file_permissions=0o600, directory_permissions=None, fsync=True
    )
    storage = FileSystemStorage.from_settings(settings)
    assert storage.location == tmp_path
    assert storage.url("a") == "/m/a"
    assert (storage.file_permissions, storage.directory_permissions, storage.fsync) == (0o600, None, True)
    assert str(tmp_path) in repr(storage)


def test_location_is_fixed_when_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative location is where the process stood, wherever it goes later."""
    monkeypatch.chdir(tmp_path)
    storage = FileSystemStorage("out")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    storage.save("a.jpg", b"x")
    assert (tmp_path / "out" / "a.jpg").exists()


def test_it_can_be_pickled(storage: FileSystemStorage) -> None:
    """A copy in another process writes to the same place."""
    storage.save("a.jpg", b"x")
    assert pickle.loads(pickle.dumps(storage)).stat("a.jpg") == storage.stat("a.jpg")


@needs_modes
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_modes_are_the_settings_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Files and folders have the modes of the settings; with None the umask decides."""
    before = os.umask(umask)
    try:
        FileSystemStorage(tmp_path / "set", file_permissions=0o640, directory_permissions=0o751).save("a/b/c", b"x")
        FileSystemStorage(tmp_path / "free", file_permissions=None, directory_permissions=None).save("a/b/c", b"x")
    finally:
        os.umask(before)
    modes = [(tmp_path / "set" / name).stat().st_mode & 0o777 for name in ("", "a", "a/b", "a/b/c")]
    assert modes == [0o751, 0o751, 0o751, 0o640]
    modes = [(tmp_path / "free" / name).stat().st_mode & 0o777 for name in ("", "a", "a/b", "a/b/c")]
    assert modes == [0o777 & ~umask] * 3 + [0o666 & ~umask]


@needs_modes
def test_modes_of_folders_that_stand_are_left_alone(tmp_path: Path) -> None:
    """Only folders that are made get the mode."""
    tmp_path.chmod(0o700)
    FileSystemStorage(tmp_path, directory_permissions=0o755).save("a/b", b"x")
    assert tmp_path.stat().st_mode & 0o777 == 0o700


@needs_links
def test_links_that_lead_out_are_refused(storage: FileSystemStorage, tmp_path: Path) -> None:
    """Through a folder that is a link to outside, nothing is written, read or deleted."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"mine")
    storage.location.mkdir()
    (storage.location / "link").symlink_to(outside)
    (storage.location / "up").symlink_to("..")
    for name in ("link/a.jpg", "link/deeper/a.jpg", "up/outside/a.jpg"):
        for method in (storage.open, storage.delete, storage.stat, storage.path):
            with pytest.raises(StorageError, match="symbolic link"):
                method(name)
        with pytest.raises(StorageError, match="symbolic link"):
            storage.save(name, b"x")
    with pytest.raises(StorageError, match="symbolic link"):
        list(storage.names("link/x"))
    assert list(storage.names()) == []
    assert [path.name for path in outside.iterdir()] == ["a.jpg"]
    assert (outside / "a.jpg").read_bytes() == b"mine"


@needs_links
def test_link_that_appears_later_is_refused(storage: FileSystemStorage, tmp_path: Path) -> None:
    """A folder that is replaced by a link after it was used is checked anew before anything is touched."""
    storage.save("a/b.jpg", b"old")
    assert storage.stat("a/b.jpg")
    (storage.location / "a").rename(tmp_path / "outside")
    (storage.location / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError, match="symbolic link"):
        storage.save("a/b.jpg", b"new")
    for method in (storage.open, storage.delete, storage.stat, storage.path):
        with pytest.raises(StorageError, match="symbolic link"):
            method("a/b.jpg")
    assert (tmp_path / "outside" / "b.jpg").read_bytes() == b"old"


@needs_links
def test_folders_that_are_exchanged_for_links_let_nothing_out(storage: FileSystemStorage, tmp_path: Path) -> None:
    """While a folder is a link to outside now and then, nothing is written, read or deleted there."""
    outside = tmp_path / "outside" / "b"
    outside.mkdir(parents=True)
    (outside / "secret.jpg").write_bytes(b"secret")
    storage.save("a/b/own.jpg", b"own")
    folder, aside, stop = storage.location / "a", storage.location / "aside", threading.Event()

    def exchange() -> None:
        while not stop.is_set():
            with suppress(OSError):
                folder.rename(aside)
                folder.symlink_to(tmp_path / "outside")
                folder.unlink()
            with suppress(OSError):
                aside.rename(folder)
            # Now and then the folder is what it was.
            stop.wait(0.0002)

    thread = threading.Thread(target=exchange)
    thread.start()
    seen, done, refused = set(), 0, 0

    def read() -> None:
        with storage.open("a/b/secret.jpg") as file:
            seen.add(file.read())

    try:
        for _ in range(300):
            for attempt in (
                lambda: storage.save("a/b/new.jpg", b"new"),
                read,
                lambda: storage.delete("a/b/secret.jpg"),
            ):
                try:
                    attempt()
                    done += 1
                except StorageError:
                    refused += 1
    finally:
        stop.set()
        thread.join()
    assert (seen, [path.name for path in outside.iterdir()]) == (set(), ["secret.jpg"])
    assert [path.name for path in outside.parent.iterdir()] == ["b"]
    assert done
    assert refused


@needs_links
def test_links_within_the_location_work(storage: FileSystemStorage, tmp_path: Path) -> None:
    """A folder that is a link to another one of the location is a folder; so is a location that is a link."""
    storage.save("real/a.jpg", b"x")
    (storage.location / "link").symlink_to("real")
    (tmp_path / "site").symlink_to(storage.location)
    assert FileSystemStorage(tmp_path / "site").stat("link/a.jpg")


@needs_links
@pytest.mark.parametrize("place", [7, 39])
def test_a_link_among_many_folders_is_no_folder(storage: FileSystemStorage, tmp_path: Path, place: int) -> None:
    """Folders of which many are asked about are listed, and a link that leads out is found among them, or later."""
    names = [f"photos/{number:02}/a.jpg" for number in range(40)]
    for name in names:
        storage.save(name, b"image")
    path_of = storage.paths()
    assert [path_of(name) for name in names] == [storage.path(name) for name in names]
    (storage.location / "photos" / "new").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="leads out"):
        path_of("photos/new/a.jpg")
    folder = storage.location / "photos" / f"{place:02}"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="leads out"):
        list(storage.stats(names))


@needs_links
def test_link_in_place_of_a_file_is_replaced(storage: FileSystemStorage, tmp_path: Path) -> None:
    """A link under a cache file's name is not a file; saving replaces the link, not what it leads to."""
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"mine")
    storage.location.mkdir()
    (storage.location / "a.jpg").symlink_to(outside)
    assert storage.stat("a.jpg") is None
    assert list(storage.names()) == []
    with pytest.raises(StorageError, match="not a regular file"):
        storage.open("a.jpg")
    storage.save("a.jpg", b"new")
    assert outside.read_bytes() == b"mine"
    assert not (storage.location / "a.jpg").is_symlink()
    with storage.open("a.jpg") as file:
        assert file.read() == b"new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_fifo_is_not_a_file(storage: FileSystemStorage) -> None:
    """A FIFO is neither waited for nor taken for a file."""
    storage.location.mkdir()
    os.mkfifo(storage.location / "a.jpg")
    assert storage.stat("a.jpg") is None
    assert list(storage.names()) == []
    with pytest.raises(StorageError, match="not a regular file"):
        storage.open("a.jpg")


def test_folder_in_place_of_a_file(storage: FileSystemStorage) -> None:
    """A folder under a cache file's name is left alone, and each error says so."""
    storage.save("a.jpg/b.jpg", b"x")
    assert storage.stat("a.jpg") is None
    for action in (lambda: storage.save("a.jpg", b"x"), lambda: storage.delete("a.jpg")):
        with pytest.raises(StorageError, match=r"a\.jpg"):
            action()
    with pytest.raises(StorageError, match="not a regular file"):
        storage.open("a.jpg")
    assert list(storage.names()) == ["a.jpg/b.jpg"]
    assert not list((storage.location / atomic_files.PREFIX).iterdir())


def test_file_in_place_of_a_folder(storage: FileSystemStorage) -> None:
    """A file where a folder should be is left alone, and the error says so."""
    storage.save("a", b"x")
    assert storage.stat("a/b.jpg") is None
    storage.delete("a/b.jpg")
    with pytest.raises(StorageError, match="there is a folder where a file should be, or vice versa"):
        storage.save("a/b.jpg", b"x")
    assert list(storage.names("a")) == []
    assert list(storage.names()) == ["a"]


def test_name_that_is_too_long(storage: FileSystemStorage) -> None:
    """A name of 300 characters is an error that says what to do."""
    name = "x" * 300 + ".jpg"
    assert storage.stat(name) is None
    with pytest.raises(StorageError, match="namer"):
        storage.save(name, b"x")
    storage.save("a.jpg", b"x")


def test_full_disk(storage: FileSystemStorage) -> None:
    """On a full disk the error says so, the old file is whole, and nothing is left behind."""
    with mounted(storage.location, "-t", "tmpfs", "-o", "size=256k", "tmpfs"):
        storage.save("a.jpg", b"old")
        with pytest.raises(StorageError, match="full: free some space"):
            storage.save("a.jpg", bytes(1_000_000))
        with storage.open("a.jpg") as file:
            assert file.read() == b"old"
        assert storage.sweep() == 0
        assert [path.name for path in storage.location.iterdir()] == ["a.jpg"]


def test_read_only_disk(storage: FileSystemStorage) -> None:
    """On a read-only disk files are read, and each error of writing names the folder and what to do."""
    storage.save("a.jpg", b"old")
    with mounted(storage.location, "-o", "bind,ro", str(storage.location)):
        for action in (lambda: storage.save("a.jpg", b"x"), lambda: storage.save("b/c.jpg", b"x")):
            with pytest.raises(StorageError, match="not writable: check its permissions, or set location"):
                action()
        with pytest.raises(StorageError, match="not writable"):
            storage.delete("a.jpg")
        with storage.open("a.jpg") as file:
            assert file.read() == b"old"


def test_folder_on_another_file_system(storage: FileSystemStorage) -> None:
    """Below a folder that is a mount of its own, files are whole as well, and leftovers there are swept."""
    mount = storage.location / "mounted"
    with mounted(mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs"):
        left = mount / f"{atomic_files.PREFIX}.{atomic_files._host()}.999999999.1.abc"
        left.touch()
        assert list(storage.names()) == []
        storage.save("mounted/a.jpg", b"1")
        storage.save("mounted/deep/b.jpg", b"2")
        with pytest.raises(StorageError, match="full"):
            storage.save("mounted/a.jpg", bytes(1_000_000))
        assert list(storage.names()) == ["mounted/a.jpg", "mounted/deep/b.jpg"]
        assert sorted(path.name for path in mount.iterdir()) == ["a.jpg", "deep"]


@pytest.mark.parametrize("fault", [errno.EIO, errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize("function", ["open", "fdopen", "replace", "chmod"])
def test_fault_at_any_step_leaves_the_old_file(
    storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch, function: str, fault: int
) -> None:
    """Whichever step of a save fails, the error is a StorageError, the old file is whole, and no temporary is left."""
    storage.save("a.jpg", b"old")

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(storage_module.os, function, fail)
        with pytest.raises(StorageError, match=r"a\.jpg"):
            storage.save("a.jpg", b"new")
    with storage.open("a.jpg") as file:
        assert file.read() == b"old"
    assert not list((storage.location / atomic_files.PREFIX).iterdir())


def test_interrupt_leaves_no_temporary(storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a save goes through, and nothing is left."""
    storage.save("a.jpg", b"old")

    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(storage_module.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        storage.save("a.jpg", b"new")
    assert not list((storage.location / atomic_files.PREFIX).iterdir())


def test_open_file_on_windows_is_waited_for(storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to replace a file that a reader has open: the save waits for the reader, but not for ever."""
    refusals = [3]
    replace = os.replace

    def refuse(source: str, target: str) -> None:
        if refusals[0]:
            refusals[0] -= 1
            error = PermissionError(errno.EACCES, "in use")
            error.winerror = 32  # type: ignore[misc, attr-defined, unused-ignore]  # as Windows sets it
            raise error
        replace(source, target)

    monkeypatch.setattr(no_links, "HAS_FOLDER_DESCRIPTORS", False)
    monkeypatch.setattr(storage_module.os, "replace", refuse)
    monkeypatch.setattr(storage_module.time, "sleep", lambda seconds: None)
    storage.save("a.jpg", b"x")
    assert storage.stat("a.jpg")
    refusals[0] = 1_000
    with pytest.raises(StorageError, match="not writable"):
        storage.save("a.jpg", b"y")


def test_temporary_file_that_vanishes_is_written_again(
    storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a machine that cannot know this process sweeps its temporary file away, the save is done again."""
    replace = os.replace
    swept: list[str] = []

    def sweep_first(source: str, target: str, **folders: int) -> None:
        if not swept:
            swept.append(source)
            os.unlink(source, dir_fd=folders.get("src_dir_fd"))
        replace(source, target, **folders)

    monkeypatch.setattr(storage_module.os, "replace", sweep_first)
    storage.save("a.jpg", b"x")
    assert swept
    assert storage.stat("a.jpg")


def test_location_that_is_deleted_under_way_is_made_again(storage: FileSystemStorage) -> None:
    """When someone deletes the whole output between two saves, the second makes it again."""
    storage.save("a/b.jpg", b"x")
    for path in sorted(storage.location.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    storage.location.rmdir()
    storage.save("a/b.jpg", b"x")
    assert storage.stat("a/b.jpg")


WRITE = """
import sys
from jinja_imagekit.storages.folder import FileSystemStorage
storage = FileSystemStorage(sys.argv[1])
content = sys.argv[2].encode() * int(sys.argv[3])
print("ready", flush=True)
for _ in range(int(sys.argv[4])):
    storage.save("a.jpg", content)
"""


def _writer(storage: FileSystemStorage, letter: str, size: int, rounds: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "error", "-c", WRITE, str(storage.location), letter, str(size), str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def test_readers_see_whole_files_while_processes_write(storage: FileSystemStorage) -> None:
    """While two processes overwrite one file, a reader sees one of the contents, never a part or none."""
    storage.save("a.jpg", b"A" * 90_000)
    writers = [_writer(storage, letter, 90_000, 40) for letter in "AB"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        with storage.open("a.jpg") as file:
            content = file.read()
        assert len(content) == 90_000
        assert len(set(content)) == 1
        seen.add(content[0])
        time.sleep(0.002)
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen == {ord("A"), ord("B")}
    assert not list((storage.location / atomic_files.PREFIX).iterdir())


@needs_proc
def test_killed_writers_leave_nothing_that_counts(storage: FileSystemStorage) -> None:
    """However a writer is killed, the file is whole, its temporary is not listed, and the next save sweeps it."""
    old = b"0" * 100
    storage.save("a.jpg", old)
    left = 0
    for round_ in range(8):
        writer = _writer(storage, "A", 30_000_000, 1_000)
        assert writer.stdout is not None
        with writer.stdout:
            writer.stdout.readline()
            time.sleep(0.01 * (round_ + 1))
            writer.kill()
        assert writer.wait() == -signal.SIGKILL
        with storage.open("a.jpg") as file:
            assert file.read() in (old, b"A" * 30_000_000)
        left = max(left, len(list((storage.location / atomic_files.PREFIX).iterdir())))
        assert list(storage.names()) == ["a.jpg"]
    assert left, "no writer was killed in the middle of a save"
    FileSystemStorage(storage.location).save("b.jpg", b"x")
    assert not list((storage.location / atomic_files.PREFIX).iterdir())


def _leave(storage: FileSystemStorage, host: str, pid: int, started: int, age: float = 0) -> Path:
    folder = storage.location / atomic_files.PREFIX
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{atomic_files.PREFIX}.{host}.{pid}.{started}.0123456789abcdef"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


@needs_proc
def test_sweep_tells_the_dead_from_the_living(storage: FileSystemStorage) -> None:
    """Temporaries of dead processes go, also when their number was given out again; those of living ones stay."""
    host, pid = atomic_files._host(), os.getpid()
    started = atomic_files._started(pid)
    assert started
    living = _leave(storage, host, pid, started)
    dead = [_leave(storage, host, 999_999_999, 1), _leave(storage, host, pid, started - 1)]
    assert storage.sweep() == 2
    assert living.exists()
    assert not any(path.exists() for path in dead)


def test_sweep_leaves_other_machines_a_day(storage: FileSystemStorage) -> None:
    """Who lives on another machine cannot be told: its temporaries stay for a day, as do names of another form."""
    young = _leave(storage, "other-machine", 1, 1, age=23 * 3_600)
    old = _leave(storage, "other-machine", 2, 2, age=25 * 3_600)
    odd = young.with_name(f"{atomic_files.PREFIX}.odd")
    odd.touch()
    foreign = young.with_name("readme.txt")
    foreign.touch()
    os.utime(foreign, (0, 0))
    assert storage.sweep() == 1
    assert not old.exists()
    assert young.exists()
    assert odd.exists()
    assert foreign.exists()


def test_sweep_takes_its_empty_folder_away(storage: FileSystemStorage) -> None:
    """After a sweep of nothing but leftovers, the folder of temporaries is gone, and the next save works."""
    storage.save("a.jpg", b"x")
    assert storage.sweep() == 0
    assert [path.name for path in storage.location.iterdir()] == ["a.jpg"]
    storage.save("a.jpg", b"y")
    assert storage.stat("a.jpg")


def test_without_proc_a_process_is_asked_for_by_its_number(
    storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no /proc, a temporary stays while a process has its writer's number."""
    monkeypatch.setattr(atomic_files, "_started", lambda pid: None)
    host = atomic_files._host()
    mine = _leave(storage, host, os.getpid(), 0)
    dead = _leave(storage, host, 999_999_999, 0)
    assert storage.sweep() == 1
    assert mine.exists()
    assert not dead.exists()


@pytest.mark.parametrize("name", ["CON", "a/nul.jpg", "com1", "a.jpg:stream", "LPT9.txt", "COM¹", "a/lpt².jpg"])
def test_names_of_devices_are_refused_on_windows(
    storage: FileSystemStorage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """On Windows, names of devices and of streams within files are not files."""
    assert storage_module.check_name(name) == name
    monkeypatch.setattr(storage_module.os, "name", "nt")
    with pytest.raises(StorageError, match="device or a stream"):
        storage_module.check_name(name)
