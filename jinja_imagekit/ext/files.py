"""The cache file and the picture that templates get, and the view of a file that a sandbox allows."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any, BinaryIO, Concatenate, ParamSpec, TypeVar

from markupsafe import Markup

from ..cachefiles import LazyImageCacheFile
from ..exceptions import ImageKitError, MissingAlt
from ..html import img_tag
from ..imageinfo import ImageInfo
from ..once import made_once
from ..pictures import Picture
from ..pictures.calls import PictureCall
from ..pictures.files import Shown
from ..pictures.framing import parse_dimensions
from ..pictures.plan import Plan
from ..pictures.printing import miss_alt
from ..stand_ins import StandIn, covers, stand_in
from .error_places import add_place, placed
from .grammar import Asker

if TYPE_CHECKING:
    from ..cachefiles.known import KnownFile
    from ..kit import ImageKit

P = ParamSpec("P")
T = TypeVar("T")

_NO_ATTRIBUTES: dict[str, object] = {}


def _field(name: str, *, is_known: bool = False, is_replaced: bool = False) -> Any:
    """Return a property of cache files whose errors name the line of the template that asked for it.

    Args:
        name: The property's name.
        is_known: Whether `KnownFile` has it, too.
        is_replaced: Whether `StandIn` has it, too.
    """
    inherited: property = getattr(LazyImageCacheFile, name)

    @placed
    def get(file: TemplateCacheFile) -> Any:
        if is_replaced and file.stand_in is not None:
            return getattr(file.stand_in, name)
        try:
            known = file.known() if is_known else None
            if known is not None:
                return getattr(known, name)
            value = inherited.__get__(file)
            if is_known:
                file.remember()
            return value
        except ImageKitError as error:
            if not is_replaced:
                raise
            return getattr(file.replace(error), name)

    return property(get, doc=inherited.__doc__)


class _Text:
    """What operators and filters of text ask of a value beyond its text, which is that of `Markup`."""

    __slots__ = ()

    def __add__(self, other: Any) -> Any:
        return str(self) + other

    def __radd__(self, other: Any) -> Any:
        return other + str(self)

    def __len__(self) -> int:
        return len(str(self))

    def __contains__(self, part: str) -> bool:
        return part in str(self)

    def __getitem__(self, index: object) -> str:
        if not isinstance(index, slice):
            # Of a name, Jinja then looks for an attribute; and what has numbered items can be iterated over.
            raise TypeError("an image has no items")
        return str(self)[index]

    def splitlines(self) -> list[str]:
        """Return the lines of the text."""
        return str(self).splitlines()


class TemplateCacheFile(_Text, LazyImageCacheFile):
    """A cache file whose errors name the line of the template that used it, and whose text is its `<img>`.

    If its image cannot be made and `on_error` is not "raise", its URL, width, height, media type and truth are those of
    what stands in for it; it is false if nothing does.

    Args:
        generator_id: The id of a registered generator.
        kit: The kit.
        kwargs: The generator's keywords, or what returns them when they are needed.
        on_error: The policy for an image that cannot be made.

    Attributes:
        asker: The tag or filter that asked for it.
        escapes: Whether the template escapes what it prints, so that the text has to be marked as HTML.
        call: What stands for the call where the file depends on nothing else, as for the same tag.
        calls: Where the file may be kept for that call.
        stand_in: What is shown instead of the image, once it has failed.
    """

    asker: Asker | None = None
    escapes = True
    call: Hashable | None = None
    calls: dict[Hashable, KnownFile]
    stand_in: StandIn | None = None

    def __init__(
        self,
        generator_id: str,
        *,
        kit: ImageKit,
        kwargs: dict[str, Any] | Callable[[], dict[str, Any]],
        on_error: str,
    ) -> None:
        super().__init__(generator_id, kit=kit, kwargs=kwargs)
        self._on_error = on_error

    @placed
    def is_known(self) -> bool:
        """Tell whether the file is known to exist, so that using it takes next to no time."""
        return self._kit.known_files.find_for_page(str(self.generator_id), self._kwargs) is not None

    def make(self) -> None:
        """Make the file if its strategy makes files on demand.

        Raises:
            ImageKitError: It cannot be made, and the policy does not cover that error.
        """
        if self and self.stand_in is None:
            self.remember()

    def known(self) -> KnownFile | None:
        """Return what the kit knows about the file, if that still holds; a page that asks needs the file."""
        kit, call = self._kit, self.call
        if call is not None:
            kit.image_facts.look_for_changes()
            known = kit.known_files.find_call(call)
            if known is not None and kit.renders.is_noted(known.name):
                return known
        known = kit.known_files.find_for_page(str(self.generator_id), self._kwargs)
        if known is not None:
            kit.renders.note_call(known.name, str(self.generator_id), self._kwargs)
            if call is not None:
                kit.known_files.keep_call(self.calls, call, known)
        return known

    def remember(self) -> None:
        """Have the kit remember the file, if it exists by now."""
        self._kit.known_files.remember(self, self._kwargs)

    def replace(self, error: ImageKitError) -> StandIn:
        """Have something stand in for the image, and return it.

        Raises:
            ImageKitError: The policy does not cover the error.
        """
        add_place(error, generator_id=self.generator_id)
        if not covers(self._on_error, error):
            raise error
        self.stand_in = stand_in(self._kit, self, self._kwargs, error, self._on_error)
        return self.stand_in

    @made_once
    @placed
    def generator(self) -> Any:
        """What makes the image."""
        return super().generator

    url = _field("url", is_known=True, is_replaced=True)
    width = _field("width", is_known=True, is_replaced=True)
    height = _field("height", is_known=True, is_replaced=True)
    mimetype = _field("mimetype", is_replaced=True)
    path = _field("path")
    size = _field("size")
    format = _field("format")

    @placed
    def open(self) -> BinaryIO:
        """Return the file, open for reading; the caller closes it."""
        return super().open()

    @placed
    def __bool__(self) -> bool:
        try:
            return super().__bool__() if self.stand_in is None else self.stand_in.is_shown
        except ImageKitError as error:
            return self.replace(error).is_shown

    def _seen(self) -> KnownFile | None:
        """Return what the kit knows about the file, for what asks for all of it; None where the fields are to say."""
        try:
            return self.known() if self.stand_in is None else None
        except ImageKitError:
            return None

    def __html__(self) -> Markup:
        known = self._seen()
        if known is not None:
            self._check_alt()
            return known.html(_NO_ATTRIBUTES)
        shown = self.url, self.width, self.height
        if self.stand_in is not None:
            # It may have been necessary only for the size.
            shown = self.stand_in.url, self.stand_in.width, self.stand_in.height
        if not shown[0]:
            return Markup()
        self._check_alt()
        return img_tag(*shown)

    def _check_alt(self) -> None:
        if self._kit.settings.missing_alt is not None:
            error = MissingAlt(f"What {self.generator_id} made")
            add_place(error)
            miss_alt(self._kit.settings.missing_alt, error)

    def __str__(self) -> str:
        html = self.__html__()
        # `~` and filters such as `replace` take the text first, then check whether it is marked as HTML.
        return html if self.escapes else str.__str__(html)


def _guarded(function: Callable[Concatenate[TemplatePicture, P], T]) -> Callable[Concatenate[TemplatePicture, P], T]:
    """Return a picture's method whose errors name the template's line, and after which something may stand in."""

    @placed
    @wraps(function)
    def call(picture: TemplatePicture, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(picture, *args, **kwargs)
        except ImageKitError as error:
            picture._seen = picture._stand_in(error)
            return function(picture, *args, **kwargs)

    return call


def _told(name: str) -> Any:
    """Return a property of pictures that is guarded."""
    inherited: property = getattr(Picture, name)
    assert inherited.fget is not None
    return property(_guarded(inherited.fget), doc=inherited.__doc__)


class TemplatePicture(_Text, Picture):
    """A picture whose errors say which line of a template used it, and whose text is its HTML.

    If its images cannot be made and `on_error` is not "raise", it is a single `<img>` of what stands in for them, or
    nothing. It has no public attribute with which a template could write, or learn paths.

    Args:
        kit: The kit.
        call: What was asked for.
        on_error: The policy for an image that cannot be made.

    Attributes:
        asker: The tag or filter that asked for it.
        escapes: Whether the template escapes what it prints, so that the text must be marked as HTML.
    """

    asker: Asker | None = None
    escapes = True

    def __init__(self, kit: ImageKit, call: PictureCall, on_error: str) -> None:
        super().__init__(kit, call)
        self._on_error = on_error

    html = _guarded(Picture.html)
    html_with = _guarded(Picture.html_with)
    as_dict = _guarded(Picture.as_dict)
    __bool__ = _guarded(Picture.__bool__)
    alt = _told("alt")
    caption = _told("caption")
    credit = _told("credit")
    color = _told("color")
    placeholder = _told("placeholder")
    structured_data = _told("structured_data")

    def is_known(self) -> bool:
        """Return false, since a picture's plan takes time too."""
        return False

    def make(self) -> None:
        """Make the images if they are made on demand.

        Raises:
            ImageKitError: They cannot be made, and the policy does not cover that error.
        """
        self._shown()

    @placed
    def _make_plan(self) -> Plan | None:
        try:
            return super()._make_plan()
        except ImageKitError as error:
            self._seen = self._stand_in(error)
            return None

    @placed
    def _look(self, plan: Plan) -> Shown:
        try:
            return super()._look(plan)
        except ImageKitError as error:
            return self._stand_in(error)

    def _stand_in(self, error: ImageKitError) -> Shown:
        """Return what a page shows instead of the picture, if the policy covers the error; else raise it."""
        add_place(error, generator_id=self._call.generator_id)
        if not covers(self._on_error, error):
            raise error
        kwargs = self._plain_kwargs()
        file = self._kit.cachefile(self._call.generator_id, **kwargs)
        found = stand_in(self._kit, file, kwargs, error, self._on_error)
        return Shown(None, stand_in=(found.url, found.width, found.height))

    def _plain_kwargs(self) -> dict[str, Any]:
        """Return the keywords of the single image that it would be otherwise."""
        if self._call.is_spec:
            return {**self._call.options, "source": self._call.source}
        width, height = parse_dimensions(self._call.dimensions)
        return {**self._call.options, "width": width, "height": height, "source": self._call.source}

    def _miss_alt(self, error: MissingAlt) -> None:
        add_place(error)
        super()._miss_alt(error)

    def __str__(self) -> str:
        html = self.html_with({})
        return html if self.escapes else str.__str__(html)


