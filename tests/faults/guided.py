"""Has Atheris look for image files that take new ways through the readers, with this suite's mutants as its mutator.

    pip install atheris
    python tests/faults/guided.py -max_total_time=600

Unlike `fuzz.py` it works in its own process, and stops at the first file that raises something undocumented, hangs or
crashes; libFuzzer leaves that file in the current folder.
"""

from __future__ import annotations

import random
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import atheris  # type: ignore[import-not-found]  # it has no place in the environment of the tests

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent.parent / "examples"), str(HERE)]

with atheris.instrument_imports(include=["jinja_imagekit"]):
    import fuzz
    import mutants

    # Later, where it is used, it would be imported without instruments.
    import_module("jinja_imagekit.kit")


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Return a mutant of a file, as the format's own pieces or any bytes are changed."""
    chance = random.Random(seed)
    mutators = (*mutants.GENERIC, *(each for own in mutants.STRUCTURAL.values() for each in own))
    try:
        changed = chance.choice(mutators)(data, chance)
    except (ValueError, IndexError, OverflowError):
        # A mutator that expects another format.
        changed = data
    changed = changed[:most] or b"\0"
    return bytes(atheris.Mutate(changed, most)) if chance.random() < 0.3 else changed


def attempt(data: bytes) -> None:
    """Make an image of a file; raise what is undocumented."""
    outcome = fuzz.attempt(data, len(data))
    if outcome.startswith("undocumented"):
        raise RuntimeError(outcome)


def main() -> None:
    """Run until libFuzzer's own options say otherwise."""
    with tempfile.TemporaryDirectory() as corpus:
        for name, data in mutants.seeds().items():
            (Path(corpus) / name.replace(" ", "-")).write_bytes(data)
        setup: Any = atheris.Setup
        setup([*sys.argv, "-timeout=30", "-rss_limit_mb=1000", corpus], attempt, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
