"""SVG sources: passed on as they are, shown at the size that was asked for, and refused where they could do harm."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from core_site import Card, Site, settled
from jinja2 import Environment

from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.exceptions import ImageTooLarge, UnknownFormat, UnreadableImage
from jinja_imagekit.images import Limits, Original, PixelRules, read_header
from jinja_imagekit.processors import ResizeToFit, TrimBorderColor
from jinja_imagekit.sources import BytesSource

DEFERRED = "jinja_imagekit.cachefiles.strategies.Deferred"
NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'
LOGO = f'<svg {NAMESPACE} width="200" height="100" viewBox="0 0 20 10"><circle r="4"/></svg>\n'.encode()


def drawing(attributes: str) -> bytes:
    """Return a drawing whose root has these attributes."""
    return f"<svg {NAMESPACE} {attributes}><circle r='4'/></svg>".encode()


def size(data: bytes) -> tuple[int, int]:
    """Return the size that is read of a drawing."""
    return read_header(data, name="logo.svg", limits=Limits()).size()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with a logo of 200 × 100 pixels."""
    site = Site(tmp_path)
    settled(site.images / "logo.svg", LOGO)
    return site


def render(kit: ImageKit, template: str, **context: Any) -> str:
    """Render a template with the tags of a kit."""
    return kit.install(Environment(autoescape=True)).from_string(template).render(**context)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('width="200" height="100"', (200, 100)),
        ('width="200px" height=" 100PX "', (200, 100)),
        ('width="2e2" height="1.0E+2"', (200, 100)),
        ('width="1in" height="2.54cm"', (96, 96)),
        ('width="25.4mm" height="72pt"', (96, 96)),
        ('width="6pc" height="101.6q"', (96, 96)),
        ('width="33.4" height="66.5"', (33, 67)),
        ('width="100%" height="100%" viewBox="0 0 64 48"', (64, 48)),
        ('width="10em" height="5rem" viewBox="0,0,64,48"', (160, 80)),
        ('width="calc(1in + 2 * 2px)" height="calc((10px - 5px)*4)"', (100, 20)),
        ('width="calc(50% + 1px)" height="calc(1px" viewBox="0 0 64 48"', (64, 48)),
        ('width="calc(1px / 0)" height="calc()" viewBox="0 0 64 48"', (64, 48)),
        ('width="20vw" height="5ex" viewBox="0,0,64,48"', (64, 48)),
        ('viewBox="-32 -24 64 48"', (64, 48)),
        ('viewBox="0 0 6.4e1 48.0"', (64, 48)),
        ('width="128" viewBox="0 0 64 48"', (128, 96)),
        ('height="auto" width="128" viewBox="0 0 64 48"', (128, 96)),
        ('height="24" viewBox="0 0 64 48"', (32, 24)),
        ('width="0" height="-5" viewBox="0 0 64 48"', (64, 48)),
        ('width="1e400" height="nan" viewBox="0 0 64 48"', (64, 48)),
        ('viewBox="0 0 0 48"', (300, 150)),
        ('viewBox="0 0 64"', (300, 150)),
        ('viewBox="0 0 inf nan"', (300, 150)),
        ('width="' + "9" * 100_000 + 'x"', (300, 150)),
        ("", (300, 150)),
        ('width="0.2" height="0.1"', (1, 1)),
    ],
)
def test_size_of_a_drawing(attributes: str, expected: tuple[int, int]) -> None:
    """Absolute lengths give the size, else the viewBox, else what browsers take."""
    assert size(drawing(attributes)) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + LOGO,
        b"\n  " + LOGO,
        b'<?xml version="1.0" encoding="utf-8"?>\n<!-- drawn by hand -->' + LOGO,
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">' + LOGO,
        b"<!-- " + b"licence " * 50_000 + b"-->" + LOGO,
        LOGO.decode().encode("utf-16"),
        b'<s:svg xmlns:s="http://www.w3.org/2000/svg" width="200" height="100"/>',
        b'<!DOCTYPE svg [<!ENTITY ns_svg "http://www.w3.org/2000/svg"><!ENTITY w "200">]>'
        b'<svg xmlns="&ns_svg;" width="&w;" height="100"/>',
    ],
    ids=["mark", "space", "declaration", "doctype", "licence", "utf-16", "prefix", "entities"],
)
def test_drawings_as_programs_write_them(data: bytes) -> None:
    """Byte order marks, declarations, comments, the standard's DOCTYPE, prefixes and flat entities are read."""
    assert size(data) == (200, 100)


