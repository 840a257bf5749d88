"""A build server starts from nothing but a fresh clone and the folder of cache files that it kept."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from core_site import Site
from jinja2 import Environment

from jinja_imagekit import ImageKit
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.sourcegroups import GlobSourceGroup


def build(site: Site) -> tuple[ImageKit, str]:
    """Build a site of registered images and of pages, and return its kit and a page."""
    kit = site.new_kit(default_cachefile_strategy="Deferred")
    kit.spec("plate", processors=[ResizeToFit(40)], format="WEBP")
    for id in ("card", "plate"):
        kit.register.source_group(id, GlobSourceGroup("**/*.jpg"))
    environment = kit.install(Environment(autoescape=True))
    html = environment.from_string("{% picture '48x' 'photos/0.jpg' -- alt='' %}").render()
    reports = kit.finish(), kit.generate()
    assert all(report.ok for report in reports)
    kit.close()
    return kit, html


@pytest.mark.parametrize(
    "namer", ["source_name_as_path", "source_name_dot_hash", "hash", "sharded_hash", "sharded_source_name"]
)
def test_the_cache_files_alone_are_enough(tmp_path: Path, namer: str) -> None:
    """In a new folder, with other times of sources and results and without state, no image is made again."""
    (tmp_path / "first").mkdir()
    site = Site(tmp_path / "first", spec_cachefile_namer=namer)
    for number in range(4):
        site.write(f"photos/{number}.jpg", seed=number)
    _, html = build(site)
    made = site.files()
    assert len(made) > 8
    # A clone gives all files its own time, and a cache that is unpacked may give the results any.
    (tmp_path / "second").mkdir()
    clone = Site(tmp_path / "second", spec_cachefile_namer=namer)
    shutil.copytree(site.images, clone.images, dirs_exist_ok=True, copy_function=shutil.copyfile)
    for name in made:
        (clone.output / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(site.output / name, clone.output / name)
        os.utime(clone.output / name, (0, 0))
    time.sleep(0.05)
    kit, again = build(clone)
    assert again == html
    assert clone.files() == made
    assert {os.stat(clone.output / name).st_mtime for name in made if name.endswith((".webp", ".jpg", ".avif"))} == {0}
    assert len(kit.generate().skipped) == kit.generate().total
    # What a branch no longer needs can be told, so that the kept folder does not grow for ever.
    (clone.images / "photos/3.jpg").unlink()
    assert len(kit.prune().removed) == 2
