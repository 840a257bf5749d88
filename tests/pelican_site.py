"""A small Pelican site in a temporary folder, built in this process or by the `pelican` command."""

from __future__ import annotations

import locale
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import drawing

ROOT = Path(__file__).resolve().parents[1]

# Importing Pelican makes every logger of the process drop repeated messages, those of other tests' too.
_logger_class, _root_class = logging.getLoggerClass(), type(logging.getLogger())
import pelican  # noqa: E402
from pelican.settings import read_settings  # noqa: E402

logging.setLoggerClass(_logger_class)
logging.getLogger().__class__ = _root_class

PLUGIN = "jinja_imagekit.pelican"

CONFIG: dict[str, Any] = {
    "SITENAME": "Slow Miles",
    "SITEURL": "",
    "TIMEZONE": "UTC",
    "DIRECT_TEMPLATES": ["index"],
    "CATEGORY_SAVE_AS": "",
    "AUTHOR_SAVE_AS": "",
    "TAG_SAVE_AS": "",
    "FEED_ALL_ATOM": None,
    "CATEGORY_FEED_ATOM": None,
    "TRANSLATION_FEED_ATOM": None,
    "AUTHOR_FEED_ATOM": None,
    "AUTHOR_FEED_RSS": None,
    "PLUGINS": [PLUGIN],
}


class PelicanSite:
    """Writes a site's files, builds it, and reads what was built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = {
            **CONFIG,
            "PATH": str(folder / "content"),
            "THEME": str(folder / "theme"),
            "OUTPUT_PATH": str(folder / "output"),
            "CACHE_PATH": str(folder / "cache"),
        }
        self.write("content/.keep", "")
        self.template("index.html", "")
        self.template("article.html", "{{ article.content }}")
        self.template("page.html", "{{ page.content }}")

    @property
    def output(self) -> Path:
        return self.folder / "output"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def photo(self, name: str, seed: int = 0, width: int = 320, height: int = 240) -> Path:
        path = self.folder / "content" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawing.jpeg(width, height, seed))
        return path

    def template(self, name: str, text: str) -> None:
        self.write(f"theme/templates/{name}", text)

    def article(self, name: str, text: str = "", **metadata: str) -> None:
        """Write a Markdown article or page whose slug is its file's name."""
        known = {"Title": "A walk", "Slug": Path(name).stem, "Date": "2026-01-02", **metadata}
        lines = [f"{key}: {value}" for key, value in known.items()]
        self.write(f"content/{name}", "\n".join([*lines, "", text]))

    def pelican(self, **changes: Any) -> Any:
        """Return Pelican's object, with the process as it was: Pelican sets its locale and its import path."""
        before = locale.setlocale(locale.LC_ALL), sys.path[:]
        try:
            return pelican.Pelican(read_settings(override={**self.config, **changes}))
        finally:
            locale.setlocale(locale.LC_ALL, before[0])
            sys.path[:] = before[1]

    def build(self, **changes: Any) -> None:
        """Build in this process."""
        self.pelican(**changes).run()

    def command(self, arguments: Sequence[str] = (), **changes: Any) -> subprocess.CompletedProcess[str]:
        """Build with the `pelican` command, and return its result; `stdout` has all that it said."""
        self.write_config(**changes)
        return subprocess.run(
            [sys.executable, "-m", "pelican", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=120,
        )

    def write_config(self, **changes: Any) -> None:
        config = {**self.config, **changes}
        self.write("pelicanconf.py", "".join(f"{name} = {value!r}\n" for name, value in config.items()))

    def environment(self) -> dict[str, str]:
        # Wide lines: messages are searched for.
        return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "1000", "NO_COLOR": "1", "PYTHONUTF8": "1"}

    def page(self, name: str) -> str:
        return (self.output / name).read_text(encoding="utf-8")

    def published(self) -> list[str]:
        """Return the images in the output folder that the plugin put there."""
        return sorted(path.relative_to(self.output).as_posix() for path in self.output.glob("CACHE/**/*.*"))