BOMB = (
    '<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True))
    + f"]><svg {NAMESPACE}><text>&i;</text></svg>"
).encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (BOMB, "XML entities"),
        (
            f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg {NAMESPACE}>&x;</svg>'.encode(),
            "XML entities",
        ),
        (f'<!DOCTYPE svg [<!ENTITY % x SYSTEM "http://localhost/x"> %x;]><svg {NAMESPACE}/>'.encode(), "XML entities"),
        (LOGO[:-20], "not well-formed XML"),
        (LOGO + LOGO, "not well-formed XML"),
        (b"<svg", "not well-formed XML"),
        (b"<page><svg/></page>", "its root is <page>"),
        (b'<svg width="200" height="100"/>', "lacks xmlns"),
        (b'<!DOCTYPE svg [<!ENTITY a "' + b"a" * 5_000 + b'">]><svg>' + b"&a;" * 5_000 + b"</svg>", "XML entities"),
        (b"<svg " + b" ".join(b'a%d=""' % number for number in range(100_000)) + b"/>", "attributes"),
        (drawing("").replace(b"<circle r='4'/>", b"<g>" * 30_000), "far more elements than its size explains"),
        (
            drawing("").replace(b"<circle", b"".join(b"<e%d/>" % number for number in range(3_000)) + b"<circle"),
            "names",
        ),
        (b"<svg a='" + b"x" * 300_000 + b"'/>", "root element"),
        (b'<svg xmlns="http://example.org/other"/>', "its root is <svg>"),
        (b'<?xml version="1.0" encoding="klingon"?><svg/>', "cannot be decoded"),
        (b"svg", "not an image of a readable format"),
    ],
)
def test_what_is_not_a_drawing_is_refused(data: bytes, reason: str) -> None:
    """Entities, XML that is damaged, and other XML are unreadable images."""
    with pytest.raises(UnreadableImage, match=re.escape(reason)):
        size(data)


def test_a_deep_drawing_takes_no_stack() -> None:
    """Elements within elements, a hundred thousand deep, are read without recursion."""
    opening = f'<svg {NAMESPACE} width="8" height="6">'.encode()
    assert size(opening + b"<g class='a'>" * 100_000 + b"</g>" * 100_000 + b"</svg>") == (8, 6)


@pytest.mark.parametrize("strategy", [None, DEFERRED])
@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{% thumbnail '100x100' 'logo.svg' %}", (100, 50)),
        ("{% thumbnail '50x' 'logo.svg' %}", (50, 25)),
        ("{% thumbnail 'x50' 'logo.svg' %}", (100, 50)),
        ("{% thumbnail '400x400' 'logo.svg' upscale=true %}", (400, 200)),
        ("{% thumbnail '400x400' 'logo.svg' %}", (200, 100)),
        ("{% generateimage 'card' source='logo.svg' %}", (24, 12)),
        ("{% thumbnail '100x' 'logo.svg' as x %}{% thumbnail '20x' x %}", (20, 10)),
        ("{{ 'logo.svg' | thumbnail('60x60') }}", (60, 30)),
    ],
)
def test_a_drawing_is_passed_on(tmp_path: Path, template: str, shown: tuple[int, int], strategy: str | None) -> None:
    """The file is the source's bytes under a name with `.svg`, shown in its own proportions within the asked size."""
    site = Site(tmp_path, **({"default_cachefile_strategy": strategy} if strategy else {}))
    settled(site.images / "logo.svg", LOGO)
    html = render(site.kit, template)
    assert re.fullmatch(rf'<img src="/CACHE/images/logo/\S+\.svg" width="{shown[0]}" height="{shown[1]}">', html)
    assert site.kit.finish().ok
    assert set(site.files().values()) == {LOGO}
    assert render(site.kit, template) == html == render(site.new_kit(), template)


