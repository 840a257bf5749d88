"""The state stores: the contract of all, and what a store on disk adds for processes."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.state_store import StateStoreContract

from jinja_imagekit.settings import Settings
from jinja_imagekit.state import DiskStore, MemoryStore
from jinja_imagekit.state.kernel_locks import KernelLocks, NamedLocks, RangeLocks, fcntl
from jinja_imagekit.state.locks import FileLocks, ThreadLocks

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


class TestMemoryStore(StateStoreContract):
    """The memory store keeps the contract."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """A fresh store."""
        return MemoryStore()


class TestDiskStore(StateStoreContract):
    """The store on disk keeps the contract."""

    @pytest.fixture
    def store(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[DiskStore]:
        """A store in a folder that is not there yet; nothing in the contract is trouble for it."""
        store = DiskStore(tmp_path / "deep" / "state")
        yield store
        assert store.is_reliable
        assert not caplog.records
        store.close()


class TestDiskStoreReopened(StateStoreContract):
    """A store on disk that another has made and left keeps the contract."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[DiskStore]:
        """A store in a folder that was used before."""
        first = DiskStore(tmp_path / "state")
        first.set_many({"left": "over"})
        first.delete_many(["left"])
        first.close()
        store = DiskStore(tmp_path / "state")
        yield store
        store.close()


def test_memory_store_tells_time_by_its_clock() -> None:
    """Timeouts follow the clock that the store was given."""
    now = [100.0]
    store = MemoryStore(clock=lambda: now[0])
    store.set_many({"a": "1"}, timeout=60)
    now[0] = 159.9
    assert store.get("a") == "1"
    now[0] = 160.0
    assert store.get("a") is None


def test_thread_locks_leave_nothing_behind() -> None:
    """Locks that nobody holds are gone, so that names may be many."""
    locks = ThreadLocks()
    for number in range(100):
        with locks.hold(str(number)):
            assert len(locks) == 1
    assert len(locks) == 0


def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    """Making a store touches no disk."""
    store = DiskStore(tmp_path / "state")
    assert repr(store)
    store.close()
    assert not list(tmp_path.iterdir())


def test_settings_name_the_folder(tmp_path: Path) -> None:
    """The store lies in `state` below `state_dir`, wherever the process goes later."""
    store = DiskStore.from_settings(Settings(state_dir=tmp_path))
    assert store.directory == tmp_path / "state"
    assert DiskStore("relative").directory.is_absolute()


@pytest.mark.skipif(os.name != "posix", reason="modes of folders are POSIX's")
def test_folder_is_private(tmp_path: Path) -> None:
    """The folder is closed to other users, even when it was open before."""
    (tmp_path / "state").mkdir(mode=0o755)
    store = DiskStore(tmp_path / "state")
    store.set_many({"a": "1"})
    store.close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_two_stores_share_one_folder(tmp_path: Path) -> None:
    """What one store writes, another reads, in the same process."""
    one, two = DiskStore(tmp_path), DiskStore(tmp_path)
    assert two.get("a") is None
    one.set_many({"a": "1"})
    assert two.get("a") == "1"
    one.close()
    two.close()


def _left_of_locks(folder: Path) -> list[str]:
    """Return what lies in a folder of locks, apart from the file whose bytes are locked where the kernel can."""
    return [path.name for path in folder.iterdir() if path.name != "bytes"]


def test_locks_leave_no_file_each(tmp_path: Path) -> None:
    """However many locks there were, at most one file lies in their folder."""
    store = DiskStore(tmp_path)
    for number in range(20):
        with store.lock(str(number)), store.lock("inner"):
            pass
    assert not _left_of_locks(tmp_path / "locks")


KERNEL_LOCKS = [NamedLocks, *([RangeLocks] if hasattr(fcntl, "F_OFD_SETLK") else [])]


@pytest.mark.parametrize("kind", KERNEL_LOCKS)
def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path, kind: type[KernelLocks]) -> None:
    """Whatever the kernel offers: a second object does not get a name that is held, but any other, and the name later.

    Its folder is made, and deleted under it, it is made again.
    """
    folder = tmp_path / "made" / "locks"
    one, two = (kind(str(folder), 0o700, 0o600) for _ in range(2))
    first, second = (str(folder / f"{name}.lock") for name in ("first", "second"))
    held = one.attempt(first)
    assert held is not None
    assert one.attempt(first) is two.attempt(first) is None
    other = two.attempt(second)
    assert other is not None
    held()
    other()
    again = two.attempt(first)
    assert again is not None
    again()
    shutil.rmtree(folder)
    for locks in (one, two):
        release = locks.attempt(first)
        assert release is not None
        release()


