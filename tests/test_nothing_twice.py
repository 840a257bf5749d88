"""Nothing is done that need not be: what a run imports, asks the state, reads and decodes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import drawing

ROOT = Path(__file__).resolve().parent.parent

SITE = """
    from jinja_imagekit import ImageKit, ImageSpec
    from jinja_imagekit.processors import ResizeToFill
    from jinja_imagekit.sourcegroups import GlobSourceGroup

    kit = ImageKit(source_dirs=["photos"], location="out", state_dir="state")

    @kit.register.generator("blog:card")
    class Card(ImageSpec):
        processors = [ResizeToFill(32, 24)]
        format = "JPEG"

    kit.register.source_group("blog:card", GlobSourceGroup("*.jpg"))
"""

NOTHING_TO_DO = """
    import sys
    before = set(sys.modules)
    from jinja_imagekit.cli import command_line
    command_line().main(["--kit", "mysite:kit", "generate", "-q"], standalone_mode=False)
    print(*set(sys.modules) - before)
"""

PACKAGES = {"PIL", "blake3", "click", "jinja_imagekit", "markupsafe", "mysite", "pilkit"}
"""What such a run may import beside the standard library: no Jinja, no diskcache, no filelock."""

PARTS = {
    *("atomic_files", "exceptions", "generatorlibrary", "hashing", "html", "images", "interfaces", "kit", "lazily"),
    *("loading", "no_links", "once", "recipes", "registry", "settings", "sourcegroups", "specs", "time_limits"),
    *("wording", "builds", "builds.finish", "builds.journal", "builds.notes", "cachefiles", "cachefiles.backends"),
    *("cachefiles.file", "cachefiles.namers", "cachefiles.references", "cachefiles.removal", "cachefiles.sources"),
    *("cachefiles.strategies", "cachefiles.warm", "cli", "cli.finding", "cli.subcommands", "images.colour"),
    *(
        "images.frames",
        "images.names",
        "images.primaries",
        "images.rules",
        "pregenerate",
        "pregenerate.making",
        "pregenerate.plan",
    ),
    *("pregenerate.progress", "pregenerate.report", "pregenerate.run", "processors", "processors.arguments"),
    *("processors.crop", "processors.effects", "processors.modes", "processors.overlay", "processors.pipeline"),
    *("processors.resampling", "processors.resize", "processors.thumbnail", "sources", "sources.base"),
    *("sources.finder", "sources.hints", "sources.names", "sources.remembered", "state", "state.database"),
    *("state.disk", "state.files", "state.kernel_locks", "state.locks", "state.memory", "state.records", "storages"),
    "storages.folder",
}
"""This library's modules that it may import: no format, no picture, no tag."""

SLOW = {"asyncio", "concurrent", "ctypes", "multiprocessing", "socket", "ssl", "subprocess", "tempfile", "xml"}
"""Parts of the standard library that take long to import, and that it does without."""


def test_a_run_with_nothing_to_do_imports_what_it_uses(tmp_path: Path) -> None:
    """The command starts, finds all images fresh, and has imported no decoder, template engine or database library."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "canal.jpg").write_bytes(drawing.jpeg(64, 48, 1))
    (tmp_path / "mysite.py").write_text(textwrap.dedent(SITE), encoding="utf-8")
    # A file that has just changed may change again within the same tick.
    os.utime(tmp_path / "photos" / "canal.jpg", (1_000_000_000, 1_000_000_000))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(NOTHING_TO_DO)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    imported = set(done.stdout.split())
    ours = {name.removeprefix("jinja_imagekit.") for name in imported if name.startswith("jinja_imagekit.")}
    assert not ours - PARTS
    tops = {name.partition(".")[0] for name in imported}
    assert not tops - PACKAGES - set(sys.stdlib_module_names)
    assert not tops & SLOW
    assert not [name for name in imported if name.startswith("PIL.") and name.endswith(("Plugin", "ImageCms"))]
