"""Strategies, which decide when a cache file is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..exceptions import InvalidStrategy, nearest
from ..interfaces import Size
from ..loading import load_instance
from ..specs import ImageSpec

if TYPE_CHECKING:
    from .file import ImageCacheFile

__all__ = ["Deferred", "JustInTime", "OnRequest", "Optimistic", "Strategy"]

HOOKS = (
    "on_existence_required",
    "on_content_required",
    "on_source_saved",
    "should_verify_existence",
    "promised_size",
    "promised_format",
)


class Strategy:
    """The base of strategies, with hooks that do nothing; a strategy overrides some of them."""

    def on_existence_required(self, file: ImageCacheFile) -> None:
        """The file's URL, path or truth is asked for."""

    def on_content_required(self, file: ImageCacheFile) -> None:
        """The file's content is asked for, or something that only its content tells: width, height, size."""

    def on_source_saved(self, file: ImageCacheFile) -> None:
        """A source of a registered source group was created or changed; `file` is a cache file of it."""

    def should_verify_existence(self, file: ImageCacheFile) -> bool | None:
        """Tell whether a file's truth value is checked with the storage; None leaves it to the backend."""
        return None

    def promised_size(self, file: ImageCacheFile) -> Size | None:
        """Return width and height in pixels that the file will have; None if only the file can tell."""
        return None

    def promised_format(self, file: ImageCacheFile) -> str | None:
        """Return the format that the file will have, by Pillow's name; None if only the file can tell."""
        return None


class JustInTime(Strategy):
    """Makes a file just before it is needed. The default."""

    def on_existence_required(self, file: ImageCacheFile) -> None:
        """Make the file unless it exists."""
        file.generate()

    def on_content_required(self, file: ImageCacheFile) -> None:
        """Make the file unless it exists."""
        file.generate()


class Optimistic(Strategy):
    """Makes files when their source changes, and assumes that they exist."""

    def on_source_saved(self, file: ImageCacheFile) -> None:
        """Make the file unless it exists."""
        file.generate()

    def should_verify_existence(self, file: ImageCacheFile) -> bool | None:
        """Never ask the storage."""
        return False


class _Foretold(Strategy):
    """The base of strategies under which a page says what a file will be like before it is made."""

    def on_content_required(self, file: ImageCacheFile) -> None:
        """Make the file unless it exists."""
        file.generate()

    def should_verify_existence(self, file: ImageCacheFile) -> bool | None:
        """Assume that the file exists."""
        return False

    def promised_size(self, file: ImageCacheFile) -> Size | None:
        """Return the size according to the processors; None if one of them must see the pixels."""
        spec = _foreseeable(file)
        return None if spec is None else spec.output_size()

    def promised_format(self, file: ImageCacheFile) -> str | None:
        """Return the format according to the spec; None if the generator is not a spec, or makes its image itself."""
        spec = _foreseeable(file)
        return None if spec is None or spec.makes_its_own() else spec.output_format


def _foreseeable(file: ImageCacheFile) -> ImageSpec | None:
    """Return the spec of a file that can be made later."""
    return file.generator if file.reference is not None and isinstance(file.generator, ImageSpec) else None


class Deferred(_Foretold):
    """Makes files at the end of a render, when `kit.finish()` is called: for sites whose pages are rendered in one go.

    URL, width, height and format are worked out from the source's header and the processors. A file is made at once
    if they cannot be, if its content is asked for, or if it could not be made later: from an upload or bytes, or by
    an unregistered generator.
    """

    def on_existence_required(self, file: ImageCacheFile) -> None:
        """Make the file now if it cannot be made later.

        Raises:
            ImageKitError: The file could not be made, or it is already clear that it never can be.
        """
        if file.reference is None:
            file.generate()
        elif isinstance(file.generator, ImageSpec):
            file.generator.check()


class OnRequest(_Foretold):
    """Makes a file when a browser first asks for it: pages render at once, and their images follow.

    URL, width, height and format are worked out from the source's header and the processors. What leads to the file is
    kept beside the cache files, and the route of the host makes it: that of Flask, Django or an ASGI application.
    Nothing is made that no page has named. A file is made at once if nothing would make it later: where no route
    serves it, if it comes from an upload, bytes or a generator that is not registered, if only its pixels can tell its
    size, or if its content is asked for.

    Args:
        at_a_time: How many files are made at a time, by all processes of this machine together; by default as many as
            it has cores.

    Raises:
        InvalidStrategy: `at_a_time` is less than 1.

    Example:
        >>> OnRequest(at_a_time=1).at_a_time
        1
    """

    def __init__(self, at_a_time: int | None = None) -> None:
        if at_a_time is not None and at_a_time < 1:
            raise InvalidStrategy(f"OnRequest makes at least one file at a time, not {at_a_time!r}")
        self.at_a_time = at_a_time

    def on_existence_required(self, file: ImageCacheFile) -> None:
        """Promise the file unless it exists, or make it now if it cannot be made later.

        Raises:
            ImageKitError: The file could not be made, or it is already clear that it never can be.
        """
        if file.cachefile_backend.exists(file):
            return
        file.cachefile_backend.raise_remembered_failure(file)
        spec = _foreseeable(file)
        if spec is None or spec.check() is None or not file.promise():
            file.generate()


BUILT_IN = (JustInTime, Optimistic, Deferred, OnRequest)
"""Strategies that do nothing about existing files."""


class _HooksStrategy(Strategy):
    """A strategy with hooks from elsewhere: a dict of callables, or an object that is not a `Strategy`."""

    def __init__(self, hooks: Mapping[str, Any]) -> None:
        for name, hook in hooks.items():
            setattr(self, name, hook)


def load_strategy(value: Any) -> Strategy:
    """Return the strategy that a setting or spec names.

    Args:
        value: A strategy, a strategy class, a dotted path, a dict of hooks, or an object with some of the hooks.

    Raises:
        InvalidStrategy: A hook has an unknown name or is not callable, or there are none.
        InvalidSetting: The dotted path leads nowhere.

    Example:
        >>> strategy = load_strategy({"on_source_saved": lambda file: file.generate()})
    """
    strategy = load_instance("cachefile_strategy", value)
    if isinstance(strategy, Mapping):
        hooks = dict(strategy)
        unknown = [str(name) for name in hooks if name not in HOOKS]
        if unknown:
            raise InvalidStrategy(f"a strategy has no hook {unknown[0]!r}. {nearest(unknown[0], HOOKS)}")
    else:
        _check_names(strategy)
        hooks = {name: getattr(strategy, name) for name in HOOKS if hasattr(strategy, name)}
    if not hooks:
        raise InvalidStrategy(f"{value!r} is not a strategy: it has none of the hooks {', '.join(HOOKS)}")
    for name, hook in hooks.items():
        if not callable(hook):
            raise InvalidStrategy(f"the hook {name!r} of a strategy must be callable, not {hook!r}")
    return strategy if isinstance(strategy, Strategy) else _HooksStrategy(hooks)


def _check_names(strategy: Any) -> None:
    for name in dir(strategy):
        is_hook = name.startswith(("on_", "should_", "promised_")) and callable(getattr(strategy, name))
        if is_hook and name not in HOOKS:
            kind = type(strategy).__name__
            raise InvalidStrategy(f"{kind} has a hook {name!r} that nothing calls. {nearest(name, HOOKS)}")
