"""What is to be expected of bad use: one clear message each, that names the culprit and says what to do."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from core_site import BrokenCard, Card, Site, Wide, photo_bytes, settled
from jinja2 import DictLoader, Environment

from jinja_imagekit.exceptions import (
    AlreadyRegistered,
    GenerationFailed,
    ImageKitError,
    InvalidAttribute,
    InvalidOption,
    InvalidProcessor,
    MissingSource,
    NotRegistered,
    SourceError,
    SourceNotAllowed,
    SourceNotFound,
    StorageError,
    UnknownFormat,
    UnknownKeyword,
    UnreadableImage,
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with a photo, and what is wrong beside it."""
    site = Site(tmp_path)
    site.write("photo.jpg")
    settled(site.images / "empty.jpg", b"")
    settled(site.images / "text.jpg", b"I am no image\n")
    settled(site.images / "half.jpg", photo_bytes()[:-500])
    settled(site.images / "page.jpg", b"<html><body>404</body></html>")
    settled(site.images / "postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    site.kit.register.generator("broken", BrokenCard)
    site.kit.spec("numbers", processors=[3], format="PNG")
    return site


def render(site: Site, template: str, **context: Any) -> str:
    """Render a template as the third line of `page.html`."""
    loader = DictLoader({"page.html": "\n\n" + template})
    return site.kit.install(Environment(autoescape=True, loader=loader)).get_template("page.html").render(**context)


CASES: list[tuple[str, type[Exception], str]] = [
    ("{% thumbnail '0x50' 'photo.jpg' %}", InvalidOption, "dimensions='0x50' cannot be used: the width must be"),
    ("{% thumbnail 'axb' 'photo.jpg' %}", InvalidOption, "dimensions='axb' cannot be used: write width and height"),
    ("{% thumbnail '-5x5' 'photo.jpg' %}", InvalidOption, "dimensions='-5x5' cannot be used: write width and height"),
    ("{% thumbnail '100' 'photo.jpg' %}", InvalidOption, "write width and height in pixels as '400x300'"),
    ("{% thumbnail '20000x20000' 'photo.jpg' %}", InvalidOption, "the setting max_result_pixels"),
    ("{% thumbnail '9x9' 'photo.jpg' quality=200 %}", InvalidOption, "quality=200"),
    ("{% thumbnail '9x9' 'photo.jpg' quality='high' %}", InvalidOption, "quality='high'"),
    ("{% thumbnail '9x9' 'photo.jpg' format='XYZ' %}", UnknownFormat, "Images cannot be written as 'XYZ'"),
    ("{% thumbnail '9x9' 'photo.jpg' format='TIFF' %}", UnknownFormat, "Known: 'AVIF', 'GIF', 'JPEG', 'PNG', 'WEBP'"),
    ("{% thumbnail '9x9' 'photo.jpg' anchor='above' %}", InvalidOption, "anchor='above'"),
    ("{% thumbnail '9x9' 'photo.jpg' srcset='big' %}", InvalidOption, "write pixel densities as '1.5 2'"),
    *(
        (
            f"{{% {tag} '9x9' 'photo.jpg' {name}='no' -- alt='' %}}",
            InvalidOption,
            f"{name}='no' cannot be used: give True",
        )
        for name in ("crop", "upscale", "still", "hdr", "priority")
        for tag in ("thumbnail", "picture")
    ),
    (
        "{% picture '9x9' 'photo.jpg' at={'print': {'still': 'no'}} -- alt='' %}",
        InvalidOption,
        "still='no' cannot be used: give True or False",
    ),
    (
        "{% thumbnail '9x9' 'photo.jpg' format='WEBP' options={'lossless': 'no'} %}",
        InvalidOption,
        "lossless='no' cannot be used: give True or False",
    ),
    ("{% thumbnail '9x9' 'none.jpg' %}", SourceNotFound, "Source 'none.jpg': no such file in the source folder"),
    ("{% thumbnail '9x9' 'empty.jpg' %}", UnreadableImage, "Source 'empty.jpg': "),
    ("{% thumbnail '9x9' 'text.jpg' %}", UnreadableImage, "'text.jpg': it is not an image of a readable format"),
    ("{% thumbnail '9x9' 'page.jpg' %}", UnreadableImage, "'page.jpg': it is an HTML page"),
    ("{% thumbnail '9x9' 'postscript.jpg' %}", UnreadableImage, "it is a PostScript drawing"),
    ("{% thumbnail '9x9' 'half.jpg' %}", UnreadableImage, "Source 'half.jpg': "),
    ("{% thumbnail '9x9' '../photo.jpg' %}", SourceNotAllowed, "it leads out of the source folder with '..'"),
    ("{% thumbnail '9x9' '/etc/passwd' %}", SourceNotAllowed, "it is an absolute path"),
    ("{% thumbnail '9x9' '' %}", MissingSource, "imagekit:thumbnail has no source image. Pass source="),
    ("{% thumbnail '9x9' none %}", MissingSource, "test the cache file's truth before using it"),
    (
        "{% thumbnail '9x9' 42 %}",
        ImageKitError,
        "of type int cannot be a source; pass a name, a path, an open file or bytes",
    ),
    ("{% thumbnail '9x9' photo %}", MissingSource, "imagekit:thumbnail has no source image: 'photo' is undefined."),
    (
        "{% set s = {} %}{% generateimage 'card' source=s.hero %}",
        MissingSource,
        "image: 'dict object' has no attribute 'hero'.",
    ),
    ("{{ photo | thumbnail('9x9') }}", MissingSource, "'photo' is undefined"),
    ("{% thumbnail '9x9' photo as x %}{{ x.width }}", MissingSource, "'photo' is undefined"),
    ("{% picture '9x9' photo alt='' %}", MissingSource, "'photo' is undefined"),
    ("{% generateimage 'card' %}", MissingSource, "card has no source image"),
    ("{% generateimage 'crad' source='photo.jpg' %}", NotRegistered, "registered as 'crad'. Did you mean 'card'"),
    ("{% generateimage 'broken' source='photo.jpg' %}", GenerationFailed, "'photo.jpg': RuntimeError: the ink ran out"),
    ("{% generateimage 'numbers' source='photo.jpg' %}", InvalidProcessor, "builtins.int is not a processor"),
]


@pytest.mark.parametrize(("template", "error", "message"), CASES)
def test_in_a_template(site: Site, template: str, error: type[Exception], message: str) -> None:
    """The error is of its class, says what is wrong, and names the template and its line, each time it is asked."""
    for attempt in range(2):
        with pytest.raises(ImageKitError, match=re.escape(message)) as caught:
            render(site, template)
        # A failure that is remembered says the same, though not always with the same class.
        assert attempt or isinstance(caught.value, error)
        assert (caught.value.template, caught.value.lineno) == ("page.html", 3)
        assert "[template 'page.html', line 3]" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not site.files()


BAD_SOURCES = ["missing.jpg", "empty.jpg", "text.jpg", "half.jpg", "page.jpg", "postscript.jpg", "heic.jpg", "folder"]

ASKING = {
    "{% generateimage 'card' source=s %}": "card",
    "{% generateimage 'card' source=s as t %}{{ t.width }}": "card",
    "{% generateimage 'card' source=s as t %}{% if t %}{% endif %}": "card",
    "{{ s | generateimage('card') }}": "card",
    "{% thumbnail '9x9' s %}": "imagekit:thumbnail",
    "{% thumbnail '9x9' s srcset='2' %}": "imagekit:thumbnail",
    "{% thumbnail '9x9' s widths=[9, 18] %}": "imagekit:thumbnail",
    "{{ (s | thumbnail('9x9')).url }}": "imagekit:thumbnail",
    "{% picture '9x9' s alt='' %}": "imagekit:thumbnail",
    "{% picture 'card-of' '9x9' s alt='' as p %}{{ p.url }}": "card-of",
}


@pytest.mark.parametrize("enable_async", [False, True])
@pytest.mark.parametrize("name", BAD_SOURCES)
@pytest.mark.parametrize("template", ASKING)
def test_a_bad_source_is_named_with_all_that_leads_to_it(
    site: Site, template: str, name: str, enable_async: bool
) -> None:
    """Whatever is wrong, and whoever asks, the error names file, generator, template and line, each once."""
    settled(site.images / "heic.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    (site.images / "folder").mkdir()
    site.kit.register.generator("card", Card)
    site.kit.register.generator("card-of", lambda **kwargs: Card(source=kwargs.get("source")))
    loader = DictLoader({"page.html": "\n\n" + template})
    environment = site.kit.install(Environment(autoescape=True, loader=loader, enable_async=enable_async))
    with pytest.raises(SourceError) as caught:
        environment.get_template("page.html").render(s=name)
    text = str(caught.value)
    assert text.startswith(f"Source {name!r}: ")
    assert text.endswith(f" [generator {ASKING[template]!r}] [template 'page.html', line 3]")
    assert text.count("[generator") == text.count("[template") == 1


@pytest.mark.parametrize("enable_async", [False, True])
@pytest.mark.parametrize("fact", ["width", "mimetype", "has_alpha", "color", "camera"])
@pytest.mark.parametrize("name", ["empty.jpg", "text.jpg", "cut.jpg", "large.png", "broken.svg"])
def test_facts_of_a_bad_source_are_errors_with_their_line(site: Site, name: str, fact: str, enable_async: bool) -> None:
    """They are only looked for when a template asks, on whichever line that is."""
    settled(site.images / "cut.jpg", photo_bytes()[:300])
    settled(site.images / "broken.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><g>')
    site.write("large.png", 300, 300)
    kit = site.new_kit(max_source_pixels=50_000)
    loader = DictLoader({"page.html": "{% set info = s | imageinfo %}\n\n{{ info." + fact + " }}"})
    environment = kit.install(Environment(autoescape=True, loader=loader, enable_async=enable_async))
    with pytest.raises(SourceError) as caught:
        environment.get_template("page.html").render(s=name)
    assert str(caught.value).startswith(f"Source {name!r}: ")
    assert str(caught.value).endswith(" [template 'page.html', line 3]")


_AFTER = "HTML attributes come after '--': {% thumbnail '400x300' photo -- alt=title %}"
_NO_ATTRIBUTES = "Filters do not write HTML attributes; the tag does: {% thumbnail '400x300' photo -- alt=title %}"

KEYWORDS = [
    ("{% thumbnail '9x9' 'photo.jpg' alt='x' %}", "{% thumbnail %}: alt='x'", f"no such keyword. {_AFTER}"),
    ("{% thumbnail '9x9' 'photo.jpg' data_id=3 %}", "{% thumbnail %}: data_id=3", f"no such keyword. {_AFTER}"),
    ("{% thumbnail '9x9' 'photo.jpg' onclick='x' %}", "{% thumbnail %}: onclick='x'", f"no such keyword. {_AFTER}"),
    ("{% thumbnail '9x9' 'photo.jpg' qualty=3 %}", "{% thumbnail %}: qualty=3", f"Did you mean 'quality'? {_AFTER}"),
    ("{% thumbnail '9x9' 'photo.jpg' on_eror='omit' %}", "{% thumbnail %}: on_eror=", "Did you mean 'on_error'?"),
    (
        "{% thumbnail '9x9' 'photo.jpg' src='x' %}",
        "{% thumbnail %}: src='x'",
        "The source is passed without a name, for example: {%",
    ),
    ("{% thumbnail '9x9' 'photo.jpg' alt='x' as t %}{{ t.url }}", "{% thumbnail %}: alt='x'", _AFTER),
    ("{% thumbnail 'card' '9x9' 'photo.jpg' %}", "{% thumbnail %}: width=9", "for generators that take a size"),
    ("{% generateimage 'card' src='photo.jpg' %}", "{% generateimage %}: src=", "Did you mean 'source'?"),
    ("{% generateimage 'card' source='photo.jpg' class='x' %}", "{% generateimage %}: class=", "come after '--'"),
    ("{% picture '9x' 'photo.jpg' qualty=3 alt='' %}", "{% picture %}: qualty=3", "Did you mean 'quality'?"),
    ("{% picture '9x' 'photo.jpg' prioritty=true alt='' %}", "{% picture %}: prioritty=", "Did you mean 'priority'?"),
    ("{{ 'photo.jpg' | thumbnail('9x9', alt='x') }}", "The filter thumbnail: alt='x'", _NO_ATTRIBUTES),
    ("{{ 'photo.jpg' | thumbnail('9x9', crp=1) }}", "The filter thumbnail: crp=1", "Did you mean 'crop'?"),
    (
        "{{ 'photo.jpg' | generateimage('card', tint=1) }}",
        "The filter generateimage: tint=1",
        "do not write HTML attributes",
    ),
    ("{{ 'photo.jpg' | picture('9x', qualty=3) }}", "The filter picture: qualty=3", "Did you mean 'quality'?"),
    ("{{ 'photo.jpg' | imageinfo(colour=3) }}", "The filter imageinfo: colour=3", "Write for example {{ (photo |"),
    ("{% thumbnail '9x9' 'photo.jpg' self=4 %}", "{% thumbnail %}: self=4", _AFTER),
    ("{% generateimage 'card' source='photo.jpg' self=4 %}", "{% generateimage %}: self=4", "come after '--'"),
    ("{{ 'photo.jpg' | picture('9x', self=4) }}", "The filter picture: self=4", "do not write HTML attributes"),
]


@pytest.mark.parametrize("enable_async", [False, True])
@pytest.mark.parametrize(("template", "beginning", "advice"), KEYWORDS)
def test_unknown_keywords(site: Site, template: str, beginning: str, advice: str, enable_async: bool) -> None:
    """The error names the tag or filter, the keyword and the nearest one, where attributes belong, and the line."""
    site.kit.register.generator("card", Card)
    loader = DictLoader({"page.html": "\n\n" + template})
    environment = site.kit.install(Environment(autoescape=True, loader=loader, enable_async=enable_async))
    with pytest.raises(UnknownKeyword) as caught:
        environment.get_template("page.html").render()
    assert str(caught.value).startswith(beginning)
    assert advice in str(caught.value)
    assert str(caught.value).endswith(" [template 'page.html', line 3]")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{{ 'photo.jpg' | thumbnail }}",
            "The filter thumbnail takes the dimensions, and .*, not 0 positional arguments",
        ),
        (
            "{{ 'photo.jpg' | thumbnail('card', '9x9', 3) }}",
            "not 3 arguments .* for example {{ photo | thumbnail",
        ),
        ("{{ 'photo.jpg' | thumbnail('9x9', width=3) }}", "The filter thumbnail takes no keyword width="),
        (
            "{{ 'photo.jpg' | generateimage }}",
            "The filter generateimage takes a generator's id, not 0 positional arguments",
        ),
        ("{{ 'photo.jpg' | generateimage('card', source='x') }}", "The filter generateimage takes no keyword source="),
        ("{{ 'photo.jpg' | picture('9x', source='x') }}", "The filter picture takes no keyword source="),
        ("{{ 'photo.jpg' | imageinfo(3) }}", "The filter imageinfo takes no arguments"),
        ("{{ (nowhere | imageinfo).width }}", "imageinfo has no source image: 'nowhere' is undefined"),
        ("{% thumbnail nowhere 'photo.jpg' %}", "The size of a thumbnail is not given: 'nowhere' is undefined"),
        ("{% picture article.size 'photo.jpg' %}", "The size of a picture is not given: .*'size'"),
        ("{% generateimage nowhere source='photo.jpg' %}", "The generator's id is not given: 'nowhere' is undefined"),
        ("{% thumbnail nowhere '9x9' 'photo.jpg' %}", "The generator's id is not given: 'nowhere' is undefined"),
    ],
)
def test_missing_and_surplus_values(site: Site, template: str, message: str) -> None:
    """What a filter lacks or has too much of, and a variable that is not there, is told with the line."""
    with pytest.raises(ImageKitError, match=message + r".* \[template 'page.html', line 3\]$"):
        render(site, template, article={})


