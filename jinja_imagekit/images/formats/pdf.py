"""PDF (ISO 32000), of which one page is drawn; an extra reads it, where a setting names it."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from PIL import Image

from ...time_limits import check_time, is_over
from ..frames import reduced_size
from .base import BrokenFile, Format, Frame, Layout, OtherKind

if TYPE_CHECKING:
    from pypdfium2 import PdfPage  # type: ignore[import-untyped]  # the package has no types

LONGER_SIDE = 4_096
"""Pixels of the longer side of every page, whose own inches say nothing: enough for the widest candidate of a picture,
3840, and 350 dpi of an A4 page."""

_OPENING_BYTES = 1_024
"""Where programs look for the signature (Adobe's implementation note 13 to PDF 1.7, H.3)."""

_MARK = re.compile(rb"\n%imagekit-page ([1-9][0-9]{0,5})\n\Z")
_MOST_MARK_BYTES = 32

_ONE_AT_A_TIME = threading.Lock()
"""PDFium has no threads."""


def with_page(data: bytes, page: int) -> bytes:
    """Return a document of which a page is drawn: the number is a comment at its end, so that it is part of its digest.

    Args:
        data: The document.
        page: The page's number, from 1.
    """
    return data if page == 1 else data + b"\n%%imagekit-page %d\n" % page


class Pdf(Format):
    """A page of a PDF on white paper; none is written."""

    name = "PDF"
    extension = ".pdf"
    mimetype = "application/pdf"
    decoder_scales = (8, 4, 2)

    def announces(self, data: bytes) -> bool:
        """Tell whether the signature stands at the file's beginning, or after a little of something else."""
        return b"%PDF-" in data[:_OPENING_BYTES]

    def layout(self, data: bytes) -> Layout:
        """Return the page's size, in the proportions that it is shown in.

        Raises:
            OtherKind: The document asks for a password, or lacks the page.
            BrokenFile: It cannot be read.
        """
        with _page(data) as page:
            width, height = page.get_size()
        if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
            raise BrokenFile("the page of the PDF document has no size")
        scale = LONGER_SIDE / max(width, height)
        return Layout(*(max(1, math.floor(side * scale + 0.5)) for side in (width, height)))

    def frames(self, data: bytes, layout: Layout, *, animated: bool, scale: int) -> Iterator[Frame]:
        """Yield the page, drawn at the scale that is asked for.

        Raises:
            OtherKind: As `layout`.
            BrokenFile: As `layout`.
            ImageTooSlow: It takes longer than `time_limit` allows.
        """
        # An extra.
        from pypdfium2 import PdfBitmap, raw

        size = reduced_size((layout.width, layout.height), scale)
        with _page(data) as page:
            bitmap = PdfBitmap.new_native(*size, raw.FPDFBitmap_BGRx)
            try:
                bitmap.fill_rect((255, 255, 255, 255), 0, 0, *size)
                # Of a page of very many lines, each few are followed by a look at the clock.
                pause = raw.IFSDK_PAUSE(version=1)
                pause.NeedToPauseNow = type(pause.NeedToPauseNow)(lambda _: is_over())
                raw.FPDF_RenderPageBitmap_Start(bitmap, page, 0, 0, *size, 0, raw.FPDF_ANNOT, pause)
                raw.FPDF_RenderPage_Close(page)
                check_time()
                if page.formenv:
                    # What a form was filled in with.
                    raw.FPDF_FFLDraw(page.formenv, bitmap, page, 0, 0, *size, 0, raw.FPDF_ANNOT)
                image = Image.frombytes("RGB", size, memoryview(bitmap.buffer), "raw", "BGRX", bitmap.stride)
            finally:
                bitmap.close()
        yield Frame(image, 0)


@contextmanager
def _page(data: bytes) -> Iterator[PdfPage]:
    """Open the page of a document, while no other thread uses PDFium.

    Raises:
        OtherKind: As `Pdf.layout`.
        BrokenFile: As `Pdf.layout`.
    """
    # An extra.
    from pypdfium2 import PdfDocument, PdfiumError, raw

    mark = _MARK.search(data, max(0, len(data) - _MOST_MARK_BYTES))
    number = int(mark[1]) if mark else 1
    with _ONE_AT_A_TIME:
        try:
            document = PdfDocument(data)
        except PdfiumError as error:
            if error.err_code == raw.FPDF_ERR_PASSWORD:
                raise OtherKind("a PDF document that asks for a password; save it without one") from None
            raise BrokenFile("the PDF document is damaged") from None
        try:
            count = len(document)
            if number > count:
                raise OtherKind(f"a PDF document of {count:,} page{'s' * (count != 1)}, without a page {number:,}")
            try:
                document.init_forms()
                page = document[number - 1]
            except PdfiumError:
                raise BrokenFile(f"page {number:,} of the PDF document is damaged") from None
            yield page
        finally:
            # With all that belongs to it, which would otherwise be closed by whichever thread collects garbage.
            document.close()
