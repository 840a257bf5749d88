"""Every error that this library raises on purpose, under one root.

Ctrl-C is not an error: `GenerationInterrupted` is a `KeyboardInterrupt`, which `except Exception` lets through.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "AlreadyRegistered",
    "CannotRebuild",
    "EncodingFailed",
    "GenerationFailed",
    "ImageKitError",
    "ImageTooLarge",
    "ImageTooSlow",
    "InvalidAttribute",
    "InvalidOption",
    "InvalidProcessor",
    "InvalidSetting",
    "InvalidStrategy",
    "MissingAlt",
    "MissingSource",
    "NotFingerprintable",
    "NotRegistered",
    "SourceError",
    "SourceNotAllowed",
    "SourceNotFound",
    "StorageError",
    "UnknownFormat",
    "UnknownKeyword",
    "UnreadableImage",
]


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a sentence that suggests the known word nearest to `word`, or else lists the known words.

    Args:
        word: What was asked for.
        known: The valid words.

    Returns:
        For example `Did you mean 'blog:hero'?`; a list of the valid words if none is near.

    Example:
        >>> nearest("qualty", ["quality", "format"])
        "Did you mean 'quality'?"
    """
    words = sorted(known)
    # Where nothing is wrong, nothing is compared.
    from difflib import get_close_matches

    matches = get_close_matches(word, words, n=1)
    if matches:
        return f"Did you mean {matches[0]!r}?"
    return f"Known: {', '.join(map(repr, words))}." if words else "There are none."


class ImageKitError(Exception):
    """The base class of this library's errors: `except ImageKitError` catches them all.

    Attributes:
        generator_id: The id of the generator at work, if known.
        template: The name of the template being rendered, if known.
        lineno: The line in that template.
        concerns_image: Whether an image or its storage is at fault rather than the code that asks for it; only such
            errors follow the setting `on_error`.
    """

    concerns_image: bool = False
    generator_id: str | None = None
    template: str | None = None
    lineno: int | None = None

    def message(self) -> str:
        """Return what went wrong and what to do about it, without saying where."""
        return super().__str__()

    def __str__(self) -> str:
        generator = f" [generator {self.generator_id!r}]" if self.generator_id else ""
        template = f" [template {self.template!r}, line {self.lineno}]" if self.template else ""
        return f"{self.message()}{generator}{template}"


class InvalidSetting(ImageKitError, ValueError):
    """A setting is unknown, or its value is of the wrong type or out of range.

    Attributes:
        setting: The setting's name.
    """

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(setting, problem)
        self.setting = setting
        self.problem = problem

    def message(self) -> str:
        return f"Setting {self.setting!r}: {self.problem}"


class AlreadyRegistered(ImageKitError, ValueError):
    """A generator was registered under an id that is already taken.

    Attributes:
        id: The generator id.
    """

    def __init__(self, id: str = "") -> None:
        super().__init__(id)
        self.id = id

    def message(self) -> str:
        where = f"as {self.id!r}" if self.id else "under this id"
        return (
            f"A generator is already registered {where}. Choose another id, unregister the first, "
            f"or pass override=True to replace it."
        )


class NotRegistered(ImageKitError, LookupError):
    """No generator has the requested id.

    Attributes:
        id: The generator id.
        known: The registered ids.
    """

    def __init__(self, id: str = "", known: Iterable[str] = ()) -> None:
        known = tuple(known)
        super().__init__(id, known)
        self.id = id
        self.known = known

    def message(self) -> str:
        if not self.id:
            return "No generator is registered under this id."
        return f"No generator is registered as {self.id!r}. {nearest(self.id, self.known)}"


class MissingSource(ImageKitError, ValueError):
    """A spec was asked for an image but has no source.

    Attributes:
        generator: The spec's class or id.
        why: Why there is none, such as "'photo' is undefined"; empty if unknown.
    """

    concerns_image = True
    # With this attribute Django's templates print nothing for the variable.
    silent_variable_failure = True

    def __init__(self, generator: str = "", why: str = "") -> None:
        super().__init__(generator, why)
        self.generator = generator
        self.why = why

    def message(self) -> str:
        problem = f"{self.generator or 'The spec'} has no source image"
        if self.why:
            return f"{problem}: {self.why}."
        return f"{problem}. Pass source=…, or test the cache file's truth before using it."


class SourceError(ImageKitError):
    """A source cannot be used.

    Attributes:
        source: The source's name, as it was given.
        reason: What is wrong with it.
    """

    concerns_image = True

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def message(self) -> str:
        name = self.source if len(self.source) <= 120 else f"{self.source[:117]}…"
        return f"Source {name!r}: {self.reason}" if name else f"The image: {self.reason}"


class SourceNotFound(SourceError, FileNotFoundError):
    """No source folder has a file of the source's name."""


class SourceNotAllowed(SourceError, PermissionError):
    """The source lies outside the source folders, or is not a regular file."""


class UnreadableImage(SourceError, ValueError):
    """A source is not a complete image in a readable format, whatever the decoder said."""


class ImageTooLarge(UnreadableImage):
    """An image exceeds one of the caps (pixels, frames, bytes) in the settings."""


class ImageTooSlow(UnreadableImage):
    """An image takes longer than the setting `timeout` allows."""


