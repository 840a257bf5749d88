"""The setting `resizer`: what `fast` makes, that it is chosen and never picked up, and the same on every processor."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import InvalidSetting
from jinja_imagekit.processors import ResizeToFill, ResizeToFit, SmartResize
from jinja_imagekit.specs import spec_class

SIZES = [(60, 40), (33, 97), (1, 1), (199, 149)]


def resized(image: Image.Image, size: tuple[int, int], resizer: str) -> Image.Image:
    """Return what a spec with this resizer makes of an image."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    spec = spec_class({"processors": [ResizeToFill(*size)], "format": "PNG", "resizer": resizer})
    with spec(buffer.getvalue()).generate() as made, Image.open(made) as opened:
        opened.load()
        return opened


def pictures() -> dict[str, Image.Image]:
    """Return a photo in each mode that is resized."""
    photo = drawing.photo(200, 150, seed=3)
    alpha = Image.linear_gradient("L").resize(photo.size)
    see_through, grey = photo.copy(), photo.convert("L")
    see_through.putalpha(alpha)
    grey_see_through = Image.merge("LA", (grey, alpha))
    return {"RGB": photo, "L": grey, "RGBA": see_through, "LA": grey_see_through}


def on_grey(image: Image.Image) -> Image.Image:
    """Return what is seen of an image on grey."""
    below = Image.new("RGBA", image.size, "#808080")
    return Image.alpha_composite(below, image.convert("RGBA")).convert("RGB")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
@pytest.mark.parametrize("size", [(90, 60), (77, 97), (199, 149), (300, 200)], ids=str)
def test_fast_looks_like_pillow(mode: str, size: tuple[int, int]) -> None:
    """The same size and mode, and no sample that is seen differs by more than a few levels."""
    pytest.importorskip("cykooz_resizer")
    image = pictures()[mode]
    slow, fast = resized(image, size, "pillow"), resized(image, size, "fast")
    assert fast.mode == slow.mode
    assert fast.size == slow.size
    difference = ImageChops.difference(on_grey(slow), on_grey(fast))
    # Colours under transparency are multiplied and divided in 8 bits.
    assert max(high for _, high in difference.getextrema()) <= (4 if mode.endswith("A") else 2)
    assert max(ImageStat.Stat(difference).mean) < 0.5


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_fast_makes_the_same_bytes_on_every_processor(mode: str) -> None:
    """With and without the processor's extensions, of whole images and of parts of them."""
    cykooz = pytest.importorskip("cykooz_resizer")
    found = cykooz.Resizer().cpu_extensions
    extensions = [each for each in cykooz.CpuExtensions if each.value <= found.value]
    image = pictures()[mode].convert({"LA": "RGBA"}.get(mode, mode))
    for size in SIZES:
        for part in ((0, 0, 200, 150), (10.3, 20.7, 150.25, 100.5)):
            options = cykooz.ResizeOptions()
            options.resize_alg = cykooz.ResizeAlg.convolution(cykooz.FilterType.lanczos3)
            options.crop_box = cykooz.CropBox(*part)
            results = set()
            for each in extensions:
                resizer = cykooz.Resizer()
                resizer.cpu_extensions = each
                made = Image.new(image.mode, size)
                resizer.resize_pil(image, made, options)
                results.add(made.tobytes())
            assert len(results) == 1


@pytest.mark.parametrize("width", [7, 31, 64, 99, 100, 101, 333, 1000])
def test_fast_reaches_every_edge(width: int) -> None:
    """No part that a fill or a fit computes lies beyond the image by a rounding error."""
    pytest.importorskip("cykooz_resizer")
    image = drawing.photo(101, 67, seed=2)
    buffer = BytesIO()
    image.save(buffer, "JPEG")
    for processor in (ResizeToFill(width, 43), ResizeToFit(width), SmartResize(width, 59)):
        spec = spec_class({"processors": [processor], "format": "PNG", "resizer": "fast"})
        with spec(buffer.getvalue()).generate() as made, Image.open(made) as opened:
            assert opened.width <= width


def test_the_resizer_is_part_of_a_files_name(tmp_path: Path) -> None:
    """It changes pixels, so that files of both stand beside each other."""
    pytest.importorskip("cykooz_resizer")
    (tmp_path / "canal.jpg").write_bytes(drawing.jpeg(80, 60, 1))
    names = set()
    for resizer in ("pillow", "fast"):
        kit = ImageKit(source_dirs=[tmp_path], location=tmp_path / "out", state_dir=tmp_path / "state", resizer=resizer)
        names.add(kit.cachefile("imagekit:thumbnail", source="canal.jpg", width=20).name)
        kit.close()
    assert len(names) == 2


def test_fast_is_never_picked_up() -> None:
    """Unless the setting says so, nothing of the package is imported, although it is installed."""
    code = (
        "import sys, io; from PIL import Image; from jinja_imagekit.specs import spec_class\n"
        "from jinja_imagekit.processors import ResizeToFill\n"
        "file = io.BytesIO(); Image.new('RGB', (9, 9)).save(file, 'PNG')\n"
        "spec_class({'processors': [ResizeToFill(3, 3)]})(file.getvalue()).generate().close()\n"
        "print('cykooz_resizer' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_fast_without_its_package_is_an_error_at_once() -> None:
    """The kit is not made, and the message says what to install; so it is with a version of other pixels."""
    code = (
        "from importlib import metadata\n"
        "def version(name):\n"
        "    VERDICT\n"
        "metadata.version = version\n"
        "from jinja_imagekit import ImageKit\n"
        "from jinja_imagekit.exceptions import InvalidSetting\n"
        "try:\n"
        "    ImageKit(resizer='fast')\n"
        "except InvalidSetting as error:\n"
        "    print(error)\n"
    )
    for verdict, says in (
        ("raise metadata.PackageNotFoundError(name)", "pip install 'jinja-imagekit[fast]'"),
        ("return '5.0.1'", "5.0.1 is installed"),
    ):
        command = [sys.executable, "-c", code.replace("VERDICT", verdict)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert says in done.stdout


def test_an_unknown_resizer_is_an_error() -> None:
    """The message names those that there are."""
    with pytest.raises(InvalidSetting, match=r"resizer.*pillow.*fast"):
        ImageKit(resizer="vips")
