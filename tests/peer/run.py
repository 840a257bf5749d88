"""Runs django-imagekit's own tests against this library's Django shim.

Run it with `make test-peer`. The source distribution comes from the package registry into a temporary folder, its tests
get the shim's names in their imports, and nothing of it is kept. The tests run twice: with this library's defaults,
and with `IMAGEKIT_COMPATIBILITY = "6.1"`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from xml.etree import ElementTree

PEER = "django-imagekit==6.1.1"
ROOT = Path(__file__).resolve().parents[2]

EXPECTED = {
    "tests.test_cachefiles::test_generate_file_already_exists": (
        "it asserts that generating twice writes a second file beside the first, which is never served"
    ),
}
"""The tests that assert a fault of django-imagekit's, with the fault; `migrate-from-django-imagekit.md` has them, too."""

_NAMES = (
    (re.compile(r"\b(from|import) imagekit\b"), r"\1 jinja_imagekit.django"),
    (re.compile(r"(['\"])imagekit(\.[a-z]|['\"])"), r"\1jinja_imagekit.django\2"),
)


def download(folder: Path) -> Path:
    """Return the folder of the source distribution's tests."""
    command = [sys.executable, "-m", "pip", "download", PEER, "--no-binary", ":all:", "--no-deps", "--quiet"]
    subprocess.run([*command, "--disable-pip-version-check", "--dest", str(folder)], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as distribution:
        distribution.extractall(folder, filter="data")
    (tests,) = folder.glob("*/tests")
    return tests


def rename_imports(tests: Path) -> int:
    """Put the shim's names into the tests, and return in how many files."""
    changed = 0
    for path in tests.rglob("*.py"):
        text = renamed = path.read_text(encoding="utf-8")
        for pattern, replacement in _NAMES:
            renamed = pattern.sub(replacement, renamed)
        if renamed != text:
            path.write_text(renamed, encoding="utf-8")
            changed += 1
    return changed


def run_tests(tests: Path, compatibility: str | None) -> tuple[set[str], set[str]]:
    """Run the tests, and return the names of those that passed and of those that failed."""
    settings = tests / "shim_settings.py"
    settings.write_text(f"from .settings import *\nIMAGEKIT_COMPATIBILITY = {compatibility!r}\n", encoding="utf-8")
    report = tests.parent / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ds=tests.shim_settings"]
    subprocess.run(
        [*command, f"--junit-xml={report}", "--rootdir", str(tests.parent), "-c", os.devnull, "tests"],
        cwd=tests.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    passed, failed = set(), set()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(name)
        elif case.find("skipped") is None:
            passed.add(name)
    return passed, failed


def main() -> int:
    """Run the tests twice, and return 1 unless the expected ones failed and no others."""
    sys.path.insert(0, str(ROOT / "examples"))
    import drawing

    unexpected = False
    with tempfile.TemporaryDirectory() as temporary:
        tests = download(Path(temporary))
        print(f"{PEER}: the imports of {rename_imports(tests)} files are renamed")
        media = tests / "media"
        media.mkdir(exist_ok=True)
        # The distribution lacks the image that its tests read.
        drawing.photo(320, 240).save(media / "reference.png")
        for compatibility in (None, "6.1"):
            passed, failed = run_tests(tests, compatibility)
            print(f"IMAGEKIT_COMPATIBILITY = {compatibility!r}: {len(passed)} passed, {len(failed)} failed")
            for name in sorted(failed & set(EXPECTED)):
                print(f"  expected: {name}: {EXPECTED[name]}")
            for name in sorted(failed - set(EXPECTED)):
                print(f"  NOT EXPECTED: {name}")
            for name in sorted(set(EXPECTED) & passed):
                print(f"  passed, though it is expected to fail: {name}")
            unexpected |= failed != set(EXPECTED) or not passed
    return int(unexpected)


if __name__ == "__main__":
    sys.exit(main())
