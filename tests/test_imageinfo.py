"""What is known about an image: its sidecar file, its look, its metadata, and the filter `imageinfo`."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from core_site import Site, settled
from jinja2 import Environment
from PIL import ExifTags, Image

import drawing
from jinja_imagekit.exceptions import ImageKitError, MissingAlt, MissingSource, SourceNotFound
from jinja_imagekit.images import Original
from jinja_imagekit.images.thumbhash import thumbhash
from jinja_imagekit.looks import MOST_URI_BYTES


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with a photo."""
    site = Site(tmp_path)
    site.write("photos/canal.jpg", 240, 180)
    return site


def render(site: Site, template: str, **values: Any) -> str:
    """Render a template with tags for a new kit of a site."""
    return site.new_kit().install(Environment(autoescape=True)).from_string(template).render(**values)


TAG = "{% picture '50x50' 'photos/canal.jpg' formats='JPEG' %}"


def test_the_alternative_text_of_a_sidecar(site: Site) -> None:
    """It stands where tag and keyword give none; both go before it."""
    settled(site.images / "photos" / "canal.jpg.toml", b'alt = "A canal"')
    assert ' alt="A canal"' in render(site, TAG)
    assert ' alt="Mine"' in render(site, TAG.replace("'JPEG'", "'JPEG' alt='Mine'"))
    assert ' alt="Mine"' in render(site, TAG.replace("%}", "-- alt='Mine' %}"))
    assert ' alt=""' in render(site, TAG.replace("%}", "-- alt='' %}"))


def test_one_file_for_all_images(site: Site) -> None:
    """`images.toml` has a table for each; the file beside an image goes before it, key by key."""
    site.write("photos/hill.jpg", 240, 180)
    settled(
        site.images / "images.toml",
        b'["photos/canal.jpg"]\nalt = "From all"\ncaption = "Still water"\n["photos/hill.jpg"]\nalt = "A hill"\n',
    )
    settled(site.images / "photos" / "canal.jpg.toml", b'alt = "Beside it"\ncredit = "Ada"')
    picture = site.kit.picture("50x", "photos/canal.jpg")
    assert (picture.alt, picture.caption, picture.credit) == ("Beside it", "Still water", "Ada")
    assert site.kit.picture("50x", "photos/hill.jpg").alt == "A hill"


