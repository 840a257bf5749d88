"""State that is damaged, gone or somebody else's, while nobody looks or while pages render: the images are the same."""

from __future__ import annotations

import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from jinja_imagekit import ImageKit

from . import kill_many
from .conftest import Tally

Rounds = Callable[[int, int], int]
Chance = random.Random


def database(state: Path) -> Path:
    return next(state.rglob("*.db"))


def overwrite(state: Path, chance: Chance) -> None:
    path = database(state)
    data = bytearray(path.read_bytes())
    for _ in range(40):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)


def spoil_page(state: Path, chance: Chance) -> None:
    path = database(state)
    data = bytearray(path.read_bytes())
    start = chance.randrange(max(1, len(data) // 4096)) * 4096
    data[start : start + 4096] = chance.randbytes(4096)
    path.write_bytes(data)


def cut(state: Path, chance: Chance) -> None:
    path = database(state)
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def empty(state: Path, chance: Chance) -> None:
    database(state).write_bytes(b"")


def delete_database(state: Path, chance: Chance) -> None:
    database(state).unlink()


def delete_all(state: Path, chance: Chance) -> None:
    shutil.rmtree(state)


def replace_by_text(state: Path, chance: Chance) -> None:
    database(state).write_text("no database at all\n" * 300)


def replace_by_folder(state: Path, chance: Chance) -> None:
    path = database(state)
    path.unlink()
    path.mkdir()


def another_schema(state: Path, chance: Chance) -> None:
    path = database(state)
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE Cache (key TEXT)")
        connection.execute("CREATE TABLE Settings (key TEXT, value)")
        connection.commit()


def scramble_rows(state: Path, chance: Chance) -> None:
    with closing(sqlite3.connect(database(state))) as connection:
        values = ["[]", "null", "[1,2,3]", "\0", "x" * 5000, "[" * 2000, '["../../x",1,1,1,1,1,1,1]', "9e999"]
        rows = connection.execute("SELECT rowid FROM Cache").fetchall()
        for (row,) in rows:
            connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (chance.choice(values), row))
        connection.commit()


def swap_rows(state: Path, chance: Chance) -> None:
    """Give each key the value of another of its kind."""
    with closing(sqlite3.connect(database(state))) as connection:
        rows = connection.execute("SELECT rowid, value FROM Cache").fetchall()
        values = [value for _, value in rows]
        chance.shuffle(values)
        for (row, _), value in zip(rows, values, strict=True):
            connection.execute("UPDATE Cache SET value = ? WHERE rowid = ?", (value, row))
        connection.commit()


def spoil_keys(state: Path, chance: Chance) -> None:
    """Make keys of one kind something that is no text."""
    with closing(sqlite3.connect(database(state))) as connection:
        keys = [key for (key,) in connection.execute("SELECT key FROM Cache ORDER BY key")]
        kind = chance.choice(sorted({key.split(":")[1] for key in keys if key.count(":") > 1}))
        for key in keys:
            if f":{kind}:" in key:
                spoilt = key.encode().replace(b":" + kind.encode(), b":" + kind.encode() + b"\xff")
                connection.execute("UPDATE Cache SET key = CAST(? AS TEXT) WHERE key = ?", (spoilt, key))
        connection.commit()


def damage_notes(state: Path, chance: Chance) -> None:
    for path in state.glob("*.json"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def delete_outputs(state: Path, chance: Chance) -> None:
    for path in sorted(state.with_name("output").rglob("*.*")):
        if path.is_file() and chance.random() < 0.5:
            path.unlink()


DAMAGES = [
    overwrite,
    spoil_page,
    cut,
    empty,
    delete_database,
    delete_all,
    replace_by_text,
    replace_by_folder,
    another_schema,
    scramble_rows,
    spoil_keys,
    damage_notes,
    delete_outputs,
]


def make_kit(folder: Path) -> ImageKit:
    kit = kill_many.make_kit(folder, "output")
    kit = type(kit)(kit.settings.replace(state_dir=folder / "state"), generators=[kit.generators])
    for id in ("card", "wide"):
        kit.register.cachefiles(id, [{"source": f"{number:04}.jpg"} for number in range(6)])
    return kit


def render(kit: ImageKit) -> str:
    page = "{% for n in names %}{% generateimage 'card' source=n %}{{ n | thumbnail('9x9') }}{% endfor %}"
    template = kit.install(Environment(autoescape=True)).from_string(page)
    return template.render(names=[f"{number:04}.jpg" for number in range(6)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with six photos."""
    kill_many.draw_images(tmp_path, 6)
    return tmp_path


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
def test_damage_before_a_run(folder: Path, damage: Any, rounds: Rounds, tally: Tally) -> None:
    """The next process makes what is missing: the page and all files are as they were, and nothing is raised."""
    kit = make_kit(folder)
    page = render(kit)
    assert kit.generate().ok
    assert kit.finish().ok
    kit.close()
    expected = kill_many.files_in(folder / "output")
    chance, count = random.Random(damage.__name__), rounds(1, 100)
    for _ in range(count):
        damage(folder / "state", chance)
        kit = make_kit(folder)
        assert render(kit) == page
        assert kit.generate().ok
        assert kit.finish().ok
        kit.doctor(fix=True)
        kit.close()
        assert kill_many.files_in(folder / "output") == expected
        assert render(make_kit(folder)) == page
    tally(count, "damages between runs", wrong=0)


@pytest.mark.parametrize("damage", [each for each in DAMAGES if each is not cut], ids=lambda each: each.__name__)
def test_damage_under_way(folder: Path, damage: Any, rounds: Rounds, tally: Tally) -> None:
    """Pages render on while it happens, and never raise; what they name is there."""
    kit = make_kit(folder)
    page = render(kit)
    kit.generate()
    kit.finish()
    stop, raised = threading.Event(), []

    def visit() -> None:
        while not stop.is_set():
            try:
                if render(kit) != page:
                    raised.append("another page")
            except Exception as error:  # noqa: BLE001  # what the test is about
                raised.append(repr(error))

    thread = threading.Thread(target=visit)
    thread.start()
    chance, count = random.Random(damage.__name__), rounds(2, 80)
    for _ in range(count):
        time.sleep(0.05)
        try:
            damage(folder / "state", chance)
        except (StopIteration, OSError, sqlite3.Error):
            # The database is being begun anew, or was not begun again yet.
            continue
    stop.set()
    thread.join()
    tally(count, "damages under way", raised=len(raised))
    assert raised == []
    kit.close()
    final = make_kit(folder)
    assert final.generate().ok
    assert render(final) == page
    final.close()