@pytest.mark.parametrize("kind", KERNEL_LOCKS)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_a_forked_child_neither_has_nor_keeps_its_parents_locks(tmp_path: Path, kind: type[KernelLocks]) -> None:
    """A child does not get what its parent holds, and while it lives, they end when the parent says so."""
    locks = kind(str(tmp_path), 0o700, 0o600)
    path = str(tmp_path / "hero.lock")
    held = locks.attempt(path)
    assert held is not None
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"free" if kind(str(tmp_path), 0o700, 0o600).attempt(path) else b"held")
        # What it inherited it cannot end.
        held()
        signal.pause()
    try:
        assert os.read(reader, 4) == b"held"
        assert kind(str(tmp_path), 0o700, 0o600).attempt(path) is None
        held()
        release = locks.attempt(path)
        assert release is not None
        release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def test_lock_files_of_the_dead_are_swept(tmp_path: Path) -> None:
    """Where each lock has a file, those that killed processes left go with the first lock; those that are held stay."""
    held = NamedLocks(str(tmp_path), 0o700, 0o600).attempt(str(tmp_path / "held.lock"))
    assert held is not None
    for number in range(5):
        (tmp_path / f"{number}.lock").touch()
    new = NamedLocks(str(tmp_path), 0o700, 0o600).attempt(str(tmp_path / "new.lock"))
    assert new is not None
    assert {path.name for path in tmp_path.iterdir()} == {"held.lock", "new.lock"}
    new()
    held()
    assert not list(tmp_path.iterdir())


def test_lock_works_without_its_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the folder of locks cannot be made, work goes on, the threads still take turns, and one warning says so."""
    (tmp_path / "state").write_text("a file stands here")
    store = DiskStore(tmp_path / "state")
    for _ in range(3):
        with store.lock("hero"):
            pass
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "state_dir" in caplog.text


def test_lock_survives_the_deletion_of_its_folder(tmp_path: Path) -> None:
    """When the folder is deleted while a lock is held, the lock ends quietly and the next one works."""
    store = DiskStore(tmp_path / "state")
    with store.lock("hero"):
        shutil.rmtree(tmp_path / "state" / "locks")
    with store.lock("hero"):
        assert len(list((tmp_path / "state" / "locks").iterdir())) == 1


def test_lock_held_by_another_store_of_the_same_thread_does_not_hang(tmp_path: Path) -> None:
    """Two stores on one folder, nested in one thread, would wait for each other for ever: the second goes on."""
    with DiskStore(tmp_path).lock("hero"), DiskStore(tmp_path).lock("hero"):
        pass


@needs_fork
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_forked_process_opens_its_own(tmp_path: Path) -> None:
    """A store that was open when the process forked works in both, and the child's words reach the parent."""
    store = DiskStore(tmp_path)
    store.set_many({"parent": "1"})
    child = multiprocessing.get_context("fork").Process(target=_write_child, args=(store,))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert store.get("child") == "1"
    store.set_many({"after": "1"})
    assert store.get("after") == "1"
    store.close()


def _write_child(store: DiskStore) -> None:
    assert store.get("parent") == "1"
    store.set_many({"child": "1"})
    with store.lock("hero"):
        pass
    assert store.is_reliable


@needs_fork
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_forked_process_is_free_of_its_parents_thread_locks(tmp_path: Path) -> None:
    """A lock that a thread of the parent held at the fork is not held by nobody in the child for ever."""
    store = MemoryStore()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.lock("hero"):
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = multiprocessing.get_context("fork").Process(target=_take_lock, args=(store,))
    child.start()
    child.join(10)
    exitcode = child.exitcode
    if child.is_alive():
        child.kill()
        child.join()
    done.set()
    thread.join()
    assert exitcode == 0


def _take_lock(store: MemoryStore) -> None:
    with store.lock("hero"):
        pass


HOLD = """
import sys, time
from jinja_imagekit.state import DiskStore
with DiskStore(sys.argv[1]).lock("hero"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    """The kernel releases the lock of a process that is killed, and whoever waits has it at once."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == b"held\n"
        taken = threading.Event()
        moments: list[float] = []

        def wait() -> None:
            with DiskStore(tmp_path).lock("hero"):
                moments.append(time.perf_counter())
                taken.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not taken.wait(0.3)
        holder.kill()
        holder.wait()
        killed = time.perf_counter()
        assert taken.wait(5)
        thread.join()
    assert moments[0] - killed < 0.2
    if os.name == "posix":
        assert holder.returncode == -signal.SIGKILL
    assert not _left_of_locks(tmp_path / "locks")


COUNT = """
import sys
from pathlib import Path
from jinja_imagekit.state import DiskStore
store = DiskStore(sys.argv[1])
number = Path(sys.argv[2])
for _ in range(50):
    with store.lock("hero"):
        number.write_text(str(int(number.read_text()) + 1))
    store.set_many({f"{sys.argv[3]}-{_}": "1"})
assert store.is_reliable
store.close()
"""


