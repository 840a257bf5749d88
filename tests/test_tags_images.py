"""What the tags and filters do with images: dimensions, densities, keywords, sources, attributes, assignment."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, StrictUndefined, UndefinedError
from markupsafe import Markup, escape
from PIL import Image

from jinja_imagekit.exceptions import (
    ImageKitError,
    InvalidOption,
    MissingSource,
    NotRegistered,
    SourceNotFound,
    UnreadableImage,
)
from jinja_imagekit.kit import ImageKit
from jinja_imagekit.processors import ResizeToFit


class Site:
    """A kit whose `photo.jpg` has 320 × 240 pixels, and an environment with its tags."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.output = root / "out"
        self.kit = ImageKit(source_dirs=[root / "images"], location=self.output, state_dir=root / "state", **settings)
        self.environment = self.kit.install(Environment(autoescape=True))

    def render(self, source: str, **context: Any) -> str:
        """Render a template."""
        return self.environment.from_string(source).render(**context)

    def size(self, html: str) -> tuple[int, int]:
        """Return the size in pixels of the one image that a page shows."""
        (url,) = re.findall(r' src="([^"]*)"', html)
        return self.size_of(url)

    def size_of(self, url: str) -> tuple[int, int]:
        """Return the size in pixels of the image at a URL."""
        with Image.open(self.output / unescape(url).lstrip("/")) as image:
            return image.size


@pytest.fixture
def site(tmp_path: Path, write_photo: Any) -> Site:
    """Return a site with one photo."""
    write_photo("photo.jpg", 320, 240)
    return Site(tmp_path)


@pytest.mark.parametrize(
    ("dimensions", "size"),
    [
        ("100x50", (100, 50)),
        ("100x", (100, 75)),
        ("x60", (80, 60)),
        ("0100x050", (100, 50)),
        ("100X50", (100, 50)),
        ("100 x 50", (100, 50)),
        (" 100×50 ", (100, 50)),
        ("100\u00a0×", (100, 75)),
    ],
)
def test_dimensions(site: Site, dimensions: str, size: tuple[int, int]) -> None:
    """Width and height, or one of them and the other by proportion; the HTML says what was made."""
    html = site.render("{% thumbnail d 'photo.jpg' %}", d=dimensions)
    assert site.size(html) == size
    assert f'width="{size[0]}" height="{size[1]}"' in html


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ("0x50", "the width must be between 1 and 65535 pixels"),
        ("50x0", "the height must be between 1 and 65535 pixels"),
        ("axb", "write width and height in pixels as '400x300'"),
        ("-5x5", "write width and height in pixels as '400x300'"),
        ("5x-5", "write width and height in pixels as '400x300'"),
        ("100", "write width and height in pixels as '400x300'"),
        ("", "write width and height in pixels as '400x300'"),
        ("x", "write width and height in pixels as '400x300'"),
        (" X ", "write width and height in pixels as '400x300'"),
        ("5*5", "write width and height in pixels as '400x300'"),
        ("5x5x5", "write width and height in pixels as '400x300'"),
        ("5.5x5", "write width and height in pixels as '400x300'"),
        ("5x5\n", "write width and height in pixels as '400x300'"),
        ("\u0665x\u0665", "write width and height in pixels as '400x300'"),
        ("9999999999x5", "write width and height in pixels as '400x300'"),
        ("70000x", "the width must be between 1 and 65535 pixels"),
        ("20000x20000", "the result has 20,000 × 20,000 pixels; the setting max_result_pixels allows 100,000,000"),
        (100, "write width and height in pixels as '400x300'"),
        (None, "write width and height in pixels as '400x300'"),
        ((100, 50), "write width and height in pixels as '400x300'"),
    ],
)
def test_unusable_dimensions(site: Site, dimensions: object, message: str) -> None:
    """Dimensions that make no sense are refused before anything is opened, with a way to write them."""
    for template in (
        "{% thumbnail d 'none.jpg' %}",
        "{% thumbnail d 'none.jpg' as x %}",
        "{{ 'none.jpg'|thumbnail(d) }}",
    ):
        with pytest.raises(InvalidOption, match=re.escape(message)) as caught:
            site.render(template, d=dimensions)
        assert caught.value.option == "dimensions"
        assert caught.value.value == dimensions
        assert caught.value.lineno == 1