@pytest.mark.parametrize("name", ["a b", 'a"b', "a'b", "a/b", "a=b", "a\tb", "a>b", "<a", "a\x00b", "a\x7fb", ""])
def test_attribute_names(site: Site, name: str) -> None:
    """A name that could end the attribute or the tag is refused."""
    from jinja_imagekit.html import img_tag

    with pytest.raises(InvalidAttribute, match=r"is not an HTML attribute name"):
        img_tag("/a.jpg", 1, 1, {name: "x"})


def test_attribute_values_are_escaped(site: Site) -> None:
    """None leaves its quotes, `Markup` included; handlers of the template's own author pass."""
    html = render(
        site,
        """{% thumbnail '9x9' 'photo.jpg' -- alt=alt|safe title=alt onclick="go()" %}""",
        alt='"><script>alert(1)</script>',
    )
    assert ' alt="&#34;><script>alert(1)</script>" title="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" ' in html
    assert 'onclick="go()"' in html


def test_two_generators_under_one_id(site: Site) -> None:
    """The second is refused."""
    with pytest.raises(AlreadyRegistered, match=r"A generator is already registered as 'card'"):
        site.kit.register.generator("card", Wide)
    with pytest.raises(AlreadyRegistered):
        site.kit.spec("card", format="PNG")
    assert site.kit.registered("card") is Card