class UnknownFormat(ImageKitError, ValueError):
    """An image format that this library cannot write.

    Attributes:
        format: The format's name.
        known: The formats that can be written.
    """

    def __init__(self, format: str, known: Iterable[str]) -> None:
        known = tuple(known)
        super().__init__(format, known)
        self.format = format
        self.known = known

    def message(self) -> str:
        return f"Images cannot be written as {self.format!r}. {nearest(self.format.upper(), self.known)}"


class InvalidOption(ImageKitError, ValueError):
    """An encoder option, a dimension or an argument of a tag has an unusable value.

    Attributes:
        option: The option's name.
        value: The value given; `...` if it is missing.
    """

    def __init__(self, option: str, value: object, expected: str) -> None:
        super().__init__(option, value, expected)
        self.option = option
        self.value = value
        self.expected = expected

    def message(self) -> str:
        problem = f"{self.option}= is missing" if self.value is ... else f"{self.option}={self.value!r} cannot be used"
        return f"{problem}: {self.expected}"


class UnknownKeyword(InvalidOption):
    """A generator was given a keyword that it does not take.

    Attributes:
        generator: The generator's id.
        known: The keywords that it takes.
        asked_by: What passed the keyword on, such as `{% thumbnail %}`; empty if that was Python code.
        advice: What its author can do; by default, which keyword is nearest.
    """

    def __init__(self, option: str, value: object, generator: str, known: Iterable[str]) -> None:
        known = tuple(known)
        super().__init__(option, value, f"{generator!r} takes no such keyword")
        self.args = option, value, generator, known
        self.generator = generator
        self.known = known
        self.asked_by = ""
        self.advice = nearest(option, known)

    def message(self) -> str:
        return f"{self.asked_by}{': ' if self.asked_by else ''}{super().message()}. {self.advice}"


class NotFingerprintable(ImageKitError, TypeError):
    """A value has no fingerprint that is the same in every process.

    Attributes:
        value_type: The class path of the value.
        where: The position of the value in what was fingerprinted.
    """

    def __init__(self, value_type: str, where: str) -> None:
        super().__init__(value_type, where)
        self.value_type = value_type
        self.where = where

    def message(self) -> str:
        return (
            f"No stable fingerprint can be made of {self.value_type} (at {self.where}). "
            f"Define fingerprint() on its class and return plain values: strings, numbers, lists, dicts."
        )


class GenerationFailed(ImageKitError, RuntimeError):
    """An image could not be made, for a reason other than its source.

    Attributes:
        cachefile: The name of the cache file that was to be made.
        source: The source's name, or None.
        reason: What went wrong, in the words of the first error.
    """

    concerns_image = True

    def __init__(self, cachefile: str, source: str | None, reason: str) -> None:
        super().__init__(cachefile, source, reason)
        self.cachefile = cachefile
        self.source = source
        self.reason = reason

    def message(self) -> str:
        name = self.source or self.cachefile
        return f"No image could be made{f' of {name!r}' if name else ''}: {self.reason}"


class StorageError(ImageKitError, OSError):
    """A cache file could not be written, read or deleted.

    Attributes:
        name: The cache file's name.
        reason: What went wrong.
    """

    concerns_image = True

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def message(self) -> str:
        return f"Cache file {self.name!r}: {self.reason}"


class CannotRebuild(ImageKitError, TypeError):
    """A kit cannot be rebuilt in another process.

    Attributes:
        reason: What prevents it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def message(self) -> str:
        return (
            f"This kit cannot be rebuilt in another process: {self.reason}. Define its specs, strategies and storages "
            "in a module that can be imported, and pass ImageKit(import_name='module:attribute')."
        )


class InvalidProcessor(ImageKitError, TypeError):
    """One of the processors is not a processor, or did not return an image."""


class InvalidStrategy(ImageKitError, TypeError):
    """A cache file strategy defines a hook that does not exist, or is not a strategy at all."""


class InvalidAttribute(ImageKitError, ValueError):
    """An HTML attribute's name holds a character that is not allowed in attribute names.

    Attributes:
        attribute: The attribute's name.
    """

    def __init__(self, attribute: str) -> None:
        super().__init__(attribute)
        self.attribute = attribute

    def message(self) -> str:
        return (
            f"{self.attribute!r} is not an HTML attribute name: "
            f"spaces, quotes, '<', '>', '/', '=' and control characters are not allowed."
        )


class EncodingFailed(ImageKitError, ValueError):
    """An image cannot be written in the requested format.

    Attributes:
        image: The image's name; empty if it has none.
        format: The format's name.
        reason: What the encoder said.
    """

    concerns_image = True

    def __init__(self, image: str, format: str, reason: str) -> None:
        super().__init__(image, format, reason)
        self.image = image
        self.format = format
        self.reason = reason

    def message(self) -> str:
        name = f"Image {self.image!r}" if self.image else "The image"
        return f"{name} cannot be written as {self.format}: {self.reason}"


class MissingAlt(ImageKitError, ValueError):
    """A picture is printed although neither tag, page nor sidecar file gives its alternative text.

    Attributes:
        picture: What the picture is called.
    """

    def __init__(self, picture: str) -> None:
        super().__init__(picture)
        self.picture = picture

    def message(self) -> str:
        return (
            f"{self.picture} has no alternative text. Write alt='what it shows', alt='' where it is decoration, "
            "or set missing_alt to 'warn' or 'ignore'."
        )
