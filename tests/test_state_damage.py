"""Trouble with the state folder never gets out of the store, and forged rows do nothing."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from core_site import mounted

from jinja_imagekit.state import DiskStore
from jinja_imagekit.state.files import NAME

Damage = Callable[[Path], object]


def _garbage(database: Path) -> None:
    database.write_bytes(b"no database at all " * 1_000)


def _truncated(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2 + 100)


def _header_only(database: Path) -> None:
    os.truncate(database, 100)


def _overwritten_pages(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4_096)
        file.write(os.urandom(database.stat().st_size - 4_096))


def _folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


def _without_tables(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE Cache")


def _another_program_s(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")


def _view(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE Cache")
        connection.execute(
            "CREATE VIEW Cache AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n"
        )


DAMAGES: tuple[Damage, ...] = (
    _garbage,
    _truncated,
    _header_only,
    _overwritten_pages,
    _folder,
    _another_program_s,
    _view,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskStore]:
    """A store with 300 values, closed."""
    store = DiskStore(tmp_path / "state", timeout=0.2, retry_after=0.2)
    store.set_many({f"key{number}": "value" * 20 for number in range(300)})
    store.close()
    yield store
    store.close()


def _works(store: DiskStore) -> bool:
    store.set_many({"probe": "1"})
    other = DiskStore(store.directory, timeout=0.2)
    shared = other.get("probe") == "1"
    other.close()
    return store.get("probe") == "1" and shared and store.is_reliable


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_database_is_begun_anew(store: DiskStore, damage: Damage, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged database is set aside, the store works at once, and one warning says so."""
    damage(store.directory / NAME)
    for number in range(300):
        assert store.get(f"key{number}") in (None, "value" * 20)
    list(store.keys())
    assert _works(store)
    assert len(_warnings(caplog)) == 1
    assert "damaged" in _warnings(caplog)[0]
    assert len([each for each in store.directory.iterdir() if "damaged" in each.name]) == 1


def test_missing_table_is_made(store: DiskStore) -> None:
    """A table that is gone is made again."""
    _without_tables(store.directory / NAME)
    assert _works(store)


@pytest.mark.skipif(os.name == "nt", reason="Windows locks open files")
@pytest.mark.parametrize("damage", [_garbage, _overwritten_pages, _truncated])
def test_damage_under_way_is_mended(store: DiskStore, damage: Damage, caplog: pytest.LogCaptureFixture) -> None:
    """A database that is damaged while it is open raises nothing, and the store works."""
    assert store.get("key1")
    for name in (f"{NAME}-journal", f"{NAME}-wal"):
        (store.directory / name).unlink(missing_ok=True)
    damage(store.directory / NAME)
    for number in range(300):
        store.get(f"key{number}")
        store.set_many({f"key{number}": "new"})
    assert _works(store)
    assert len(_warnings(caplog)) <= 2


