"""Runs django-imagekit's own tests against this library's Django shim.

Run it with `make test-peer`. The source distribution comes from the package registry into a temporary folder, and
nothing of it is kept. The tests run as they are, against django-imagekit; renamed by this library's command; and
as they are again, with the alias `imagekit`; the last two with the shim's defaults, and with
`IMAGEKIT_COMPATIBILITY = "6.1"`. Each test has to give what it gives django-imagekit, but for those below.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

PEER = "django-imagekit==6.1.1"
ROOT = Path(__file__).resolve().parents[2]

EXPECTED = {
    "tests.test_cachefiles::test_generate_file_already_exists": (
        "it asserts that generating twice writes a second file beside the first, which is never served"
    ),
}
"""The tests that assert a fault of django-imagekit's, with the fault; the page on migration names them as well."""


def download(folder: Path) -> Path:
    """Return the folder of the source distribution's tests."""
    command = [sys.executable, "-m", "pip", "download", PEER, "--no-binary", ":all:", "--no-deps", "--quiet"]
    subprocess.run([*command, "--disable-pip-version-check", "--dest", str(folder)], check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as distribution:
        distribution.extractall(folder, filter="data")
    (tests,) = folder.glob("*/tests")
    return tests


def run_tests(tests: Path, compatibility: str | None, first_app: str | None = None) -> dict[str, str]:
    """Run the tests, with one more app before all others, and return what became of each by its name."""
    settings = tests / "shim_settings.py"
    lines = [
        "from .settings import *",
        f"IMAGEKIT_COMPATIBILITY = {compatibility!r}",
        # django-imagekit insists on queues where django-rq is installed; nothing is sent.
        "RQ_QUEUES = {'default': {}}",
    ]
    if first_app:
        lines.append(f"INSTALLED_APPS = [{first_app!r}, *INSTALLED_APPS]")
    settings.write_text("\n".join(lines), encoding="utf-8")
    report = tests.parent / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ds=tests.shim_settings"]
    subprocess.run(
        [*command, f"--junit-xml={report}", "--rootdir", str(tests.parent), "-c", os.devnull, "tests"],
        cwd=tests.parent,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            # The shim keeps its state there.
            "TMPDIR": str(tests.parent),
        },
        check=False,
    )
    outcomes = {}
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        found = {each.tag for each in case} & {"failure", "error", "skipped"}
        outcomes[f"{case.get('classname')}::{case.get('name')}"] = found.pop() if found else "passed"
    return outcomes


def tell_differences(theirs: dict[str, str], ours: dict[str, str]) -> bool:
    """Print which tests differ, and return whether those and only those do that are expected to."""
    different = {name for name in theirs if ours.get(name) != theirs[name]}
    for name in sorted(different | set(EXPECTED)):
        reason = EXPECTED.get(name, "NOT EXPECTED")
        print(f"  {name}: {theirs.get(name)} with django-imagekit, {ours.get(name)} with the shim: {reason}")
    return different == set(EXPECTED)


def main() -> int:
    """Run the tests, and return 1 unless the expected differences show and no others."""
    sys.path.insert(0, str(ROOT / "examples"))
    import drawing

    as_expected = True
    with tempfile.TemporaryDirectory() as temporary:
        tests = download(Path(temporary))
        media = tests / "media"
        media.mkdir(exist_ok=True)
        # The distribution lacks the image that its tests read.
        drawing.photo(320, 240).save(media / "reference.png")
        renamed = Path(temporary) / "shim" / "tests"
        shutil.copytree(tests, renamed)
        command = [sys.executable, "-m", "jinja_imagekit.django.rename", str(renamed)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        rename = subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout
        theirs = run_tests(tests, None)
        print(f"{PEER}: {counts(theirs)}; {''.join(re.findall('.* files changed', rename))} to rename them")
        for way, folder, app in (("by rename", renamed, None), ("by alias", tests, "jinja_imagekit.django.alias")):
            for compatibility in (None, "6.1"):
                ours = run_tests(folder, compatibility, app)
                print(f"the shim {way}, IMAGEKIT_COMPATIBILITY = {compatibility!r}: {counts(ours)}")
                as_expected &= tell_differences(theirs, ours)
    return 0 if as_expected and "passed" in theirs.values() else 1


def counts(outcomes: dict[str, str]) -> str:
    """Return how many tests had which outcome."""
    return ", ".join(f"{count} {outcome}" for outcome, count in Counter(outcomes.values()).most_common())


if __name__ == "__main__":
    sys.exit(main())
