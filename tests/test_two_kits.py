"""Two kits in one process: what they share, neither of them changes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from core_site import Card, photo_bytes, settled
from PIL import Image

import drawing
from jinja_imagekit import GeneratorRegistry, ImageKit
from jinja_imagekit.exceptions import ImageTooLarge
from jinja_imagekit.specs import spec_class


def test_two_kits_share_a_registry_with_a_spec_that_is_an_object(tmp_path: Path) -> None:
    """Each kit makes its image by its own settings, whichever asked last, and the object stays as it was."""
    path = settled(tmp_path / "a.png", drawing.alpha_png(drawing.photo(40, 30)))
    spec = spec_class({"format": "JPEG"})(source=path)
    before = dict(vars(spec))
    theme = GeneratorRegistry()
    theme.register("theme:card", spec)
    red = ImageKit(generators=[theme], background="red", location=tmp_path / "red", state_dir=tmp_path / "r")
    blue = ImageKit(generators=[theme], background="blue", location=tmp_path / "blue", state_dir=tmp_path / "b")
    files = [kit.cachefile("theme:card") for kit in (red, blue)]
    assert [file.generator.settings.background for file in files] == ["red", "blue"]
    assert len({file.name for file in files}) == 2
    corners = [Image.open(io.BytesIO(file.read())).convert("RGB").getpixel((39, 29)) for file in files]
    assert corners[0] != corners[1]
    assert vars(spec) == before


def test_two_kits_and_a_spec_made_by_hand(tmp_path: Path) -> None:
    """A cache file takes a copy of the spec: its settings, its source's name and caps are the kit's own."""
    path = settled(tmp_path / "photos/a.jpg", photo_bytes())
    by_path, by_bytes = Card(source=path), Card(source=photo_bytes())
    kit = ImageKit(source_dirs=[tmp_path], background="red")
    strict = ImageKit(source_dirs=[tmp_path / "photos"], max_source_bytes=100)
    assert str(kit.cachefile_of(by_path).name).startswith("CACHE/images/photos/a/")
    assert str(kit.cachefile_of(by_path).name) != str(strict.cachefile_of(by_bytes, name="x.jpg").name)
    for spec in (by_path, by_bytes):
        with pytest.raises(ImageTooLarge, match="max_source_bytes"):
            strict.cachefile_of(spec).generate()
        assert spec.settings is Card.settings
        strict.register.generator("one", spec, override=True)
        with pytest.raises(ImageTooLarge, match="max_source_bytes"):
            strict.cachefile("one").generate()
    assert by_path.source is not None
    assert by_path.source.name == "a.jpg"


def test_a_factory_that_hands_out_the_same_spec(tmp_path: Path) -> None:
    """A callable may return what others hold, too: a kit does not write its settings on it."""
    shared = spec_class({"format": "PNG"})(source=photo_bytes())
    kits = [ImageKit(cachefile_dir=folder, state_dir=tmp_path / folder) for folder in ("one", "two")]
    for kit in kits:
        kit.register.generator("shared", lambda: shared)
    names = [str(kit.cachefile("shared").name) for kit in kits]
    assert [name.split("/")[0] for name in names] == ["one", "two"]
    assert shared.settings is type(shared).settings
