"""What users write is checked by mypy: the package says that it has types, and its extension points help."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent

import pytest

import jinja_imagekit

Check = Callable[[str], list[str]]

USERS_MODULE = '''
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from jinja2 import Environment
from PIL import Image, ImageOps

from jinja_imagekit import ImageCacheFile, ImageKit, ImageSpec, LazyImageCacheFile, Settings
from jinja_imagekit.cachefiles.backends import BaseAsync, CacheFileBackend, Simple
from jinja_imagekit.cachefiles.strategies import Strategy
from jinja_imagekit.exceptions import ImageKitError, StorageError
from jinja_imagekit.interfaces import Generator, Processor, Size, SizedProcessor, SourceGroup, Storage, StoredFile
from jinja_imagekit.processors import Adjust, ResizeToFill


class Invert:
    """A processor."""

    def process(self, image: Image.Image) -> Image.Image:
        return ImageOps.invert(image)

    def output_size(self, size: Size) -> Size | None:
        return size


class Card(ImageSpec):
    """A spec."""

    processors = (ResizeToFill(400, 300), Adjust(contrast=1.1), Invert())
    format = "WEBP"
    options = {"quality": 70}
    keep_metadata = ("copyright",)


class Wide(ImageSpec):
    """A spec that looks at its source."""

    @property
    def processors(self) -> Sequence[Processor]:  # type: ignore[override]  # computed, where the base has a value
        return [ResizeToFill(800, 200)]


class Swatch:
    """A generator without a source."""

    def __init__(self, color: str = "red") -> None:
        self.color = color

    def generate(self) -> BinaryIO:
        return BytesIO(self.color.encode())


class Nightly(Strategy):
    """A strategy."""

    def on_existence_required(self, file: ImageCacheFile) -> None:
        if file.name and not file.name.endswith(".tmp"):
            file.generate()

    def on_source_saved(self, file: ImageCacheFile) -> None:
        file.generate(force=True)

    def should_verify_existence(self, file: ImageCacheFile) -> bool | None:
        return False

    def promised_size(self, file: ImageCacheFile) -> Size | None:
        return (400, 300)


class Loud(Simple):
    """A backend."""

    def generate(self, file: ImageCacheFile, force: bool = False) -> None:
        print(file.name, file.storage.url(file.name or ""))
        super().generate(file, force)


class Later(BaseAsync):
    """A backend that has files made elsewhere."""

    def __init__(self) -> None:
        self.waiting: list[ImageCacheFile] = []

    def schedule_generation(self, file: ImageCacheFile, force: bool = False) -> None:
        self.waiting.append(file)


class Shelf:
    """A storage."""

    is_local = False

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def save(self, name: str, content: bytes) -> None:
        self.files[name] = content

    def open(self, name: str) -> BinaryIO:
        if name not in self.files:
            raise StorageError(name, "there is none")
        return BytesIO(self.files[name])

    def stat(self, name: str) -> StoredFile | None:
        return StoredFile(size=len(self.files[name]), modified_ns=0) if name in self.files else None

    def delete(self, name: str) -> None:
        self.files.pop(name, None)

    def names(self, prefix: str = "") -> Iterator[str]:
        yield from (name for name in self.files if name.startswith(prefix))

    def path(self, name: str) -> str | None:
        return None

    def url(self, name: str) -> str:
        return f"/shelf/{name}"


class Folder:
    """A source group."""

    def files(self) -> Iterable[Path]:
        return Path("photos").iterdir()


def short(generator: object) -> str:
    """A namer."""
    return f"{id(generator):x}.jpg"


processor: Processor = Invert()
sized: SizedProcessor = Invert()
generator: Generator = Card()
another: Generator = Swatch()
storage: Storage = Shelf()
group: SourceGroup = Folder()
backend: CacheFileBackend = Loud()

kit = ImageKit(
    Settings(location=Path("output")), source_dirs=["photos"], default_file_storage=storage, cachefile_namer=short
)
kit.register.generator("shop:card", Card)
kit.register.source_group("shop:card", group)


@kit.register.generator("shop:hero")
class Hero(ImageSpec):
    """A spec that is registered by a decorator."""

    cachefile_strategy = Nightly


environment: Environment = kit.install(Environment())
file: LazyImageCacheFile = kit.cachefile("shop:card", source="photos/canal.jpg")
words: str = file.url
pixels: int | None = file.width
content: bytes = Hero(source=Path("canal.jpg")).generate().read()
by_hand: ImageCacheFile = kit.cachefile_of(Card(source=Path("canal.jpg")))
avatar: bytes = kit.process(b"", format="WEBP").read()
made: int = len(kit.generate("shop:*", on_progress=lambda outcome, done, total: None).generated)
try:
    kit.publish("site")
except ImageKitError as error:
    print(error)
'''

IMPORTS = dedent(
    """
    from __future__ import annotations

    from typing import BinaryIO

    from PIL import Image

    from jinja_imagekit import ImageCacheFile, ImageKit, ImageSpec
    from jinja_imagekit.cachefiles.backends import BaseAsync, Simple
    from jinja_imagekit.cachefiles.strategies import Strategy
    from jinja_imagekit.interfaces import Generator, Namer, Processor, SourceGroup, Storage
    """
)

WRONG = {
    "a spec's format": """
        # assignment: "ImageSpec" defined the type as "str | None"
        class Card(ImageSpec):
            format = 3
    """,
    "a spec's result": """
        # override: incompatible with return type "BinaryIO"
        class Card(ImageSpec):
            def generate(self) -> str:
                return ""
    """,
    "a processor's result": """
        # assignment: variable has type "Processor"
        class Invert:
            def process(self, image: Image.Image) -> None: ...

        processor: Processor = Invert()
    """,
    "a strategy's hook": """
        # override: Signature of "on_existence_required"
        class Nightly(Strategy):
            def on_existence_required(self) -> None: ...
    """,
    "what a strategy is given": """
        # override: incompatible with supertype "jinja_imagekit.cachefiles.strategies.Strategy"
        class Nightly(Strategy):
            def on_source_saved(self, file: str) -> None: ...
    """,
    "what a backend is given": """
        # override: incompatible with supertype "jinja_imagekit.cachefiles.backends.BaseAsync"
        class Later(BaseAsync):
            def schedule_generation(self, file: str, force: bool = False) -> None: ...
    """,
    "a strategy's answer": """
        # override: incompatible with return type "bool | None"
        class Nightly(Strategy):
            def should_verify_existence(self, file: ImageCacheFile) -> str:
                return "no"
    """,
    "a backend's arguments": """
        # override: Signature of "generate"
        class Loud(Simple):
            def generate(self, file: ImageCacheFile) -> None: ...
    """,
    "a backend that schedules nothing": """
        # abstract: abstract attribute "schedule_generation"
        class Later(BaseAsync): ...

        later = Later()
    """,
    "a storage without names": """
        # assignment: variable has type "Storage"
        class Shelf:
            is_local = True

            def save(self, name: str, content: bytes) -> None: ...

        storage: Storage = Shelf()
    """,
    "a source group": """
        # assignment: variable has type "SourceGroup"
        class Folder:
            def files(self) -> int:
                return 3

        group: SourceGroup = Folder()
    """,
    "a namer": """
        # assignment: variable has type "Namer"
        def short(generator: object) -> int:
            return 3

        namer: Namer = short
    """,
    "a cache file's attribute": """
        # attr-defined: has no attribute "wdith"
        ImageKit().cachefile("shop:card").wdith
    """,
}
"""Each has one mistake; its first line says mypy's code for it, and some of its words."""


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Return a function that runs mypy over a user's module, and returns its complaints."""
    folder = tmp_path_factory.mktemp("user")

    def run(text: str) -> list[str]:
        (folder / "shop.py").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "shop.py"]
        environment = {**os.environ, "PYTHONPATH": str(Path(jinja_imagekit.__file__).parents[1])}
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.stdout.splitlines()

    return run


def test_what_a_user_writes_passes_mypy(check: Check) -> None:
    """A spec, a processor, a generator, a strategy, backends, a storage and a namer have no error."""
    assert check(USERS_MODULE) == []


@pytest.mark.parametrize("what", WRONG)
def test_mypy_finds_a_mistake(check: Check, what: str) -> None:
    """What does not fit the extension point is told on the user's side, before anything runs."""
    snippet = dedent(WRONG[what]).strip()
    code, words = snippet.splitlines()[0].removeprefix("# ").split(": ")
    errors = [line for line in check(IMPORTS + snippet + "\n") if ": error: " in line]
    assert errors
    assert all(words in line and line.endswith(f"[{code}]") for line in errors), errors


def test_the_version_is_that_of_the_distribution() -> None:
    """`__version__` is what `pip` shows; where it is not, the package wants installing anew."""
    assert jinja_imagekit.__version__ == version("jinja-imagekit")
