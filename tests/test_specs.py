"""Specs: what they make on their own, what their hash depends on, and specs that are made from keywords."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
from core_site import Card, Site, Slow, Wide, photo_bytes
from PIL import Image

import drawing
from jinja_imagekit import ImageKit, ImageSpec, Settings
from jinja_imagekit.exceptions import (
    ImageTooLarge,
    InvalidOption,
    InvalidProcessor,
    InvalidSetting,
    MissingSource,
    NotFingerprintable,
    UnknownFormat,
)
from jinja_imagekit.processors import Adjust, ResizeToFill, ResizeToFit
from jinja_imagekit.specs import is_fixed, spec_class


def opened(file: Any) -> Image.Image:
    """Return the image within an open file, decoded."""
    image = Image.open(file)
    image.load()
    return image


class Portrait(ImageSpec):
    """A spec whose parts depend on its source."""

    @property
    def processors(self) -> list[object]:  # type: ignore[override]
        """Return a tall crop of a wide source, and a wide one of a tall source."""
        assert self.source is not None
        width, height = self.source.size()
        return [ResizeToFill(10, 20) if width > height else ResizeToFill(20, 10)]

    @property
    def format(self) -> str:  # type: ignore[override]
        """Return PNG for sources that may have alpha."""
        assert self.source is not None
        return "PNG" if self.source.header.format == "PNG" else "JPEG"


def test_on_its_own() -> None:
    """A spec without a kit makes an open file of the new image."""
    image = opened(Card(source=io.BytesIO(photo_bytes())).generate())
    assert (image.format, image.size) == ("JPEG", (24, 16))


def test_parts_that_depend_on_the_source() -> None:
    """Any attribute may be a property that looks at the source, and the hash follows."""
    wide, tall = Portrait(source=photo_bytes(40, 30)), Portrait(source=photo_bytes(30, 40, format="PNG"))
    assert opened(wide.generate()).size == (10, 20)
    image = opened(tall.generate())
    assert (image.size, image.format) == ((20, 10), "PNG")
    assert (wide.output_size(), tall.output_size()) == ((10, 20), (20, 10))
    assert wide.get_recipe() != tall.get_recipe()


def test_a_spec_whose_parts_depend_on_the_source_through_a_kit(tmp_path: Path) -> None:
    """Such a spec is never taken for another one's, even while its source is replaced."""
    site = Site(tmp_path)
    site.kit.register.generator("portrait", Portrait)
    site.write("a.jpg", 40, 30)
    first = site.kit.cachefile("portrait", source="a.jpg")
    assert (first.width, first.height) == (10, 20)
    site.kit.known_files.remember(first, {"source": "a.jpg"})
    site.write("a.jpg", 30, 40, format="PNG")
    second = site.kit.cachefile("portrait", source="a.jpg")
    assert (second.width, second.height, second.format) == (20, 10, "PNG")
    assert str(second.name).endswith(".png")


@pytest.mark.parametrize("use", ["generate", "get_hash", "output_size", "output_format"])
def test_without_a_source(use: str) -> None:
    """A spec without a source has no name, and everything else says so."""
    spec = ImageSpec()
    assert spec.cachefile_name is None
    with pytest.raises(MissingSource, match=r"has no source image. Pass source=") as caught:
        _ = getattr(spec, use) if use == "output_format" else getattr(spec, use)()
    assert isinstance(caught.value, ValueError)


def test_the_format() -> None:
    """A format in any spelling is Pillow's; none keeps the source's where that can be written."""
    assert spec_class({"format": "jpg"})(source=photo_bytes()).output_format == "JPEG"
    assert ImageSpec(source=photo_bytes(format="PNG")).output_format == "PNG"
    assert opened(ImageSpec(source=photo_bytes(format="GIF")).generate()).format == "GIF"
    assert ImageSpec(source=photo_bytes(format="BMP")).output_format in ("PNG", "JPEG")


@pytest.mark.parametrize(
    ("attributes", "error", "message"),
    [
        ({"format": "XYZ"}, UnknownFormat, "'XYZ'"),
        ({"format": "WEPB"}, UnknownFormat, "Did you mean 'WEBP'"),
        ({"format": "JPEG", "options": {"quality": 200}}, InvalidOption, "quality=200"),
        ({"format": "JPEG", "options": {"qualtiy": 80}}, InvalidOption, "qualtiy"),
        ({"processors": [3]}, InvalidProcessor, r"builtins.int is not a processor: it has no method process\(image\)"),
        ({"processors": [ResizeToFill]}, InvalidProcessor, "ResizeToFill"),
        ({"background": "whitish", "format": "JPEG"}, InvalidSetting, "must be a colour"),
        ({"keep_metadata": ("artits",)}, InvalidSetting, "'artits'"),
        ({"decode_margin": 9}, InvalidSetting, "must lie between 0 and 8"),
    ],
)
def test_parts_that_cannot_be_used(attributes: dict[str, Any], error: type[Exception], message: str) -> None:
    """The error names the culprit."""
    with pytest.raises(error, match=message):
        spec_class(attributes)(source=photo_bytes()).generate()


