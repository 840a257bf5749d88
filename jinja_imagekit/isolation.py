"""Makes images in processes of their own, which may run out of time or memory, or crash, and are replaced.

Any image may kill such a process without further harm. It has all the rights of its parent, so it is not a sandbox, but
its answers are read only as bytes, and never unpickled.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.spawn import get_executable
from typing import IO, Any, NoReturn

from . import exceptions
from .exceptions import CannotRebuild, GenerationFailed, ImageKitError, ImageTooLarge, UnreadableImage
from .images import Original
from .recipes import Recipe
from .time_limits import time_limit, too_slow

START_SECONDS = 60.0
"""Seconds that a process may take to start, since it imports Python and Pillow on a machine that may be busy."""

ALARM_GRACE_SECONDS = 5.0
"""Seconds after the time limit when a process whose parent has died ends by itself."""

WATCH_SECONDS = 0.05
"""Seconds between checks of a process's memory where the system cannot limit it."""

MOST_ERROR_BYTES = 65_536

_NONSENSE = "the process that decoded it answered nonsense"

_LENGTH = struct.Struct(">Q")
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ, which Python's module has on Linux alone


def make(recipe: Recipe, data: bytes, *, timeout: float | None, memory: int) -> bytes:
    """Return what a recipe makes of an image, in another process.

    Args:
        recipe: What to do.
        data: The whole source.
        timeout: Seconds after which the process is killed; None for no limit.
        memory: Bytes that the process may take beyond what it has at its start.

    Raises:
        ImageTooSlow: It takes longer.
        ImageTooLarge: It takes more memory.
        UnreadableImage: The process crashed.
        CannotRebuild: A processor cannot be sent to another process.
        ImageKitError: As `Recipe.make`.
    """
    try:
        work = pickle.dumps((recipe, timeout), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise CannotRebuild(f"{type(error).__name__}: {error}") from error
    return _pool(memory).run(recipe, work, data, timeout)


def close() -> None:
    """End idle processes; new ones start when needed."""
    with _pools_lock:
        pools = list(_pools.values())
        _pools.clear()
    for pool in pools:
        pool.close()


# --- the parent ---------------------------------------------------------------------------------------------------

# All kits share the processes, as they share the machine's cores.
_pools: dict[int, _Pool] = {}
_pools_lock = threading.Lock()


def _pool(memory: int) -> _Pool:
    with _pools_lock:
        if memory not in _pools:
            _pools[memory] = _Pool(memory, os.cpu_count() or 1)
        return _pools[memory]


def _forget() -> None:
    # The pipes of a forked child are its parent's; it has processes of its own, once it needs them.
    global _pools_lock
    _pools_lock = threading.Lock()
    for pool in _pools.values():
        pool.abandon()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
atexit.register(close)


class _Pool:
    """Processes of one memory limit, as many as there is work for at once, and no more than cores."""

    def __init__(self, memory: int, size: int) -> None:
        self._memory = memory
        self._size = size
        self._count = 0
        self._idle: list[_Worker] = []
        self._news = threading.Condition()
        self._is_closed = False

    def run(self, recipe: Recipe, work: bytes, data: bytes, timeout: float | None) -> bytes:
        worker = self._take()
        try:
            answer = worker.run(recipe, work, data, timeout, self._memory)
        except BaseException:
            worker.kill()
            self._put(None)
            raise
        self._put(worker)
        if answer[:1] in (_FAILED, _ENDED):
            raise _error(recipe.name, answer[1:])
        return answer[1:]

    def _take(self) -> _Worker:
        with self._news:
            while True:
                while self._idle:
                    worker = self._idle.pop()
                    if worker.is_alive():
                        return worker
                    worker.kill()
                    self._count -= 1
                if self._count < self._size:
                    self._count += 1
                    break
                self._news.wait()
        try:
            return _Worker(self._memory)
        except BaseException:
            self._put(None)
            raise

    def _put(self, worker: _Worker | None) -> None:
        with self._news:
            if worker is None or self._is_closed:
                self._count -= 1
            else:
                self._idle.append(worker)
            self._news.notify()
        if worker is not None and self._is_closed:
            worker.kill()

    def close(self) -> None:
        with self._news:
            self._is_closed = True
            idle, self._idle = self._idle, []
            self._count -= len(idle)
        for worker in idle:
            worker.kill()

    def abandon(self) -> None:
        for worker in self._idle:
            worker.abandon()


class _Worker:
    def __init__(self, memory: int) -> None:
        self._is_ready = False
        self.is_spent = False
        folders = [os.path.abspath(folder) for folder in sys.path]
        code = f"import sys; sys.path[:] = {folders!r}; from {__name__} import work; work({memory})"
        options: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {"creationflags": 0x200}
        self._executable = os.fsdecode(get_executable() or sys.executable)
        # Of each thread's arena glibc sets 64 MB of addresses aside, which count as memory.
        environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
        try:
            self._process = subprocess.Popen(
                [self._executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=environment,
                **options,
            )
        except OSError as error:
            raise ImageKitError(f"No process can be started to make an image ({self._executable}): {error}") from error
        # What is written is not buffered: a forked child that closes its copy would write it once more.
        requests: Any = self._process.stdin
        answers: Any = self._process.stdout
        self._requests, self._answers = requests, io.BufferedReader(answers)
        for pipe in (requests, answers):
            _widen(pipe.fileno())

    def is_alive(self) -> bool:
        return not self.is_spent and self._process.poll() is None

    def run(self, recipe: Recipe, work: bytes, data: bytes, timeout: float | None, memory: int) -> bytes:
        """Return the answer: a mark, and the image or the error behind it."""
        with _Watch(self._process, START_SECONDS if not self._is_ready else None, None):
            if not self._is_ready and self._answers.read(1) != _READY:
                raise ImageKitError(
                    f"No process can be started to make an image ({self._executable}): it ends at once."
                )
        self._is_ready = True
        # No format takes more than four samples of 16 bits a pixel.
        most = 8 * recipe.limits.max_result_pixels + (1 << 24)
        with _Watch(self._process, timeout, None if _has_limit() else memory) as watch:
            try:
                for part in (_LENGTH.pack(len(work)) + work + _LENGTH.pack(len(data)), data):
                    self._send(part)
                length = _LENGTH.unpack(_exactly(self._answers, _LENGTH.size))[0]
                if length > most:
                    raise UnreadableImage(recipe.name, _NONSENSE)
                answer = _exactly(self._answers, length)
            except (OSError, EOFError) as error:
                raise self._death(recipe.name, watch.cause, timeout, memory) from error
        # It may have been told to end just when it was done.
        self.is_spent = bool(watch.cause) or answer[:1] == _ENDED
        return answer

    def _send(self, part: bytes) -> None:
        left = memoryview(part)
        while left:
            left = left[self._requests.write(left) :]

    def _death(self, name: str, cause: str, timeout: float | None, memory: int) -> UnreadableImage:
        status = self._process.wait()
        if cause == "time" or (status == -getattr(signal, "SIGALRM", 0) and timeout):
            return too_slow(name, timeout or 0.0)
        if cause == "memory" or status == -getattr(signal, "SIGKILL", 0):
            return _too_large(name, memory)
        return UnreadableImage(name, f"the process that decoded it crashed ({_status_in_words(status)})")

    def kill(self) -> None:
        # What has nothing to do ends when its pipe does, too; this is quicker.
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        self.abandon()

    def abandon(self) -> None:
        for pipe in (self._requests, self._answers):
            with suppress(OSError):
                pipe.close()
        # Of a forked child this is no child; nobody need wait for it.
        self._process.returncode = self._process.returncode or 0


class _Watch:
    """Kills a process that takes too long or, where the system has no limit for it, too much memory."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float | None, memory: int | None) -> None:
        self._process = process
        self._end = None if seconds is None else time.monotonic() + seconds
        self._memory = memory
        self._is_done = threading.Event()
        self._thread: threading.Thread | None = None
        self.cause = ""

    def __enter__(self) -> _Watch:
        if self._end is not None or self._memory is not None:
            self._thread = threading.Thread(target=self._watch, name="imagekit-watch", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_done.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        start = None if self._memory is None else resident_bytes(self._process.pid)
        while True:
            left = None if self._end is None else max(0.0, self._end - time.monotonic())
            if self._is_done.wait(left if self._memory is None else min(WATCH_SECONDS, left or WATCH_SECONDS)):
                return
            if self._end is not None and time.monotonic() >= self._end:
                self.cause = "time"
            elif self._memory is not None and resident_bytes(self._process.pid) > (start or 0) + self._memory:
                self.cause = "memory"
            if self.cause:
                self._process.kill()
                return


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data = pipe.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _widen(pipe: int) -> None:
    # A photo goes through in a few pieces instead of a hundred.
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_BYTES)


def _error(name: str, answer: bytes) -> ImageKitError:
    """Return the error that an answer reports; whatever it says, it becomes one of this library's own."""
    try:
        kind, arguments = json.loads(answer)
        found = getattr(exceptions, kind)
        if isinstance(found, type) and issubclass(found, ImageKitError) and isinstance(arguments, list):
            error: ImageKitError = found(*arguments)
            return error
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    return UnreadableImage(name, _NONSENSE)


def _too_large(name: str, memory: int) -> ImageTooLarge:
    return ImageTooLarge(name, f"it takes more than {memory:,} bytes of memory, which the setting worker_memory allows")


def _status_in_words(status: int) -> str:
    try:
        return signal.Signals(-status).name if status < 0 else f"status {status}"
    except ValueError:
        return f"status {status}"


def _has_limit() -> bool:
    # Elsewhere the limit is there, and is not heeded.
    return sys.platform == "linux"


def resident_bytes(pid: int) -> int:
    """Return how many bytes of memory a process holds at the moment; 0 if the system does not say."""
    if sys.platform == "linux":
        with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    elif os.name == "posix":
        with suppress(OSError, ValueError):
            said = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
            return int(said.stdout) * 1024
    else:
        return _windows_bytes(pid)
    return 0


def _windows_bytes(pid: int) -> int:
    import ctypes

    # PROCESS_MEMORY_COUNTERS of psapi.h: two numbers of 32 bits, then sizes; the second size is the working set.
    counters = (ctypes.c_size_t * 10)()
    kernel: Any = getattr(ctypes, "windll").kernel32  # noqa: B009  # only Windows has it
    process = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    try:
        found = kernel.K32GetProcessMemoryInfo(process, ctypes.byref(counters), ctypes.sizeof(counters))
        return int(counters[2]) if found else 0
    finally:
        kernel.CloseHandle(process)


# --- the child ----------------------------------------------------------------------------------------------------

_READY, _MADE, _FAILED, _ENDED = b"!", b"+", b"-", b"x"
"""What an answer begins with; after the last one, the process ends."""


def work(memory: int) -> NoReturn:
    """Make what standard input asks for until it ends; the main loop of a process that `make` has started.

    Args:
        memory: Bytes that it may take from now on.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = sys.stdin.buffer
    # What a processor prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _limit_memory(memory)
    answers.write(_READY)
    answers.flush()
    while True:
        try:
            request, data = (_exactly(requests, _LENGTH.unpack(_exactly(requests, _LENGTH.size))[0]) for _ in range(2))
        except (EOFError, OSError):
            os._exit(0)
        except MemoryError:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        mark, answer = _answer(request, data, memory)
        answers.write(_LENGTH.pack(len(answer) + 1))
        answers.write(mark)
        answers.write(answer)
        answers.flush()
        if mark == _ENDED:
            os._exit(0)


def _answer(request: bytes, data: bytes, memory: int) -> tuple[bytes, bytes]:
    name = None
    try:
        recipe, timeout = pickle.loads(request)
        name = recipe.name
        if timeout is not None and hasattr(signal, "setitimer"):
            # Its parent kills it in time; should the parent be dead, the system does.
            signal.setitimer(signal.ITIMER_REAL, timeout + ALARM_GRACE_SECONDS)
        with time_limit(timeout, name):
            return _MADE, recipe.make(Original(data, name=name, limits=recipe.limits))
    except MemoryError:
        return _ENDED, _told(_too_large(name or "", memory))
    except ImageKitError as error:
        return _FAILED, _told(error)
    except Exception as error:  # noqa: BLE001  # a processor may raise anything
        reason = f"{type(error).__name__}: {error}"
        return _FAILED, _told(GenerationFailed(name, name, reason) if name is not None else CannotRebuild(reason))
    finally:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)


def _told(error: ImageKitError) -> bytes:
    told = json.dumps([type(error).__name__, list(error.args)], default=repr).encode()
    if len(told) > MOST_ERROR_BYTES:
        told = json.dumps(["ImageKitError", [str(error)[:1000]]]).encode()
    return told


def _limit_memory(memory: int) -> None:
    if not _has_limit():
        return
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        has = int(file.read().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = has + memory
    resource.setrlimit(resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
