"""What models say about their images: focal points that all crops keep, and alternative texts."""

from __future__ import annotations

import io
import pickle
import re
import time
from pathlib import Path
from typing import Any

import pytest
from album.models import Portrait, Poster
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import models
from django.db.migrations.writer import MigrationWriter
from django.forms import modelform_factory
from django.template.backends.jinja2 import Jinja2
from django.test import override_settings
from django.test.utils import isolate_apps
from PIL import ExifTags, Image

import drawing
from jinja_imagekit.django import get_kit
from jinja_imagekit.django.forms import FocusInput
from jinja_imagekit.django.models import FocusField, ImageField
from jinja_imagekit.exceptions import MissingAlt
from jinja_imagekit.ext.files import TemplatePicture
from jinja_imagekit.pictures import Picture

WIDE = drawing.encoded(drawing.with_corners(drawing.photo(240, 60)), "PNG")
LEFT, RIGHT = drawing.CORNERS["top-left"], drawing.CORNERS["top-right"]


def make(model: Any = Portrait, **fields: Any) -> Any:
    instance = model(**fields)
    instance.image.save("wide.png", ContentFile(WIDE), save=False)
    instance.save()
    return instance


def keeps(file: Any, corner: Any) -> bool:
    """Tell whether an image has a corner's mark where the source has it."""
    with Image.open(file.path if hasattr(file, "path") else file) as image:
        pixels = image.convert("RGB")
    x = 2 if corner == LEFT else pixels.width - 3
    found: Any = pixels.getpixel((x, 2))
    return max(abs(a - b) for a, b in zip(found, corner, strict=True)) < 60


def path_of(url: str, media: Path) -> Path:
    return media / url.removeprefix("/media/")


@pytest.mark.parametrize(("focus", "corner"), [("0% 50%", LEFT), ("100% 50%", RIGHT), ("0% 0% 10% 100%", LEFT)])
def test_crops_of_a_spec_field_keep_the_focal_point(focus: str, corner: Any) -> None:
    """A spec of an image field with a focus field cuts where the model says, be it a point or a box."""
    assert keeps(make(focus=focus).square, corner)


def test_moved_focal_point_gives_a_new_image_of_crops_alone() -> None:
    """When an editor moves the point, what is cropped has a new name, and what is only resized the old one."""
    portrait = make(focus="0% 50%")
    square, fitted = portrait.square.url, portrait.fitted.url
    portrait.focus = "100% 50%"
    assert portrait.square.url != square
    assert keeps(portrait.square, RIGHT)
    assert portrait.fitted.url == fitted
    portrait.focus = "0% 50%"
    assert portrait.square.url == square


def test_without_a_focal_point_names_are_those_of_plain_fields() -> None:
    """An empty focus changes nothing."""
    portrait, poster = make(), make(Poster)
    assert Path(portrait.square.name).name == Path(poster.plain.name).name


def test_spec_may_name_the_focus_field_of_a_plain_image_field(render: Any) -> None:
    """A spec with `focus_field` cuts where it says; its neighbour and the tags do not know of it."""
    poster = make(Poster, focus="0% 50%")
    assert keeps(poster.focused, LEFT)
    assert not keeps(poster.plain, LEFT)
    tag = "{% thumbnail '60x60' p.image as t %}{{ t.url }}"
    assert Path(render(tag, p=poster)).name == Path(render(tag, p=make(Poster))).name


TAGS = [
    "{% thumbnail '60x60' p.image format='PNG' as t %}{{ t.url }}",
    "{% thumbnail '30x30' p.image format='PNG' srcset='2' as t %}{{ t.url }}",
    "{% thumbnail '60x60' p.image format='PNG' layout='fixed' as t %}{{ t.url }}",
    "{% picture '60x60' p.image formats='PNG' alt='' as t %}{{ t.url }}",
    "{% picture '80x' p.image formats='PNG' alt='' at=at as t %}{{ t.sources.0.src }}",
    "{% generateimage 'album:portrait:square' source=p.image as t %}{{ t.url }}",
    "{% generateimage 'album:portrait:square' source=p.image widths='30 60' as t %}{{ t.url }}",
    "{% generateimage 'album:square' width=60 source=p.image as t %}{{ t.url }}",
]


