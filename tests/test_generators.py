"""Generators that are no specs: any object with `generate()`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from core_site import Card, Chart, Site, settled
from jinja2 import Environment
from PIL import Image

import drawing
from jinja_imagekit.cachefiles.namers import hash as name_by_hash
from jinja_imagekit.exceptions import GenerationFailed, NotFingerprintable, UnreadableImage
from jinja_imagekit.interfaces import Generator


class Badge:
    """A generator with a source and no spec: the source's colours in one pixel."""

    def __init__(self, source: Any, ring: str = "none") -> None:
        self.source = source
        self.ring = ring

    def generate(self) -> Any:
        """Return the pixel."""
        with self.source.open() as file, Image.open(file) as image:
            return io.BytesIO(drawing.encoded(image.convert("RGB").resize((1, 1)), "PNG"))


class Named:
    """A generator that names its file, and keeps it where it says."""

    cachefile_name = "own/chart.png"

    def generate(self) -> Any:
        """Return a picture."""
        return Chart().generate()


class Icon:
    """A generator of a format that no spec writes."""

    format = "ICO"

    def generate(self) -> Any:
        """Return an icon."""
        return io.BytesIO(drawing.encoded(Image.new("RGB", (16, 16), "red"), "ICO"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with a chart and a photo."""
    site = Site(tmp_path)
    site.write("a.jpg")
    site.kit.register.generator("chart", Chart)
    site.kit.register.generator("badge", Badge)
    return site


def test_a_generator_without_a_source(site: Site) -> None:
    """It is named by a fingerprint of its attributes, and has everything that a spec's file has."""
    assert isinstance(Chart(), Generator)
    file = site.kit.cachefile("chart", values=(3, 9, 5))
    assert (file.width, file.height, file.format) == (12, 20, "PNG")
    assert str(file.name).startswith("CACHE/images/")
    assert str(file.name).endswith(".png")
    assert file
    assert file.source is None
    assert site.kit.cachefile("chart", values=[3, 9, 5]).name == file.name
    assert site.kit.cachefile("chart", values=(3, 9, 6)).name != file.name


def test_in_a_template(site: Site) -> None:
    """The tag takes its keywords."""
    template = site.kit.install(Environment()).from_string("{% generateimage 'chart' values=[1, 2] %}")
    assert template.render() == template.render()
    assert 'width="8" height="20"' in template.render()
    assert len(site.files()) == 1


def test_a_generator_with_a_source_of_its_own(site: Site) -> None:
    """Its file's name follows the source's content, cold and warm, and in a new process."""
    first = site.kit.cachefile("badge", source="a.jpg", ring="gold")
    assert first.width == 1
    assert site.new_kit().generator  # a kit that has not seen the source
    again = site.new_kit()
    again.register.generator("badge", Badge)
    assert again.cachefile("badge", source="a.jpg", ring="gold").name == first.name
    assert again.cachefile("badge", source="a.jpg").name != first.name
    site.write("a.jpg", seed=3)
    assert site.kit.cachefile("badge", source="a.jpg", ring="gold").name != first.name


def test_a_generator_that_names_its_file(site: Site) -> None:
    """`cachefile_name` goes before the namer."""
    site.kit.register.generator("named", Named)
    file = site.kit.cachefile("named")
    assert file.url == "/own/chart.png"
    assert file.width == 8


def test_a_callable_that_returns_a_generator(site: Site) -> None:
    """A function is registered like a class, and an object stands for itself."""
    site.kit.register.generator("made", lambda source: Card(source=source))
    site.kit.register.generator("object", Chart((4,)))
    assert site.kit.cachefile("made", source="a.jpg").width == 24
    assert site.kit.cachefile("object").width == 4


def test_a_format_that_no_spec_writes(site: Site) -> None:
    """Its extension, width and media type are right all the same."""
    file = site.kit.cachefile_of(Icon())
    assert (file.width, file.format, file.mimetype) == (16, "ICO", "image/x-icon")


def test_a_generator_with_state_that_is_not_plain(site: Site) -> None:
    """No name can be made of it, and the error says what to define."""

    class Drawn(Chart):
        def __init__(self) -> None:
            self.canvas = Image.new("RGB", (3, 3))

    with pytest.raises(NotFingerprintable, match=r"canvas\). Define fingerprint\(\)"):
        _ = site.kit.cachefile_of(Drawn()).url


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (b"GIF89a", GenerationFailed, "must return an open binary file"),
        (io.BytesIO(b""), UnreadableImage, "empty"),
        (io.BytesIO(b"<html>"), UnreadableImage, "it is an HTML page"),
        (io.StringIO("text"), GenerationFailed, "TypeError"),
    ],
)
def test_a_generator_that_returns_no_image(site: Site, result: Any, error: type[Exception], message: str) -> None:
    """Nothing that is not an image is stored."""

    class Wrong(Chart):
        def generate(self) -> Any:
            return result

    with pytest.raises(error, match=message):
        _ = site.kit.cachefile_of(Wrong()).url
    assert not site.files()


def test_a_generator_s_files_are_pregenerated(site: Site) -> None:
    """By registrations of keywords, and by groups of sources."""
    site.kit.register.cachefiles("chart", [{"values": (1,)}, {"values": (1, 2)}])
    site.kit.register.cachefiles("badge", lambda: [{"source": "a.jpg"}, site.kit.cachefile("badge", source="a.jpg")])
    report = site.kit.generate()
    assert report.ok
    assert sorted((each.generator_id, each.width) for each in report.generated) == [
        ("badge", 1),
        ("chart", 4),
        ("chart", 8),
    ]
    assert site.kit.generate().generated == []


def test_its_source_is_read_again_when_it_changes(site: Site) -> None:
    """The name follows the source although the generator knows nothing of hashes."""
    file = site.kit.cachefile("badge", source="a.jpg")
    assert file.url
    settled(site.images / "a.jpg", drawing.encoded(Image.new("RGB", (4, 4), "red"), "PNG"))
    red = site.kit.cachefile("badge", source="a.jpg")
    with Image.open(io.BytesIO(red.read())) as image:
        assert image.getpixel((0, 0)) == (255, 0, 0)
    assert name_by_hash(red.generator).endswith(Path(str(red.name)).name)
