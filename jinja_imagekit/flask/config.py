"""Translates a Flask app's configuration into a kit's settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import flask

from ..settings import Settings
from ..storages.folder import join_url

PREFIX = "IMAGEKIT_"


def settings_of(app: flask.Flask) -> Settings:
    """Return the settings that an app's configuration gives; relative folders are taken from its `root_path`.

    Raises:
        InvalidSetting: A key with the prefix names no setting, or its value is unusable.
    """
    own = Settings.from_mapping(app.config, PREFIX)
    given = {key[len(PREFIX) :].lower() for key in app.config if key.startswith(PREFIX)}
    root = Path(app.root_path)
    changes: dict[str, Any] = {
        "source_dirs": tuple(root / folder for folder in own.source_dirs),
        "source_prefixes": tuple((prefix, root / folder) for prefix, folder in own.source_prefixes),
        "location": root / own.location,
        "state_dir": root / own.state_dir,
    }
    changes |= {name: value for name, value in _defaults(app).items() if name not in given}
    if "base_url" not in given:
        changes["base_url"] = _base_url(app, changes["location"])
    return own.replace(**changes)


def _defaults(app: flask.Flask) -> Mapping[str, Any]:
    instance = Path(app.instance_path)
    return {
        "source_dirs": (app.static_folder,) if app.static_folder else (),
        "location": instance / "imagekit",
        "state_dir": instance / ".imagekit",
        "debug": app.debug,
        # A server's pages never end; a freezer says when it asks for one.
        "keep_notes": False,
    }


def _base_url(app: flask.Flask, location: Path) -> str:
    root: str = app.config["APPLICATION_ROOT"]
    folder = folder_in_static(app, location)
    if folder is None:
        return root
    static = f"{root.rstrip('/')}{app.static_url_path}"
    return static if folder == PurePath() else join_url(static, folder.as_posix())


def folder_in_static(app: flask.Flask, location: Path) -> PurePath | None:
    """Return where a folder lies in the app's static folder; None where it lies elsewhere."""
    if not app.static_folder or not app.has_static_folder:
        return None
    path, static = (Path(os.path.abspath(folder)) for folder in (location, app.static_folder))
    return path.relative_to(static) if path.is_relative_to(static) else None