@pytest.mark.skipif(os.name != "posix" or not hasattr(os, "geteuid"), reason="POSIX")
def test_a_location_that_is_not_writable(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says which folder, and which setting."""
    opened = os.open

    def refuse(path: Any, flags: int, *args: Any, **keywords: Any) -> int:
        # Files of the storage are opened relative to a folder.
        if flags & os.O_CREAT and keywords.get("dir_fd") is not None:
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, *args, **keywords)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StorageError, match=r"is not writable: check its permissions, or set location") as caught:
        render(site, "{% thumbnail '9x9' 'photo.jpg' %}")
    assert caught.value.lineno == 3


def test_a_read_only_state_dir(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Pages render, and one warning says what to set."""
    blocked = site.root / "blocked"
    blocked.write_text("a file where the folder should be")
    site.kit = site.new_kit(state_dir=blocked / "below")
    html = [render(site, "{% thumbnail '9x9' 'photo.jpg' %}") for _ in range(3)]
    assert len(set(html)) == 1
    warnings = [record.message for record in caplog.records if "state store" in record.message]
    assert len(warnings) == 1
    assert "set state_dir to" in warnings[0]


def test_a_jpeg_named_png(site: Site) -> None:
    """The content counts."""
    settled(site.images / "photo.png", photo_bytes())
    assert ".jpg" in render(site, "{% thumbnail '9x9' 'photo.png' %}")


def tiff_of(*entries: tuple[int, int]) -> bytes:
    """Return a TIFF file of one directory, which holds these numbers."""
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + directory + bytes(4)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(50), "it is a raw photo; export it"),
        (b"IIRO\x08\0\0\0" + bytes(50), "it is a raw photo; export it"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(50), "it is a raw photo; export it"),
        (tiff_of((254, 1), (256, 160), (257, 120), (330, 8)), "it is a raw photo; export it"),
        (tiff_of((256, 160), (257, 120), (50_706, 0x00000401)), "it is a raw photo; export it"),
        (tiff_of((256, 160), (257, 120), (262, 32_803)), "it is a raw photo; export it"),
        (b"/annex/objects/SHA256E-s5--abc.jpg\n", "it is a git-annex pointer"),
        (b'{"error": "not found"}', "it is JSON, as a server sends"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "it is XML and no SVG"),
        (b"/9j/4AAQSkZJRgABAQ", "it is an image as Base64 text"),
        (b"data:image/png;base64,iVBOR", "it is a data: URL as text"),
    ],
)
def test_what_comes_instead_of_an_image_is_named(site: Site, data: bytes, what: str) -> None:
    """The error says what the file is and what to do about it."""
    settled(site.images / "odd.jpg", data)
    with pytest.raises(UnreadableImage, match=f"Source 'odd.jpg': {re.escape(what)}"):
        render(site, "{% thumbnail '9x9' 'odd.jpg' %}")
