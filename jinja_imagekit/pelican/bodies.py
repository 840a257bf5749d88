"""Images in the text of articles and pages, where an `<img>` becomes what its class stands for."""

from __future__ import annotations

import html
import posixpath
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from pelican.contents import Content

from ..exceptions import ImageKitError, InvalidSetting, UnknownKeyword, nearest
from ..ext import TemplateRuntime, placed_at
from ..generatorlibrary import THUMBNAIL_ID
from ..kit import ImageKit
from ..markup import Attributes, image_attributes, rewrite_images
from ..pictures import DIMENSIONS, PICTURE_KEYWORDS
from ..specs import ImageSpec
from ..stand_ins import checked_policy
from .names import SourceNames

SETTING = "IMAGEKIT_CLASSES"

_EXPECTED = (
    "write a generator's id such as 'blog:card', a size such as '400x300', or a dict such as "
    "{'size': '400x300', 'format': 'WEBP'} or {'generator': 'blog:card', 'tint': 'red'}"
)
_EXPECTED_WIDTHS = "'widths' lists widths in pixels, along with a 'size' and instead of 'srcset'"


class ImageClass(NamedTuple):
    """What an `<img>` of a class becomes.

    Attributes:
        generator_id: The id of its generator; None for `imagekit:thumbnail`.
        dimensions: Width and height in pixels as `{% thumbnail %}` takes them; None for `{% generateimage %}`.
        widths: Widths in pixels to offer in `srcset`.
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
        """Return what the setting says about a class.

        Raises:
            InvalidSetting: It gives neither a generator nor a size, or unusable widths.
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

    def check(self, name: str, kit: ImageKit, runtime: TemplateRuntime) -> None:
        """Check the class before any page is rendered.

        Args:
            name: The class's name.
            kit: The site's kit.
            runtime: The implementation of the tags.

        Raises:
            InvalidSetting: A keyword is unknown; the message says which is nearest.
            InvalidOption: A size or another keyword has a value that cannot be used.
            NotRegistered: The generator does not exist.
        """
        id, keywords = str(self.generator_id), dict(self.keywords)
        checked_policy(keywords.pop("on_error", None), "raise")
        kit.registered(THUMBNAIL_ID if self.generator_id is None else id)
        for given in ("source",) if self.dimensions is None else ("source", "width", "height"):
            if given in keywords:
                problem = f"{name!r} has the keyword {given!r}, which each image or the 'size' gives; leave it out"
                raise InvalidSetting(SETTING, problem)
        if self.dimensions is not None:
            for width in self.widths:
                runtime.thumbnail_call(self.generator_id, self.scaled_to(width), None, {})
            keywords.pop("srcset", None)
            keywords = {each: value for each, value in keywords.items() if each not in PICTURE_KEYWORDS}
            id, keywords = runtime.thumbnail_call(self.generator_id, self.dimensions, None, keywords)
        try:
            kit.generator(id, **{**keywords, "source": None})
        except UnknownKeyword as error:
            own = set() if self.dimensions is None else {"size", "widths", "sizes", "srcset", *PICTURE_KEYWORDS}
            known = {*error.known, *own, "generator", "on_error"}.difference(("source", "width", "height"))
            problem = f"{name!r} has the keyword {error.option!r}, which {error.generator!r} does not take"
            raise InvalidSetting(SETTING, f"{problem}. {nearest(error.option, known)}") from error

    def attributes(
        self, kit: ImageKit, runtime: TemplateRuntime, source: object, given: Mapping[str, None]
    ) -> Attributes | None:
        """Return the attributes that a template's tag would write; None if it would write no element.

        Args:
            kit: The site's kit.
            runtime: The implementation of the tags.
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
                # A photo too small for two widths gives a single image for both.
                continue
            promised.add(expected)
            one = self._thumbnail(runtime, self.scaled_to(width), source, {}) or {}
            url = one.get("src") or ""
            # A stand-in has no file, or the same one for all widths.
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
            # Whoever asks for the image reports what is wrong.
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


class BodyRewriter:
    """Rewrites the images of articles and pages.

    Args:
        kit: The site's kit.
        classes: The setting `IMAGEKIT_CLASSES`.
        names: Converts authors' names into the kit's.

    Raises:
        InvalidSetting: The setting is unusable for a class, or has an unknown keyword.
        NotRegistered: It names a generator that does not exist.
        InvalidOption: A size or the value of a keyword is unusable.
    """

    def __init__(self, kit: ImageKit, classes: Mapping[str, Any], names: SourceNames) -> None:
        self._kit = kit
        self._runtime = TemplateRuntime(kit)
        self._names = names
        self._classes = {name: ImageClass.from_setting(name, value) for name, value in classes.items()}
        for name, each in self._classes.items():
            each.check(name, kit, self._runtime)

    def rewrite(self, content: Content) -> None:
        """Rewrite the images in the text of an article or page, and in metadata that is HTML.

        Raises:
            ImageKitError: An image could not be made; the message names the article and its line.
        """
        if not self._classes:
            return
        change = self._change_of(content)
        if isinstance(content._content, str):
            content._content = rewrite_images(content._content, change)
        for field in content.settings["FORMATTED_FIELDS"]:
            value = content.metadata.get(field)
            if isinstance(value, str) and "<" in value:
                content.metadata[field] = rewrite_images(value, change)
                # Pelican keeps the summary in a second place, where it resolves its own links.
                setattr(content, "_summary" if field == "summary" else field, content.metadata[field])

    def _change_of(self, content: Content) -> Callable[[Attributes], Attributes | None]:
        seen: Counter[str] = Counter()

        def change(attributes: Attributes) -> Attributes | None:
            names = (attributes.get("class") or "").split()
            found = next((self._classes[name] for name in names if name in self._classes), None)
            url = (attributes.get("src") or "").strip()
            seen[url] += 1
            if found is None or not url or self._names.is_elsewhere(url):
                return {}
            place = partial(_place_of, content, url, seen[url])
            try:
                with placed_at(place):
                    return self._new_values(found, url, content, attributes)
            except ImageKitError as error:
                raise ImageKitError(f"{place()}: <img src={url!r}>: {error}") from error

        return change

    def _new_values(self, found: ImageClass, url: str, content: Content, attributes: Attributes) -> Attributes | None:
        # Do not write what the author gave: None keeps the tag from writing it too.
        given = dict.fromkeys(name for name in ("width", "height", "srcset") if name in attributes)
        return found.attributes(self._kit, self._runtime, self._names.source(url, content), given)


def _place_of(content: Content, url: str, occurrence: int) -> str:
    """Return an article's file, and the line with the n-th occurrence of an image's name, if any.

    The HTML that was made of the article has no line numbers of the file.
    """
    file = str(content.get_relative_source_path())
    try:
        lines = Path(content.source_path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return file
    for name in (url, html.escape(url), unquote(url), posixpath.basename(url)):
        found = [number for number, line in enumerate(lines, start=1) for _ in range(line.count(name))]
        # An article's metadata, which may also name the image, ends with the first empty line.
        end = next((number for number, line in enumerate(lines, start=1) if not line.strip()), 0)
        found = [number for number in found if number > end] or found
        if found:
            # A summary repeats the images of the text.
            return f"{file}, line {found[(occurrence - 1) % len(found)]}"
    return file
