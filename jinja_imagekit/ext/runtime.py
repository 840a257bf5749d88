"""What an environment's tags and filters do with a kit's images."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache
from inspect import signature
from typing import TYPE_CHECKING, Any

from jinja2 import Undefined
from jinja2.runtime import Context
from markupsafe import Markup

from ..builds.notes import around_source
from ..cachefiles.warm import Form
from ..exceptions import ImageKitError, InvalidOption, MissingAlt
from ..generatorlibrary import THUMBNAIL_ID
from ..hashing import frozen
from ..html import img_tag
from ..images.rules import excess
from ..pictures.calls import PictureCall, picture_call, several_sizes_call, spec_sizes_call
from ..pictures.framing import Focus, Framing, anchor_of, parse_dimensions, parse_focus
from ..pictures.plan import make_picture_plan, takes_own_focus, with_own_focus
from ..pictures.printing import miss_alt
from ..sources import NoSource, VersionedSource
from ..specs import FOCUS_KEYWORD
from ..stand_ins import StandIn, checked_policy, covers, stand_in
from .error_places import add_place
from .files import SandboxedImage, TemplateCacheFile, TemplateImage, TemplateImageInfo, TemplatePicture, unwrap

if TYPE_CHECKING:
    from ..cachefiles import ImageCacheFile
    from ..cachefiles.known import KnownFile
    from ..kit import ImageKit

logger = logging.getLogger("jinja_imagekit.ext")

TagImage = StandIn | tuple[str, int | None, int | None]
"""URL, width and height in pixels, or what stands in for an image."""

Locate = Callable[[Any, Context], Any]
"""Returns the source that a value in a template stands for, given the value and the template's context."""

Says = Callable[[Any], Mapping[str, Any]]
"""Returns the keywords `focus` and `alt` that a value in a template has of its own, as far as it has them."""

_PICTURE_KEYWORDS = frozenset({"layout", "widths", "sizes", "formats", "at", "priority", "placeholder"})
"""Keywords that make a `{% thumbnail %}` a picture in one format."""


class NotKnown(Exception):
    """An image would first have to be looked up or made."""


