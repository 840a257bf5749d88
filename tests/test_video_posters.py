"""A video has the poster that a callable of the site's makes of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from PIL import Image

import documents
import drawing
from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.exceptions import ImageTooLarge, UnreadableImage
from jinja_imagekit.processors import ResizeToFit

av = pytest.importorskip("av")

HOW_TO = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "other-files.md"
NewKit = Callable[..., ImageKit]


class Maker:
    """Keeps what it is asked, and gives the same poster to all videos."""

    version = "1"

    def __init__(self, image: Any = None) -> None:
        self.asked: list[Path] = []
        self.image = image if image is not None else Image.new("RGB", (160, 90), "red")

    def __call__(self, path: Path) -> Any:
        self.asked.append(path)
        return self.image


def first_frame(path: Path) -> Image.Image:
    """Return the first frame of a video."""
    with av.open(str(path)) as container:
        frame: Image.Image = next(container.decode(video=0)).to_image()
        return frame


@pytest.fixture
def new_kit(tmp_path: Path) -> Iterator[NewKit]:
    """Make kits of a folder with a video and a photo."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "canal.mp4").write_bytes(documents.film())
    (tmp_path / "in" / "photo.jpg").write_bytes(drawing.jpeg(160, 90))
    kits = []

    def make(**settings: Any) -> ImageKit:
        whole = {"source_dirs": [tmp_path / "in"], "location": tmp_path / "out", "state_dir": tmp_path / "state"}
        kits.append(ImageKit(**{"failure_timeout": 0, "picture_formats": ("WEBP",), **whole, **settings}))
        return kits[-1]

    yield make
    for kit in kits:
        kit.close()


def thumbnail(kit: ImageKit, source: str = "canal.mp4", **keywords: Any) -> Any:
    """Return a thumbnail of a source, made."""
    file = kit.cachefile("imagekit:thumbnail", **{"source": source, "width": 80, "format": "PNG", **keywords})
    assert file.size
    return file


@pytest.mark.parametrize("isolation", [None, "process"])
@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "mpeg4"), ("matroska", "mpeg4"), ("webm", "libvpx"), ("avi", "mpeg4"), ("mov", "mpeg4")],
)
def test_video_has_its_poster(
    container: str, codec: str, isolation: str | None, new_kit: NewKit, tmp_path: Path
) -> None:
    """Its first bytes tell that it is one, whatever its name."""
    if isolation and container != "mp4":
        return
    (tmp_path / "in" / "film.bin").write_bytes(documents.film("blue", container, codec))
    kit = new_kit(video_poster="test_video_posters.first_frame", isolation=isolation)
    with Image.open(thumbnail(kit, "film.bin").path) as image:
        assert image.size == (80, 45)
        red, green, blue = image.convert("RGB").getpixel((40, 20))  # type: ignore[misc]  # RGB has three
    assert max(red, green) < 30
    assert blue > 220


def test_video_without_a_maker_is_refused(new_kit: NewKit) -> None:
    """The error says which setting makes posters."""
    with pytest.raises(UnreadableImage, match=r"it is a video; link it with <video>, .* video_poster"):
        thumbnail(new_kit())


def test_maker_is_asked_of_videos_alone_and_once(new_kit: NewKit) -> None:
    """Sizes of one poster share it in a picture, and a second process asks for nothing that is made."""
    maker = Maker()
    kit = new_kit(video_poster=maker)
    page = "{% picture '80x' 'canal.mp4' -- alt='' %}{% picture '80x' 'photo.jpg' -- alt='' %}"
    first = kit.install(Environment(autoescape=True)).from_string(page).render()
    assert [each.name for each in maker.asked] == ["canal.mp4"]
    again = Maker()
    second = new_kit(video_poster=again).install(Environment(autoescape=True)).from_string(page).render()
    assert second == first
    assert again.asked == []


def slow(path: Path) -> Image.Image:
    """Note each call beside the video, and take the time that a decoder takes."""
    with open(path.parent / "asked.txt", "a") as log:
        log.write("x")
    time.sleep(0.3)
    return Image.new("RGB", (160, 90), "red")


def slow_and_failing(path: Path) -> Image.Image:
    """Fail after some time."""
    raise OSError(f"no frames in {slow(path)}")


REQUEST = """
import sys
from jinja_imagekit import ImageKit
kit = ImageKit(source_dirs=[sys.argv[1] + "/in"], location=sys.argv[1] + "/out", state_dir=sys.argv[1] + "/state",
               video_poster="test_video_posters.slow")
sys.stdin.readline()
print(kit.cachefile("imagekit:thumbnail", source="canal.mp4", width=int(sys.argv[2]), format="PNG").width)
"""


