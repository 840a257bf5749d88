"""Model fields: images of images, processed images, source groups, and what pickles keep."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from album.models import Album, Avatar, Card, Concrete, ConcreteChild, Original, Page, Photo, counting
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.db import connection, models
from django.db.migrations.writer import MigrationWriter
from django.test.utils import CaptureQueriesContext, isolate_apps, override_settings
from PIL import Image
from test_gain_maps import ultra_hdr

import drawing
from jinja_imagekit.django import register, unregister
from jinja_imagekit.django.models import ImageSpecField, ProcessedImageField
from jinja_imagekit.django.registry import generator_registry
from jinja_imagekit.django.signals import source_saved
from jinja_imagekit.django.specs.sourcegroups import ImageFieldSourceGroup
from jinja_imagekit.exceptions import MissingSource, UnreadableImage


def size_of(path: str | Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_spec_field_makes_the_image_when_it_is_used(make_photo: Any, media: Path) -> None:
    """A spec field makes nothing until its URL is asked for, and then a file of the size it says."""
    photo = make_photo()
    assert not (media / "CACHE").exists()
    assert photo.thumbnail.url.startswith("/media/CACHE/images/photos/canal/")
    assert photo.thumbnail.url.endswith(".jpg")
    assert size_of(photo.thumbnail.path) == (50, 40)
    assert (photo.thumbnail.width, photo.thumbnail.height) == (50, 40)
    assert photo.thumbnail.size == Path(photo.thumbnail.path).stat().st_size


def test_spec_field_of_a_saved_instance_is_the_same(make_photo: Any) -> None:
    """An instance that comes from the database has the image that it had before."""
    photo = make_photo()
    assert Photo.objects.get(pk=photo.pk).thumbnail.url == photo.thumbnail.url


def test_replaced_source_gives_a_new_image(make_photo: Any, media: Path) -> None:
    """A file that is replaced under its name has a new thumbnail, under a new URL."""
    photo = make_photo()
    before = photo.thumbnail.url
    (media / photo.image.name).write_bytes(drawing.jpeg(320, 240, 9))
    assert photo.thumbnail.url != before
    assert size_of(photo.thumbnail.path) == (50, 40)


def test_spec_may_look_at_the_model(make_photo: Any) -> None:
    """A spec reads the instance of its source, and changes with it."""
    photo = make_photo()
    assert photo.by_width.width == 30
    photo.wanted_width = 44
    assert photo.by_width.width == 44


def test_spec_of_a_field_can_be_replaced_from_outside(make_photo: Any) -> None:
    """Another spec under the field's id counts, without a change of the model."""
    photo = make_photo()
    unregister.generator("album:card")
    try:
        register.generator("album:card", type("Larger", (Card,), {"format": "PNG"}))
        assert photo.named.url.endswith(".png")
    finally:
        unregister.generator("album:card")
        register.generator("album:card", Card)
    assert photo.named.url.endswith(".jpg")


def test_ids_follow_from_app_model_and_field() -> None:
    """A field without an id gets one from its place, in lower case."""
    ids = generator_registry.get_ids()
    assert {"album:photo:thumbnail", "album:card", "album:abstractphoto:small", "album:avatar:image"} <= set(ids)


def test_empty_image_field_has_no_thumbnail() -> None:
    """Without an image the thumbnail is false, and its URL an error that Django's templates pass over."""
    photo = Photo()
    assert not photo.thumbnail
    assert str(photo.thumbnail) == ""
    with pytest.raises(MissingSource) as caught:
        _ = photo.thumbnail.url
    assert caught.value.silent_variable_failure


def test_spec_field_can_be_assigned(make_photo: Any) -> None:
    """A model's constructor and `refresh_from_db` may set whatever attribute there is."""
    photo = make_photo()
    photo.thumbnail = None
    assert photo.thumbnail is not None
    photo.refresh_from_db()


@isolate_apps("album")
def test_spec_field_without_image_field_is_an_error() -> None:
    """A spec field that has no image to start from says so when the model is made."""
    with pytest.raises(ImproperlyConfigured, match="Bare has no image field, so its ImageSpecField 'small'"):
        type("Bare", (models.Model,), {"small": ImageSpecField(), "__module__": "album.models"})


@isolate_apps("album")
def test_spec_field_with_two_image_fields_is_an_error() -> None:
    """A spec field that cannot know which of two images it is of says so."""
    fields = {"a": models.ImageField(), "b": models.ImageField(), "small": ImageSpecField()}
    with pytest.raises(ImproperlyConfigured, match=r"Pair has 2 image fields \(a, b\)"):
        type("Pair", (models.Model,), {**fields, "__module__": "album.models"})


def test_spec_and_its_attributes_exclude_each_other() -> None:
    """Either a spec or what a spec is made of."""
    with pytest.raises(TypeError, match="either a spec or its attributes"):
        ImageSpecField(spec=Card, format="PNG")


