"""The tags of Django's templates: the same HTML as Jinja's, and the same refusals."""

from __future__ import annotations

import asyncio
import re
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from album.models import Photo
from asgiref.sync import async_to_sync, sync_to_async
from django.template import Context, Template, TemplateSyntaxError
from django.template.backends.jinja2 import Jinja2
from django.test import override_settings
from jinja2 import Environment

from jinja_imagekit.django import get_kit
from jinja_imagekit.django.signals import content_required, existence_required
from jinja_imagekit.exceptions import (
    InvalidOption,
    MissingAlt,
    MissingSource,
    NotRegistered,
    SourceNotFound,
    UnreadableImage,
)

IMG = re.compile(r'<img src="/media/CACHE/images/photos/canal/\w+\.(\w+)" width="(\d+)" height="(\d+)">')


@pytest.mark.parametrize(
    "tag",
    [
        "{% thumbnail '100x50' photo.image %}",
        "{% thumbnail '100x' photo.image -- alt='Hello' class=\"a 'b'\" %}",
        "{% thumbnail 'x50' photo.image format='webp' quality=60 -- width='50' %}",
        "{% thumbnail '60x60' photo.image anchor='tl' -- data-id=photo.pk aria-label=\"<x>\" hidden x-on:click='f' %}",
        "{% thumbnail '60x60' photo.image crop=False upscale=True -- '@click'='x' alt=None id=missing|default:'' %}",
        "{% thumbnail 'album:square' '20x20' photo.image %}",
        "{% generateimage 'album:square' source=photo.image width=12 -- alt=\"1 < 2\" %}",
        "{% generateimage 'imagekit:thumbnail' source=photo.image width=40 height=30 %}",
        "{% thumbnail '50x' photo.image srcset='1.5 2' -- alt='' %}",
        "{% thumbnail '50x' photo.image as th %}<a href='{{ th.url }}'>{{ th.width }} {{ th.height }}</a>",
        "{% generateimage 'album:square' source=photo.image as th %}{% if th %}{{ th.url }}{% endif %}",
        "{% picture '160x' photo.image -- alt='A canal' class='hero' %}",
        "{% picture '160x' photo.image alt='A canal' priority=True as p %}<head>{{ p.preload }}</head>{{ p }}",
        "{% picture '100x50' photo.image at=at focus='20% 80%' formats='webp' placeholder='color' -- alt='' %}",
        "{% picture 'imagekit:thumbnail' '40x40' photo.image layout='fixed' -- alt='' %}",
        "{% thumbnail '100x' photo.image widths='50 100' -- alt='' %}",
        "{% thumbnail '100x' photo.image widths='50 100' as th %}{{ th.srcset }} {{ th.sizes }}",
    ],
)
def test_same_html_as_jinja(tag: str, make_photo: Any, render: Any) -> None:
    """The same call gives the same HTML as in a Jinja template, but for the spaces in `srcset`.

    Django takes a literal for safe, so that what is escaped may differ; what a browser reads does not.
    """
    photo = make_photo()
    jinja = get_kit().install(Environment(autoescape=True))
    at = {"(max-width: 400px)": "40x40"}
    expected = jinja.from_string(tag.replace("|default:''", "|default('')")).render(photo=photo, at=at)
    for _ in range(2):
        found = render(tag, photo=photo, at=at)
        assert unescape(found.replace(" , ", ", ").replace(".0x", "x")) == unescape(expected)
    assert "/media/CACHE/images/photos/canal/" in expected


def test_srcset_is_spelt_as_in_django_imagekit(make_photo: Any, render: Any) -> None:
    """The candidates of `srcset` are separated as a project's own tests may expect."""
    html = render("{% thumbnail '50x' photo.image srcset='1.5 2' %}", photo=make_photo())
    assert re.search(r'srcset="\S+ 1x , \S+ 1\.5x , \S+ 2\.0x"', html)


def test_default_srcset_and_format(make_photo: Any, render: Any) -> None:
    """The settings give a format and densities to thumbnails that ask for none."""
    photo = make_photo()
    with override_settings(IMAGEKIT_DEFAULT_THUMBNAIL_SRCSET_SCALES=[2], IMAGEKIT_DEFAULT_THUMBNAIL_FORMAT="WEBP"):
        html = render("{% thumbnail '50x' photo.image %}", photo=photo)
        assert html.count(".webp ") == 2
        assert "srcset" not in render("{% thumbnail '50x' photo.image srcset=None %}", photo=photo)
    assert "srcset" not in render("{% thumbnail '50x' photo.image %}", photo=photo)