def test_keywords_reach_the_generator(site: Site) -> None:
    """Crop, upscale, format and quality of the tag are those of the result."""
    assert site.size(site.render("{% thumbnail '100x100' 'photo.jpg' crop=false %}")) == (100, 75)
    assert site.size(site.render("{% thumbnail '640x640' 'photo.jpg' crop=false upscale=true %}")) == (640, 480)
    html = site.render("{% thumbnail '90x90' 'photo.jpg' format='PNG' %}")
    assert html.startswith('<img src="/CACHE/images/photo/')
    assert ".png" in html
    good = site.kit.cachefile("imagekit:thumbnail", source="photo.jpg", width=90, height=90, quality=90)
    bad = site.render("{% thumbnail '90x90' 'photo.jpg' quality=10 as x %}{{ x.size }}")
    assert int(bad) < good.size


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ("quality=200", "quality=200"),
        ("format='XYZ'", "'XYZ'"),
        ("anchor='nowhere'", "nowhere"),
        ("colour='red'", "colour"),
    ],
)
def test_unusable_keywords(site: Site, keywords: str, message: str) -> None:
    """A keyword that cannot be used is an error that names it."""
    with pytest.raises((ImageKitError, TypeError), match=message):
        site.render("{% thumbnail '90x90' 'photo.jpg' " + keywords + " %}")


def test_srcset(site: Site) -> None:
    """Each density is an image of its own with the same keywords, its size rounded and its label true."""
    html = site.render("{% thumbnail '25x33' 'photo.jpg' srcset='1.5 2' format='png' -- alt='x' %}")
    match = re.fullmatch(
        r'<img src="(\S+)" srcset="(\S+) 1x, (\S+) 1.52x, (\S+) 2x" width="25" height="33" alt="x">', html
    )
    assert match
    assert match[1] == match[2]
    assert [site.size_of(url) for url in match.groups()[1:]] == [(25, 33), (38, 50), (50, 66)]
    assert all(url.endswith(".png") for url in match.groups())


@pytest.mark.parametrize("srcset", ["2", "1 2", "2 2.0", [2], (1, 2.0), [2, "2"]])
def test_srcset_is_a_string_or_a_list(site: Site, srcset: object) -> None:
    """Densities are written as a string or a list; 1 and repetitions add nothing."""
    html = site.render("{% thumbnail '20x' 'photo.jpg' srcset=s %}", s=srcset)
    assert re.findall(r" ([\d.]+x)\b", html) == ["1x", "2x"]


@pytest.mark.parametrize("srcset", [None, False, "", [], ()])
def test_srcset_is_switched_off(tmp_path: Path, write_photo: Any, srcset: object) -> None:
    """None, False and nothing at all switch the setting's densities off for one tag."""
    write_photo("photo.jpg", 64, 48)
    site = Site(tmp_path, default_thumbnail_srcset_scales=(2,))
    assert " 2x" in site.render("{% thumbnail '20x' 'photo.jpg' %}")
    assert " 3x" in site.render("{% thumbnail '20x' 'photo.jpg' srcset='3' %}")
    assert "srcset" not in site.render("{% thumbnail '20x' 'photo.jpg' srcset=s %}", s=srcset)


@pytest.mark.parametrize("srcset", ["0", "-1", "2x", "a", "1,2", "inf", "nan", 2, True, [None]])
def test_unusable_srcset(site: Site, srcset: object) -> None:
    """Densities that are none are refused."""
    with pytest.raises(InvalidOption):
        site.render("{% thumbnail '20x20' 'photo.jpg' srcset=s %}", s=srcset)


def test_srcset_is_only_for_tags_that_write_html(site: Site) -> None:
    """The cache file that a filter gives has no `srcset`."""
    with pytest.raises(InvalidOption, match="only a tag that writes <img>"):
        site.render("{{ 'photo.jpg'|thumbnail('20x', srcset='2') }}")


def test_authors_srcset_makes_no_variants(site: Site) -> None:
    """With a `srcset` of the author's own, only one image is made."""
    html = site.render("{% thumbnail '20x' 'photo.jpg' srcset='2 3' -- srcset='/x.jpg 2x' %}")
    assert html.count("srcset") == 1
    assert ' srcset="/x.jpg 2x"' in html
    assert len(list(site.output.rglob("*.jpg"))) == 1


def test_size_is_written_unless_the_author_gives_a_side(site: Site) -> None:
    """The first render and those that know the image agree."""
    for _ in range(3):
        assert ' width="20" height="15" alt="x">' in site.render("{% thumbnail '20x' 'photo.jpg' -- alt='x' %}")
        assert site.render("{% thumbnail '21x' 'photo.jpg' -- width='100%' %}").count("width=") == 1
        assert "height=" not in site.render("{% thumbnail '22x' 'photo.jpg' -- width=9 %}")
        assert "width=" not in site.render("{% thumbnail '23x' 'photo.jpg' -- height=9 %}")


