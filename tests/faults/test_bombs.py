"""Small files that ask for much: they are refused before the time and the memory are spent."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import Environment

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import ImageKitError

from .conftest import Tally

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured by what Linux tells")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, rows: bytes = b"\0" * 9) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + data + chunk(b"IEND", b"")


def gif(width: int, height: int, frames: int) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHH", 0, 0, width, height) + b"\0\2\2\x44\1\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + bytes(6) + frame * frames + b";"


def empty_segments(count: int) -> bytes:
    return b"\xff\xd8" + b"\xff\xfe\0\2" * count + drawing.jpeg(8, 8)[2:]


def scan(data: bytes) -> bytes:
    """Return a JPEG with this instead of its coded data."""
    jpeg = drawing.jpeg(64, 64)
    start = jpeg.index(b"\xff\xda")
    return jpeg[: start + 2 + int.from_bytes(jpeg[start + 2 : start + 4], "big")] + data + b"\xff\xd9"


def svg(body: str) -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10">{body}</svg>'.encode()


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE svg [<!ENTITY l0 "lol">{entities}]><svg xmlns="http://www.w3.org/2000/svg">&l9;</svg>'.encode()


def tiff(count: int) -> bytes:
    entries = struct.pack("<HHII", 273, 4, count, 8) * 2
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)


BOMBS: dict[str, Callable[[], bytes]] = {
    "178 megapixels of PNG": lambda: png(13_343, 13_340, rows=b"\0" * 20_000_000),
    "a PNG of 4 billion by 4 billion": lambda: png(2**31 - 1, 2**31 - 1),
    "a PNG of no width": lambda: png(0, 100),
    "a PNG of one row": lambda: png(90_000_001, 2),
    "a compressed profile of 200 MB": lambda: png(
        8, 8, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(200_000_000), 9)), rows=b"\0" * 25 * 8
    ),
    "a compressed text of 200 MB": lambda: png(
        8, 8, chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(200_000_000), 9)), rows=b"\0" * 25 * 8
    ),
    "100,000 empty PNG chunks": lambda: png(8, 8, chunk(b"tEXt", b"") * 100_000, rows=b"\0" * 25 * 8),
    "a GIF of 100,000 frames": lambda: gif(400, 400, 100_000),
    "a GIF of 65,535 by 65,535": lambda: gif(65_535, 65_535, 1),
    "a JPEG of nothing but fill bytes": lambda: b"\xff\xd8" + b"\xff" * 5_000_000,
    "a JPEG of 500,000 empty comments": lambda: empty_segments(500_000),
    "a JPEG of 10 million stuffed bytes": lambda: scan(b"\xff\0" * 10_000_000),
    "a JPEG of 10 million restarts": lambda: scan(b"\xff\xd0" * 10_000_000),
    "a TIFF with 4 billion strips": lambda: tiff(2**32 - 1),
    "an SVG that laughs a billion times": laughs,
    "an SVG nested 100,000 deep": lambda: svg("<g>" * 100_000 + "</g>" * 100_000),
    "an SVG with a comment of 5 MB": lambda: svg(f"<!--{'-x' * 2_500_000}-->"),
    "an SVG of 100,000 attributes": lambda: svg("<g " + " ".join(f"a{n}='1'" for n in range(100_000)) + "/>"),
    "an SVG of 1.6 million open elements": lambda: svg("<g>" * 1_600_000),
    "an SVG of 400,000 names": lambda: svg("".join(f"<e{n}/>" for n in range(400_000))),
    "an SVG with 4 MB of text": lambda: svg("x" * 4_000_000),
    "an SVG with a million brackets": lambda: svg("<!--" + "< " * 1_000_000 + "-->"),
    "20 MB of zeros": lambda: bytes(20_000_000),
    "20 MB of 0xFF": lambda: b"\xff" * 20_000_000,
    "a WebP that says it has 4 GB": lambda: b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff" + bytes(100),
    "an AVIF of boxes in boxes": lambda: (
        struct.pack(">I", 24)
        + b"ftypavif"
        + bytes(4)
        + b"avifmif1"
        + b"".join(struct.pack(">I", max(8, 800_000 - 8 * n)) + b"meta" for n in range(100_000))
    ),
}

SCRIPT = """
    import json, os, resource, sys, time
    from pathlib import Path
    from jinja_imagekit import ImageKit
    from jinja_imagekit.exceptions import ImageKitError
    from jinja_imagekit.processors import ResizeToFit

    kit = ImageKit()
    kit.process(Path("small.jpg").read_bytes(), processors=[ResizeToFit(9, 9)], format="WEBP")


    def peak():
        status = Path("/proc/self/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


    for path in sorted(Path("bombs").iterdir()):
        pid = os.fork()
        if not pid:
            data = path.read_bytes()
            # The highest mark of memory begins anew.
            Path("/proc/self/clear_refs").write_text("5")
            before, begun = peak(), time.process_time()
            try:
                # An upload's SVG is refused unread, and a site's own is not.
                kit.source(data).header
                kit.process(data, processors=[ResizeToFit(9, 9)], format="WEBP")
                outcome = "ok"
            except ImageKitError as error:
                outcome = type(error).__name__
            except BaseException as error:
                outcome = repr(error)
            used = time.process_time() - begun
            print(json.dumps([path.name, outcome, used, peak() - before]), flush=True)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status:
            print(json.dumps([path.name, f"it ended with {status}", 0, 0]), flush=True)
"""

HARMLESS = {
    "a compressed text of 200 MB",
    "a compressed profile of 200 MB",
    "100,000 empty PNG chunks",
    "a JPEG of 10 million stuffed bytes",
    "a JPEG of 10 million restarts",
}
"""What says too much beside a whole image may be left aside, and the image made."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float, int]]:
    """Return what became of each bomb, in a process of its own, with seconds of processor time and MiB."""
    folder = tmp_path_factory.mktemp("bombs")
    (folder / "bombs").mkdir()
    (folder / "small.jpg").write_bytes(drawing.jpeg(20, 20))
    for name, make in BOMBS.items():
        (folder / "bombs" / name).write_bytes(make())
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=folder)
    assert result.returncode == 0, result.stderr
    return {name: tuple(facts) for name, *facts in map(json.loads, result.stdout.splitlines())}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb(results: dict[str, tuple[str, float, int]], bomb: str, tally: Tally) -> None:
    """An error of this library, within a second of processor time and 200 MiB beside the file itself."""
    outcome, seconds, mebibytes = results[bomb]
    tally(1, "bomb", outcome=outcome, took=f"{seconds * 1000:.0f} ms", memory=f"{mebibytes} MiB")
    assert outcome in ("UnreadableImage", "ImageTooLarge", *(["ok"] if bomb in HARMLESS else []))
    assert seconds < 1
    assert mebibytes < 200


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (-5, 5), (10**12, 1), (None, 10**9)])
def test_a_size_that_is_asked_for(tmp_path: Path, width: int | None, height: int) -> None:
    """What a template asks for is capped before a pixel is made, whatever it says."""
    (tmp_path / "a.jpg").write_bytes(drawing.jpeg(40, 30))
    kit = ImageKit(source_dirs=[tmp_path], location=tmp_path / "output", state_dir=tmp_path / "state")
    template = kit.install(Environment()).from_string("{{ 'a.jpg' | thumbnail(size, upscale=true) }}")
    with pytest.raises(ImageKitError):
        template.render(size=f"{width or ''}x{height}")
    assert not list((tmp_path / "output").rglob("*.jpg"))