def test_the_hash_is_of_the_result(tmp_path: Path) -> None:
    """Equal recipes of equal contents share a hash, whatever their classes and their sources' names."""

    class SameAsCard(ImageSpec):
        processors = [ResizeToFill(24, 16)]
        format = "jpeg"
        options: dict[str, Any] = {}

    path = tmp_path / "a.jpg"
    path.write_bytes(photo_bytes())
    assert Card(source=path).get_hash() == SameAsCard(source=photo_bytes()).get_hash()
    assert Card(source=path).get_hash() != Card(source=photo_bytes(seed=1)).get_hash()


@pytest.mark.parametrize(
    "attributes",
    [
        {"processors": [ResizeToFill(24, 17)]},
        {"processors": [ResizeToFit(24, 16)]},
        {"processors": [ResizeToFill(24, 16), Adjust(contrast=1.1)]},
        {"format": "PNG"},
        {"options": {"quality": 81}},
        {"autoconvert": False},
        {"decode_margin": 1.0},
        {"auto_orient": False},
        {"convert_to_srgb": False},
        {"scale_16_bit": False},
        {"keep_animation": False},
        {"keep_alpha": False},
        {"background": "black"},
        {"keep_metadata": ("artist",)},
        {"linear_resize": True},
        {"resizer": "fast"},
    ],
)
def test_what_changes_pixels_changes_the_hash(attributes: dict[str, Any]) -> None:
    """Each part of a spec, and each setting of pixels, makes another file."""
    base = {"processors": [ResizeToFill(24, 16)], "format": "JPEG"}
    assert spec_class({**base, **attributes})(source=photo_bytes()).get_hash() != Card(source=photo_bytes()).get_hash()


def test_a_setting_of_pixels_holds_for_all_specs_and_a_spec_s_own_for_it(tmp_path: Path) -> None:
    """The kit's settings reach the specs; what a spec says itself goes before."""
    sideways = drawing.oriented(drawing.photo(40, 30), 6)
    stored = ImageKit(auto_orient=False, location=tmp_path)
    upright = stored.spec(auto_orient=True, format="PNG")
    plain = stored.spec(format="PNG")
    bind = stored.cachefile_of
    assert opened(io.BytesIO(bind(upright(source=sideways)).generator.generate().read())).size == (40, 30)
    assert opened(io.BytesIO(bind(plain(source=sideways)).generator.generate().read())).size == (30, 40)


def test_a_class_that_makes_its_own_image() -> None:
    """What such a class does cannot be seen, so that its name is part of the hash and no size is promised."""

    class Stamped(Card):
        def generate(self) -> Any:
            return io.BytesIO(drawing.encoded(Image.new("RGB", (3, 4)), "PNG"))

    class AlsoStamped(Stamped):
        pass

    stamped = Stamped(source=photo_bytes())
    assert stamped.output_size() is None
    assert stamped.get_hash() != Card(source=photo_bytes()).get_hash()
    assert stamped.get_hash() != AlsoStamped(source=photo_bytes()).get_hash()


class Inked:
    """A processor whose state is not plain, and which says what it depends on."""

    def __init__(self, ink: str) -> None:
        self.image = Image.new("RGB", (1, 1), ink)
        self.ink = ink

    def process(self, image: Image.Image) -> Image.Image:
        """Return one pixel of ink."""
        return self.image.copy()


class InkedWithFingerprint(Inked):
    """The same, with a fingerprint."""

    def fingerprint(self) -> str:
        """Return the ink."""
        return self.ink


def test_a_processor_without_a_fingerprint() -> None:
    """State that is not plain is an error which says to define `fingerprint()`."""
    with pytest.raises(NotFingerprintable, match=r"PIL.Image.Image.*image.*Define fingerprint\(\) on its class"):
        spec_class({"processors": [Inked("red")]})(source=photo_bytes()).get_hash()
    hashes = {spec_class({"processors": [InkedWithFingerprint(ink)]})().get_recipe() for ink in ("red", "blue", "red")}
    assert len(hashes) == 2


def test_a_custom_processor(tmp_path: Path) -> None:
    """Anything with `process(image)` is a processor; its class path and attributes are its fingerprint."""
    one, other = (spec_class({"processors": [Slow(seconds)]})(source=photo_bytes()) for seconds in (0, 0.001))
    assert one.get_recipe() != other.get_recipe()
    assert opened(one.generate()).size == (96, 72)
    assert one.output_size() == (96, 72)
    assert spec_class({"processors": [Inked("red")]})(source=photo_bytes()).output_size() is None