TemplateImage = TemplateCacheFile | TemplatePicture


def _fact(name: str) -> Any:
    """Return a property of `ImageInfo` whose errors name the line of the template that asked for it."""
    inherited: property = getattr(ImageInfo, name)
    return property(placed(inherited.__get__), doc=inherited.__doc__)


class TemplateImageInfo(ImageInfo):
    """The facts of an image, whose errors name the line of the template that used them."""

    width = _fact("width")
    height = _fact("height")
    format = _fact("format")
    mimetype = _fact("mimetype")
    frames = _fact("frames")
    has_alpha = _fact("has_alpha")
    bytes = _fact("bytes")
    color = _fact("color")
    palette = _fact("palette")
    thumbhash = _fact("thumbhash")
    date = _fact("date")
    camera = _fact("camera")
    copyright = _fact("copyright")
    artist = _fact("artist")
    description = _fact("description")
    alt = _fact("alt")
    caption = _fact("caption")
    credit = _fact("credit")
    licence = _fact("licence")
    licensor = _fact("licensor")
    source_type = _fact("source_type")


def _viewed(name: str) -> Any:
    """Return a property of a view that is a property of the cache file behind it."""
    return property(attrgetter(f"_file.{name}"), doc=getattr(LazyImageCacheFile, name).__doc__)


class SandboxedImage(_Text):
    """A view of a cache file with which a template can neither write nor learn paths.

    Jinja's sandbox refuses names that begin with an underscore, and otherwise there is only what an `<img>` needs. Tags
    accept it as a source, like the cache file itself.

    Args:
        file: The cache file.
    """

    __slots__ = ("_file",)

    def __init__(self, file: TemplateCacheFile) -> None:
        self._file = file

    name = _viewed("name")
    url = _viewed("url")
    width = _viewed("width")
    height = _viewed("height")
    size = _viewed("size")
    format = _viewed("format")
    mimetype = _viewed("mimetype")

    def as_dict(self) -> dict[str, Any]:
        """Return URL, width and height, for JSON."""
        return self._file.as_dict()

    def __bool__(self) -> bool:
        return bool(self._file)

    def __html__(self) -> Markup:
        return self._file.__html__()

    def __str__(self) -> str:
        return str(self._file)

    def __repr__(self) -> str:
        return f"<image {self._file!r}>"


def unwrap(value: Any) -> Any:
    """Return the cache file behind a view, and any other value unchanged."""
    return value._file if isinstance(value, SandboxedImage) else value