def test_the_focus_of_a_sidecar(site: Site) -> None:
    """A crop keeps what the author of the site pointed at; a keyword goes before it."""
    url = site.kit.picture("50x20", "photos/canal.jpg", alt="", focus="10% 90%").url
    settled(site.images / "photos" / "canal.jpg.toml", b'focus = "10% 90%"')
    assert site.new_kit().picture("50x20", "photos/canal.jpg", alt="").url == url
    settled(site.images / "photos" / "canal.jpg.toml", b"focus = [0.1, 0.9]")
    assert site.new_kit().picture("50x20", "photos/canal.jpg", alt="").url == url
    assert site.new_kit().picture("50x20", "photos/canal.jpg", alt="", focus="t").url != url


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"alt = ", "canal.jpg.toml cannot be read"),
        (b"alt = 3", "alt must be a string, not 3"),
        (b'atl = "A"', "Did you mean 'alt'"),
        (b'focus = "lft"', "sidecar file of photos/canal.jpg"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_sidecar_that_cannot_be_used_is_an_error(site: Site, content: bytes, message: str) -> None:
    """It names the file."""
    settled(site.images / "photos" / "canal.jpg.toml", content)
    with pytest.raises(ImageKitError, match=message):
        render(site, TAG)


def test_sidecars_outside_the_source_folders_are_not_read(site: Site) -> None:
    """A symbolic link that leads out is refused, as for an image."""
    settled(site.root / "secret.toml", b'alt = "secret"')
    (site.images / "photos" / "canal.jpg.toml").symlink_to(site.root / "secret.toml")
    with pytest.raises(ImageKitError, match="leads out of the source folder"):
        render(site, TAG)


def test_another_folders_sidecar_is_not_the_images(tmp_path: Path) -> None:
    """Two folders may each have an image of one name; words about the one are not said of the other."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    site = Site(tmp_path, source_dirs=[first, second])
    settled(second / "canal.jpg", drawing.encoded(drawing.photo(80, 60), "JPEG"))
    settled(first / "canal.jpg.toml", b'alt = "Another"')
    with pytest.raises(MissingAlt):
        str(site.kit.picture("50x", "canal.jpg"))


def test_the_sidecar_of_an_image_that_is_a_link(site: Site) -> None:
    """It lies beside the name under which pages know the image, wherever that leads."""
    (site.images / "first.jpg").symlink_to("photos/canal.jpg")
    settled(site.images / "first.jpg.toml", b'alt = "Beside the link"')
    assert site.kit.picture("50x", "first.jpg").alt == "Beside the link"
    assert site.kit.picture("50x", "photos/canal.jpg").alt is None


def test_sidecars_are_read_once_a_render(site: Site) -> None:
    """Within one they stay as they are; the next one, after `finish()`, reads them again."""
    settled(site.images / "photos" / "canal.jpg.toml", b'alt = "First"')
    template = site.kit.install(Environment(autoescape=True)).from_string(TAG)
    assert ' alt="First"' in template.render()
    settled(site.images / "photos" / "canal.jpg.toml", b'alt = "Second"')
    assert ' alt="First"' in template.render()
    site.kit.finish()
    assert ' alt="Second"' in template.render()


def photo_with_exif() -> bytes:
    """Return a photo that a camera wrote things into."""
    image = drawing.photo(80, 60)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "NIKON CORPORATION"
    exif[ExifTags.Base.Model] = "NIKON D750"
    exif[ExifTags.Base.Copyright] = "Ada\0Grace"
    exif[ExifTags.Base.Artist] = "Ada"
    exif[ExifTags.Base.ImageDescription] = "A canal"
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:05:01 12:30:00"
    return drawing.encoded(image, "JPEG", exif=exif.tobytes())


def test_facts_of_an_image(site: Site) -> None:
    """A template shows what is known of a photo: its size upright, its camera, its owner."""
    content = photo_with_exif()
    settled(site.images / "camera.jpg", content)
    info = site.kit.imageinfo("camera.jpg")
    assert (info.width, info.height, info.format, info.mimetype) == (60, 80, "JPEG", "image/jpeg")
    assert (info.frames, info.has_alpha, info.bytes) == (1, False, len(content))
    assert info.date == datetime(2024, 5, 1, 12, 30)
    assert (info.camera, info.artist, info.description) == ("NIKON D750", "Ada", "A canal")
    assert info.copyright == "Ada, Grace"
    told = render(site, "{% set i = 'camera.jpg' | imageinfo %}{{ i.width }} × {{ i.height }}, {{ i.camera }}")
    assert told == "60 × 80, NIKON D750"


def test_facts_that_nobody_knows(site: Site) -> None:
    """They are empty, not errors."""
    info = site.kit.imageinfo("photos/canal.jpg")
    assert (info.date, info.camera, info.copyright, info.alt) == (None, "", "", None)
    assert (info.caption, info.credit) == ("", "")


def test_facts_of_uploads_and_drawings(site: Site) -> None:
    """Whatever can be a source has facts; a drawing has no colour of its own."""
    content = photo_with_exif()
    assert site.kit.imageinfo(content).bytes == len(content)
    settled(site.images / "logo.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80"/>')
    info = site.kit.imageinfo("logo.svg")
    assert (info.format, info.mimetype, info.color) == ("SVG", "image/svg+xml", "")


def test_facts_decode_nothing_but_for_the_colour(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the colour costs one decode, whoever asks later, in whatever process."""
    decoded = []
    decode = Original._decode
    monkeypatch.setattr(Original, "_decode", lambda self, *args: decoded.append(args) or decode(self, *args))
    info = site.kit.imageinfo("photos/canal.jpg")
    assert (info.width, info.camera) == (240, "")
    assert not decoded
    color = info.color
    assert len(decoded) == 1
    assert site.new_kit().imageinfo("photos/canal.jpg").color == color
    palette = site.new_kit().imageinfo("photos/canal.jpg").palette
    assert palette[0] == color
    assert 2 <= len(set(palette)) == len(palette) <= 5
    assert site.new_kit().picture("50x", "photos/canal.jpg").placeholder
    assert len(decoded) == 1


def test_no_source_has_no_facts(site: Site) -> None:
    """An empty value and a name that leads nowhere are errors with their place."""
    with pytest.raises(MissingSource, match="line 1"):
        render(site, "{{ article.photo | imageinfo }}", article={})
    with pytest.raises(SourceNotFound, match="line 1"):
        render(site, "{{ 'none.jpg' | imageinfo }}")


def test_the_colour_is_the_most_frequent_one(site: Site) -> None:
    """Not the mean, which may be a colour that nobody sees."""
    image = Image.new("RGB", (120, 90), (200, 30, 40))
    image.paste((20, 60, 220), (0, 0, 40, 90))
    settled(site.images / "flag.png", drawing.encoded(image, "PNG"))
    red, green, blue = bytes.fromhex(site.kit.imageinfo("flag.png").color[1:])
    assert abs(red - 200) < 8
    assert abs(green - 30) < 8
    assert abs(blue - 40) < 8


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [(600, 400), (400, 600), (1000, 20), (3, 3)])
def test_a_preview_is_small(site: Site, size: tuple[int, int], seed: int) -> None:
    """It is a data URI of at most 200 bytes, whatever the image."""
    settled(site.images / "any.png", drawing.encoded(drawing.photo(*size, seed), "PNG"))
    preview = site.new_kit().picture("50x", "any.png").placeholder
    assert preview.startswith("data:image/webp;base64,")
    assert len(preview) <= MOST_URI_BYTES


