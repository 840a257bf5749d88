"""A render's notes on disk: each process appends to a file of its own, and whoever finishes reads them all."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..atomic_files import left_behind, temporary_name

logger = logging.getLogger("jinja_imagekit.renders")

OLDEST_SECONDS = 24 * 60 * 60
"""Age after which a dead process's notes are ignored: no build waits a day for its end."""


MOST_COMPARED = 8
"""How many dead processes' notes are compared, the newest first: a build that is run again writes the same ones."""

LOOK_SECONDS = 60.0
"""Seconds between a writing process's checks that its file is still there."""


class JournalFile(NamedTuple):
    """What another process has noted.

    Attributes:
        path: Its file.
        lines: Its notes, in order, without damaged or half-written lines.
        news: How many of the last lines have not yet been part of a render finished in this process.
        is_dead: Whether the process has ended.
        begun_ns: When its first line was written, in nanoseconds since the epoch.
    """

    path: Path
    lines: list[dict[str, Any]]
    news: int
    is_dead: bool
    begun_ns: int


class Journal:
    """Writes a process's notes as they arise, so that they outlive it, however it ends.

    A forked process starts a file of its own.

    Args:
        folder: Where all processes of a kit keep their notes; created when needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mutex = threading.Lock()
        self._pid = os.getpid()
        self._file: int | None = None
        self._path: Path | None = None
        self._complained = False
        self._looked = time.monotonic()
        self._read: dict[Path, int] = {}

    @property
    def is_inherited(self) -> bool:
        """Whether it was started by the process that this one was forked from."""
        return self._pid != os.getpid()

    def begin_anew(self) -> None:
        """Leave the file to the process that this one was forked from."""
        self._release()
        self.__init__(self.folder)  # type: ignore[misc]  # all of it is the other process's

    def append(self, *notes: str) -> None:
        """Write notes, each the JSON of an object; what cannot be written only this process knows, as the log says."""
        if not notes:
            return
        # What is noted together stands in one line, which is there whole or not at all.
        data = f"{notes[0]}\n".encode() if len(notes) == 1 else f"[{','.join(notes)}]\n".encode()
        try:
            # Another thread may close the file, whose number could then be another file's.
            with self._mutex:
                if time.monotonic() - self._looked > LOOK_SECONDS:
                    self._look()
                os.write(self._open() if self._file is None else self._file, data)
        except OSError as error:
            if not self._complained:
                self._complained = True
                logger.warning(
                    "What the pages need cannot be noted in %s (%s): other processes will not know about it. "
                    "Make the folder writable, or set state_dir to one that is.",
                    self.folder,
                    error,
                )

    def _look(self) -> None:
        """Start a new file if the folder was deleted, or if this process was taken for dead after a day."""
        self._looked = time.monotonic()
        if self._file is not None and not os.fstat(self._file).st_nlink:
            self._release()

    def close(self) -> None:
        """Close the file; more notes open it again."""
        if self.is_inherited:
            # A thread of the other process may have held the mutex for ever.
            self._release()
            return
        with self._mutex:
            self._release()

    def _release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                os.close(file)

    __del__ = _release

    def _open(self) -> int:
        """Open this process's file, or begin one, whose name identifies the writer."""
        with suppress(FileNotFoundError):
            if self._path is not None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
                return self._file
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        self._path = self.folder / temporary_name()
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(self._file, json.dumps({"begun": time.time_ns()}).encode() + b"\n")
        return self._file

    def _sweep(self) -> None:
        """Delete the notes of dead processes that are too old, or that a later dead process has written again."""
        dead = {}
        for path in left_behind(str(self.folder)):
            with suppress(OSError):
                dead[path] = os.stat(path).st_mtime
        later: list[set[bytes]] = []
        newest = sorted(dead, key=lambda path: dead[path], reverse=True)
        for number, path in enumerate(newest):
            with suppress(OSError):
                if time.time() - dead[path] > OLDEST_SECONDS:
                    os.unlink(path)
                elif number < MOST_COMPARED:
                    # The first line says when it was begun.
                    lines = set(Path(path).read_bytes().split(b"\n")[1:])
                    if any(lines <= each for each in later):
                        os.unlink(path)
                    else:
                        later.append(lines)

    def others(self) -> list[JournalFile]:
        """Return what other processes have noted, the oldest file first."""
        dead = set(left_behind(str(self.folder)))
        found = []
        for path in self._paths():
            lines = _lines(path)
            begun, *rest = lines or [{}]
            begun_ns = begun.get("begun")
            news = max(0, len(rest) - self._read.get(path, 0))
            found.append(JournalFile(path, rest, news, str(path) in dead, begun_ns if type(begun_ns) is int else 0))
        return sorted(found, key=lambda each: each.begun_ns)

    def _paths(self) -> Iterator[Path]:
        with suppress(OSError):
            for name in sorted(os.listdir(self.folder)):
                path = self.folder / name
                if path != self._path:
                    yield path

    def finish(self, others: list[JournalFile]) -> None:
        """Start afresh: this process's notes, and those of dead ones, are now kept elsewhere."""
        with self._mutex:
            self._read = {each.path: len(each.lines) for each in others if not each.is_dead}
            for each in others:
                if each.is_dead:
                    with suppress(OSError):
                        each.path.unlink()
            if self._path is not None:
                with suppress(OSError):
                    self._path.unlink()
            self._path = None
            self._release()
        # Other processes may have theirs there.
        with suppress(OSError):
            self.folder.rmdir()


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        data = path.read_bytes()
    except OSError:
        return []
    found = []
    for line in data.split(b"\n"):
        with suppress(ValueError, RecursionError):
            value = json.loads(line)
            found += [each for each in (value if type(value) is list else [value]) if type(each) is dict]
    return found
