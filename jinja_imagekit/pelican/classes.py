"""What the setting `IMAGEKIT_CLASSES` makes of an `<img>` of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..exceptions import ImageKitError, InvalidSetting
from ..ext import TemplateRuntime
from ..kit import ImageKit
from ..pictures import DIMENSIONS
from ..specs import ImageSpec
from .markup import Attributes, image_attributes

SETTING = "IMAGEKIT_CLASSES"

_EXPECTED = (
    "write a generator's id such as 'blog:card', a size such as '400x300', or a dict such as "
    "{'size': '400x300', 'format': 'WEBP'} or {'generator': 'blog:card', 'tint': 'red'}"
)
_EXPECTED_WIDTHS = "'widths' lists widths in pixels, beside a 'size', and instead of 'srcset'"


class ImageClass(NamedTuple):
    """What an `<img>` of one class becomes.

    Attributes:
        generator_id: The id of its generator; None for `imagekit:thumbnail`.
        dimensions: Width and height in pixels as `{% thumbnail %}` takes them; None for `{% generateimage %}`.
        widths: Widths in pixels that are offered beside it, in `srcset`.
        sizes: The attribute `sizes`, for `widths`.
        keywords: The generator's keywords.
    """

    generator_id: str | None
    dimensions: str | None
    widths: Sequence[int]
    sizes: str
    keywords: dict[str, Any]

    @classmethod
    def from_setting(cls, name: str, value: Any) -> ImageClass:
        """Return what the setting says of one class.

        Raises:
            InvalidSetting: It says neither a generator nor a size, or widths that cannot be used.
        """
        if isinstance(value, str):
            value = {"size" if DIMENSIONS.fullmatch(value) else "generator": value}
        words = dict(value) if isinstance(value, Mapping) else {}
        generator_id, dimensions = words.pop("generator", None), words.pop("size", None)
        if generator_id is None and dimensions is None:
            raise InvalidSetting(SETTING, f"{name!r} is {value!r}; {_EXPECTED}")
        widths, sizes = words.pop("widths", ()), words.pop("sizes", "100vw")
        numbers = isinstance(widths, (list, tuple)) and all(type(each) is int and each > 0 for each in widths)
        if not numbers or (widths and (dimensions is None or "srcset" in words)):
            raise InvalidSetting(SETTING, f"{name!r} is {value!r}; {_EXPECTED_WIDTHS}")
        return cls(generator_id, dimensions, widths, sizes, words)

    def attributes(
        self, kit: ImageKit, runtime: TemplateRuntime, source: object, given: Mapping[str, None]
    ) -> Attributes | None:
        """Return the attributes that a template's tag would write; None where it would write no tag.

        Args:
            kit: The site's kit.
            runtime: Does what the tags do.
            source: The image to start from.
            given: The author's attributes, which the tag leaves out.

        Raises:
            ImageKitError: The image could not be made.
        """
        if self.dimensions is None:
            keywords = {**self.keywords, "source": source}
            return image_attributes(runtime.generateimage_tag(str(self.generator_id), keywords, given))
        written = self._thumbnail(runtime, self.dimensions, source, given)
        if written is None or not self.widths or "srcset" in given:
            return written
        return {**written, **self._offered(kit, runtime, source)}

    def _offered(self, kit: ImageKit, runtime: TemplateRuntime, source: object) -> Attributes:
        entries: dict[str, str] = {}
        promised: set[int | None] = set()
        for width in self.widths:
            expected = self._expected_width(kit, runtime, width, source)
            if expected is not None and expected in promised:
                # A photo that is too small for two widths gives one image for both.
                continue
            promised.add(expected)
            one = self._thumbnail(runtime, self.scaled_to(width), source, {}) or {}
            url = one.get("src") or ""
            # A stand-in has no file, or is the same for all widths.
            if one.get("width") and not url.startswith("data:"):
                entries.setdefault(url, f"{url} {one['width']}w")
        return {"srcset": ", ".join(entries.values()), "sizes": self.sizes} if entries else {}

    def _expected_width(self, kit: ImageKit, runtime: TemplateRuntime, width: int, source: object) -> int | None:
        keywords = {name: value for name, value in self.keywords.items() if name != "on_error"}
        id, options = runtime.thumbnail_call(self.generator_id, self.scaled_to(width), source, keywords)
        try:
            generator = kit.generator(id, **options)
            size = generator.output_size() if isinstance(generator, ImageSpec) else None
        except ImageKitError:
            # What is wrong is told by who asks for the image.
            return None
        return size and size[0]

    def _thumbnail(
        self, runtime: TemplateRuntime, dimensions: str, source: object, given: Mapping[str, None]
    ) -> Attributes | None:
        return image_attributes(runtime.thumbnail_tag(self.generator_id, dimensions, source, self.keywords, given))

    def scaled_to(self, width: int) -> str:
        """Return the dimensions that have this width, in the proportions of the size.

        Example:
            >>> ImageClass(None, "800x600", (), "", {}).scaled_to(400)
            '400x300'
        """
        of_width, of_height = str(self.dimensions).split("x")
        if not of_width or not of_height:
            return f"{width}x"
        return f"{width}x{max(1, (2 * width * int(of_height) + int(of_width)) // (2 * int(of_width)))}"