@pytest.mark.parametrize("tag", [tag.replace(" srcset='2' as", " as") for tag in TAGS])
def test_crops_of_every_tag_keep_the_focal_point(tag: str, render: Any, media: Path) -> None:
    """All tags cut where the model of their source says."""
    portrait = make(focus="0% 50%")
    at = {"(max-width: 600px)": {"size": "40x40"}}
    assert keeps(path_of(render(tag, p=portrait, at=at), media), LEFT)
    # The second page finds what the first one made.
    assert keeps(path_of(render(tag, p=Portrait.objects.get(), at=at), media), LEFT)


def test_densities_of_a_thumbnail_keep_the_focal_point(render: Any, media: Path) -> None:
    """Each density of a thumbnail is cut alike."""
    page = render("{% thumbnail '30x30' p.image format='PNG' srcset='2' %}", p=make(focus="0% 50%"))
    urls = [part.split()[0] for part in page.partition('srcset="')[2].partition('"')[0].split(" , ")]
    assert len(urls) == 2
    assert all(keeps(path_of(url, media), LEFT) for url in urls)


@pytest.mark.parametrize("given", ["focus='100% 50%'", "anchor='r'"])
def test_tag_goes_before_the_model(given: str, render: Any, media: Path) -> None:
    """What a template says about the crop counts more than what the model says."""
    portrait = make(focus="0% 50%")
    page = render("{% thumbnail '60x60' p.image format='PNG' " + given + " as t %}{{ t.url }}", p=portrait)
    assert keeps(path_of(page, media), RIGHT)
    page = render("{% picture '60x60' p.image formats='PNG' alt='' " + given + " as t %}{{ t.url }}", p=portrait)
    assert keeps(path_of(page, media), RIGHT)


def test_automatic_focus_of_a_tag_goes_before_the_model(render: Any) -> None:
    """A picture with `focus='auto'` is cut as that of a model that says nothing."""
    tag = "{% picture '60x60' p.image formats='PNG' alt='' focus='auto' as t %}{{ t.url }}"
    assert Path(render(tag, p=make(focus="0% 50%"))).name == Path(render(tag, p=make(focus=""))).name


def test_jinja_templates_keep_focal_point_and_text(render: Any) -> None:
    """Pages of Django's Jinja backend say what Django's own templates say."""
    options = {"environment": "album.jinja2.environment"}
    backend = Jinja2({"NAME": "jinja2", "DIRS": [], "APP_DIRS": False, "OPTIONS": options})
    portrait = make(focus="0% 50%", title="A canal")
    tags = "{% thumbnail '60x60' p.image %}{% picture '60x60' p.image %}"
    assert backend.from_string(tags).render({"p": portrait}) == render(tags, p=portrait)


def test_images_made_ahead_keep_the_focal_point(media: Path) -> None:
    """`generateimages` makes exactly what pages then ask for."""
    portrait = make(focus="0% 50%")
    call_command("generateimages", "album:portrait", verbosity=0)
    made = {path.name for path in (media / "CACHE").rglob("*.png")}
    assert len(made) == 2
    assert {Path(portrait.square.name).name, Path(portrait.fitted.name).name} == made
    assert keeps(portrait.square, LEFT)


def test_lazy_file_keeps_its_focal_point_in_a_pickle() -> None:
    """A cache file that goes to another process leads to the same image."""
    square = make(focus="0% 50%").square
    assert pickle.loads(pickle.dumps(square)).url == square.url


def test_focal_point_that_cannot_be_read_is_left_aside(caplog: Any) -> None:
    """What no form has checked is a warning that names the row; it can be saved, and its image is shown."""
    portrait = make(focus="in the middle")
    assert Path(portrait.square.url).name == Path(make().square.url).name
    assert f"Portrait {portrait.pk}: the focal point 'in the middle' in 'focus' is left aside" in caplog.text


def test_picture_has_the_alternative_text_of_its_model(render: Any) -> None:
    """A picture's `alt` is the field's, escaped, unless the tag gives another; without a field, it is missed."""
    portrait = make(title='A "canal" & <bridge>')
    assert 'alt="A &#34;canal&#34; &amp; &lt;bridge&gt;"' in render("{% picture '60x' p.image %}", p=portrait)
    assert 'alt="Venice"' in render("{% picture '60x' p.image -- alt='Venice' %}", p=portrait)
    assert 'alt=""' in render("{% picture '60x' p.image %}", p=make(title=""))
    with pytest.raises(MissingAlt):
        render("{% picture '60x' p.image %}", p=make(Poster))


