"""A MkDocs site in a folder, built by the real MkDocs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import yaml
from core_site import photo_bytes, settled
from mkdocs.commands.build import build
from mkdocs.config import load_config


class DocsSite:
    """A site with two pages, whose images are beside them.

    Attributes:
        root: The folder with `mkdocs.yml`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        settled(root / "docs/img/canal.jpg", photo_bytes(300, 225))
        self.write("docs/index.md", "# Walks\n\n![A canal](img/canal.jpg)\n")
        self.write("docs/guide/dunes.md", "# Dunes\n\n![A canal](../img/canal.jpg){ .card }\n")
        self.write("theme/main.html", '{% extends "base.html" %}')

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def config(self, options: dict[str, Any], **config: Any) -> str:
        """Write `mkdocs.yml`, and return its path."""
        own = {"html_rules": {"*": {"widths": [100, 200], "formats": ["WEBP"]}}, **options}
        values = {
            "site_name": "Walks",
            "site_url": "https://example.org/docs/",
            "theme": {"name": "mkdocs", "custom_dir": "theme"},
            "plugins": [{"imagekit": own}],
            "markdown_extensions": ["attr_list"],
            **config,
        }
        self.write("mkdocs.yml", yaml.safe_dump(values))
        return str(self.root / "mkdocs.yml")

    def build(self, options: dict[str, Any] | None = None, *, dirty: bool = False, **config: Any) -> None:
        """Build the site."""
        loaded = load_config(self.config(options or {}, **config))
        loaded.plugins.on_startup(command="build", dirty=dirty)
        try:
            build(loaded, dirty=dirty)
        finally:
            loaded.plugins.on_shutdown()
            logging.getLogger("mkdocs").handlers.clear()

    def page(self, name: str) -> str:
        """Return the HTML of a page."""
        return (self.root / "site" / name).read_text(encoding="utf-8")

    def published(self) -> set[str]:
        """Return the names of the images in the site."""
        folder = self.root / "site"
        return {path.relative_to(folder).as_posix() for path in folder.glob("CACHE/**/*.*")}
