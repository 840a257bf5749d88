"""Processors that ask for other cache files while one is made: everything is made, and nobody waits for ever."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from PIL import Image

import drawing
from jinja_imagekit import ImageKit

SITE = """
    import sys, time
    from pathlib import Path

    from PIL import Image

    from jinja_imagekit import ImageKit
    from jinja_imagekit.processors import ResizeToFill
    from jinja_imagekit.sourcegroups import GlobSourceGroup

    here = Path(__file__).parent
    folders = dict(source_dirs=[here / "images"], location=here / "output", state_dir=here / "state")
    kit = ImageKit(**folders, import_name="mysite:kit")


    class Inset:
        "Pastes another cache file into the image, once the other process or thread is as far."

        def __init__(self, source, meet=""):
            self.source, self.meet = source, meet

        def fingerprint(self):
            return ["inset", self.source]

        def process(self, image):
            if self.meet:
                (here / f"{self.source}.here").touch()
                until = time.monotonic() + 10
                while not (here / f"{self.meet}.here").exists() and time.monotonic() < until:
                    time.sleep(0.01)
            with kit.cachefile("blog:small", source=self.source).open() as file:
                image.paste(Image.open(file), (0, 0))
            return image


    kit.spec("blog:small", processors=[ResizeToFill(40, 30)], format="PNG")
"""

SAME_SOURCE = """
    kit.spec("blog:big", processors=[ResizeToFill(200, 150), Inset("a.png")], format="PNG")
    for id in ("blog:small", "blog:big"):
        kit.register.source_group(id, GlobSourceGroup("a.png"))
"""

CROSSED = """
    kit.spec("blog:big:a", processors=[ResizeToFill(200, 150), Inset("b.png", meet="a.png")], format="PNG")
    kit.spec("blog:big:b", processors=[ResizeToFill(200, 150), Inset("a.png", meet="b.png")], format="PNG")
    kit.register.source_group("blog:small", GlobSourceGroup("*.png"))
    kit.register.source_group("blog:big:a", GlobSourceGroup("a.png"))
    kit.register.source_group("blog:big:b", GlobSourceGroup("b.png"))
"""

RUN = """
    if __name__ == "__main__":
        from mysite import kit
        report = kit.generate(**eval(sys.argv[1]))
        assert report.ok, report.as_dict()
        assert report.total == int(sys.argv[2]), report.as_dict()
        kit.close()
"""


def write_site(folder: Path, specs: str) -> None:
    (folder / "images").mkdir()
    for name, seed in (("a.png", 1), ("b.png", 2)):
        drawing.photo(320, 240, seed).save(folder / "images" / name)
    (folder / "mysite.py").write_text("".join(map(textwrap.dedent, (SITE, specs, RUN))), encoding="utf-8")


def generate(folder: Path, options: str, total: int) -> None:
    command = [sys.executable, "-W", "error", str(folder / "mysite.py"), options, str(total)]
    # A hang ends here.
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, check=False)
    assert result.returncode == 0, result.stderr


def images(folder: Path) -> dict[str, bytes]:
    found = {path.name: path.read_bytes() for path in (folder / "output").rglob("*.png")}
    for path in (folder / "output").rglob("*.png"):
        with Image.open(path) as image:
            image.load()
    return found


@pytest.mark.parametrize("options", ["dict(workers=1)", "dict(workers=2)", "dict(workers=4)", "dict(processes=True)"])
def test_a_processor_opens_another_file_of_the_same_source(tmp_path: Path, options: str) -> None:
    """Both are registered, so that one run holds both: each is made, with the small one in the big one's corner."""
    write_site(tmp_path, SAME_SOURCE)
    generate(tmp_path, options, 2)
    small, big = sorted(images(tmp_path).items(), key=lambda item: len(item[1]))
    with Image.open(next((tmp_path / "output").rglob(small[0]))) as inset:
        inset.load()
    with Image.open(next((tmp_path / "output").rglob(big[0]))) as image:
        assert image.size == (200, 150)
        assert image.crop((0, 0, 40, 30)).tobytes() == inset.tobytes()


@pytest.mark.parametrize("options", ["dict(workers=2)", "dict(processes=True, workers=2)"])
def test_two_sources_that_need_each_others_files(tmp_path: Path, options: str) -> None:
    """Each of two workers holds the files of one source and asks for one of the other's: both go on."""
    write_site(tmp_path, CROSSED)
    generate(tmp_path, options, 4)
    assert len(images(tmp_path)) == 4


def test_the_bytes_do_not_depend_on_who_went_on_without_a_claim(tmp_path: Path) -> None:
    """One worker, who meets nobody, makes the same files as two that met."""
    made = []
    for number, workers in enumerate((2, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_site(folder, SAME_SOURCE)
        generate(folder, f"dict(workers={workers})", 2)
        made.append(images(folder))
    assert made[0] == made[1]


class Asks:
    """A processor that opens another cache file of the same source."""

    def __init__(self, kit: ImageKit, id: str) -> None:
        self.kit, self.id = kit, id

    def fingerprint(self) -> str:
        """Return what tells it from others."""
        return self.id

    def process(self, image: Image.Image) -> Image.Image:
        """Open the other file."""
        self.kit.cachefile(self.id, source="a.png").read()
        return image


@pytest.mark.parametrize("workers", [1, 2])
def test_files_that_need_each_other_are_one_clear_error(tmp_path: Path, workers: int) -> None:
    """Neither can be made: each failure says by way of which generators, and comes before it has gone round."""
    write_site(tmp_path, "")
    folders = {"source_dirs": [tmp_path / "images"], "location": tmp_path / "output", "state_dir": tmp_path / "state"}
    kit = ImageKit(**folders)
    rounds: list[str] = []
    for id, other in (("blog:a", "blog:b"), ("blog:b", "blog:a"), ("blog:self", "blog:self")):
        kit.spec(id, processors=[Asks(kit, other)], format="PNG")
        kit.register.cachefiles(id, [{"source": "a.png"}])
    report = kit.generate(workers=workers)
    assert len(report.failed) == 3
    for failure in report.failed:
        assert "its own processors ask for it: " in failure.reason
        rounds.append(failure.reason.rpartition(": ")[2])
    assert "blog:self → blog:self" in rounds
    assert {"blog:a → blog:b → blog:a", "blog:b → blog:a → blog:b"} & set(rounds)
