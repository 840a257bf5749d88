"""Cache files as Django files, with the strategies and backends of a project."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from album.models import Card, Photo
from album.parts import CountingStrategy, LateBackend, QueueBackend
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.test import override_settings
from PIL import Image

from jinja_imagekit.django import ImageSpec, get_kit
from jinja_imagekit.django.cachefiles import ImageCacheFile, LazyImageCacheFile
from jinja_imagekit.django.cachefiles.backends import AbstractCacheFileBackend
from jinja_imagekit.django.cachefiles.strategies import DictStrategy, load_strategy
from jinja_imagekit.django.exceptions import AlreadyRegistered, MissingGeneratorId, NotRegistered
from jinja_imagekit.django.files import IKContentFile
from jinja_imagekit.django.processors import ResizeToFill
from jinja_imagekit.django.registry import generator_registry, register, unregister
from jinja_imagekit.django.signals import content_required, existence_required
from jinja_imagekit.django.specs import SpecHost
from jinja_imagekit.django.utils import generate, get_field_info, get_singleton
from jinja_imagekit.exceptions import InvalidStrategy, MissingSource
from jinja_imagekit.specs import ImageSpec as CoreSpec


def card(jpeg: bytes, **parts: Any) -> ImageCacheFile:
    return ImageCacheFile(Card(source=ContentFile(jpeg, "a.jpg")), **parts)


def test_cache_file_is_a_django_file(jpeg: bytes) -> None:
    """It is read, iterated, opened and closed as Django's files are, and a storage takes it."""
    file = card(jpeg)
    assert isinstance(file, File)
    assert file.closed
    with file.open() as opened:
        content = opened.read()
        assert not file.closed
        assert b"".join(file.chunks()) == content
    assert file.closed
    assert (file.width, file.height, file.size) == (100, 60, len(content))
    name = default_storage.save("copy.jpg", file)
    assert default_storage.size(name) == len(content)
    file.close()


def test_text_of_a_cache_file_makes_nothing(jpeg: bytes, media: Path) -> None:
    """Neither its text nor its representation makes a file."""
    file = card(jpeg)
    assert str(file).startswith("CACHE/images/a/")
    assert repr(file) == f"<ImageCacheFile: {file.name}>"
    assert not media.exists()
    assert repr(LazyImageCacheFile("album:card", source=None)) == "<ImageCacheFile: None>"
    assert str(LazyImageCacheFile("album:card", source=None)) == ""


def test_name_and_storage_may_be_given(jpeg: bytes, media: Path) -> None:
    """A name of one's own is used as it is; a storage may come from a callable."""
    file = card(jpeg, name="own/name.jpg", storage=lambda: default_storage)
    assert file.url == "/media/own/name.jpg"
    assert (media / "own/name.jpg").exists()
    file.name = "own/other.jpg"
    assert file.url == "/media/own/other.jpg"
    file.storage = FileSystemStorage(media / "elsewhere", "/elsewhere/")
    file.cachefile_strategy = load_strategy({"on_existence_required": lambda file: None})
    assert file.url == "/elsewhere/own/other.jpg"
    assert not (media / "elsewhere").exists()


def test_failure_is_released_and_told(media: Path, make_photo: Any) -> None:
    """A source that was repaired works at once: no state is left behind by the failure."""
    photo = make_photo()
    path = Path(photo.image.path)
    whole = path.read_bytes()
    path.write_bytes(b"broken")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"photos/canal\.jpg"):
            _ = photo.thumbnail.url
    path.write_bytes(whole)
    assert (media / photo.thumbnail.url.removeprefix("/media/")).exists()


def test_unregistered_spec_works(jpeg: bytes) -> None:
    """A spec that nobody registered has a URL that works, and its strategy is asked."""
    file = card(jpeg)
    assert file
    assert Path(file.path).exists()


