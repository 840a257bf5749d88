"""Media queries, as far as one picture's have to be told from each other."""

from __future__ import annotations

import re
from collections.abc import Sequence


def only(earlier: Sequence[str], media: str) -> str | None:
    """Return a media query that matches when this one does and no earlier one; None if nothing is to be loaded."""
    conditions = [each for each in map(_condition, earlier) if each is not None]
    own = _condition(media) if media else ""
    if own is None or "" in conditions:
        return None
    if not conditions:
        return media
    if not own and len(conditions) == 1 and " or " not in conditions[0] and not conditions[0].startswith("not "):
        return f"not all and {conditions[0]}"
    nots = [f"({_negated(each)})" for each in conditions]
    is_plain = " or " not in own and not own.startswith("not ")
    return " and ".join([*nots, *([own if is_plain else f"({own})"] if own else [])])


def both(media: str, feature: str) -> str:
    """Return a media query that matches, on screens, when this one does and a feature in parentheses does too.

    Example:
        >>> both("(max-width: 600px)", "(color-gamut: p3)"), both("screen, not print", "(color-gamut: p3)")
        ('(max-width: 600px) and (color-gamut: p3)', 'screen and (color-gamut: p3), (color-gamut: p3)')
    """
    queries = [found for part in _split(media) if (found := _with_feature(part, feature)) is not None]
    return ", ".join(queries) if media else feature


def _with_feature(query: str, feature: str) -> str | None:
    match = _QUERY.fullmatch(query)
    if match is not None and (match[1] or "").lower() != "not":
        return f"{query} and {feature}"
    condition = _condition_of_one(query)
    if not condition:
        return None if condition is None else feature
    is_plain = " or " not in condition and not condition.startswith("not ")
    return f"{condition if is_plain else f'({condition})'} and {feature}"


_QUERY = re.compile(r"(?:(only|not)\s+)?([a-z][a-z-]*)(?:\s+and\s+(.+))?", re.IGNORECASE | re.DOTALL)
"""A media query with a type: a prefix, the type and a condition."""


def _condition(media: str) -> str | None:
    """Return when a query matches on a screen, as a condition without a type; empty for always, None for never."""
    parts = [each for each in map(_condition_of_one, _split(media)) if each is not None]
    if not parts:
        return None
    if "" in parts:
        return ""
    return parts[0] if len(parts) == 1 else " or ".join(f"({each})" if _is_compound(each) else each for each in parts)


def _condition_of_one(query: str) -> str | None:
    match = _QUERY.fullmatch(query)
    if match is None:
        return query
    condition = (match[3] or "") if match[2].lower() in ("screen", "all") else None
    if (match[1] or "").lower() != "not":
        return condition
    return "" if condition is None else None if not condition else _negated(condition)


def _negated(condition: str) -> str:
    return f"not ({condition})" if _is_compound(condition) else f"not {condition}"


def _split(media: str) -> list[str]:
    parts, depth = [""], 0
    for letter in media:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _is_compound(condition: str) -> bool:
    depth = 0
    for place, letter in enumerate(condition):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and place < len(condition) - 1:
            return True
    return False