def test_a_format_does_not_change_a_drawing(site: Site) -> None:
    """Format, quality and densities are for pixels; a format that nobody writes is an error all the same."""
    html = render(site.kit, "{% thumbnail '50x' 'logo.svg' format='WEBP' quality=10 srcset='2' %}")
    assert ".svg" in html
    assert "srcset" not in html
    with pytest.raises(UnknownFormat):
        render(site.kit, "{% thumbnail '50x' 'logo.svg' format='WEPB' %}")


def test_facts_of_a_drawings_cache_file(site: Site) -> None:
    """A cache file tells the format, the media type, and the bytes of the drawing."""
    file = site.kit.cachefile("card", source="logo.svg")
    assert (file.format, file.mimetype, file.size, file.read()) == ("SVG", "image/svg+xml", len(LOGO), LOGO)
    assert (file.width, file.height) == (24, 12)
    assert Card(source=LOGO).generate().read() == LOGO


def test_processors_that_must_see_pixels_leave_the_size(site: Site) -> None:
    """Where a processor cannot say what it does to the size, a drawing keeps its own."""
    site.kit.spec("trimmed", processors=[TrimBorderColor()])
    assert 'width="200" height="100"' in render(site.kit, "{% generateimage 'trimmed' source='logo.svg' %}")


def test_a_warm_drawing_is_not_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kit knows of a drawing it knows without opening it."""
    template = "{% thumbnail '50x' 'logo.svg' %}"
    html = render(site.kit, template)
    kit = site.new_kit()
    monkeypatch.setattr("jinja_imagekit.sources.FileSource.open", None)
    assert render(kit, template) == html


def test_a_changed_drawing_has_another_name(site: Site) -> None:
    """The content is part of the name, as for any other source."""
    before = render(site.kit, "{% thumbnail '50x' 'logo.svg' %}")
    settled(site.images / "logo.svg", LOGO.replace(b"4", b"5"))
    assert render(site.kit, "{% thumbnail '50x' 'logo.svg' %}") != before


def test_pregenerated_drawings(site: Site) -> None:
    """A pregeneration makes the same files as templates do, and shows them in its report."""
    site.write("photo.jpg")
    site.kit.register.cachefiles("card", [{"source": "logo.svg"}, {"source": "photo.jpg"}])
    report = site.kit.generate()
    assert [(each.width, each.height) for each in report.generated if each.source == "logo.svg"] == [(24, 12)]
    assert site.kit.generate().generated == []
    assert render(site.kit, "{% generateimage 'card' source='logo.svg' %}").count("/CACHE/images/logo/") == 1
    from jinja_imagekit.pregenerate.html_report import html_report

    assert html_report(site.kit, report).count("data:image/svg+xml;base64,") == 2


def test_the_doctor_knows_drawings(site: Site) -> None:
    """A drawing that is shown smaller than it is drawn is not a foreign file; a damaged one is found."""
    file = site.kit.cachefile("card", source="logo.svg")
    file.generate()
    assert site.kit.doctor() == []
    Path(file.path).write_bytes(LOGO.replace(b"</svg>", b"</sv!>"))
    assert [finding.kind for finding in site.kit.doctor()] == ["unreadable"]


def test_a_drawing_without_a_record_is_made_again(site: Site, tmp_path: Path) -> None:
    """When state is lost, the size at which a drawing is shown is not taken from the drawing."""
    file = site.kit.cachefile("card", source="logo.svg")
    file.generate()
    kit = site.new_kit(state_dir=tmp_path / "other")
    assert [(finding.kind, finding.fixed) for finding in kit.doctor(fix=True)] == [("foreign", False)]
    assert kit.cachefile("card", source="logo.svg").width == 24


def test_adopted_drawings(site: Site, tmp_path: Path) -> None:
    """A site that brings its files along need not write drawings again."""
    site.kit.cachefile("card", source="logo.svg").generate()
    kit = site.new_kit(state_dir=tmp_path / "other", adopt_existing=True, file_permissions=None)
    before = {path: path.stat().st_mtime_ns for path in site.output.rglob("*.svg")}
    file = kit.cachefile("card", source="logo.svg")
    assert (file.width, file.height) == (24, 12)
    assert {path: path.stat().st_mtime_ns for path in site.output.rglob("*.svg")} == before


def test_caps_hold_for_drawings(tmp_path: Path) -> None:
    """The bytes of the file are capped, and the size at which it is shown; its own size is no matter."""
    site = Site(tmp_path, max_source_bytes=1000, max_result_pixels=10_000)
    settled(site.images / "heavy.svg", LOGO + b" " * 1000)
    settled(site.images / "vast.svg", drawing('width="100000" height="50000"'))
    with pytest.raises(ImageTooLarge, match="max_source_bytes"):
        render(site.kit, "{% thumbnail '50x' 'heavy.svg' %}")
    assert 'width="50" height="25"' in render(site.kit, "{% thumbnail '50x' 'vast.svg' %}")
    site.kit.spec("whole")
    with pytest.raises(ImageTooLarge, match="max_result_pixels"):
        render(site.kit, "{% generateimage 'whole' source='vast.svg' %}")


def test_drawings_can_be_refused(tmp_path: Path) -> None:
    """A site that shows strangers' uploads leaves SVG out of `readable_formats`."""
    site = Site(tmp_path, readable_formats=("JPEG", "PNG"))
    settled(site.images / "logo.svg", LOGO)
    with pytest.raises(UnreadableImage, match="in the format SVG, which the setting readable_formats leaves out"):
        render(site.kit, "{% thumbnail '50x' 'logo.svg' %}")