def test_widths_of_a_spec_that_looks_at_the_model(make_photo: Any, render: Any) -> None:
    """All candidates are planned, named and made with the model at hand, and found again by the next page."""
    tag = "{% generateimage 'album:photo:by_width' source=photo.image widths='15 30' -- alt='' %}"
    photo = make_photo()
    html = render(tag, photo=photo)
    assert 'width="30" height="20"' in html
    assert re.findall(r"(\d+)w", html) == ["15", "30"]
    assert photo.by_width.url in html
    assert render(tag, photo=photo) == html


def test_spec_field_in_a_tag(make_photo: Any, render: Any) -> None:
    """A thumbnail may be made of a thumbnail."""
    html = render("{% thumbnail '20x' photo.thumbnail %}", photo=make_photo())
    assert 'width="20" height="16"' in html


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("{% generateimage %}", "one argument, the generator's id"),
        ("{% generateimage 'a' 'b' %}", "one argument, the generator's id"),
        ("{% thumbnail '100x100' %}", ", not 1;"),
        ("{% thumbnail 'id' '100x100' img 'extra' %}", ", not 4;"),
        ("{% thumbnail '100x100' img -- %}", "missing after '--'"),
        ("{% thumbnail '100x100' img -- alt='x' as th %}", "takes no attributes"),
        ("{% thumbnail '100x100' img -- 'x' %}", "has no name"),
        ("{% thumbnail '100x100' img -- a.b.c/d %}", "has no name"),
        ("{% thumbnail '100x100' img -- alt= %}", "alt= has no value"),
        ("{% thumbnail '100x100' img -- alt='a' ALT='b' %}", "given twice"),
        ("{% thumbnail '100x100' img -- src='x' %}", "own URL"),
        ("{% thumbnail '100x100' img -- 'a b'='x' %}", "not an HTML attribute"),
        ("{% thumbnail '100x100' img width= %}", "width= has no value"),
        ("{% thumbnail '100x100' img crop=1 crop=0 %}", "crop= is given twice"),
        ("{% thumbnail '100x100' crop=1 img %}", "comes after a keyword"),
        ("{% thumbnail '100x100' img|nofilter %}", "Invalid filter"),
    ],
)
def test_syntax_errors(tag: str, message: str, render: Any) -> None:
    """What cannot be read is refused when the template is compiled, with what is wrong."""
    with pytest.raises(TemplateSyntaxError, match=re.escape(message)):
        render(tag)


@pytest.mark.parametrize(
    ("keyword", "advice"),
    [
        ("qualty=3", "Did you mean 'quality'? HTML attributes come after '--'"),
        ("alt='x'", "takes no such keyword. HTML attributes come after '--'"),
    ],
)
def test_unknown_keyword_says_what_to_write(keyword: str, advice: str, make_photo: Any, render: Any) -> None:
    """The error names the tag, the nearest keyword, where attributes belong, and the line."""
    with pytest.raises(InvalidOption, match=re.escape(advice)) as caught:
        render("\n{% thumbnail '50x' photo.image " + keyword + " %}", photo=make_photo())
    assert str(caught.value).startswith(f"{{% thumbnail %}}: {keyword}")
    assert caught.value.lineno == 2


def test_unknown_generator_suggests_the_nearest(make_photo: Any, render: Any) -> None:
    """An id that nobody registered is an error that names the nearest id and the line, assigned or not."""
    for ending in ("", " as th"):
        with pytest.raises(NotRegistered, match=r"'album:squire'.*'album:square'.*line 2"):
            render("\n{% generateimage 'album:squire' source=photo.image" + ending + " %}", photo=make_photo())


def test_empty_field_in_a_tag(render: Any) -> None:
    """A tag without an image says so; an assigned image is false, and its URL shows as nothing."""
    from album.models import Photo

    with pytest.raises(MissingSource, match="no source image"):
        render("{% thumbnail '10x10' photo.image %}", photo=Photo())
    text = "{% thumbnail '10x10' photo.image as th %}[{{ th.url }}{% if th %}x{% endif %}]"
    assert render(text, photo=Photo()) == "[]"


@pytest.mark.parametrize("size", ["0x5", "axb", "-5x5", "100", "x", "20000x20000", ""])
def test_unusable_sizes(size: str, make_photo: Any, render: Any) -> None:
    """A size that cannot be used says what is expected."""
    with pytest.raises(InvalidOption):
        render("{% thumbnail size photo.image %}", photo=make_photo(), size=size)


