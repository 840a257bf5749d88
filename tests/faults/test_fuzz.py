"""Mutants of image files: each is made into an image or refused by a documented error, what was found once as well."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import UnreadableImage
from jinja_imagekit.settings import PLUGIN_FORMATS, READABLE_FORMATS

from . import fuzz, mutants
from .conftest import Tally

Rounds = Callable[[int, int], int]


@pytest.mark.skipif(os.name != "posix", reason="workers are measured by what POSIX knows of them")
def test_mutants(rounds: Rounds, tally: Tally) -> None:
    """In workers of their own: no crash, no hang, nothing undocumented, nothing slow."""
    count = rounds(400, 10_000)
    result = fuzz.run(range(count), workers=1)
    tally(count, "mutants", slowest=f"{result.slowest[0] * 1000:.0f} ms", peak=f"{result.peak} MiB", **result.outcomes)
    assert result.problems == {}
    assert sum(result.outcomes.values()) == count
    # Mutants that nothing is left of, or nothing is wrong with, would test nothing.
    assert 0.1 < result.outcomes["ok"] / count < 0.6


FOUND = sorted(fuzz.FOUND.glob("*.bin"))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_was_found_once(path: Path) -> None:
    """It does no harm any more, whatever is made of it."""
    for number in range(6):
        assert not fuzz.attempt(path.read_bytes(), number).startswith("undocumented")


ENDINGS = {"jpeg": 5, "gif": 1}
"""Bytes at the end without which all rows of a file still decode: an end marker, and what pads the last row."""


# PDFium finds the pages of a document that is cut, as all programs do.
@pytest.mark.parametrize("kind", sorted(set(mutants.seeds()) - {"svg", "pdf"}))
def test_a_file_that_is_cut(kind: str, rounds: Rounds, tally: Tally) -> None:
    """Wherever it is cut, it is refused as a whole, and never shown in part."""
    kit, data = ImageKit(readable_formats=(*READABLE_FORMATS, *PLUGIN_FORMATS)), mutants.seeds()[kind]
    assert kit.process(data).width > 0
    last = len(data) - ENDINGS.get(kind.split()[-1], 0)
    points = range(last)
    cuts = random.Random(kind).sample(points, min(last, rounds(6, 200)))
    accepted = []
    for cut in cuts:
        try:
            kit.process(data[:cut])
        except UnreadableImage:
            continue
        # A GIF needs no end marker: cut between two frames it is one of fewer frames, and nobody can tell.
        if not (kind == "animated gif" and data[cut] in b"\x21\x2c"):
            accepted.append(cut)
    tally(len(cuts), f"cuts of a {kind}", accepted=len(accepted))
    assert accepted == []


def test_a_mutant_is_the_same_wherever_it_is_made() -> None:
    """A number tells somebody else what was found."""
    assert mutants.mutant(77) == mutants.mutant(77)
    assert len({mutants.mutant(number)[1] for number in range(200)}) > 150
    assert drawing.jpeg(9, 9, 1) == drawing.jpeg(9, 9, 1)
