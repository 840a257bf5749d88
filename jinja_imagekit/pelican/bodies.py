"""Images in the text of articles and pages: an `<img>` of a named class becomes what that class stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pelican.contents import Content

from ..exceptions import ImageKitError
from ..ext import TemplateRuntime
from ..kit import ImageKit
from .classes import ImageClass
from .markup import Attributes, rewrite_images
from .names import SourceNames


class BodyRewriter:
    """Rewrites the images of articles and pages.

    Args:
        kit: The site's kit.
        classes: The setting `IMAGEKIT_CLASSES`.
        names: What turns an author's names into the kit's.

    Raises:
        InvalidSetting: What the setting says of a class cannot be used.
        NotRegistered: It names a generator that does not exist.
        InvalidOption: It names a size that cannot be used.
    """

    def __init__(self, kit: ImageKit, classes: Mapping[str, Any], names: SourceNames) -> None:
        self._kit = kit
        self._runtime = TemplateRuntime(kit)
        self._names = names
        self._classes = {name: ImageClass.from_setting(name, value) for name, value in classes.items()}
        for each in self._classes.values():
            if each.generator_id is not None:
                kit.registered(each.generator_id)
            if each.dimensions is not None:
                self._runtime.thumbnail_call(each.generator_id, each.dimensions, None, {})
                for width in each.widths:
                    self._runtime.thumbnail_call(each.generator_id, each.scaled_to(width), None, {})

    def rewrite(self, content: Content) -> None:
        """Rewrite the images in the text of an article or page, and in its metadata that is HTML.

        Raises:
            ImageKitError: An image could not be made; the message names the article.
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
                # Pelican keeps a summary in a second place, which its own links are resolved in.
                setattr(content, "_summary" if field == "summary" else field, content.metadata[field])

    def _change_of(self, content: Content) -> Callable[[Attributes], Attributes | None]:
        def change(attributes: Attributes) -> Attributes | None:
            names = (attributes.get("class") or "").split()
            found = next((self._classes[name] for name in names if name in self._classes), None)
            url = (attributes.get("src") or "").strip()
            if found is None or not url or self._names.is_elsewhere(url):
                return {}
            try:
                return self._new_values(found, url, content, attributes)
            except ImageKitError as error:
                raise ImageKitError(f"{content.get_relative_source_path()}: <img src={url!r}>: {error}") from error

        return change

    def _new_values(self, found: ImageClass, url: str, content: Content, attributes: Attributes) -> Attributes | None:
        # What the author gave is not written: None keeps the tag from writing it, too.
        given = dict.fromkeys(name for name in ("width", "height", "srcset") if name in attributes)
        return found.attributes(self._kit, self._runtime, self._names.source(url, content), given)