@pytest.mark.skipif(os.name == "nt", reason="Windows deletes no open files")
@pytest.mark.parametrize("whole", [True, False], ids=["state_dir", "database"])
def test_folder_that_vanishes_under_way_is_made_again(
    store: DiskStore, whole: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """When the folder is deleted while the store is open, what is written next is there for other processes."""
    assert store.get("key1")
    if whole:
        shutil.rmtree(store.directory)
    else:
        for path in store.directory.glob(f"{NAME}*"):
            path.unlink()
    assert _works(store)
    with store.lock("hero"):
        pass
    assert not _warnings(caplog)


def test_file_in_place_of_the_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file where the folder should be is left alone; state is kept in memory, and one warning says what to do."""
    (tmp_path / "state").write_text("mine")
    store = DiskStore(tmp_path / "state", retry_after=0.1)
    for _ in range(3):
        store.set_many({"a": "1"})
        assert store.get("a") == "1"
        assert list(store.keys()) == ["a"]
        assert not store.is_reliable
        time.sleep(0.11)
    assert (tmp_path / "state").read_text() == "mine"
    assert len(_warnings(caplog)) == 1
    assert "state_dir" in _warnings(caplog)[0]
    store.delete_many(["a"])
    assert store.get("a") is None


def test_what_was_kept_in_memory_is_handed_over(tmp_path: Path) -> None:
    """When the trouble is over, the store uses the folder again, with what it kept meanwhile."""
    (tmp_path / "state").write_text("mine")
    store = DiskStore(tmp_path / "state", retry_after=0.1)
    store.set_many({"ever": "1"})
    store.set_many({"long": "1"}, timeout=60)
    store.set_many({"short": "1"}, timeout=0.05)
    assert not store.is_reliable
    (tmp_path / "state").unlink()
    time.sleep(0.11)
    assert store.get("ever") == "1"
    assert store.is_reliable
    other = DiskStore(tmp_path / "state")
    assert sorted(other.keys()) == ["ever", "long"]
    other.close()
    store.close()


@contextmanager
def _locked(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "closed"])
def test_lock_of_another_process_is_waited_for_only_so_long(
    store: DiskStore, is_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """While another process keeps the database locked, it is read, and what is new is kept in memory until it is free.

    A second wait in vain is worth a warning; a first one only means that many write at once.
    """
    if is_open:
        assert store.get("key1")
    with _locked(store.directory / NAME):
        begin = time.perf_counter()
        store.set_many({"a": "1", "key2": "new"})
        store.delete_many(["key3"])
        for number in range(50):
            store.set_many({f"b{number}": "1"})
        assert store.get_many(["a", "key1", "key2", "key3"]) == {"a": "1", "key1": "value" * 20, "key2": "new"}
        assert set(store.keys("key")) == {f"key{number}" for number in range(300) if number != 3}
        assert store.is_reliable
        assert time.perf_counter() - begin < 1
        assert not _warnings(caplog)
        time.sleep(0.25)
        store.set_many({"c": "1"})
        assert ["locked" in message for message in _warnings(caplog)] == [True]
    time.sleep(0.25)
    assert _works(store)
    other = DiskStore(store.directory)
    assert other.get_many(["a", "key1", "key2", "key3", "c"]) == {
        "a": "1",
        "c": "1",
        "key1": "value" * 20,
        "key2": "new",
    }
    other.close()


def test_a_lock_that_keeps_readers_out_costs_one_wait(store: DiskStore) -> None:
    """While nothing can be read, memory serves; afterwards all is there again."""
    with closing(sqlite3.connect(store.directory / NAME, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        begin = time.perf_counter()
        assert store.get("key1") is None
        store.set_many({"a": "1"})
        assert store.get_many(["a", "key1"]) == {"a": "1"}
        assert not store.is_reliable
        assert time.perf_counter() - begin < 1
        connection.execute("ROLLBACK")
    time.sleep(0.25)
    assert store.get_many(["a", "key1"]) == {"a": "1", "key1": "value" * 20}
    assert _works(store)


def test_what_a_lock_kept_from_the_disk_is_written_when_the_store_closes(store: DiskStore) -> None:
    """A process that ends right after the lock does loses nothing."""
    with _locked(store.directory / NAME):
        store.set_many({"a": "1"})
    store.close()
    other = DiskStore(store.directory)
    assert other.get("a") == "1"
    other.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows locks open files")
def test_no_file_is_mapped_into_memory(store: DiskStore) -> None:
    """Whoever cuts a mapped file ends the processes that have it open: nothing is mapped, and a cut file is mended."""
    assert store.get("key1")
    store.set_many({"a": "1"})
    assert {path.name for path in store.directory.iterdir() if path.is_file()} <= {NAME, f"{NAME}-journal"}
    if os.path.exists("/proc/self/maps"):
        assert str(store.directory) not in Path("/proc/self/maps").read_text()
    for path in store.directory.glob(f"{NAME}*"):
        os.truncate(path, 0)
    assert store.get("key1") is None
    assert _works(store)


def test_files_of_other_versions_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """During a rolling deploy an older and a newer version keep their own, which this one neither reads nor touches."""
    (tmp_path / "state").mkdir()
    others = {"cache.db": b"an older one", "state-3.db": b"a newer one", "state-3.db-journal": b"its journal"}
    for name, content in others.items():
        (tmp_path / "state" / name).write_bytes(content)
    store = DiskStore(tmp_path / "state")
    assert _works(store)
    store.close()
    assert {name: (tmp_path / "state" / name).read_bytes() for name in others} == others
    assert not _warnings(caplog)


def test_readers_do_not_wait_for_a_writer(store: DiskStore) -> None:
    """A transaction of another process stops no reader."""
    assert store.get("key1")
    with _locked(store.directory / NAME):
        assert store.get("key2")
        assert store.is_reliable


def test_read_only_folder(store: DiskStore, caplog: pytest.LogCaptureFixture) -> None:
    """On a read-only disk what is new is kept in memory, and one warning says so; what is there is read."""
    with mounted(store.directory, "-o", "bind,ro", str(store.directory)):
        store.set_many({"a": "1"})
        assert store.get_many(["a", "key1"]) == {"a": "1", "key1": "value" * 20}
        assert store.is_reliable
        with store.lock("hero"):
            pass
        assert sum("read-only" in message for message in _warnings(caplog)) == 1
    time.sleep(0.25)
    assert store.get("key1")
    assert _works(store)


def test_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On a full disk state is kept in memory; when there is space again, the disk is used again."""
    folder = tmp_path / "small"
    with mounted(folder, "-t", "tmpfs", "-o", "size=1m", "tmpfs"):
        store = DiskStore(folder / "state", retry_after=0.1)
        store.set_many({"a": "1"})
        assert store.is_reliable
        ballast = folder / "ballast"
        with pytest.raises(OSError, match="No space"), ballast.open("wb") as file:
            file.write(bytes(2_000_000))
        for number in range(40):
            store.set_many({f"b{number}": "x" * 4_000})
            assert store.get(f"b{number}") == "x" * 4_000
        assert store.get("a") == "1"
        assert len(_warnings(caplog)) == 1
        assert "full" in _warnings(caplog)[0]
        ballast.unlink()
        time.sleep(0.12)
        assert store.get("a") == "1"
        assert _works(store)
        assert store.get("b39") == "x" * 4_000
        store.close()


def test_full_disk_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store that finds the disk full when it opens keeps state in memory."""
    folder = tmp_path / "small"
    with mounted(folder, "-t", "tmpfs", "-o", "size=16k", "tmpfs"):
        store = DiskStore(folder / "state")
        store.set_many({"a": "1"})
        assert store.get("a") == "1"
        assert not store.is_reliable
        assert len(_warnings(caplog)) == 1
        store.close()


REBUILD = """
import sys, time
from jinja_imagekit.state import DiskStore
from jinja_imagekit.state.files import ASIDE, NAME
store = DiskStore(sys.argv[1])
sys.stdin.readline()
for number in range(20):
    store.set_many({f"{sys.argv[2]}-{number}": "1"})
assert store.is_reliable
print(sum(store.get(f"{sys.argv[2]}-{number}") == "1" for number in range(20)))
store.close()
"""


def test_processes_that_find_the_damage_together_rebuild_once(store: DiskStore) -> None:
    """Four processes that meet a damaged database at the same time end up with one new database and all values."""
    _garbage(store.directory / NAME)
    command = [sys.executable, "-W", "error", "-c", REBUILD, str(store.directory)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*command, str(each)], **pipes) for each in range(4)]  # type: ignore[call-overload]
    time.sleep(0.5)
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    results = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, results
    assert [int(out) for out, _ in results] == [20] * 4
    assert len(list(store.keys())) == 80
    assert sum("set aside" in err for _, err in results) == 1


class Bomb:
    """Unpickling one makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.path),)