def test_the_size_of_the_result_is_capped() -> None:
    """A result that would not fit is refused before a pixel is made."""
    spec = spec_class({"processors": [ResizeToFill(2000, 2000)], "format": "PNG"})(source=photo_bytes())
    spec.settings = Settings(max_result_pixels=3_999_999)
    with pytest.raises(
        ImageTooLarge, match="result has 2,000 × 2,000 pixels; the setting max_result_pixels allows 3,999,999"
    ):
        spec.generate()


def test_a_spec_from_keywords() -> None:
    """A class of specs without a class statement; an unknown attribute suggests the nearest."""
    kit = ImageKit()
    spec = kit.spec("card", processors=[ResizeToFit(20, 20)], format="PNG")
    assert kit.registered("card") is spec
    assert opened(spec(source=photo_bytes()).generate()).size == opened(Wide(source=photo_bytes()).generate()).size
    with pytest.raises(InvalidOption, match=r"an image spec has no such attribute. Did you mean 'processors'"):
        kit.spec(processor=[])
    for name in ("generate", "get_hash", "_source", "varies_"):
        with pytest.raises(InvalidOption):
            kit.spec(**{name: None})


def test_a_spec_from_keywords_can_be_pickled() -> None:
    """Its instances are the same in another process, and so is a kit that has it."""
    spec = spec_class({"processors": [ResizeToFit(20, 20)], "format": "PNG"})
    again = pickle.loads(pickle.dumps(spec(source=photo_bytes())))
    assert again.generate().read() == spec(source=photo_bytes()).generate().read()
    assert again.get_hash() == spec(source=photo_bytes()).get_hash()
    kit = ImageKit()
    kit.register.generator("card", spec)
    again = pickle.loads(pickle.dumps(kit)).generator("card")
    assert again.get_recipe() == kit.generator("card").get_recipe()


def test_repr_touches_nothing(tmp_path: Path) -> None:
    """A spec of a file that is gone can still be shown."""
    path = tmp_path / "a.jpg"
    path.write_bytes(photo_bytes())
    spec = Card(source=path)
    path.unlink()
    assert repr(spec) == "<Card of <FileSource 'a.jpg'>>"


class WithMethod(Card):
    """A spec with a method of its own."""

    def get_recipe(self) -> str:
        """Return a recipe."""
        return "x"


class Declared(Portrait):
    """A spec that says it does not vary."""

    varies = False


class Plain(Card):
    """A spec with nothing but values."""

    options = {"quality": 70}


@pytest.mark.parametrize(
    ("generator", "fixed"),
    [
        (Card, True),
        (Plain, True),
        (spec_class({"format": "PNG"}), True),
        (ImageSpec, True),
        (Portrait, False),
        (WithMethod, False),
        (Declared, True),
        (object, False),
        (lambda source: Card(source), False),
        (Card(), False),
    ],
)
def test_specs_that_a_kit_may_remember(generator: object, fixed: bool) -> None:
    """Only those whose equal keywords always make equal images."""
    assert is_fixed(generator) is fixed


class NamedA(ImageSpec):
    """A spec with a name of its own."""

    format = "PNG"
    cachefile_name = "a.png"  # type: ignore[assignment]


class NamedB(NamedA):
    """A spec that differs in its name alone."""

    cachefile_name = "b.png"  # type: ignore[assignment]


class InheritsA(NamedA):
    """A spec whose name is its base's."""


class InheritsB(NamedB):
    """A spec whose name is its base's."""


def test_a_name_of_its_own_is_never_taken_for_another_s(tmp_path: Path) -> None:
    """Specs that do the same under other names keep their names, warm too."""
    site = Site(tmp_path)
    site.write("p.jpg", 8, 8)
    for _ in range(2):
        for id, spec, name in (("a", InheritsA, "a.png"), ("b", InheritsB, "b.png")):
            site.kit.register.generator(id, spec)
            file = site.kit.cachefile(id, source="p.jpg")
            assert file.url == f"/{name}"
            site.kit.known_files.remember(file, {"source": "p.jpg"})
            assert site.kit.known_files.find(id, {"source": "p.jpg"}) is None


def test_a_thumbnail_s_keywords(tmp_path: Path) -> None:
    """The spec of every kit: size, format, quality, further options, and the setting for the format."""
    site = Site(tmp_path, default_thumbnail_format="WEBP")
    site.write("p.jpg")
    thumbnail = site.kit.generator("imagekit:thumbnail", source="p.jpg", width=40, quality=50, options={"method": 0})
    assert (thumbnail.output_format, thumbnail.options, thumbnail.output_size()) == (
        "WEBP",
        {"method": 0, "quality": 50},
        (40, 30),
    )
    assert site.kit.generator("imagekit:thumbnail", source="p.jpg", width=30, format="PNG").output_format == "PNG"
    with pytest.raises(InvalidOption):
        site.kit.generator("imagekit:thumbnail", source="p.jpg")
    with pytest.raises(InvalidOption, match=r"anchor"):
        site.kit.generator("imagekit:thumbnail", source="p.jpg", width=30, height=30, anchor="above")