def test_values_of_attributes(site: Site) -> None:
    """True, False and None are present, absent, absent; text is escaped, and HTML cannot leave its quotes."""
    html = site.render(
        "{% thumbnail '20x' 'photo.jpg' -- hidden=t ismap=f title=n alt=m data-x='\"<' %}",
        t=True, f=False, n=None, m=Markup('"&amp;'),
    )  # fmt: skip
    assert html.endswith(' hidden alt="&#34;&amp;" data-x="&#34;&lt;">')


def test_translated_attributes_are_escaped_once(site: Site) -> None:
    """Jinja's newstyle gettext gives Markup; visitors read the apostrophe that the translator wrote."""
    site.environment.add_extension("jinja2.ext.i18n")
    site.environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        lambda text: {"Canal": "L'étang de %(name)s"}[text], lambda *texts: "", newstyle=True
    )
    html = site.render("{% thumbnail '20x' 'photo.jpg' -- alt=_('Canal', name='\"Thau\" & co') %}")
    assert html.endswith(' alt="L\'étang de &#34;Thau&#34; &amp; co">')


@pytest.mark.parametrize(
    "template",
    [
        "{% picture '20x' 'photo.jpg' alt=text %}",
        "{% picture '20x' 'photo.jpg' -- alt=text %}",
        "{% picture '20x' 'photo.jpg' alt=text as p %}{{ p }}",
        "{{ 'photo.jpg' | picture('20x', alt=text) }}",
    ],
)
def test_alternative_text_that_is_html_is_escaped_once(site: Site, template: str) -> None:
    """Wherever the text of a picture is given."""
    assert ' alt="O&#39;Brien &amp; co"' in site.render(template, text=escape("O'Brien & co"))
    assert ' alt="O&#39;Brien &amp; co"' in site.render(template, text="O'Brien & co")
    told = site.kit.picture("20x", "photo.jpg", alt=escape("O'Brien & co")).as_dict()
    assert told["alt"] == "O'Brien & co"


def test_undefined_attribute_is_empty_or_an_error(site: Site) -> None:
    """An undefined value is what the environment makes of it."""
    assert site.render("{% thumbnail '20x' 'photo.jpg' -- alt=missing %}").endswith(' alt="">')
    site.environment.undefined = StrictUndefined
    with pytest.raises(UndefinedError):
        site.render("{% thumbnail '20x' 'photo.jpg' -- alt=missing %}{# strict #}")


def test_generateimage_writes_html(site: Site) -> None:
    """`generateimage` shows the image of any generator."""
    site.kit.spec("card", processors=[ResizeToFit(64, 64)], format="PNG")
    html = site.render("{% generateimage 'card' source='photo.jpg' -- alt='x' class='y' %}")
    assert re.fullmatch(r'<img src="/CACHE/images/photo/\w+\.png" width="64" height="48" alt="x" class="y">', html)


def test_own_generator_in_thumbnail(site: Site) -> None:
    """A third argument is the id of the generator that gets width and height."""
    sizes: list[tuple[int, int]] = []

    def square(source: Any, width: int, height: int) -> Any:
        sizes.append((width, height))
        return site.kit.spec(processors=[ResizeToFit(width, width)], format="PNG")(source)

    site.kit.register.generator("square", square)
    assert site.size(site.render("{% thumbnail 'square' '32x7' 'photo.jpg' %}")) == (32, 24)
    assert set(sizes) == {(32, 7)}


def test_assignment_opens_nothing(site: Site) -> None:
    """`as name` binds a cache file that does not exist before it is used."""
    assert site.render("{% thumbnail '20x' 'photo.jpg' as x %}") == ""
    assert not site.output.exists()
    html = site.render(
        "{% thumbnail '20x' 'photo.jpg' as x %}{{ x.url }} {{ x.width }}x{{ x.height }} {{ x.mimetype }}"
    )
    assert re.fullmatch(r"/CACHE/images/photo/\w+\.jpg 20x15 image/jpeg", html)


def test_assigned_file_prints_itself(site: Site) -> None:
    """A cache file is an `<img>` where a template prints it."""
    html = site.render("{% thumbnail '20x' 'photo.jpg' as x %}<a href='{{ x.url }}'>{{ x }}</a>")
    assert re.fullmatch(r"<a href='(\S+)'><img src=\"\1\" width=\"20\" height=\"15\"></a>", html)


def test_assigned_file_is_a_source(site: Site) -> None:
    """A thumbnail of a thumbnail is made of the first one's file."""
    template = "{% thumbnail '80x40' 'photo.jpg' as x %}{% thumbnail '20x' x %}"
    assert site.size(site.render(template)) == (20, 10)
    assert site.size(site.render("{{ 'photo.jpg'|thumbnail('80x40')|thumbnail('20x') }}")) == (20, 10)