@pytest.mark.parametrize(
    ("keyword", "answer"),
    [
        ("image_field", "it is called source"),
        ("storage", "it is called cachefile_storage"),
        ("image_cache_backend", "it is called cachefile_backend"),
        ("cache_to", "IMAGEKIT_SPEC_CACHEFILE_NAMER"),
        ("pre_cache", "Optimistic"),
        ("sauce", "no keyword 'sauce'"),
    ],
)
def test_keywords_of_old_versions_say_what_they_are_called(keyword: str, answer: str) -> None:
    """What django-imagekit 2 took is an error that names its successor, and so is a mistyped keyword."""
    with pytest.raises(TypeError, match=answer):
        ImageSpecField([], **{keyword: None})
    if keyword not in ("storage", "sauce"):
        with pytest.raises(TypeError, match=answer):
            ProcessedImageField([], **{keyword: None})


def test_callable_processors_say_what_to_write() -> None:
    """Processors that depend on the instance belong into a spec class."""
    with pytest.raises(TypeError, match="a spec class with a property processors"):
        ImageSpecField(lambda instance, file: [])


def test_processed_field_keeps_the_processed_image_alone(make_photo: Any, media: Path) -> None:
    """What is stored is the spec's image, under the extension of its format."""
    avatar = make_photo("me.jpeg", model=Avatar)
    assert avatar.image.name == "avatars/me.png"
    assert (avatar.image.width, avatar.image.height) == (50, 50)
    assert [path.name for path in media.rglob("*.*")] == ["me.png"]


def test_processed_field_never_keeps_an_uploads_coded_pixels(make_photo: Any) -> None:
    """What a stranger uploads is encoded anew even where that takes more bytes, also from another field's file."""
    data = drawing.encoded(drawing.photo(80, 60), "JPEG", quality=20)
    photo = make_photo("small.jpg", content=data)
    for upload in (ContentFile(data), photo.image):
        original = Original()
        original.image.save("upload.jpg", upload)
        with original.image.open() as stored:
            assert Image.open(stored).tobytes() != Image.open(BytesIO(data)).tobytes()


def test_processed_field_with_a_spec_class(jpeg: bytes) -> None:
    """The spec may be a class."""
    avatar = Avatar()
    avatar.second.save("whatever.jpg", ContentFile(jpeg))
    assert size_of(avatar.second.path) == (100, 60)
    assert avatar.second.name.endswith(".jpg")


def test_processed_field_names_a_jpeg_with_a_gain_map_as_one() -> None:
    """Pillow calls it an MPO, which no browser knows."""
    with override_settings(IMAGEKIT_HDR=True):
        original = Original()
        original.image.save("sunset.jpg", ContentFile(ultra_hdr()))
    assert b"MPF\0" in Path(original.image.path).read_bytes()
    assert original.image.name.endswith(".jpg")


def test_processed_field_refuses_what_is_not_an_image() -> None:
    """A file that is not an image is one clear error, and nothing is stored."""
    avatar = Avatar()
    with pytest.raises(UnreadableImage, match=r"me\.jpg"):
        avatar.image.save("me.jpg", ContentFile(b"no image"))
    assert not avatar.image


def test_processed_field_deconstructs_for_migrations() -> None:
    """A migration names the field and what concerns the database, the same each time."""
    text, imports = MigrationWriter.serialize(Avatar._meta.get_field("image"))
    assert text == "jinja_imagekit.django.models.fields.ProcessedImageField(upload_to='avatars')"
    assert imports == {"import jinja_imagekit.django.models.fields"}
    path, args, kwargs = ProcessedImageField([], upload_to="x").deconstruct()[1:]
    assert ProcessedImageField(*args, **kwargs).deconstruct()[1:] == (path, args, kwargs)


def receiver_of(group: Any, calls: list[Any]) -> Any:
    def receive(sender: Any, source: Any, **_: Any) -> None:
        if sender is group:
            calls.append(source)

    source_saved.connect(receive)
    return receive


@pytest.fixture
def saved() -> Any:
    """Return the sources that `source_saved` names for the model `Photo`."""
    calls: list[Any] = []
    group = ImageFieldSourceGroup(Photo, "image")
    receiver = receiver_of(group, calls)
    yield calls
    source_saved.disconnect(receiver)


def test_source_saved_on_creation_and_change_alone(make_photo: Any, saved: list[Any], jpeg: bytes) -> None:
    """The signal comes when the source is new or another, not when the instance is merely saved."""
    photo = make_photo()
    assert saved == [photo.image]
    photo.save()
    Photo.objects.get(pk=photo.pk).save()
    photo.refresh_from_db()
    photo.save()
    assert len(saved) == 1
    photo.image.save("other.jpg", ContentFile(jpeg))
    assert [file.name for file in saved] == ["photos/canal.jpg", "photos/other.jpg"]
    photo.image = ContentFile(jpeg, "other.jpg")
    photo.save(update_fields=["wanted_width"])
    assert len(saved) == 2
    photo.save()
    assert len(saved) == 3