def _forge(store: DiskStore, *rows: tuple[object, ...]) -> None:
    with closing(sqlite3.connect(store.directory / NAME, isolation_level=None)) as connection:
        for row in rows:
            connection.execute(
                "INSERT OR REPLACE INTO Cache (key, raw, store_time, expire_time, mode, filename, value)"
                " VALUES (?, ?, 0, ?, ?, ?, ?)",
                row,
            )


def test_forged_rows_run_no_code_and_touch_no_file(store: DiskStore, tmp_path: Path) -> None:
    """Rows that tell diskcache to unpickle, to read a file or to delete one do nothing: their values are unknown."""
    bomb, secret = tmp_path / "bomb", tmp_path / "secret"
    secret.write_text("secret")
    evil = pickle.dumps(Bomb(bomb))
    (store.directory / "evil").write_bytes(evil)
    _forge(
        store,
        ("pickle", 1, None, 4, None, evil),
        ("pickle-file", 1, None, 4, "evil", None),
        ("text", 1, None, 3, "../secret", None),
        ("binary", 1, None, 2, str(secret), None),
        ("named", 1, None, 1, "../secret", "value"),
        ("bytes", 1, None, 1, None, b"bytes"),
        ("nothing", 1, None, 1, None, None),
        ("number", 1, None, 1, None, 7),
        ("mode", 1, None, "x", None, "value"),
        ("expired", 1, 1.0, 3, "../secret", None),
        ("raw", 0, None, 1, None, "value"),
        (evil, 0, None, 1, None, "value"),
        (b"blob", 1, None, 1, None, "value"),
        (7, 1, None, 1, None, "value"),
    )
    names = ["pickle", "pickle-file", "text", "binary", "named", "bytes", "nothing", "number", "mode", "expired", "raw"]
    assert store.get_many(names) == {}
    assert len(list(store.keys("key"))) == 300
    store.set_many(dict.fromkeys(names, "mine"))
    assert store.get_many(names) == dict.fromkeys(names, "mine")
    _forge(store, *((name, 1, None, 3, "../secret", None) for name in names))
    store.delete_many(names)
    assert not bomb.exists()
    assert secret.read_text() == "secret"
    assert _works(store)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_directory", "{outside}"),
        ("disk_fetch", "x"),
        ("disk_min_file_size", b"x"),
        ("sqlite_temp_store_directory = '{outside}' --", 1),
        ("get", 1),
        (b"key", 1),
    ],
)
def test_forged_settings_lead_nowhere(store: DiskStore, tmp_path: Path, key: object, value: object) -> None:
    """Rows of the Settings table, which diskcache turns into attributes and PRAGMAs, are not read."""
    outside = tmp_path / "outside"
    outside.mkdir()
    key, value = (each.format(outside=outside) if isinstance(each, str) else each for each in (key, value))
    with closing(sqlite3.connect(store.directory / NAME, isolation_level=None)) as connection:
        connection.execute("INSERT OR REPLACE INTO Settings VALUES (?, ?)", (key, value))
    assert _works(store)
    assert not list(outside.iterdir())
    assert store.get("key1") == "value" * 20