@pytest.mark.parametrize("use", ["{{ x.url }}", "{{ x.width }}", "{% if x %}{% endif %}"])
def test_a_file_that_was_assigned_names_its_generator_when_its_source_is_gone(
    use: str, make_photo: Any, render: Any
) -> None:
    """The tag is not there to do so any more."""
    photo = make_photo()
    photo.image.storage.delete(photo.image.name)
    with pytest.raises(SourceNotFound, match=r"\[generator 'album:square'\]"):
        render("{% generateimage 'album:square' source=photo.image as x %}" + use, photo=photo)


def test_missing_original(make_photo: Any, media: Path, render: Any) -> None:
    """An original that is gone from the disk is named."""
    photo = make_photo()
    (media / photo.image.name).unlink()
    with pytest.raises(SourceNotFound, match=r"photos/canal\.jpg"):
        render("{% thumbnail '10x10' photo.image %}", photo=photo)


def test_strings_are_looked_up_in_source_dirs_alone(make_photo: Any, media: Path, render: Any) -> None:
    """A string names a file below `IMAGEKIT_SOURCE_DIRS`, never one of a field, however well its path is guessed."""
    photo = make_photo()
    tag = "{% thumbnail '10x' name %}"
    render("{% thumbnail '10x' photo.image %}", photo=photo)
    for name in (photo.image.name, photo.image.path):
        with pytest.raises((SourceNotFound, PermissionError)):
            render(tag, name=name)
    with override_settings(IMAGEKIT_SOURCE_DIRS=[str(media)]):
        assert "<img" in render(tag, name=photo.image.name)


def test_warm_tag_asks_no_storage_and_makes_no_file(make_photo: Any, render: Any, monkeypatch: Any) -> None:
    """A thumbnail that is there is written after two stats: no file is opened, and nothing is made."""
    photo = make_photo()
    # What was changed just now may change again within the same tick of the clock, and is not remembered yet.
    time.sleep(0.03)
    tag = "{% thumbnail '100x50' photo.image %}"
    first = render(tag, photo=photo)
    render(tag, photo=photo)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("os.open", refuse)
    monkeypatch.setattr("django.core.files.storage.FileSystemStorage.exists", refuse)
    assert render(tag, photo=photo) == first


def test_warm_tag_sees_a_lost_file_and_a_new_source(make_photo: Any, media: Path, render: Any) -> None:
    """A cache file that is deleted is made again, and a source that is replaced gives another."""
    photo = make_photo()
    tag = "{% thumbnail '100x50' photo.image as th %}{{ th.url }}"
    url = render(tag, photo=photo)
    path = media / url.removeprefix("/media/")
    path.unlink()
    assert render(tag, photo=photo) == url
    assert path.exists()
    (media / photo.image.name).write_bytes(Path(photo.named.path).read_bytes())
    assert render(tag, photo=photo) != url


def test_listeners_of_the_signals_are_told_each_time(make_photo: Any, render: Any) -> None:
    """Whoever listens to the signals hears of each use, though the file is known."""
    photo = make_photo()
    tag = "{% thumbnail '100x50' photo.image %}"
    render(tag, photo=photo)
    heard: list[str] = []

    def on_existence(sender: Any, file: Any, **_: Any) -> None:
        heard.append(f"existence {file.name}")

    def on_content(sender: Any, file: Any, **_: Any) -> None:
        heard.append(f"content {file.name}")

    existence_required.connect(on_existence)
    content_required.connect(on_content)
    try:
        html = render(tag, photo=photo)
    finally:
        existence_required.disconnect(on_existence)
        content_required.disconnect(on_content)
    name = re.findall(r"/media/(\S+)\"", html)[0]
    assert heard[0] == f"existence {name}"
    assert f"content {name}" in heard


@pytest.mark.parametrize(
    ("policy", "begin"), [("placeholder", "data:image/svg+xml"), ("omit", ""), ("original", "data:image/svg+xml")]
)
def test_policies_for_bad_images(policy: str, begin: str, make_photo: Any, media: Path, render: Any) -> None:
    """What a page shows in place of a bad image is said by the setting, or by one tag; the default raises."""
    photo = make_photo()
    (media / photo.image.name).write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"photos/canal\.jpg"):
        render("{% thumbnail '30x20' photo.image %}", photo=photo)
    asked = "{% thumbnail '30x20' photo.image on_error=policy %}"
    page = render(
        asked + asked.replace("%}", "as th %}{{ th.url }}{% if th %}!{% endif %}"), photo=photo, policy=policy
    )
    with override_settings(IMAGEKIT_ON_ERROR=policy):
        assert render("{% thumbnail '30x20' photo.image %}", photo=photo) in page
        assert photo.thumbnail.url.startswith(begin)
        assert bool(photo.thumbnail) is (policy != "omit")
    assert ('width="30" height="20"' in page) is (policy != "omit")
    assert page.endswith("!") is (policy != "omit")


