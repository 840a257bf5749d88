"""Advice about a name that leads to no file: where it was looked for, and what is nearest."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

from .names import is_ordinary, problem_in_bucket

if TYPE_CHECKING:
    from .buckets import Bucket

MOST_NAMES = 5_000
"""How many names are compared with a missing one: listing so many takes a few milliseconds."""

MOST_RATED = 500
"""How many names are measured for how near they are: about 10 µs each."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


class Folder(NamedTuple):
    """A folder in which names are looked up.

    Attributes:
        place: Its real path, or a bucket.
        called: Its name in the settings.
        prefix: The prefix of its files' names: "", or a segment and a slash.
    """

    place: str | Bucket
    called: str
    prefix: str = ""

    def is_there(self) -> bool:
        """Tell whether it exists."""
        return os.path.isdir(self.place) if isinstance(self.place, str) else self.place.is_there()

    def names(self) -> Iterable[str]:
        """Return the names of its files, as far as they are known without a request and without much reading."""
        names = _names_in(self.place) if isinstance(self.place, str) else self.place.known_names()
        return islice(names, MOST_NAMES)

    def has(self, name: str) -> bool:
        """Tell whether it has a file of this name, as far as that is known without a request."""
        return os.path.lexists(f"{self.place}/{name}") if isinstance(self.place, str) else name in self.names()


def reason(name: str, folders: Sequence[Folder]) -> str:
    """Return why a name leads to no file, and what to do.

    Args:
        name: What a template called the source.
        folders: All folders that names are looked up in.
    """
    for folder in folders:
        if name.startswith(f"{folder.called}/") and "://" in folder.called:
            return f"names are relative to {folder.called!r}: write {folder.prefix + name[len(folder.called) + 1 :]!r}"
    if _URL.match(name):
        return (
            "it is a URL, but sources are only read from the source folders: put the file there, and give its name, or "
            "name its host in the setting remote_hosts"
        )
    looked_in = [folder for folder in folders if name.startswith(folder.prefix)]
    if not looked_in:
        return "no folder to look in; set source_dirs, or pass a pathlib.Path"
    there = [folder for folder in folders if folder.is_there()]
    gone = [folder for folder in looked_in if folder not in there]
    if len(gone) == len(looked_in):
        path = gone[0].place
        near = neighbour(Path(path)) if isinstance(path, str) else None
        hint = f"Did you mean {os.path.basename(near)!r}?" if near else "See the setting source_dirs."
        return f"the source folder {gone[0].called!r} does not exist{_or_is_empty(path)}. {hint}"
    place = f"the source folder {looked_in[0].called!r}"
    if len(looked_in) > 1:
        place = f"any of the {len(looked_in)} source folders ({', '.join(repr(each.called) for each in looked_in)})"
    lost = f", of which {gone[0].called!r} does not exist" if gone else ""
    return f"no such file in {place}{lost}. {_hint(name, there)}".rstrip()


def _or_is_empty(place: object) -> str:
    # An object store has no folders, only files with longer names.
    return "" if isinstance(place, str) else ", or is empty"


def neighbour(path: Path) -> str | None:
    """Return the sibling of a missing path whose name is nearest to it; None if none is near."""
    try:
        names = os.listdir(path.absolute().parent)
    except OSError:
        return None
    from difflib import get_close_matches

    near = get_close_matches(path.name, names[:MOST_RATED], n=1)
    return str(path.with_name(near[0])) if near else None


def _hint(name: str, folders: Sequence[Folder]) -> str:
    slashed = name.replace("\\", "/")
    names = list(dict.fromkeys(folder.prefix + found for folder in folders for found in folder.names()))
    if slashed != name and slashed in names:
        return f"Write it with '/': {slashed!r}."
    for folder in folders:
        problem = "" if isinstance(folder.place, str) else problem_in_bucket(name.removeprefix(folder.prefix))
        if problem and name.startswith(folder.prefix):
            return f"Names in {folder.called!r} must not hold {problem}: give the object another name."
    for folder in folders:
        inner = _within(slashed, folder)
        if inner:
            return f"Names are relative to {folder.called!r}: write {inner!r}."
    same = [each for each in names if _composed(each) == _composed(slashed)]
    if same:
        form = "NFD" if unicodedata.is_normalized("NFD", same[0]) else "NFC"
        return f"A file's name looks the same, but its accents are in the Unicode form {form}: rename it."
    near = [each for each in names if each.casefold() == slashed.casefold()]
    if near:
        return f"Did you mean {near[0]!r}? Capital letters count."
    near += [each for each in names if _stem(each) == _stem(slashed)]
    near += [each for each in names if _base(each) == _base(slashed)]
    from difflib import get_close_matches

    near += get_close_matches(slashed, names[:MOST_RATED], n=1, cutoff=0.7)
    return f"Did you mean {near[0]!r}?" if near else ""


def _stem(name: str) -> str:
    return os.path.splitext(name)[0].casefold()


def _base(name: str) -> str:
    return name.rpartition("/")[2].casefold()


def _within(name: str, folder: Folder) -> str | None:
    """Return the rest of a name that begins with the end of the folder's path, if there is such a file."""
    parts, ends = (
        [part for part in name.split("/") if part],
        PurePath(folder.place if isinstance(folder.place, str) else folder.called).parts,
    )
    for count in range(1, len(parts)):
        inner = "/".join(parts[count:])
        is_within = tuple(parts[:count]) == ends[-count:] and is_ordinary(inner)
        if is_within and folder.has(inner):
            return folder.prefix + inner
    return None


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _names_in(root: str) -> Iterator[str]:
    for path, folders, files in os.walk(root):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        inner = os.path.relpath(path, root).replace(os.sep, "/")
        for file in sorted(files):
            if not file.startswith("."):
                yield file if inner == "." else f"{inner}/{file}"