def test_processes_take_turns(tmp_path: Path) -> None:
    """Four processes that start at once add 50 each to one file under the lock, and lose no step and no value."""
    number = tmp_path / "number"
    number.write_text("0")
    command = [sys.executable, "-W", "error", "-c", COUNT, str(tmp_path / "state"), str(number)]
    processes = [subprocess.Popen([*command, str(each)]) for each in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert number.read_text() == "200"
    store = DiskStore(tmp_path / "state")
    assert len(list(store.keys())) == 200
    store.close()
    assert not _left_of_locks(tmp_path / "state" / "locks")


CROSS = """
import sys, time
from pathlib import Path
from jinja_imagekit.state import DiskStore
folder, own, other = Path(sys.argv[1]), *sys.argv[2:]
store = DiskStore(folder / "state")
with store.lock(own):
    (folder / own).touch()
    while not (folder / other).exists():
        time.sleep(0.01)
    with store.lock(other):
        print("through", flush=True)
"""


def test_processes_do_not_wait_in_a_circle(tmp_path: Path) -> None:
    """Three processes that each hold a lock and want the next one's all get through, and leave nothing behind."""
    names = ["a", "b", "c"]
    command = [sys.executable, "-W", "error", "-c", CROSS, str(tmp_path)]
    processes = [
        subprocess.Popen([*command, own, other], stdout=subprocess.PIPE, text=True)
        for own, other in zip(names, [*names[1:], names[0]], strict=True)
    ]
    try:
        assert [process.communicate(timeout=30)[0] for process in processes] == ["through\n"] * 3
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * 3
    assert not _left_of_locks(tmp_path / "state" / "locks")


def test_a_wait_of_a_killed_process_counts_for_nothing(tmp_path: Path) -> None:
    """What a dead process left in the folder of locks makes no circle, and is swept."""
    waiting = "import sys, jinja_imagekit.atomic_files as a; open(f'{sys.argv[1]}/{a.temporary_name()}', 'x')"
    (tmp_path / "locks").mkdir()
    subprocess.run([sys.executable, "-c", waiting, str(tmp_path / "locks")], check=True)
    (dead,) = (tmp_path / "locks").iterdir()
    locks = FileLocks(str(tmp_path / "locks"))
    dead.write_text(json.dumps([[locks.path("slow")], locks.path("own")]))
    order: list[str] = []
    held = threading.Event()

    def hold() -> None:
        with DiskStore(tmp_path).lock("slow"):
            held.set()
            time.sleep(0.6)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    with locks.hold("own"):
        held.wait(10)
        with locks.hold("slow"):
            order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert not dead.exists()


def _descriptors(folder: Path) -> int:
    links = (Path("/proc/self/fd") / each for each in os.listdir("/proc/self/fd"))
    return sum(os.path.exists(link) and os.readlink(link).startswith(str(folder)) for link in links)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="this system does not list open files")
def test_threads_that_end_leave_no_connection_open(tmp_path: Path) -> None:
    """However many threads have used the store, no more connections are open than were used at once, and none at last.

    None waits for the garbage collector.
    """
    store = DiskStore(tmp_path)
    ready, go = threading.Barrier(4), threading.Event()

    def work(number: int) -> None:
        store.set_many({str(number): "1"})
        ready.wait(20)
        assert store.get(str(number)) == "1"

    gc.disable()
    try:
        for number in range(0, 40, 4):
            threads = [threading.Thread(target=work, args=(number + each,)) for each in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        # Each has the database open, and perhaps its journal.
        assert 1 <= _descriptors(tmp_path) <= 8
        holder = threading.Thread(target=lambda: list(map(store.get, ["1"])) and go.wait(20))
        holder.start()
        store.close()
        assert _descriptors(tmp_path) == 0
        go.set()
        holder.join()
        assert store.get("1") == "1"
        store.close()
        assert _descriptors(tmp_path) == 0
    finally:
        gc.enable()


def test_a_store_that_nobody_closes_is_closed_with_its_process(tmp_path: Path) -> None:
    """Python warns of no connection that was left open, of however many threads."""
    program = (
        "import sys, threading\n"
        "from jinja_imagekit.state import DiskStore\n"
        "store = DiskStore(sys.argv[1])\n"
        "threads = [threading.Thread(target=store.set_many, args=({str(n): '1'},)) for n in range(8)]\n"
        "[each.start() for each in threads]\n"
        "[each.join() for each in threads]\n"
        "DiskStore(sys.argv[1] + '2').get('a')\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program, str(tmp_path / "s")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@needs_fork
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("on_disk", [True, False], ids=["disk", "memory"])
def test_a_fork_while_threads_write_hangs_no_child(tmp_path: Path, on_disk: bool) -> None:
    """Twenty children, forked while threads write, read and write at once."""
    store = DiskStore(tmp_path) if on_disk else MemoryStore()
    store.set_many({"parent": "1"})
    stop = threading.Event()

    def write(number: int) -> None:
        while not stop.is_set():
            store.set_many({f"{number}": "x" * 1_000, f"{number}b": "1"})
            store.delete_many([f"{number}b"])
            with store.lock(str(number)):
                list(store.keys("p"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        statuses = []
        for _ in range(20):
            child = os.fork()
            if not child:
                signal.alarm(20)
                fine = store.get("parent") == "1"
                store.set_many({"child": "1"})
                with store.lock("hero"):
                    fine = fine and store.get("child") == "1"
                os._exit(0 if fine else 1)
            statuses.append(os.waitpid(child, 0)[1])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert statuses == [0] * 20
    store.close()