def test_filters(site: Site) -> None:
    """The filters give what the tags assign."""
    site.kit.spec("card", processors=[ResizeToFit(64, 64)])
    assert site.size(site.render("{{ 'photo.jpg'|thumbnail('20x') }}")) == (20, 15)
    assert site.size(site.render("{{ photo|thumbnail('20x20', crop=false) }}", photo="photo.jpg")) == (20, 15)
    assert site.size(site.render("{{ 'photo.jpg'|thumbnail('40x', 'imagekit:thumbnail') }}")) == (40, 30)
    assert site.size(site.render("{{ 'photo.jpg'|generateimage('card') }}")) == (64, 48)
    assert site.render("{{ ('photo.jpg'|generateimage('card')).width }}") == "64"
    urls = site.render("{% for x in ['photo.jpg']|map('thumbnail', '20x') %}{{ x.url }}{% endfor %}")
    assert urls.startswith("/CACHE/images/photo/")


@pytest.mark.parametrize("nothing", ["none", "''", "missing"])
def test_without_a_source(site: Site, nothing: str) -> None:
    """An image without a source is false; its tag is an error that says so."""
    assert site.render(f"{{% thumbnail '20x' {nothing} as x %}}{{{{ 'yes' if x else 'no' }}}}") == "no"
    with pytest.raises(MissingSource, match="has no source image"):
        site.render(f"{{% thumbnail '20x' {nothing} %}}")


def test_strictly_undefined_source(site: Site) -> None:
    """Where undefined values are errors, an undefined source is one, and says its name."""
    site.environment.undefined = StrictUndefined
    for template in ("{% thumbnail '20x' missing %}", "{% thumbnail '20x' missing as x %}"):
        with pytest.raises(UndefinedError, match="'missing' is undefined"):
            site.render(template)


def test_errors_name_the_culprit(site: Site, images_dir: Path) -> None:
    """An unknown generator, a missing source and a broken one are errors of their own."""
    (images_dir / "text.jpg").write_text("no image")
    with pytest.raises(NotRegistered, match="Did you mean 'imagekit:thumbnail'"):
        site.render("{% generateimage 'imagekit:thumbnai' source='photo.jpg' %}")
    with pytest.raises(SourceNotFound, match=r"none\.jpg"):
        site.render("{% thumbnail '20x' 'none.jpg' %}")
    with pytest.raises(UnreadableImage, match=r"text\.jpg"):
        site.render("{% thumbnail '20x' 'text.jpg' %}")


def test_changed_source_is_shown(site: Site, write_photo: Any) -> None:
    """A source that is replaced under its name gets a new image, also where the tag was known."""
    before = [site.render("{% thumbnail '20x' 'photo.jpg' %}") for _ in range(2)]
    write_photo("photo.jpg", 300, 300, seed=5)
    after = site.render("{% thumbnail '20x' 'photo.jpg' %}")
    assert before[0] == before[1] != after
    assert site.size(after) == (20, 20)


def test_deleted_file_is_made_again(site: Site) -> None:
    """A cache file that is gone is made again by the next render."""
    site.render("{% thumbnail '20x' 'photo.jpg' %}")
    html = site.render("{% thumbnail '20x' 'photo.jpg' %}")
    for path in site.output.rglob("*.jpg"):
        path.unlink()
    assert site.render("{% thumbnail '20x' 'photo.jpg' %}") == html
    assert site.size(html) == (20, 15)


def test_srcset_offers_no_more_than_the_source_has(tmp_path: Path, write_photo: Any) -> None:
    """Densities end at the source's, are labelled by what the image is, and nothing is made that is not listed."""
    write_photo("small.jpg", 450, 300)
    kit = ImageKit(source_dirs=[tmp_path / "images"], location=tmp_path / "out", state_dir=tmp_path / "state")
    environment = kit.install(Environment(autoescape=True))

    def srcset(dimensions: str) -> str:
        tag = "{% thumbnail '" + dimensions + "' 'small.jpg' srcset='1.5 2' %}"
        return environment.from_string(tag).render().partition('srcset="')[2].partition('"')[0]

    def labels(dimensions: str) -> list[str]:
        return [entry.split()[1] for entry in srcset(dimensions).split(", ") if entry]

    assert labels("160x160") == ["1x", "1.5x", "1.875x"]
    assert labels("400x300") == []
    assert labels("360x") == ["1x", "1.25x"]
    assert labels("450x") == []
    assert labels("150x") == ["1x", "1.5x", "2x"]
    # The densest of 360 pixels is the one of 450 pixels.
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 3 + 1 + 2 + 3