class Stamped(ImageSpec):
    """A spec that does something of its own to the bytes of a WebP."""

    format = "WEBP"
    processors = (ResizeToFit(50, 50),)

    def render(self, original: Original) -> bytes:
        """Return the image with a mark behind it."""
        return super().render(original) + b"mark"


class Framed:
    """A generator that is not a spec and draws."""

    format = "SVG"

    def generate(self) -> Any:
        """Return a drawing."""
        return io.BytesIO(LOGO)


def test_specs_that_make_their_own_image_get_no_drawing(site: Site) -> None:
    """A spec that promises pixels of its own making is not handed a drawing for them."""
    site.kit.register.generator("stamped", Stamped)
    with pytest.raises(UnreadableImage, match="no pixels before a browser draws it"):
        render(site.kit, "{% generateimage 'stamped' source='logo.svg' %}")
    with pytest.raises(UnreadableImage, match="no pixels"):
        Original(LOGO, name="logo.svg", limits=Limits()).frames(PixelRules())


def test_a_generator_may_draw(site: Site) -> None:
    """A generator that is not a spec may make drawings, and they have their own size."""
    site.kit.register.generator("framed", Framed)
    html = render(site.kit, "{% generateimage 'framed' %}")
    assert re.fullmatch(r'<img src="\S+\.svg" width="200" height="100">', html)


def test_bytes_and_uploads_may_be_drawings(site: Site) -> None:
    """What is handed over as bytes or as a file is told by its content, whatever its name."""
    assert BytesSource(LOGO, name="photo.jpg").is_vector
    assert render(site.kit, "{% thumbnail '50x' data %}", data=LOGO).count(".svg") == 1


def test_entities_that_hold_elements_are_refused() -> None:
    """One that is used often would be many elements; declarations of namespaces, however many, are harmless."""
    with pytest.raises(UnreadableImage, match="hold elements"):
        size(f"<!DOCTYPE svg [<!ENTITY a '<g/>'>]><svg {NAMESPACE}>&a;</svg>".encode())
    honest = f'<svg {NAMESPACE} width="9" height="8">' + '<g xmlns:x="u"/>' * 2_000 + "</svg>"
    assert size(honest.encode()) == (9, 8)
