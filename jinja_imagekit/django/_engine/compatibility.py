"""The pixels of django-imagekit 6.1, for sites that choose to keep them, made by pilkit as they were there."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image
from pilkit import processors as pilkit  # type: ignore[import-untyped]
from pilkit.utils import prepare_image  # type: ignore[import-untyped]

from ...exceptions import EncodingFailed
from ...images import Original
from ...images.header import reading
from ...wording import said


def render(spec: Any, original: Original) -> bytes:
    """Return the bytes of a spec's image in django-imagekit 6.1, from a source that has passed the caps.

    EXIF orientation and ICC profiles are ignored, an animation is reduced to its first frame, and the encoder uses
    Pillow's own defaults.

    Args:
        spec: An image spec.
        original: Its source.

    Raises:
        UnreadableImage: The source is not a whole image of a format that may be read.
        EncodingFailed: The encoder refuses the image.
    """
    name, readable = spec.get_source().name, original.header.format
    with reading(name):
        # A multi-picture JPEG is opened as a JPEG.
        formats = ["JPEG" if readable == "MPO" else readable]
        image: Image.Image = Image.open(BytesIO(original.data), formats=formats)
        image.load()
    for processor in spec.processors or ():
        image = _process(processor, image)
    format = spec.format or image.format or readable
    options = dict(spec.options or {})
    if spec.autoconvert:
        image, prepared = prepare_image(image, format)
        options = {**prepared, **options}
    file = BytesIO()
    try:
        image.save(file, format, **options)
    except (OSError, ValueError, KeyError) as error:
        raise EncodingFailed(name, format, said(error)) from error
    return file.getvalue()


def _process(processor: Any, image: Image.Image) -> Image.Image:
    """Do what pilkit's processor of the same name does, unless a subclass overrides `process`."""
    if isinstance(processor, pilkit.ProcessorPipeline):
        for each in processor:
            image = _process(each, image)
        return image
    if getattr(type(processor).process, "__module__", "").startswith("jinja_imagekit."):
        name = _library_class(type(processor)).__name__
        theirs = getattr(pilkit, name, None)
        if theirs is not None and (name, getattr(processor, "anchor", None)) not in _ANCHORS_OF_OURS:
            processed: Image.Image = theirs.process(processor, image)
            return processed
    result: Image.Image = processor.process(image)
    return result


_ANCHORS_OF_OURS = {("Thumbnail", "entropy"), ("ResizeToFill", "auto")}
"""What pilkit does not know, and its pixels therefore cannot depend on."""


def _library_class(cls: type) -> type:
    return next(base for base in cls.__mro__ if base.__module__ == "jinja_imagekit.processors")