class TemplateRuntime:
    """A kit's images, for the templates of one environment and its overlays.

    Args:
        kit: The kit.
        sandboxed: Hand templates a view of a cache file, with which they can neither write nor learn paths.
        locate: For hosts whose authors have their own ways to name images.
        says: For those of them whose authors say more about an image where they name it.
    """

    def __init__(
        self, kit: ImageKit, *, sandboxed: bool = False, locate: Locate | None = None, says: Says | None = None
    ) -> None:
        self._kit = kit
        self.locate = locate
        self._says = says
        self._sandboxed = sandboxed
        self._on_error = kit.settings.on_error
        self._missing_alt = kit.settings.missing_alt
        self._default_scales = kit.settings.default_thumbnail_srcset_scales
        self._parse_dimensions = lru_cache(maxsize=256)(self._checked_dimensions)

    def located(self, kwargs: dict[str, Any], context: Context) -> dict[str, Any]:
        """Return keywords with the sources that the template's values stand for, those of an art direction too."""
        locate = self.locate
        return kwargs if locate is None else self._with_sources(kwargs, lambda source: locate(source, context))

    def with_said(self, name: str, source: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the keywords of a thumbnail or picture, with those that its source says itself where it has none."""
        said = dict(self._says(source)) if self._says is not None else {}
        if kwargs.get("anchor") is not None:
            said.pop("focus", None)
        if name == "thumbnail" and not self.has_several_sizes(kwargs):
            said.pop("alt", None)
        return {**said, **{each: value for each, value in kwargs.items() if value is not None}} if said else kwargs

    def generateimage_tag(
        self, generator_id: str, kwargs: dict[str, Any], attributes: Mapping[str, object], make: bool = True
    ) -> Markup:
        """Return the HTML of `{% generateimage 'id' name=value … -- attribute=value … %}`.

        Args:
            generator_id: The generator's id.
            kwargs: The generator's keywords.
            attributes: HTML attributes.
            make: Look up and make images that are not known yet.

        Raises:
            NotKnown: `make` is false, and the image is not known yet.
            ImageKitError: The image could not be made.
        """
        _defined(generator_id, "The generator's id")
        if self._missing_alt is not None and not self.has_several_sizes(kwargs):
            self._check_alt(f"{generator_id} of {kwargs.get('source')}", attributes)
        if self.has_several_sizes(kwargs):
            source = kwargs.get("source")
            options = {name: value for name, value in kwargs.items() if name != "source"}
            call = ("generateimage", generator_id, "", source, options, attributes)
            return self._picture_html(self.spec_picture, call, make)
        return _img(self._image(generator_id, self._with_focus(generator_id, kwargs), attributes, make), attributes)

    def thumbnail_tag(
        self,
        generator_id: str | None,
        dimensions: str,
        source: object,
        kwargs: dict[str, Any],
        attributes: Mapping[str, object],
        make: bool = True,
    ) -> Markup:
        """Return the HTML of `{% thumbnail ['id'] 'WxH' source name=value … -- attribute=value … %}`.

        Args:
            generator_id: The generator's id; None for `imagekit:thumbnail`.
            dimensions: Width and height in pixels: `"400x300"`, `"400x"` or `"x300"`.
            source: The image to start from.
            kwargs: The generator's further keywords, and `srcset`: pixel densities in addition to 1.
            attributes: HTML attributes.
            make: Look up and make images that are not known yet.

        Raises:
            InvalidOption: The dimensions or the densities cannot be used.
            NotKnown: `make` is false, and an image is not known yet.
            ImageKitError: An image could not be made.
        """
        if self._missing_alt is not None and not self.has_several_sizes(kwargs):
            self._check_alt(f"The thumbnail {dimensions} of {source}", attributes)
        if not kwargs and not self._default_scales and type(dimensions) is str and type(source) is str:
            return self._plain_thumbnail(generator_id, dimensions, source, attributes, make)
        if kwargs and self.has_several_sizes(kwargs):
            call = ("thumbnail", generator_id, dimensions, source, kwargs, attributes)
            return self._picture_html(self.thumbnail_picture, call, make)
        if "srcset" not in kwargs and not self._default_scales:
            id, options = self.thumbnail_call(generator_id, dimensions, source, kwargs)
            return _img(self._image(id, options, attributes, make), attributes)
        scales = _scales(kwargs.get("srcset", self._default_scales))
        kwargs = {name: value for name, value in kwargs.items() if name != "srcset"}
        id, options = self.thumbnail_call(generator_id, dimensions, source, kwargs)
        if not scales or _has_any(attributes, "srcset"):
            return _img(self._image(id, options, attributes, make), attributes)
        return self._dense_thumbnail(id, dimensions, options, scales, attributes, make)

    def _dense_thumbnail(
        self,
        id: str,
        dimensions: str,
        options: dict[str, Any],
        scales: Iterable[float],
        attributes: Mapping[str, object],
        make: bool,
    ) -> Markup:
        """Do `thumbnail_tag` for several densities, labelling each image by its real density and making none twice."""
        policy, kwargs = self._split(options)
        try:
            source = self._found(kwargs["source"], make)
            call = several_sizes_call(self._kit, id, dimensions, source, _own(kwargs), (1.0, *scales))
            medium = make_picture_plan(self._kit, call).own
        except ImageKitError:
            # Problems with the source are dealt with as for a single image.
            return _img(self._image(id, options, attributes, make), attributes)
        (candidates,) = medium.formats
        image = self._image(id, {**candidates[medium.src].kwargs, "on_error": policy}, _NO_ATTRIBUTES, make)
        if isinstance(image, StandIn):
            return _img(image, attributes)
        urls = {}
        for candidate in candidates:
            each = self._image(id, {**candidate.kwargs, "on_error": policy}, _NO_ATTRIBUTES, make)
            if not isinstance(each, StandIn):
                urls[medium.descriptor(candidate).strip()] = each[0]
        return _img(image, attributes, self.srcset(urls) if len(candidates) > 1 else None)

    def srcset(self, urls: Mapping[str, str]) -> str:
        """Return the value of `srcset` for URLs by pixel density, such as `"2x"`; hosts may spell it otherwise."""
        return ", ".join(f"{url} {density}" for density, url in urls.items())

    def _found(self, source: Any, make: bool) -> Any:
        """Return a source as it is to be passed on; unless `make` is set, one that must be read counts as unknown."""
        source = _defined_source(source)
        if not make:
            if self._kit.sources.may_wait(source):
                raise NotKnown
            found = self._kit.source(source)
            if not isinstance(found, VersionedSource) or found.recalled_facts() is None:
                raise NotKnown
        return source

    def picture_tag(
        self,
        generator_id: str | None,
        dimensions: str,
        source: object,
        kwargs: dict[str, Any],
        attributes: Mapping[str, object],
        make: bool = True,
    ) -> Markup:
        """Return the HTML of `{% picture ['id'] 'WxH' source name=value … -- attribute=value … %}`.

        Args:
            generator_id: The generator's id; None for `imagekit:thumbnail`.
            dimensions: Width and height in pixels: `"400x300"`, `"400x"` or `"x300"`.
            source: The image to start from.
            kwargs: The picture's keywords and its generator's.
            attributes: HTML attributes of the `<img>`.
            make: Look up and make images that are not known yet.

        Raises:
            NotKnown: `make` is false, and an image is not known yet.
            ImageKitError: A keyword cannot be used, there is no alternative text, or an image could not be made.
        """
        return self._picture_html(self.picture, ("picture", generator_id, dimensions, source, kwargs, attributes), make)

    def _picture_html(self, picture_of: Callable[..., TemplatePicture], call: _Call, make: bool) -> Markup:
        self._kit.image_facts.look_for_changes()
        pictures, key = self._kit.pictures, self._key(call)
        kept = pictures.kept
        known = pictures.find_html(key) if key else None
        if known is not None:
            return known
        if not make:
            raise NotKnown
        _, id, dimensions, source, kwargs, attributes = call
        picture = picture_of(id, dimensions, source, kwargs)
        markup = picture.html_with(_without_undefined(attributes))
        if key:
            pictures.keep_html(kept, key, markup, picture)
        return markup

    def _key(self, call: _Call) -> Hashable:
        """Return what stands for a call whose picture depends on nothing else; None for any other."""
        tag, id, dimensions, given, kwargs, attributes = call
        source = self._kit.known_files.identity(given, THUMBNAIL_ID if id is None else id)
        if source is None:
            return None
        page = self._kit.current_page()
        try:
            # What stands above it in its page decides when it loads.
            return tag, id, dimensions, source, frozen(kwargs), frozen(dict(attributes)), page and page.turns
        except TypeError:
            return None

    def picture(
        self, generator_id: str | None, dimensions: str, source: object, kwargs: dict[str, Any]
    ) -> TemplatePicture:
        """Return a picture in the form that a template gets; nothing has been opened yet.

        Raises:
            InvalidOption: A keyword cannot be used.
        """
        return self._template_picture(picture_call, generator_id, dimensions, source, kwargs)

    def thumbnail_picture(
        self, generator_id: str | None, dimensions: str, source: object, kwargs: dict[str, Any]
    ) -> TemplatePicture:
        """Return a thumbnail with a picture's keywords in the form that a template gets; nothing has been opened yet.

        Raises:
            InvalidOption: A keyword cannot be used.
        """
        return self._template_picture(several_sizes_call, generator_id, dimensions, source, kwargs)

    def spec_picture(
        self, generator_id: str, dimensions: str, source: object, kwargs: dict[str, Any]
    ) -> TemplatePicture:
        """Return a spec's image with a picture's keywords as a template gets it; nothing has been opened yet.

        Raises:
            InvalidOption: A keyword cannot be used.
        """
        return self._template_picture(spec_sizes_call, generator_id, dimensions, source, kwargs)

    def spec_image(self, generator_id: str, kwargs: dict[str, Any]) -> TemplateImage:
        """Return a spec's image in the form that a template gets: a cache file, or a picture of several sizes."""
        if not self.has_several_sizes(kwargs):
            return self.file(generator_id, self._with_focus(generator_id, kwargs))
        options = {name: value for name, value in kwargs.items() if name != "source"}
        return self.spec_picture(generator_id, "", kwargs.get("source"), options)

    def _with_focus(self, generator_id: str, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return a spec's keywords as they are passed on, including what its crops keep."""
        kwargs = self._unwrapped(kwargs)
        if "focus" not in kwargs or _takes(self._kit.registered(generator_id), "focus"):
            return kwargs
        options = {name: value for name, value in kwargs.items() if name != "focus"}
        return options if kwargs["focus"] is None else {**options, FOCUS_KEYWORD: parse_focus(kwargs["focus"])}

    def _template_picture(
        self,
        call_of: Callable[..., PictureCall],
        generator_id: str | None,
        dimensions: str,
        source: object,
        kwargs: dict[str, Any],
    ) -> TemplatePicture:
        policy, options = self._split(_without_undefined({**kwargs, "source": _defined_source(source)}))
        options = self._with_sources(options, unwrap) if self._sandboxed else options
        source = options.pop("source", None)
        _defined(generator_id, "The generator's id")
        _defined(dimensions, "The size of a picture")
        return TemplatePicture(self._kit, call_of(self._kit, generator_id, dimensions, source, options), policy)

    def imageinfo(self, source: Any) -> TemplateImageInfo:
        """Return the facts of an image.

        Raises:
            MissingSource: There is no source.
            SourceError: It cannot be found.
        """
        (source,) = self._unwrapped(_with_source({"source": source})).values()
        return TemplateImageInfo.of(self._kit, source)

    def _with_sources(self, kwargs: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
        """Return keywords with every source changed, including those in art direction."""
        changed = {name: change(value) if name == "source" else value for name, value in kwargs.items()}
        if isinstance(changed.get("at"), Mapping):
            changed["at"] = {
                media: self._with_sources(dict(entry), change) if isinstance(entry, Mapping) else entry
                for media, entry in changed["at"].items()
            }
        return changed

    def thumbnail_image(
        self, generator_id: str | None, dimensions: str, source: object, kwargs: dict[str, Any]
    ) -> TemplateImage:
        """Return a thumbnail as a template may have it, a picture where it has several sizes; nothing is opened yet.

        Raises:
            InvalidOption: A keyword cannot be used.
        """
        if kwargs and self.has_several_sizes(kwargs):
            return self.thumbnail_picture(generator_id, dimensions, source, kwargs)
        if kwargs or type(dimensions) is not str or type(source) is not str:
            return self.file(*self.thumbnail_call(generator_id, dimensions, source, kwargs))
        call = generator_id, dimensions, source
        calls = self._kit.known_files.calls
        if self._kit.known_files.has_call(call):
            # Most files are never asked for their keywords.
            id = THUMBNAIL_ID if generator_id is None else generator_id
            file = self._lazy(id, lambda: self._known(*self.thumbnail_call(*call, {}))[1], self._on_error)
        else:
            file = self.file(*self.thumbnail_call(*call, kwargs))
        file.call, file.calls = call, calls
        return file

    def has_several_sizes(self, kwargs: Mapping[str, Any]) -> bool:
        """Tell whether the keywords of a `{% thumbnail %}` are those of a picture."""
        return not _PICTURE_KEYWORDS.isdisjoint(kwargs)

    def _check_alt(self, what: str, attributes: Mapping[str, object]) -> None:
        """Do what the setting says where an author gives no alternative text."""
        alt = next((value for name, value in attributes.items() if name.lower() == "alt"), None)
        if alt is None or alt is False or isinstance(alt, Undefined):
            error = MissingAlt(what)
            add_place(error)
            miss_alt(self._missing_alt, error)

    def _plain_thumbnail(
        self, generator_id: str | None, dimensions: str, source: str, attributes: Mapping[str, object], make: bool
    ) -> Markup:
        """Do `thumbnail_tag` for the usual kind of tag: two strings and attributes."""
        kit = self._kit
        files, facts = kit.known_files, kit.image_facts
        facts.look_for_changes()
        call = (generator_id, dimensions, source)
        known = files.find_call(call)
        if known is None or not kit.renders.is_noted(known.name):
            calls = files.calls
            form = files.forms.get((generator_id, dimensions)) or self._form(generator_id, dimensions)
            options = asked = {**form.options, "source": source}
            known = None if form.takes_focus and facts.has_focus(source) else files.find_alike(form, source)
            if form.takes_focus:
                known, options = self._focused(known, form.id, asked, make)
            if known is None:
                return _img(self._made(form.id, options, self._on_error, attributes, make), attributes)
            files.keep_call(calls, call, known)
            kit.renders.note_call(known.name, form.id, options, form.noted if options is asked else None)
        return known.html(attributes)

    def _form(self, generator_id: str | None, dimensions: str) -> Form:
        """Return what tags of these dimensions have in common, and keep it."""
        forms = self._kit.known_files.forms
        id, options = self.thumbnail_call(generator_id, dimensions, None, {})
        recipe = self._kit.known_files.recipe(id, options)
        del options["source"]
        form = Form(id, options, recipe, takes_own_focus(id, options), around_source(id, options))
        forms[generator_id, dimensions] = form
        return form

    def thumbnail_call(
        self, generator_id: str | None, dimensions: str, source: object, kwargs: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """Return the generator's id and keywords that a thumbnail stands for.

        Raises:
            InvalidOption: The dimensions cannot be used, or `srcset` is given.
        """
        if "srcset" in kwargs:
            raise InvalidOption("srcset", kwargs["srcset"], "only a tag that writes <img> has one")
        # Values other than strings may not be hashable.
        parse = self._parse_dimensions if isinstance(dimensions, str) else parse_dimensions
        width, height = parse(_defined(dimensions, "The size of a thumbnail"))
        _defined(generator_id, "The generator's id")
        options = self._unwrapped({**kwargs, "width": width, "height": height, "source": source})
        if "focus" in options:
            focus = options.pop("focus")
            if focus is not None:
                options["anchor"] = self._anchor(parse_focus(focus), options["source"], width, height)
        return THUMBNAIL_ID if generator_id is None else generator_id, options

    def _anchor(self, focus: Focus, source: Any, width: int | None, height: int | None) -> Any:
        """Return the anchor of a thumbnail that keeps a focus; only for a box does it depend on the source."""
        found = self._kit.source(source) if len(focus) == 4 and focus != "auto" else None
        size = found.size(self._kit.settings.auto_orient) if found else (1, 1)
        return anchor_of(focus, Framing.of(size, width, height))

    def file(self, generator_id: str, kwargs: dict[str, Any]) -> TemplateCacheFile:
        """Return a cache file in the form that a template gets; nothing has been opened yet."""
        policy, options = self._split(self._unwrapped(kwargs))
        _defined(generator_id, "The generator's id")
        options = _with_source(options)
        complete = (lambda: self._known(generator_id, options)[1]) if generator_id == THUMBNAIL_ID else options
        return self._lazy(generator_id, complete, policy)

    def _lazy(self, id: str, kwargs: dict[str, Any] | Callable[[], dict[str, Any]], policy: str) -> TemplateCacheFile:
        return TemplateCacheFile(id, kit=self._kit, kwargs=kwargs, on_error=policy)

    def _known(self, id: str, options: dict[str, Any], make: bool = True) -> tuple[KnownFile | None, dict[str, Any]]:
        """Return the file of these keywords, if it is known, and the keywords with the focus of their source.

        Raises:
            NotKnown: `make` is false, and the source is not known yet.
        """
        find = self._kit.known_files.find_for_page
        if not takes_own_focus(id, options):
            return find(id, options), options
        self._kit.image_facts.look_for_changes()
        known = None if self._kit.image_facts.has_focus(options.get("source")) else find(id, options)
        return self._focused(known, id, options, make)

    def _focused(
        self, known: KnownFile | None, id: str, options: dict[str, Any], make: bool
    ) -> tuple[KnownFile | None, dict[str, Any]]:
        """Do `_known` for a thumbnail whose source may say what it keeps, given the file that is known without that."""
        # Most sources say nothing, which what is known of the file tells without another look at them.
        if known is not None and self._kit.image_facts.is_silent(options.get("source"), known):
            return known, options
        cropped = self._cropped(id, options, make)
        return (known if cropped is options else self._kit.known_files.find_for_page(id, cropped)), cropped

    def _cropped(self, id: str, options: dict[str, Any], make: bool = True) -> dict[str, Any]:
        """Return a thumbnail's keywords with the focus of its source, unless they say themselves what a crop keeps.

        Raises:
            NotKnown: `make` is false, and the source is not known yet.
        """
        if isinstance(options.get("source"), Undefined):
            return options
        try:
            return with_own_focus(self._kit, id, options, read=make)
        except BlockingIOError:
            raise NotKnown from None

    def handed_out(self, image: TemplateImage) -> TemplateImage | SandboxedImage:
        """Return an image in the form that a template gets."""
        return SandboxedImage(image) if self._sandboxed and isinstance(image, TemplateCacheFile) else image

    def made_ahead(self, image: TemplateImage) -> TemplateImage | SandboxedImage:
        """Return an image in the form that a template gets, making it first; failures show when it is used."""
        try:
            image.make()
        except ImageKitError as error:
            logger.debug("%r could not be made ahead of its use, which will say so: %s", image, error)
        return self.handed_out(image)

    def _split(self, kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the policy for an image that cannot be made, and the generator's own keywords."""
        if "on_error" not in kwargs:
            return self._on_error, kwargs
        options = {name: value for name, value in kwargs.items() if name != "on_error"}
        return checked_policy(kwargs["on_error"], self._on_error), options

    def _unwrapped(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {name: unwrap(value) for name, value in kwargs.items()} if self._sandboxed else kwargs

    def _image(self, id: str, kwargs: dict[str, Any], attributes: Mapping[str, object], make: bool) -> TagImage:
        """Return URL, width and height, or what stands in; the size is left out where the attributes give one."""
        policy, kwargs = self._split(kwargs)
        known, kwargs = self._known(id, kwargs, make)
        if known is None:
            return self._made(id, kwargs, policy, attributes, make)
        self._kit.renders.note_call(known.name, id, kwargs)
        return known.url, known.width, known.height

    def _made(
        self, id: str, kwargs: dict[str, Any], policy: str, attributes: Mapping[str, object], make: bool
    ) -> TagImage:
        """Do what `_image` does for an image that is not known."""
        if not make:
            raise NotKnown
        kwargs = _with_source(kwargs)
        file = self._cachefile(id, kwargs)
        try:
            url = file.url
            known = self._remember(file, kwargs)
            if known is not None:
                return url, known.width, known.height
            return (url, None, None) if _has_any(attributes, "width", "height") else (url, file.width, file.height)
        except ImageKitError as error:
            add_place(error, generator_id=id)
            if not covers(policy, error):
                raise
            return stand_in(self._kit, file, kwargs, error, policy)

    def _cachefile(self, id: str, kwargs: dict[str, Any]) -> ImageCacheFile:
        return self._kit.cachefile(id, **kwargs)

    def _remember(self, file: ImageCacheFile, kwargs: dict[str, Any]) -> KnownFile | None:
        return self._kit.known_files.remember(file, kwargs)

    def _checked_dimensions(self, dimensions: str) -> tuple[int | None, int | None]:
        width, height = parse_dimensions(dimensions)
        problem = excess((width, height), self._kit.settings.max_result_pixels) if width and height else None
        if problem:
            raise InvalidOption("dimensions", dimensions, problem)
        return width, height


def _defined(value: Any, what: str) -> Any:
    """Return a value that a template's context has.

    Raises:
        ImageKitError: It has not.
    """
    if isinstance(value, Undefined):
        raise ImageKitError(f"{what} is not given: {value._undefined_message}")
    return value


def _with_source(kwargs: dict[str, Any]) -> dict[str, Any]:
    source = kwargs.get("source")
    return {**kwargs, "source": _defined_source(source)} if isinstance(source, Undefined) else kwargs


def _defined_source(source: Any) -> Any:
    """Return a source; for one that a template's context lacks, no source that says so."""
    # An attribute that an article lacks is not a source; a StrictUndefined raises here.
    return NoSource(source._undefined_message) if isinstance(source, Undefined) and not source else source


_NO_ATTRIBUTES: Mapping[str, object] = {}


def _scales(value: Any) -> tuple[float, ...]:
    """Return the pixel densities that `srcset` asks for, beside the image's own.

    Raises:
        InvalidOption: The value is not a string or sequence of numbers above 0.
    """
    if value is None or value is False:
        return ()
    try:
        given: Iterable[Any] = value.split() if isinstance(value, str) else iter(value)
        scales = tuple(float(scale) for scale in given)
    except (TypeError, ValueError):
        raise InvalidOption("srcset", value, "write pixel densities as '1.5 2', or None for none") from None
    if not all(0 < scale < math.inf for scale in scales):
        raise InvalidOption("srcset", value, "a pixel density is a number above 0")
    # 1x is the image itself, and two images of one density are an error in HTML.
    return tuple(scale for scale in dict.fromkeys(scales) if scale != 1)


def _img(image: TagImage, attributes: Mapping[str, object], srcset: str | None = None) -> Markup:
    url, width, height = image[:3]
    return img_tag(url, width, height, attributes, srcset) if url else Markup()


_Call = tuple[str, str | None, str, Any, dict[str, Any], Mapping[str, object]]
"""The tag's name, a generator's id, the dimensions, the source, keywords and attributes."""


def _takes(generator: Any, keyword: str) -> bool:
    """Tell whether a generator has a keyword of this name of its own."""
    try:
        return keyword in signature(generator).parameters
    except (TypeError, ValueError):
        return False


def _without_undefined(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values without those that a template's context lacks; a StrictUndefined raises here."""
    return {name: value for name, value in values.items() if not isinstance(value, Undefined) or value}


def _own(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name not in ("width", "height", "source")}


def _has_any(attributes: Mapping[str, object], *names: str) -> bool:
    return bool(attributes) and any(name.lower() in names for name in attributes)
