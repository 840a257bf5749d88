"""Images of models made by the workers of a queue."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from album.models import Photo
from django.core.exceptions import ImproperlyConfigured
from django.test import TestCase, override_settings
from queue_site import ListQueue

from jinja_imagekit.django.cachefiles import LazyImageCacheFile
from jinja_imagekit.django.cachefiles import backends as django_backends
from jinja_imagekit.loading import load_instance


class ListBackend(django_backends.Queued):
    """The shim's side of a queue in this process."""

    queue_path = "queue_site.ListQueue"


@pytest.fixture
def queue() -> Iterator[ListQueue]:
    """Have images made by a queue in this process, and return it."""
    django_backends.queue_of.cache_clear()
    with override_settings(IMAGEKIT_DEFAULT_CACHEFILE_BACKEND=ListBackend):
        queue = django_backends.queue_of(ListBackend)
        assert isinstance(queue, ListQueue)
        yield queue


def committed() -> Any:
    """Do what is put off until a transaction has been committed, at the end of the block."""
    return TestCase.captureOnCommitCallbacks(execute=True)


def test_a_worker_makes_the_image_of_a_model(queue: ListQueue, make_photo: Callable[..., Any]) -> None:
    """The image is false until a worker has made it; the job names the model's field, and is sent once."""
    photo = make_photo()
    with committed():
        assert [bool(Photo.objects.get(pk=photo.pk).thumbnail) for _ in range(3)] == [False] * 3
    (message,) = queue.messages
    assert f'"field:album.Photo:{photo.pk}:image"' in message
    queue.work()
    thumbnail = Photo.objects.get(pk=photo.pk).thumbnail
    assert thumbnail
    assert (thumbnail.width, thumbnail.height) == (50, 40)


def test_a_spec_in_a_worker_sees_the_model(queue: ListQueue, make_photo: Callable[..., Any]) -> None:
    """A spec that looks at the model of its source does so in the worker, too."""
    photo = make_photo()
    with committed():
        assert not photo.by_width
    queue.work()
    assert Photo.objects.get(pk=photo.pk).by_width.width == 30
    assert not queue.messages


def test_nothing_is_sent_before_the_commit(queue: ListQueue, make_photo: Callable[..., Any]) -> None:
    """A worker would not find the row of a transaction that is still open."""
    photo = make_photo()
    with committed():
        assert not photo.thumbnail
        assert not queue.messages
    assert len(queue.messages) == 1


def test_a_tag_is_laid_out_before_the_image_is_made(
    queue: ListQueue, make_photo: Callable[..., Any], render: Callable[..., str]
) -> None:
    """`{% thumbnail %}` gives the same HTML before and after."""
    photo = make_photo()
    text = "{% thumbnail '100x50' photo.image %}"
    with committed():
        before = render(text, photo=photo)
    assert 'width="100" height="50"' in before
    queue.work()
    with committed():
        assert render(text, photo=photo) == before
    assert not queue.messages


def test_a_row_that_is_gone_when_its_turn_comes_is_told(
    queue: ListQueue, make_photo: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The worker logs it, and goes on."""
    photo = make_photo()
    with committed():
        assert not photo.thumbnail
    Photo.objects.filter(pk=photo.pk).delete()
    queue.work()
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "there is no longer such a record" in error.getMessage()


def test_an_upload_is_made_at_once(queue: ListQueue, jpeg: bytes) -> None:
    """No worker has it."""
    upload = BytesIO(jpeg)
    upload.name = "upload.jpg"
    assert LazyImageCacheFile("album:square", source=upload)
    assert not queue.messages


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "no_such_queue", None)

    class Lacking(ListBackend):
        @classmethod
        def make_queue(cls) -> Any:
            """Import what is not there."""
            import no_such_queue

            return no_such_queue

    with pytest.raises(ImproperlyConfigured, match=r"backend Lacking: .*no_such_queue"):
        Lacking()


@pytest.mark.parametrize(("name", "library"), [("Celery", "celery"), ("RQ", "rq")])
def test_the_backends_have_the_names_of_django_imagekit(name: str, library: str) -> None:
    """A project's dotted paths lead to them once they are renamed."""
    pytest.importorskip(library)
    backend = load_instance("default_cachefile_backend", f"jinja_imagekit.django.cachefiles.backends.{name}")
    assert backend.is_async