@pytest.mark.parametrize(
    "forged",
    [
        "nonsense",
        "[]",
        json.dumps(["red", "data:image/webp;base64,AA==", [], []]),
        json.dumps(["#000000", "javascript:alert(1)", ["#000000"], ["#000000"]]),
        json.dumps(["#000000", "data:image/webp;base64,AA==) ;x:url(", ["#000000"], ["#000000"]]),
        json.dumps(["#000000", "data:image/webp;base64,AA==", ["#000000;x"], ["#000000"]]),
    ],
)
def test_a_forged_look_is_no_look(site: Site, forged: str) -> None:
    """What others write into the state gets into no page."""
    picture = site.kit.picture("50x", "photos/canal.jpg", alt="", placeholder="blur")
    before = str(picture)
    store = site.kit.records.store
    (key,) = list(store.keys("imagekit:look:"))
    store.set_many({key: forged})
    assert str(site.new_kit().picture("50x", "photos/canal.jpg", alt="", placeholder="blur")) == before


def test_transparent_pixels_have_no_colour(tmp_path: Path) -> None:
    """The colour is that of what is seen: the more opaque a pixel, the more it counts."""
    site = Site(tmp_path)
    logo = Image.new("RGBA", (100, 100), (255, 255, 255, 0))
    logo.paste((200, 30, 40, 255), (30, 30, 60, 60))
    veil = Image.new("RGBA", (100, 100), (0, 0, 250, 20))
    veil.paste((200, 30, 40, 255), (0, 0, 50, 50))
    for image in (logo, veil):
        settled(site.images / "logo.png", drawing.encoded(image, "PNG"))
        assert site.new_kit().imageinfo("logo.png").color == "#c81e28"
    settled(site.images / "none.png", drawing.encoded(Image.new("RGBA", (10, 10), (9, 9, 9, 0)), "PNG"))
    assert site.kit.imageinfo("none.png").color == "#ffffff"


def test_sidecars_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Some editors write one at the beginning of a file."""
    site = Site(tmp_path)
    site.write("canal.jpg")
    (site.images / "canal.jpg.toml").write_text('alt = "A canal"', encoding="utf-8-sig")
    assert site.kit.imageinfo("canal.jpg").alt == "A canal"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (drawing.photo(64, 48), "61d70d1d846779876b887880778888787570628707"),
        (drawing.photo(30, 64, 3), "5cc70d0302777c0778767597169560f6c8"),
        (drawing.cut_out(drawing.photo(60, 60, 2)), "2ab78515003996687f849229b88570086a2508588888708758"),
        (drawing.cut_out(drawing.photo(32, 10, 2)), "aed78502803487787f817577717ff77708d78888868978"),
        (Image.new("L", (10, 10)), "00088205000000000000000000000000000000000000000000"),
    ],
)
def test_thumbhash_is_what_its_own_encoder_makes_of_the_same_pixels(image: Image.Image, expected: str) -> None:
    """The npm package thumbhash 0.1.1 gave these; a value between two steps may be rounded to either."""
    rgba = Image.new("RGBA", image.size) if image.mode == "L" else image.convert("RGBA")
    found = thumbhash(rgba).hex()
    assert len(found) == len(expected)
    assert all(abs(int(one, 16) - int(other, 16)) <= 1 for one, other in zip(found, expected, strict=True))
    assert found[:10] == expected[:10]


def test_thumbhash_of_a_source_is_remembered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates have it, and a second process decodes nothing."""
    first = render(site, "{{ ('photos/canal.jpg' | imageinfo).thumbhash }}")
    assert len(b64decode(first)) == 21
    monkeypatch.setattr(Original, "_decode", None)
    assert site.new_kit().imageinfo("photos/canal.jpg").thumbhash == first
