"""The fingerprint: equal values, unequal values, values that have none, and the same digits everywhere."""

from __future__ import annotations

import subprocess
import sys
import threading
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from markupsafe import Markup
from PIL import Image

from jinja_imagekit.exceptions import NotFingerprintable
from jinja_imagekit.hashing import VERSION, class_path, fingerprint
from jinja_imagekit.processors import Adjust, ResizeToFill


class Anchor(Enum):
    """An enum of the caller's."""

    TOP = "t"


class Plain:
    """An object with plain attributes."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Slotted:
    """An object without a dictionary."""

    __slots__ = ("height", "width")

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height


class Own:
    """An object that says itself what it depends on."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.lock = threading.Lock()

    def fingerprint(self) -> object:
        """Return the key."""
        return [self.key]


def function() -> None:
    """Do nothing."""


VALUES = {
    "None": None,
    "numbers": [True, 0, -1, 80.0, 1.5, 2**70, float("inf")],
    "text": "caf\u00e9 \ud800",
    "bytes": b"\x00\xff",
    "path": PurePosixPath("a/b"),
    "mapping": {"b": 1, "a": {"x": (1, 2)}},
    "set": {"a", "b", "c", "d"},
    "processors": [ResizeToFill(400, 300), Adjust(contrast=1.1)],
}

GOLDEN = {
    "None": "f6520e102f955d7223070534b25ab53a",
    "numbers": "5eb3a7f054d36295ff086a7478bb8845",
    "text": "b70c328fb3aef922cc632594c14780a1",
    "bytes": "3eab09a11368a04bca0feac1ea7a06a0",
    "path": "cfc0e227e68f1f3e6d34e1288b9a16bf",
    "mapping": "efcd9c1716349bc79e75bff423bcd105",
    "set": "79a5bde78425f2c836d727b816ac601c",
    "processors": "70697229001df4053254e7ee02ce1495",
}


def test_golden_fingerprints() -> None:
    """These digits may change only together with VERSION: every cache file of every site would be made again."""
    assert VERSION == 2
    assert {name: fingerprint(value) for name, value in VALUES.items()} == GOLDEN


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_same_in_every_process(seed: str) -> None:
    """Hash seeds change the order of sets and dicts, and nothing here."""
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_hashing import VALUES, fingerprint\n"
        "print({name: fingerprint(value) for name, value in VALUES.items()})"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed})
    assert eval(done.stdout) == GOLDEN


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (80, 80.0),
        ((1, 2), [1, 2]),
        ("tl", Markup("tl")),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1, 2}, frozenset({2, 1})),
        (Decimal("1.5"), 1.5),
        (Fraction(3, 2), 1.5),
        (Path("a/b"), PurePosixPath("a/b")),
        (bytearray(b"x"), b"x"),
        (-0.0, 0),
        (Plain(a=1, b=2), Plain(b=2, a=1)),
        (Own("a"), Own("a")),
    ],
)
def test_equal(one: object, other: object) -> None:
    """What asks for the same image has the same fingerprint."""
    if type(one) is type(other) or not isinstance(one, Path):
        assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, None),
        (1, "1"),
        (2**70, str(2**70)),
        (float("inf"), "inf"),
        ("a", b"a"),
        ("a/b", PurePosixPath("a/b")),
        ([["a", 1]], {"a": 1}),
        ({"map": []}, {}),
        ({"bytes": "61"}, b"a"),
        ({1, 2}, [1, 2]),
        (Anchor.TOP, "t"),
        (Plain(a=1), Plain(a=2)),
        (Plain(a=1), {"a": 1}),
        (Slotted(1, 2), Slotted(2, 1)),
        (Own("a"), Own("b")),
        (partial(function, 1), partial(function, 2)),
        (function, class_path(function)),
        (ResizeToFill(4, 3), ResizeToFill(4, 3, upscale=False)),
        ([[1], 2], [1, [2]]),
    ],
)
def test_unequal(one: object, other: object) -> None:
    """What may ask for another image has another fingerprint."""
    assert fingerprint(one) != fingerprint(other)


def test_numbers_of_any_size() -> None:
    """Whole numbers that no float holds are told apart."""
    assert len({fingerprint(number) for number in (10**400, 10**400 + 1, 2**53, 2**53 + 1, -(10**400))}) == 5


def _holds_itself() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: {"options": [1, lambda: 1]}, "value[1]['options'][1]"),
        (lambda: Plain(lock=threading.Lock()), "value[1].lock"),
        (lambda: Plain().__init__, "value[1]"),
        (lambda: Image.new("L", (1, 1)), "value[1]"),
        (lambda: (each for each in "ab"), "value[1]"),
        (object, "value[1]"),
        (_holds_itself, "value[1][0], which holds itself"),
    ],
)
def test_no_fingerprint(make: Any, place: str) -> None:
    """State that is not plain is an error that says where it is, and what to do."""
    with pytest.raises(NotFingerprintable, match=r"Define fingerprint\(\) on its class") as caught:
        fingerprint(make())
    assert caught.value.where == place


def test_an_open_file_has_none(tmp_path: Path) -> None:
    """An open file is not plain."""
    with (tmp_path / "x").open("w") as file, pytest.raises(NotFingerprintable, match="TextIOWrapper"):
        fingerprint(Plain(file=file))


def test_a_script_s_own_classes_are_the_same_in_its_worker_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of the main script is found under another module name in a process that was spawned."""
    monkeypatch.setattr(Plain, "__module__", "__main__")
    there = fingerprint(Plain(a=1))
    monkeypatch.setattr(Plain, "__module__", "__mp_main__")
    assert fingerprint(Plain(a=1)) == there