def test_poster_is_made_once_for_all_who_ask_at_once(new_kit: NewKit, tmp_path: Path) -> None:
    """By threads of a server, whose pages want other sizes, and by its processes."""
    kit = new_kit(video_poster=slow)
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda width: thumbnail(kit, width=width), (20, 40, 60, 80)))
    assert [file.width for file in files] == [20, 40, 60, 80]
    asked = tmp_path / "in" / "asked.txt"
    assert asked.read_text() == "x"
    asked.unlink()
    (tmp_path / "in" / "canal.mp4").write_bytes(documents.film("blue"))
    time.sleep(0.05)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    commands = [[sys.executable, "-c", REQUEST, str(tmp_path), width] for width in ("20", "40")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    processes = [subprocess.Popen(command, **pipes) for command in commands]  # type: ignore[call-overload]
    assert [each.communicate("\n", timeout=60)[0] for each in processes] == ["20\n", "40\n"]
    assert asked.read_text() == "x"


def test_maker_that_failed_is_asked_again_later(new_kit: NewKit, tmp_path: Path) -> None:
    """Pages that show the video do not wait for it each time."""
    for timeout, calls in ((60, "x"), (0, "xxx")):
        kit = new_kit(video_poster=slow_and_failing, failure_timeout=timeout)
        for _ in range(2):
            with pytest.raises(UnreadableImage, match="no frames in"):
                thumbnail(kit)
        assert (tmp_path / "in" / "asked.txt").read_text() == calls


def test_name_depends_on_the_video_and_on_the_maker_s_version(new_kit: NewKit, tmp_path: Path) -> None:
    """The poster of another version is another file, also where the old answer is remembered."""
    names = [thumbnail(new_kit(video_poster=Maker())).name]
    other = Maker(Image.new("RGB", (160, 90), "blue"))
    other.version = "2"
    file = thumbnail(new_kit(video_poster=other))
    names.append(file.name)
    with Image.open(file.path) as image:
        assert image.convert("RGB").getpixel((9, 9)) == (0, 0, 255)
    (tmp_path / "in" / "canal.mp4").write_bytes(documents.film("green"))
    names.append(thumbnail(new_kit(video_poster=other)).name)
    assert len(set(names)) == 3
    assert thumbnail(new_kit(), "photo.jpg").name == thumbnail(new_kit(video_poster=Maker()), "photo.jpg").name


def test_warm_tag_shows_the_poster_of_another_version(new_kit: NewKit) -> None:
    """What the state remembers of a tag's call is of one version."""
    template = "{{ ('canal.mp4' | thumbnail('80x', format='PNG')).url }}"
    urls = []
    for version in ("1", "1", "2"):
        maker = Maker()
        maker.version = version
        urls.append(new_kit(video_poster=maker).install(Environment(autoescape=True)).from_string(template).render())
    assert urls[0] == urls[1] != urls[2]


def test_video_may_be_larger_than_a_source(new_kit: NewKit) -> None:
    """It is read in pieces; the cap holds for the poster."""
    assert thumbnail(new_kit(video_poster=Maker(), max_source_bytes=1_000)).width == 80
    large = Maker(drawing.jpeg(160, 90))
    large.version = "2"
    with pytest.raises(ImageTooLarge, match="max_source_bytes"):
        thumbnail(new_kit(video_poster=large, max_source_bytes=1_000))


def failing(path: Path) -> bytes:
    """Raise what a maker may raise."""
    raise OSError(5, f"no frames in {path.name}")


class Pixels:
    """What is neither true nor false, as arrays are."""

    def __bool__(self) -> bool:
        raise ValueError


def silent(path: Path) -> None:
    """Fail without a word."""
    raise ValueError


@pytest.mark.parametrize(
    ("maker", "problem"),
    [
        (failing, "no poster could be made of it: .*no frames in canal.mp4"),
        (silent, "no poster could be made of it: ValueError"),
        (Maker(b""), "video_poster gave nothing"),
        (Maker(Pixels()), "video_poster gave Pixels, and neither bytes"),
        (Maker(Image.new("CMYK", (8, 8))), "no poster could be made of it: cannot write mode CMYK as PNG"),
        (Maker(Image.new("RGB", (0, 8))), "no poster could be made of it: cannot write empty image"),
        (Maker(b"no image"), "not an image of a readable format"),
        (Maker("path.png"), "video_poster gave str, and neither bytes nor an image"),
    ],
)
def test_maker_that_fails_is_one_clear_error(maker: Any, problem: str, new_kit: NewKit) -> None:
    """It names the video."""
    with pytest.raises(UnreadableImage, match=problem) as caught:
        thumbnail(new_kit(video_poster=maker))
    assert "canal.mp4" in str(caught.value)


class Small(ImageSpec):
    """A spec that another process can import."""

    processors = (ResizeToFit(50, 50),)


def test_processes_make_posters_by_a_name(new_kit: NewKit) -> None:
    """A maker that can be imported reaches other processes."""
    kit = new_kit(video_poster="test_video_posters.first_frame")
    kit.register.generator("small", Small)
    kit.register.source_group("small", _Videos())
    report = kit.generate(processes=True)
    assert (len(report.generated), report.failed) == (1, [])


class _Videos:
    """A source group of the video."""

    def files(self) -> list[str]:
        """Return its name."""
        return ["canal.mp4"]


@pytest.mark.parametrize("program", ["ffmpeg", "av"])
def test_makers_of_the_how_to_make_posters(program: str, new_kit: NewKit) -> None:
    """The page has one that starts ffmpeg, and one with PyAV."""
    if program == "ffmpeg" and shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    blocks = re.findall(r'^```python title="\w+\.py"\n(.*?)^```$', HOW_TO.read_text(encoding="utf-8"), re.M | re.S)
    names: dict[str, Any] = {"__name__": "posters"}
    exec(next(each for each in blocks if f"{program}" in each), names)
    file = thumbnail(new_kit(video_poster=names["poster"]))
    with Image.open(file.path) as image:
        red, green, blue = image.convert("RGB").getpixel((40, 20))  # type: ignore[misc]  # RGB has three
    assert red > 220
    assert max(green, blue) < 40
    assert os.path.basename(file.source.path) == "canal.mp4"