@pytest.mark.parametrize("setting", ["eviction_policy", "size_limit", "disk_min_file_size", "cull_limit", "statistics"])
def test_settings_of_the_file_do_not_count(store: DiskStore, setting: str) -> None:
    """What the file says about limits and eviction is overruled: nothing is dropped and nothing goes into files."""
    value = "least-recently-used" if setting == "eviction_policy" else 1
    with closing(sqlite3.connect(store.directory / NAME, isolation_level=None)) as connection:
        connection.execute("UPDATE Settings SET value = ? WHERE key = ?", (value, setting))
    store.set_many({"big": "x" * 100_000})
    assert len(list(store.keys())) == 301
    assert store.get("big") == "x" * 100_000
    assert not [path for path in store.directory.rglob("*") if path.suffix == ".val"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_link_in_place_of_the_database_is_not_followed(store: DiskStore, tmp_path: Path) -> None:
    """A link to another program's database is set aside, and that database is as it was."""
    outside = tmp_path / "bookmarks.db"
    with closing(sqlite3.connect(outside)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    before = outside.read_bytes()
    (store.directory / NAME).unlink()
    (store.directory / NAME).symlink_to(outside)
    assert _works(store)
    assert outside.read_bytes() == before
    assert not (store.directory / NAME).is_symlink()


AS_ANOTHER_USER = """
import logging, os, sys
import jinja_imagekit.pictures, jinja_imagekit.state.writing
from jinja_imagekit import ImageKit
logging.basicConfig(format="%(message)s")
modes = {"state_directory_permissions": int(sys.argv[2], 8), "state_file_permissions": int(sys.argv[3], 8)}
os.umask(0o077)
kit = ImageKit(state_dir=sys.argv[1], **modes)
store = kit.records.store
if len(sys.argv) > 4:
    # What is imported later, as the line above would be, may lie where only root can read.
    import pwd
    os.setgid(int(sys.argv[4]))
    os.setuid(int(sys.argv[4]))
store.set_many({f"of {os.getuid()}": "1"})
with store.lock("hero"):
    pass
kit.finish()
print(sorted(store.keys()))
kit.close()
"""


def _as_user(folder: Path, directories: str, files: str, *user: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", AS_ANOTHER_USER, str(folder), directories, files, *user]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder that another user can reach."""
    if os.name != "posix" or os.getuid() != 0:
        pytest.skip("only root becomes another user")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == 0 and folder.name.startswith(("pytest", "popen", "test_")):
            folder.chmod(0o711)
    (tmp_path / "site").mkdir()
    (tmp_path / "site").chmod(0o777)
    return tmp_path / "site" / "state"


def test_another_users_folder_is_said_to_be_so(shared: Path) -> None:
    """Who may not use it is told whose it is, its mode and what to do; the owner's state stays."""
    assert _as_user(shared, "700", "600").stdout == "['of 0']\n"
    refused = _as_user(shared, "700", "600", "65534")
    assert refused.stdout == "['of 65534']\n"
    assert "belongs to the user root, and its mode is 0700" in refused.stderr
    assert "state_directory_permissions" in refused.stderr
    assert "read-only" not in refused.stderr
    assert shared.stat().st_mode & 0o777 == 0o700
    assert _as_user(shared, "700", "600").stdout == "['of 0']\n"


def test_two_users_share_a_site_whose_modes_let_them(shared: Path) -> None:
    """With modes for everybody, whatever their umasks say, both read and write the state, and nobody is warned."""
    results = [_as_user(shared, "777", "666", *user) for user in ((), ("65534",), ())]
    assert [result.stderr for result in results] == ["", "", ""]
    assert results[2].stdout == "['of 0', 'of 65534']\n"
    assert {path.stat().st_mode & 0o777 for path in shared.rglob("*") if path.is_dir()} == {0o777}
    assert {path.stat().st_mode & 0o777 for path in shared.rglob("*") if path.is_file()} == {0o666}


def test_the_state_is_its_users_alone_by_default(tmp_path: Path) -> None:
    """Folders have mode 0700 and files 0600, whatever the umask says."""
    if os.name != "posix":
        pytest.skip("modes are POSIX's")
    _as_user(tmp_path / "deep" / "state", "700", "600")
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "deep").rglob("*") if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {0o600}


def test_a_value_that_is_not_as_it_was_written_is_unknown(store: DiskStore) -> None:
    """A digit that was overwritten, or a value that stands under another's key, is not taken for what it says."""
    store.set_many({"a": "[640, 480]", "b": "[64, 48]", "sound": "[1, 1]"})
    store.close()
    with closing(sqlite3.connect(store.directory / NAME, isolation_level=None)) as connection:
        connection.execute("UPDATE Cache SET value = replace(value, '640', '940') WHERE key = 'a'")
        connection.execute("UPDATE Cache SET value = (SELECT value FROM Cache WHERE key = 'sound') WHERE key = 'b'")
    assert store.get_many(["a", "b", "sound"]) == {"sound": "[1, 1]"}
    assert store.get("a") is None
    store.set_many({"a": "[640, 480]"})
    assert store.get("a") == "[640, 480]"
