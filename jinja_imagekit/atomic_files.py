"""Files that are written whole or not at all: under a temporary name that says who writes it, then renamed."""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

PREFIX = ".imagekit-tmp"
"""What the folder of temporary files is called, and what a temporary file's name begins with."""

_OTHER_MACHINE_SECONDS = 24 * 60 * 60
"""Age after which another machine's temporary file counts as left behind: no write of an image takes a day."""


def sweep_folder(folder: str) -> int:
    """Delete the temporary files of dead writers in one folder; a folder that cannot be read has none.

    Args:
        folder: An absolute path.

    Returns:
        How many files were deleted.
    """
    count = 0
    for path in left_behind(folder):
        with suppress(OSError):
            os.unlink(path)
            count += 1
    return count


def left_behind(folder: str) -> list[str]:
    """Return the paths of the temporary files that dead writers left in one folder.

    Args:
        folder: An absolute path; a folder that cannot be read has none.
    """
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found = [(os.path.join(folder, name), name) for name in names if name.startswith(PREFIX + ".")]
    return [path for path, name in found if _is_left_behind(path, name)]


def temporary_name() -> str:
    """Return a new name that holds this machine, process and moment of its start."""
    pid = os.getpid()
    return f"{PREFIX}.{_host()}.{pid}.{_started(pid) or 0}.{secrets.token_hex(8)}"


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:64]


def _started(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the boot; None where it is dead or /proc is missing."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # proc_pid_stat(5): the state is the third field, the start time the 22nd; the second may hold spaces.
            fields = file.read().rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None


def _is_left_behind(path: str, name: str) -> bool:
    parts = name.removeprefix(PREFIX + ".").split(".")
    try:
        old = time.time() - os.lstat(path).st_mtime > _OTHER_MACHINE_SECONDS
    except OSError:
        return False
    if old or len(parts) != 4 or parts[0] != _host() or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return old
    return not _is_alive(int(parts[1]), int(parts[2]))


def _is_alive(pid: int, started: int) -> bool:
    if os.name == "nt":
        # There a file that its writer has open cannot be deleted, so that trying is safe.
        return False
    if started:
        # A process id is given out again; its start time tells the two apart.
        return _started(pid) == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OverflowError, PermissionError):
        return True
    return True


def write_whole(path: Path, text: str) -> None:
    """Write a text file in UTF-8 under a temporary name, and rename it; its folder is made where it is missing.

    Args:
        path: The file.
        text: Its new content.

    Raises:
        OSError: It cannot be written; an old file of the name is unharmed.
    """
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep_folder(str(folder))
    temporary = folder / temporary_name()
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def remove_empty_folders(root: str, names: Iterable[str]) -> None:
    """Remove the folders that became empty when files were deleted, and their parents below a folder.

    Args:
        root: The absolute path of the folder, which stays.
        names: Names of the files below it, as relative POSIX paths.
    """
    folders = {parent for name in names for parent in PurePosixPath(name).parents if parent.name}
    for folder in sorted(folders, key=lambda each: len(each.parts), reverse=True):
        with suppress(OSError):
            os.rmdir(os.path.join(root, *folder.parts))
