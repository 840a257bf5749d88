"""A walk over all that a sandboxed template can reach from what tags give it: it writes nothing and learns no path."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageKitError

from .conftest import Tally

HANDLES = [
    "{% thumbnail '20x' 'a.jpg' as x %}",
    "{% generateimage 'imagekit:thumbnail' source='a.jpg' width=20 as x %}",
    "{% set x = 'a.jpg'|thumbnail('20x') %}",
    "{% thumbnail '20x' 'none.jpg' on_error='placeholder' as x %}",
    "{% picture '20x' 'a.jpg' as x %}",
]

PLAIN = (str, int, float, bool, bytes, type(None))

DEPTH = 4


@pytest.mark.parametrize("sandbox", [SandboxedEnvironment, ImmutableSandboxedEnvironment])
@pytest.mark.parametrize("handle", HANDLES)
def test_what_a_template_can_reach(tmp_path: Path, sandbox: Any, handle: str, tally: Tally) -> None:
    """Attributes of attributes, and what their methods return: no storage, no kit, no settings, no absolute path."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.jpg").write_bytes(drawing.jpeg(60, 40))
    kit = ImageKit(
        source_dirs=[tmp_path / "images"],
        location=tmp_path / "output",
        state_dir=tmp_path / "state",
        missing_alt="ignore",
    )
    environment = kit.install(sandbox(autoescape=True))
    held: list[Any] = []
    environment.filters["hold"] = lambda value: held.append(value) or ""
    environment.from_string(handle + "{{ x|hold }}").render()
    (root,) = held
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    seen: set[int] = set()
    kept: list[Any] = []
    problems: list[str] = []
    reached = 0

    def visit(value: Any, way: str, depth: int) -> None:
        nonlocal reached
        reached += 1
        if str(tmp_path) in repr(value) or (isinstance(value, str) and str(tmp_path) in value):
            problems.append(f"{way} tells a path: {value!r}"[:300])
        if isinstance(value, PLAIN) or id(value) in seen or depth == DEPTH:
            return
        kept.append(value)
        seen.add(id(value))
        module = type(value).__module__
        if module.startswith("jinja_imagekit") and type(value).__name__ in ("ImageKit", "Settings", "Records"):
            problems.append(f"{way} is a {type(value).__name__}")
        for name in dir(value):
            if not environment.is_safe_attribute(value, name, None):
                continue
            try:
                found = environment.getattr(value, name)
            except ImageKitError:
                # The page ends with it, and the template does not see it.
                continue
            if environment.undefined is type(found):
                continue
            if callable(found) and environment.is_safe_callable(found) and module.startswith("jinja_imagekit"):
                with suppress(ImageKitError, TypeError, AttributeError):
                    visit(found(), f"{way}.{name}()", depth + 1)
            elif not callable(found):
                visit(found, f"{way}.{name}", depth + 1)
        if isinstance(value, (list, tuple, dict)):
            for each in value.values() if isinstance(value, dict) else value:
                visit(each, f"{way}[]", depth + 1)

    visit(root, "x", 0)
    tally(reached, "values reached", problems=len(problems))
    assert problems == []
    assert reached > 3
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    assert {path: after.get(path) for path in before} == before
