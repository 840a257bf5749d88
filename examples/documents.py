"""Writes small PDF documents and films, for the examples and the tests."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from PIL import Image


class Page(NamedTuple):
    """A page of a document.

    Attributes:
        width: In points, 1/72 inch.
        height: In points.
        content: Operators of PDF (ISO 32000-1, annex A) that draw it.
        more: Further entries of its dictionary.
    """

    width: int
    height: int
    content: str
    more: str = ""


def pdf(pages: Sequence[Page], *, trailer: str = "", catalog: str = "", objects: Sequence[str] = ()) -> bytes:
    """Return a document of these pages.

    Args:
        pages: The pages.
        trailer: Further entries of the trailer.
        catalog: Further entries of the catalog.
        objects: Further objects; the first one has the number 4.

    Example:
        >>> pdf([Page(200, 100, "1 0 0 rg 0 0 100 100 re f")])[:8]
        b'%PDF-1.4'
    """
    first = 4 + len(objects)
    kids = " ".join(f"{first + 2 * index + 1} 0 R" for index in range(len(pages)))
    bodies = [
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *objects,
    ]
    for page in pages:
        bodies.append(f"<</Length {len(page.content)}>>stream\n{page.content}\nendstream")
        resources = "" if "/Resources" in page.more else "/Resources<</Font<</F 3 0 R>>>>"
        box = f"/MediaBox[0 0 {page.width} {page.height}]"
        bodies.append(f"<</Type/Page/Parent 2 0 R{box}/Contents {len(bodies)} 0 R{resources}{page.more}>>")
    text, places = "%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(text))
        text += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"trailer<</Size {len(bodies) + 1}/Root 1 0 R{trailer}>>\nstartxref\n{len(text)}\n%%EOF\n"
    return f"{text}xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n{table}{end}".encode("latin-1")


@lru_cache
def film(colour: str = "red", container: str = "mp4", codec: str = "mpeg4") -> bytes:
    """Return a second of video in one colour, by PyAV.

    Args:
        colour: Any colour that Pillow knows.
        container: The name of a format of ffmpeg's.
        codec: The name of one of its encoders.
    """
    # For who has it.
    import av

    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        frame = av.VideoFrame.from_image(Image.new("RGB", (160, 90), colour))
        for _ in range(10):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()