def test_text_that_changes_changes_the_page(render: Any) -> None:
    """A page that was rendered before has the new text and the new crop."""
    portrait = make(focus="0% 50%", title="Before")
    tag = "{% picture '60x60' p.image %}"
    before = render(tag, p=portrait)
    assert render(tag, p=portrait) == before
    Portrait.objects.update(title="After")
    assert render(tag, p=Portrait.objects.get()) == before.replace("Before", "After")
    Portrait.objects.update(focus="100% 50%")
    assert render(tag, p=Portrait.objects.get()) != before.replace("Before", "After")


def test_form_shows_percentages_and_refuses_anything_else() -> None:
    """The field of a form takes points, boxes, names and nothing, and gives percentages."""
    form_class = modelform_factory(Portrait, fields=["focus", "title"])
    taken = {"70% 30%": "70% 30%", "0.7 0.3": "70% 30%", "tl": "0% 0%", "": "", "auto": "", "33.333% 1%": "33.33% 1%"}
    for typed, kept in taken.items():
        form = form_class({"focus": typed})
        assert form.is_valid(), form.errors
        assert form.cleaned_data["focus"] == kept
    form = form_class({"focus": "70%"})
    assert not form.is_valid()
    assert "70% 30%" in str(form.errors["focus"])
    with pytest.raises(ValidationError):
        Portrait(focus="120% 0%").full_clean()


def test_form_shows_the_image_of_its_instance(media: Path) -> None:
    """The field shows a thumbnail of the row's image; a broken or missing one leaves the text field."""
    portrait = make(focus="70% 30%")
    form_class = modelform_factory(Portrait, fields="__all__")
    form = form_class(instance=portrait)
    html = str(form["focus"])
    assert 'value="70% 30%"' in html
    assert 'data-image-field="image"' in html
    assert '<img src="/media/CACHE/images/portraits/wide' in html
    assert 'width="240" height="60"' in html
    assert "style=" not in html
    assert "<script" not in html
    assert "imagekit/focus.js" in str(form.media)
    (media / portrait.image.name).write_bytes(b"broken")
    for other in (form_class(instance=Portrait.objects.get()), form_class()):
        html = str(other["focus"])
        assert "<img" not in html
        assert '<input type="text" name="focus"' in html


def test_admin_has_the_image_and_projects_their_own_widget() -> None:
    """The admin's widget for text gives way; one that a project chooses stays."""
    from django.contrib.admin.widgets import AdminTextInputWidget
    from django.forms import Textarea

    field = Portrait._meta.get_field("focus")
    assert type(field.formfield(widget=AdminTextInputWidget).widget) is FocusInput
    assert type(field.formfield(widget=Textarea).widget) is Textarea


@isolate_apps("album")
def test_check_names_a_field_that_is_not_there() -> None:
    """A mistyped `focus_field` or `alt_field` is an error of `manage.py check`; a property is a field."""

    class Wrong(models.Model):
        focus = FocusField()
        title = property(lambda self: "text")
        image = ImageField(focus_field="focsu", alt_field="title")

        class Meta:
            app_label = "album"

    (error,) = (each for each in Wrong.check() if each.id == "imagekit.E003")
    assert error.msg == "focus_field names 'focsu', which Wrong does not have."
    assert "'focus'" in str(error.hint)


def test_migrations_have_djangos_image_field() -> None:
    """A project can take the field on and leave it again without a migration."""
    written, _ = MigrationWriter.serialize(Portrait._meta.get_field("image"))
    assert written == "models.ImageField(blank=True, upload_to='portraits')"


@override_settings(IMAGEKIT_COMPATIBILITY="6.1")
def test_compatible_pixels_keep_the_focal_point() -> None:
    """With names and pixels of django-imagekit, too, crops keep what the model says."""
    assert keeps(make(focus="0% 50%").square, LEFT)
    assert keeps(make(focus="100% 50%").square, RIGHT)