def test_generator_that_is_not_a_spec(media: Path) -> None:
    """Any object with `generate()` makes a cache file, named by a hash."""

    class Badge:
        format = "PNG"

        def get_hash(self) -> str:
            return "abc123"

        def generate(self) -> BinaryIO:
            file = BytesIO()
            Image.new("RGB", (7, 5)).save(file, "PNG")
            file.seek(0)
            return file

    file = ImageCacheFile(Badge())
    assert (file.name, file.width, file.height) == ("CACHE/images/abc123.png", 7, 5)
    assert (media / file.name).exists()


def test_generators_by_function_and_of_other_packages(make_photo: Any, render: Any) -> None:
    """A function may be registered, and so may a spec of this library's own, which knows nothing of Django."""
    photo = make_photo()
    plain = type("Plain", (CoreSpec,), {"format": "PNG", "processors": (ResizeToFill(9, 9),)})
    register.generator("album:function", lambda **kwargs: Card(**kwargs))
    register.generator("album:plain", plain)
    try:
        for id, size in (("album:function", 'width="100" height="60"'), ("album:plain", 'width="9" height="9"')):
            tag = "{% generateimage '" + id + "' source=photo.image %}"
            assert size in render(tag, photo=photo)
            file = LazyImageCacheFile(id, source=photo.image)
            assert file.url in render(tag, photo=photo)
            assert Path(file.path).exists()
    finally:
        unregister.generator("album:function")
        unregister.generator("album:plain")


def test_file_as_the_source_of_another(make_photo: Any) -> None:
    """A thumbnail of a thumbnail makes the first one first."""
    photo = make_photo()
    small = ImageCacheFile(type("Small", (Card,), {"format": "PNG"})(source=photo.thumbnail))
    assert (small.width, small.height) == (100, 60)
    assert Path(photo.thumbnail.path).exists()


def test_counting_strategy_is_asked_in_turn(jpeg: bytes) -> None:
    """Each use asks the hook for what it needs; a strategy that makes nothing leaves nothing."""
    strategy = CountingStrategy()
    file = card(jpeg, cachefile_strategy=strategy)
    assert file.url
    assert bool(file)
    with pytest.raises(OSError, match="No such file"):
        file.read()
    assert strategy.calls == ["existence", "existence", "content"]


def test_strategies_by_dict_path_and_class(jpeg: bytes) -> None:
    """A strategy is a dict of hooks, a dotted path, a class or an object; a hook of an unknown name is an error."""
    made: list[Any] = []
    assert card(jpeg, cachefile_strategy={"on_existence_required": made.append}).url
    assert made[0].name.startswith("CACHE/")
    assert card(jpeg, cachefile_strategy=DictStrategy({"on_existence_required": made.append})).url
    optimistic = load_strategy("jinja_imagekit.django.cachefiles.strategies.Optimistic")
    with override_settings(IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY=optimistic):
        file = card(jpeg)
        assert file.url
        assert file
        assert not default_storage.exists(file.name)
    with pytest.raises(InvalidStrategy, match="on_existance_required"):
        card(jpeg, cachefile_strategy={"on_existance_required": made.append})


def test_optimistic_strategy_makes_images_on_save(make_photo: Any, media: Path) -> None:
    """Images are made when their source is saved, and taken for granted afterwards."""
    with override_settings(
        IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY="jinja_imagekit.django.cachefiles.strategies.Optimistic"
    ):
        photo = make_photo()
        path = media / photo.thumbnail.name
        assert path.exists()
        path.unlink()
        assert photo.thumbnail.url
        assert not path.exists()


def test_receivers_hear_of_each_use(jpeg: bytes) -> None:
    """The signals come with the file, and a receiver may make it."""
    heard: list[str] = []

    def on_existence(sender: Any, file: Any, **_: Any) -> None:
        heard.append("existence")

    def on_content(sender: Any, file: Any, **_: Any) -> None:
        heard.append("content")

    existence_required.connect(on_existence)
    content_required.connect(on_content)
    try:
        file = card(jpeg)
        assert repr(file)
        assert heard == []
        assert file.url
        with file.open():
            pass
    finally:
        existence_required.disconnect(on_existence)
        content_required.disconnect(on_content)
    assert heard[0] == "existence"
    assert "content" in heard[1:]