def test_placeholder_gives_its_reason_while_debugging(make_photo: Any, media: Path, render: Any) -> None:
    """The placeholder holds the reason with `DEBUG`, and none without."""
    photo = make_photo()
    (media / photo.image.name).write_bytes(b"no image")
    tag = "{% thumbnail '300x200' photo.image on_error='placeholder' %}"
    assert "canal.jpg" not in render(tag, photo=photo)
    with override_settings(DEBUG=True):
        assert "canal.jpg" in render(tag, photo=photo)


def test_picture_makes_its_files_at_once_and_then_none(make_photo: Any, render: Any, media: Path) -> None:
    """The first page makes all candidates of one decode; another page, here and in another process, opens nothing."""
    photo = make_photo()
    time.sleep(0.03)
    tag = "{% picture '160x' photo.image -- alt='' %}"
    first = render(tag, photo=photo)
    files = {path.name for path in (media / "CACHE").rglob("*.*")}
    assert files == set(re.findall(r"\w+\.(?:avif|webp)", first))
    assert len(files) > 4
    stamps = {path: path.stat().st_mtime_ns for path in (media / "CACHE").rglob("*.*")}
    assert render(tag, photo=Photo.objects.get()) == first
    with override_settings(IMAGEKIT_FSYNC=True):
        assert render(tag, photo=Photo.objects.get()) == first
    assert stamps == {path: path.stat().st_mtime_ns for path in (media / "CACHE").rglob("*.*")}


def test_picture_without_alternative_text_names_template_and_line(make_photo: Any) -> None:
    """What a picture shows has to be said; `alt=''` says that it is decoration."""
    template = Template("{% load imagekit %}\n{% picture '160x' photo.image %}")
    with pytest.raises(MissingAlt) as caught:
        template.render(Context({"photo": make_photo()}))
    assert caught.value.lineno == 2


def test_picture_of_a_bad_image_follows_the_policy(make_photo: Any, render: Any) -> None:
    """A placeholder, or nothing, stands in for a picture that cannot be made."""
    photo = make_photo()
    Path(photo.image.path).write_bytes(b"broken")
    assert "data:image/svg" in render("{% picture '160x' photo.image on_error='placeholder' -- alt='' %}", photo=photo)
    shown = render("{% picture '160x' photo.image on_error='omit' alt='' as p %}[{{ p }}]", photo=photo)
    assert shown == "[]"
    with pytest.raises(UnreadableImage):
        render("{% picture '160x' photo.image -- alt='' %}", photo=photo)


def test_async_view_renders_its_images(make_photo: Any, render: Any) -> None:
    """What an async view renders makes and finds its images without a database, which would not be let."""
    photo = make_photo()
    tags = (
        "{% thumbnail '20x20' photo.image %}{% picture '160x' photo.image -- alt='' %}"
        "{{ photo.thumbnail.url }} {{ photo.thumbnail.width }}"
    )

    async def view() -> str:
        return str(render(tags, photo=photo))

    first = asyncio.run(view())
    assert "/media/CACHE/images/photos/canal/" in first
    assert asyncio.run(view()) == first == render(tags, photo=photo)


def test_djangos_jinja_templates_have_the_tags(make_photo: Any, render: Any) -> None:
    """The kit is installed into the environment of Django's Jinja backend, whose pages say the same."""
    backend = Jinja2(
        {
            "NAME": "jinja2",
            "DIRS": [],
            "APP_DIRS": False,
            "OPTIONS": {"environment": "album.jinja2.environment"},
        }
    )
    photo = make_photo()
    tag = "{% picture '160x' photo.image -- alt='' %}{% thumbnail '20x20' photo.image %}"
    assert backend.from_string(tag).render({"photo": photo}) == render(tag, photo=photo)


def test_async_view_may_render_what_asks_the_database(make_photo: Any, render: Any) -> None:
    """A view that renders in Django's thread for such work has images of rows that it reads there."""
    photo = make_photo()

    async def view() -> str:
        return str(await sync_to_async(lambda: render("{{ p.by_width.url }}", p=Photo.objects.only("image").get()))())

    assert async_to_sync(view)() == photo.by_width.url