def test_own_crops_of_the_form_are_those_of_the_source_upright() -> None:
    """The point counts on the upright image: a photo that a camera turned is cut where the editor clicked."""
    upright = drawing.with_corners(drawing.photo(240, 60))
    portrait = Portrait(focus="0% 50%")
    portrait.image.save("turned.jpg", ContentFile(drawing.oriented(upright, 6, quality=95)), save=True)
    assert keeps(portrait.square, LEFT)
    assert keeps(
        io.BytesIO(Path(get_kit().cachefile("album:portrait:square", source=portrait.image).path).read_bytes()), LEFT
    )


def test_picture_of_a_file_field_is_planned_once(render: Any, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While file, focal point, text and images are as they were, the page has its HTML; any change makes it anew."""
    portrait = make(focus="0% 50%", title="Canal")
    tag = "{% picture '60x60' p.image formats='PNG' %}"
    planned: list[None] = []
    plan = Picture._make_plan
    monkeypatch.setattr(TemplatePicture, "_make_plan", lambda picture: (planned.append(None), plan(picture))[1])

    def page() -> tuple[str, bool]:
        planned.clear()
        # Of a file that was written just now, a stat does not tell that it is the same.
        time.sleep(0.03)
        return render(tag, p=Portrait.objects.get()), bool(planned)

    first, _ = page()
    assert page() == (first, False)
    next((media / "CACHE").rglob("*.png")).unlink()
    assert page() == (first, True)
    (media / portrait.image.name).write_bytes(drawing.encoded(drawing.photo(240, 60, 3), "PNG"))
    replaced, is_planned = page()
    assert is_planned
    assert replaced != first
    Portrait.objects.update(title="Harbour")
    assert page() == (replaced.replace("Canal", "Harbour"), True)


def subject_photo() -> bytes:
    """Return a wide photo whose metadata says that its subject is on the right, where its mark is red."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9214] = (230, 10)
    return drawing.encoded(drawing.with_corners(drawing.photo(240, 60)), "JPEG", quality=95, exif=exif)


@pytest.mark.parametrize(
    "template",
    [
        "{% thumbnail '60x60' image %}",
        "{% thumbnail '60x60' image as t %}<img src='{{ t.url }}'>",
        "{% generateimage 'imagekit:thumbnail' source=image width=60 height=60 %}",
    ],
)
def test_thumbnails_keep_what_a_photo_says(render: Any, media: Path, template: str) -> None:
    """Its metadata count where its model says nothing, however it is asked for; not for django-imagekit's names."""
    portrait = Portrait()
    portrait.image.save("wide.jpg", ContentFile(subject_photo()), save=False)
    portrait.save()
    urls = {}
    for version in (None, "6.1"):
        with override_settings(IMAGEKIT_COMPATIBILITY=version):
            (urls[version],) = re.findall(r"src=['\"]([^'\"]+)", render(template, image=portrait.image))
    assert urls[None] != urls["6.1"]
    if "thumbnail '" in template:
        with override_settings(IMAGEKIT_COMPATIBILITY=None):
            anchored = template.replace("image", "image anchor='100% 50%'", 1)
            assert urls[None] in render(anchored, image=portrait.image)


@pytest.mark.parametrize("compatible", [False, True])
def test_subject_that_a_camera_wrote_down_comes_after_the_model(compatible: bool, render: Any, media: Path) -> None:
    """What the file itself says counts where the model says nothing, but not where names are django-imagekit's."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[0x9214] = (10, 30)
    wide = drawing.with_corners(drawing.photo(240, 60))
    portrait = Portrait()
    portrait.image.save("wide.jpg", ContentFile(drawing.encoded(wide, "JPEG", quality=95, exif=exif)), save=True)
    tag = "{% thumbnail '60x60' p.image format='PNG' as t %}{{ t.url }}"
    written = "{% thumbnail '60x60' p.image format='PNG' %}"
    with override_settings(IMAGEKIT_COMPATIBILITY="6.1" if compatible else None):
        assert keeps(path_of(render(tag, p=portrait), media), LEFT) is not compatible
        assert render(tag, p=portrait) in render(written, p=portrait)
        portrait.focus = "100% 50%"
        assert keeps(path_of(render(tag, p=portrait), media), RIGHT)