def test_asynchronous_files_are_false_until_they_are_made(jpeg: bytes) -> None:
    """A file is scheduled once, false until a worker has made it, and true then."""
    QueueBackend.queue.clear()
    file = card(jpeg, cachefile_backend=QueueBackend())
    assert not file
    assert not card(jpeg, cachefile_backend=QueueBackend())
    assert len(QueueBackend.queue) == 1
    QueueBackend.queue[0].cachefile_backend.generate_now(QueueBackend.queue[0])
    assert file
    assert file.width == 100
    assert not card(jpeg, name="late.jpg", cachefile_backend=LateBackend())


def test_backend_of_a_projects_own(jpeg: bytes) -> None:
    """A backend needs no base but the two methods."""

    class Own(AbstractCacheFileBackend):
        def generate(self, file: Any, force: bool = False) -> None:
            file._generate()

        def exists(self, file: Any) -> bool:
            return bool(file.storage.exists(file.name))

    file = card(jpeg, cachefile_backend=Own())
    assert Path(file.path).exists()
    assert file.width == 100


def test_missing_source_is_an_attribute_of_specs() -> None:
    """`MissingSource` is found on the spec, as projects have it in their excepts."""
    assert not ImageCacheFile(Card(source=None))
    with pytest.raises(Card.MissingSource):
        ImageCacheFile(Card(source=None)).generate()
    assert Card.MissingSource is MissingSource


def test_open_sources_stay_as_they_were(make_photo: Any) -> None:
    """Making an image neither opens a closed field nor closes or moves an open one."""
    photo = make_photo()
    photo.image.close()
    Card(source=photo.image).generate()
    assert photo.image.closed
    photo.image.open()
    photo.image.seek(10)
    Card(source=photo.image).generate()
    assert photo.image.tell() == 10
    photo.image.close()


def test_registry_of_the_process() -> None:
    """An id has one generator; the second is an error, and so is taking away what is not there."""
    with pytest.raises(AlreadyRegistered, match="album:card"):
        register.generator("album:card", ImageSpec)
    with pytest.raises(NotRegistered):
        unregister.generator("album:none")
    assert isinstance(generator_registry.get("album:square", source=None), ImageSpec)
    with pytest.raises(MissingGeneratorId):
        SpecHost().get_spec(None)


def test_helpers(make_photo: Any, jpeg: bytes) -> None:
    """The helpers that projects import do what they did."""
    photo = make_photo()
    assert get_field_info(photo.image) == (photo, "image")
    assert get_field_info(ContentFile(b"")) == (None, None)
    file = generate(Card(source=photo.image))
    assert file.size == len(file.read())
    assert get_singleton("album.parts.QueueBackend", "backend") is get_singleton("album.parts.QueueBackend", "backend")
    assert IKContentFile("a.png", b"x").content_type == "image/png"
    assert IKContentFile("a", b"x", format="JPEG").content_type == "image/jpeg"


def test_kit_of_the_process_changes_with_the_settings() -> None:
    """There is one kit, and a new one when a setting has changed."""
    kit = get_kit()
    assert get_kit() is kit
    with override_settings(IMAGEKIT_CACHEFILE_DIR="OTHER"):
        assert get_kit() is not kit
        assert get_kit().settings.cachefile_dir == "OTHER"
    assert get_kit().settings.cachefile_dir == "CACHE/images"


def test_references_lead_back_to_the_field(make_photo: Any) -> None:
    """A field's source has a reference that is plain text, and leads to the same field in another process."""
    photo = make_photo()
    source = get_kit().sources.find(photo.image)
    assert source.reference == f"field:album.Photo:{photo.pk}:image"
    again = get_kit().sources.by_reference(source.reference)
    assert again.original.instance == photo
    assert again.digest == source.digest
    Photo.objects.all().delete()
    with pytest.raises(FileNotFoundError, match="no longer such a record"):
        get_kit().sources.by_reference(source.reference)