def test_source_saved_not_without_an_image(saved: list[Any]) -> None:
    """An instance without an image has no source that could be saved."""
    photo = Photo.objects.create()
    photo.save()
    assert saved == []


def test_source_saved_not_for_fixtures(make_photo: Any, saved: list[Any]) -> None:
    """Loading data from a fixture is not a change of a source."""
    photo = make_photo()
    photo.image.name = "photos/other.jpg"
    photo.save_base(raw=True)
    assert len(saved) == 1


def test_deferred_fields_stay_deferred(make_photo: Any, saved: list[Any]) -> None:
    """Neither making nor saving an instance loads a field that was deferred."""
    make_photo()
    with CaptureQueriesContext(connection) as queries:
        photo = Photo.objects.only("wanted_width").get()
    assert len(queries) == 1
    with CaptureQueriesContext(connection) as queries:
        photo.save()
    assert len(queries) == 1
    assert photo.image.name == "photos/canal.jpg"
    photo.save()
    assert len(saved) == 1


def test_abstract_models_pass_spec_fields_on(make_photo: Any) -> None:
    """A spec field of an abstract model works on the models that inherit it, strategy included."""
    counting.calls.clear()
    instance = make_photo(model=ConcreteChild, field="picture")
    assert "saved" in counting.calls
    instance.small.generate()
    assert size_of(instance.small.storage.path(instance.small.name)) == (20, 20)


def test_abstract_model_may_imply_the_source(make_photo: Any) -> None:
    """A spec field of an abstract model that names no source takes the only image field of what inherits it."""
    instance = make_photo(model=Concrete, field="picture")
    assert (instance.implied.width, instance.implied.height) == (15, 10)


def test_source_group_lists_all_instances_and_descendants(make_photo: Any) -> None:
    """The files of a group are those of the model and its subclasses; instances without one are left out."""
    make_photo(model=Concrete, field="picture")
    make_photo("child.jpg", model=ConcreteChild, field="picture")
    Concrete.objects.create()
    names = {file.name for file in ImageFieldSourceGroup(Concrete, "picture").files()}
    assert names == {"concrete/canal.jpg", "concrete/child.jpg"}


def test_instances_and_cache_files_pickle(make_photo: Any) -> None:
    """An instance with a thumbnail in it comes back from a pickle, and so does the thumbnail alone."""
    photo = make_photo()
    url = photo.thumbnail.url
    again = pickle.loads(pickle.dumps(photo))
    assert again.thumbnail.url == url
    file = pickle.loads(pickle.dumps(photo.thumbnail))
    assert file.storage is photo.thumbnail.storage
    assert file.url == url
    file.generate(force=True)


def test_missing_original_is_one_error(make_photo: Any, media: Path) -> None:
    """A thumbnail whose original is gone from the disk names the file; its text is empty."""
    photo = make_photo()
    (media / photo.image.name).unlink()
    with pytest.raises(FileNotFoundError, match=r"photos/canal\.jpg"):
        _ = photo.thumbnail.url
    assert str(photo.thumbnail) == ""
    assert repr(photo.thumbnail) == "<ImageCacheFile: album:photo:thumbnail of photos/canal.jpg>"


def test_source_of_a_related_instance(make_photo: Any, jpeg: bytes) -> None:
    """A spec field may start from the image of an instance that the model refers to, and hears when that is saved."""
    counting.calls.clear()
    album = make_photo(model=Album, field="cover")
    assert counting.calls == ["saved"]
    pages = [Page.objects.create(album=album) for _ in range(2)]
    lonely = Page.objects.create()
    assert pages[0].teaser.url == pages[1].teaser.url
    pages[0].teaser.generate()
    assert size_of(pages[0].teaser.path) == (24, 18)
    assert not lonely.teaser
    assert [file.name for file in ImageFieldSourceGroup(Page, "album.cover").files()] == ["covers/canal.jpg"]
    album.cover.save("other.jpg", ContentFile(jpeg))
    assert counting.calls.count("saved") == 2


def test_changed_name_in_update_fields_is_a_saved_source(make_photo: Any, saved: list[Any], jpeg: bytes) -> None:
    """A new file and another name are told when the field alone is saved."""
    photo = make_photo()
    photo.image = ContentFile(jpeg, "other.jpg")
    photo.save(update_fields=["image"])
    assert [file.name for file in saved] == ["photos/canal.jpg", "photos/other.jpg"]
    photo = Photo.objects.get()
    photo.image = "photos/canal.jpg"
    photo.save(update_fields=["image"])
    assert saved[-1].name == "photos/canal.jpg"
    assert len(saved) == 3
    deferred = Photo.objects.only("pk").get()
    deferred.image = "photos/other.jpg"
    deferred.save(update_fields=["image"])
    assert len(saved) == 4
