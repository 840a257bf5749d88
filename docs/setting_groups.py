"""A directive that explains settings: each with its kind, unit, bounds and default, from where it is declared."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from jinja_imagekit import settings
from jinja_imagekit.settings import Settings

UNITS = {
    "timeout": "seconds",
    "age": "seconds",
    "bytes": "bytes",
    "memory": "bytes",
    "pixels": "pixels",
    "frames": "frames",
    "permissions": "file mode",
    "margin": "factor",
    "quality": 'from 1 to 100, or `"auto"`',
    "scales": "pixel densities",
}
"""The unit of a setting, by the last word of its name."""

KINDS = {
    "bool": "true or false",
    "str": "text",
    "Path": "folder",
    "Any": "object or dotted path",
    "tuple[Path | str, ...]": "folders, or URLs of buckets",
    "tuple[tuple[str, Path | str], ...]": "mapping of names to folders, or to URLs of buckets",
    "tuple[str, ...]": "names",
    "Mapping[str, Any]": "mapping",
}
"""What values of a type are called where a setting has no unit."""


def explained() -> dict[str, str]:
    """Return what the docstring says of each setting."""
    text = inspect.cleandoc(Settings.__doc__ or "").partition("Args:\n")[2].partition("\nRaises:")[0]
    found = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", text, re.MULTILINE)
    return {name: _with_values_as_code(" ".join(words.split())) for name, words in found}


def _with_values_as_code(text: str) -> str:
    # What Markdown shows of quotes cannot be copied.
    parts = text.split("`")
    parts[::2] = (re.sub(r'("[^"\s]+")', r"`\1`", part) for part in parts[::2])
    return "`".join(parts)


def kind(name: str) -> str:
    """Return what values a setting takes."""
    type = next(str(each.type) for each in fields(Settings) if each.name == name)
    choices = settings._CHOICES.get(name)
    if choices:
        *others, last = (f"`{shown(name, choice)}`" for choice in choices)
        return f"{', '.join(others)} or {last}"
    unit = UNITS.get(name.rpartition("_")[2]) or KINDS[type.removesuffix(" | None")]
    least, greatest = settings._RANGES.get(name, (0, math.inf))
    bounds = "" if "permissions" in name else f", at least {least:,}" if least else ""
    bounds += f", at most {greatest:,}" if greatest < math.inf and "permissions" not in name else ""
    words = f"{unit}{bounds}{', or `None`' if type.endswith('None') else ''}"
    return words[0].upper() + words[1:]


def shown(name: str, value: Any) -> str:
    """Return a value as one would write it."""
    if name.endswith("_permissions") and value is not None:
        return f"0o{value:o}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:_}"
    if isinstance(value, tuple):
        inner = ", ".join(f'"{each}"' for each in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return f'"{value}"' if value is not None and not isinstance(value, (bool, float, dict)) else repr(value)


class SettingGroup(SphinxDirective):
    """The settings named in the content, each under an anchor of its own."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return a list of definitions."""
        return [nodes.definition_list("", *self._items(" ".join(self.content).split()), classes=["settings"])]

    def _items(self, names: Iterable[str]) -> Iterable[nodes.Node]:
        told, default = explained(), Settings()
        for name in names:
            term = nodes.term("", "", nodes.literal(name, name), ids=[f"setting-{name.replace('_', '-')}"])
            facts = self.parse_text_to_nodes(f"{kind(name)}. Default: `{shown(name, getattr(default, name))}`")
            facts[0]["classes"].append("setting-kind")  # type: ignore[index]
            yield nodes.definition_list_item(
                "", term, nodes.definition("", *facts, *self.parse_text_to_nodes(told[name]))
            )


def _without_arguments(_: Sphinx, __: str, name: str, ___: object, ____: object, lines: list[str]) -> None:
    """Leave out of the class what the groups have said already."""
    if name == f"{Settings.__module__}.Settings":
        text = "\n".join(lines)
        before, _args, after = text.partition("Args:\n")
        lines[:] = f"{before}Raises:{after.partition('Raises:')[2]}".split("\n")


def _without_signature(
    _: Sphinx, __: str, name: str, ___: object, ____: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None] | None:
    return ("(**settings)", returns) if name == f"{Settings.__module__}.Settings" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the directive; napoleon, which rewrites docstrings, comes after."""
    app.add_directive("settings", SettingGroup)
    app.connect("autodoc-process-docstring", _without_arguments, priority=400)
    app.connect("autodoc-process-signature", _without_signature, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
