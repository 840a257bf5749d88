"""Jobs: what a worker is told about a cache file, in values for JSON, and how it makes the file."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cachefiles.backends import Simple, name_of
from ..cachefiles.references import NotPlain, Reference, keywords_of
from ..exceptions import GenerationFailed, ImageKitError
from ..loading import KITS_VARIABLE, is_announced, load_kit
from ..state import Record
from .leases import leases

if TYPE_CHECKING:
    from ..cachefiles import ImageCacheFile

__all__ = ["make_job"]

logger = logging.getLogger("jinja_imagekit.queues")

VERSION = 1
"""Version of the message format; messages of other versions are refused."""

MOST_ATTEMPTS = 3
"""How many workers may die making an image before it is left alone."""

ATTEMPTS_SECONDS = 3600.0
"""Seconds to leave an image alone that workers died making."""


class MalformedJob(ImageKitError, ValueError):
    """A message is not a job for this version of the library."""


class Job(NamedTuple):
    """A cache file that a worker is to make.

    Attributes:
        kit: Where the worker finds the kit: `"module:attribute"`.
        generator: The generator's id.
        kwargs: The generator's keywords, as in a `Reference`.
        name: The name under which the file was claimed.
        force: Make it even if it exists.

    Example:
        >>> Job("mysite:kit", "blog:hero", {"source": "canal.jpg"}, "CACHE/images/canal/5ff3.webp", False).message()
        ... # doctest: +NORMALIZE_WHITESPACE
        {'version': 1, 'kit': 'mysite:kit', 'generator': 'blog:hero', 'kwargs': {'source': 'canal.jpg'},
         'name': 'CACHE/images/canal/5ff3.webp', 'force': False}
    """

    kit: str
    generator: str
    kwargs: dict[str, Any]
    name: str
    force: bool

    @classmethod
    def from_message(cls, message: object) -> Job:
        """Return the job that a message describes.

        Raises:
            MalformedJob: It does not describe one.
        """
        match message:
            case {
                "version": version,
                "kit": str(kit),
                "generator": str(generator),
                "kwargs": dict(kwargs),
                "name": str(name),
                "force": bool(force),
            } if version == VERSION:
                return cls(kit, generator, kwargs, name, force)
        raise MalformedJob(
            f"{message!r:.300} is not a job of this version of jinja-imagekit: run the same version in workers and site"
        )

    def message(self) -> dict[str, Any]:
        """Return the job as values that JSON can hold."""
        return {"version": VERSION, **self._asdict()}


def job_of(file: ImageCacheFile, force: bool = False) -> Job:
    """Return the job that makes a cache file.

    Args:
        file: The cache file, which must have a `reference`, and whose kit must have an `import_name`.
        force: Make it even if it exists.

    Raises:
        ValueError: The file has no reference, or its kit no import name.
    """
    reference, kit = file.reference, file.kit_import_name
    if reference is None or kit is None:
        raise ValueError(f"{file!r} cannot be made by a worker: it has no reference, or its kit no import_name")
    return Job(kit, reference.generator_id, reference.kwargs, name_of(file), force)


def make_job(message: object = None, /, *others: object, **named: object) -> None:
    """Make the cache file of a job; workers call this.

    An image that cannot be made is logged and remembered for `failure_timeout` seconds; for the queue the job succeeds,
    since a retry would be in vain. Anything that is not a job, or names a kit that this process was not started
    with, is logged and dropped: nothing is imported, called or made on its word.

    Args:
        message: What `Job.message` returned, after its passage through the queue.
        others: Nothing in a job.
        named: Nothing in a job.

    Raises:
        InvalidSetting: The kit cannot be imported, although this process was started with its name; the queue may
            retry.
    """
    try:
        job = Job.from_message((message, others, named) if others or named else message)
        if not is_announced(job.kit):
            raise MalformedJob(
                f"{job!r:.300} names a kit that this worker was not started with: have the worker import the module "
                f"that makes it, or set {KITS_VARIABLE}={job.kit}"
            )
    except MalformedJob as error:
        logger.error("A message was dropped: %s", error)
        return
    kit = load_kit(job.kit)
    with kit.worker_context(), leases.holding(kit.records, job.name):
        try:
            file = kit.cachefile(job.generator, **keywords_of(Reference(job.generator, job.kwargs), kit))
            _Worker().generate(file, job.force)
        except (ImageKitError, NotPlain) as error:
            logger.error("Cache file %r could not be made: %s", job.name, error)
        except Exception:
            logger.exception("Cache file %r could not be made", job.name)


class _Worker(Simple):
    """Makes files in a worker, but leaves alone an image that workers have died making."""

    def make(self, file: ImageCacheFile) -> Record:
        """Make the file here and now, store it, and record it.

        Raises:
            ImageKitError: The image could not be made, or several workers have died making it.
        """
        store, key = file.records.store, f"{file.settings.cache_prefix}attempts:{name_of(file)}"
        # Called under the file's lock: whoever started earlier and did not finish is dead.
        begun = count_of(store.get(key))
        if begun >= MOST_ATTEMPTS:
            source = file.source.name if file.source else None
            reason = f"{begun} workers died making it (killed, out of memory?)"
            raise self.remember_failure(file, GenerationFailed(name_of(file), source, reason))
        store.set_many({key: str(begun + 1)}, ATTEMPTS_SECONDS)
        try:
            return super().make(file)
        finally:
            store.delete_many([key])


def count_of(text: str | None) -> int:
    """Return a small count that the store holds; 0 where there is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 5 else 0
