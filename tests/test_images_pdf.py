"""Pages of PDFs are drawn where the setting `readable_formats` names it."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment
from PIL import Image, ImageChops, ImageStat

import documents
from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.exceptions import ImageTooLarge, ImageTooSlow, SourceNotAllowed, UnreadableImage
from jinja_imagekit.processors import ResizeToFit
from jinja_imagekit.settings import READABLE_FORMATS

pytest.importorskip("pypdfium2")

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
READABLE = (*READABLE_FORMATS, "PDF")

NewKit = Callable[..., ImageKit]


@pytest.fixture
def new_kit(tmp_path: Path) -> NewKit:
    """Make kits of a folder with a document of two pages: a red half, upright, and a blue one across."""
    pages = [
        documents.Page(400, 600, "1 0 0 rg 0 300 400 300 re f"),
        documents.Page(300, 100, "0 0 1 rg 0 0 150 100 re f"),
    ]
    (tmp_path / "report.pdf").write_bytes(documents.pdf(pages))

    def make(**settings: Any) -> ImageKit:
        whole = {"source_dirs": [tmp_path], "location": tmp_path / "out", "state_dir": tmp_path / "state"}
        return ImageKit(**{"readable_formats": READABLE, "failure_timeout": 0, **whole, **settings})

    return make


def made(kit: ImageKit, source: str, **keywords: Any) -> Image.Image:
    """Return the image of a page."""
    with closing(kit):
        file = kit.cachefile("imagekit:thumbnail", **{"source": source, "width": 200, "format": "PNG", **keywords})
        assert file.size
        return Image.open(file.path).convert("RGB")


@pytest.mark.parametrize("isolation", [None, "process"])
@pytest.mark.parametrize(
    ("source", "size", "colour"), [("report.pdf", (200, 300), RED), ("report.pdf#page=2", (200, 67), BLUE)]
)
def test_page_is_drawn_on_white(
    source: str, size: tuple[int, int], colour: tuple[int, int, int], isolation: str | None, new_kit: NewKit
) -> None:
    """The first one, or the one that is named as in a browser."""
    image = made(new_kit(isolation=isolation), source)
    assert image.size == size
    assert image.getpixel((20, 20)) == colour
    assert image.getpixel((180, size[1] - 5)) == WHITE


def test_form_is_drawn_as_it_was_filled_in(new_kit: NewKit, tmp_path: Path) -> None:
    """A field has a drawing of its value."""
    drawn = "<</Type/XObject/Subtype/Form/BBox[0 0 200 40]/Length 26>>stream\n0 1 0 rg 0 0 200 40 re f\nendstream"
    field = "<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(x)/F 4/Rect[50 50 250 90]/AP<</N 4 0 R>>>>"
    page = documents.Page(300, 200, "", "/Annots[5 0 R]")
    data = documents.pdf([page], objects=[drawn, field], catalog="/AcroForm<</Fields[5 0 R]>>")
    (tmp_path / "form.pdf").write_bytes(data)
    image = made(new_kit(), "form.pdf", width=300)
    assert [image.getpixel((100, row)) for row in (130, 170)] == [(0, 255, 0), WHITE]


def test_page_that_chromium_printed_looks_as_chromium_shows_it(browser: Any, new_kit: NewKit, tmp_path: Path) -> None:
    """Its fonts are embedded; only the edges of letters differ."""
    context = browser.new_context(viewport={"width": 400, "height": 300})
    page = context.new_page()
    page.set_content(
        "<style>@page{size:400px 300px;margin:0}body{margin:0}*{-webkit-print-color-adjust:exact}</style>"
        "<div style='background:#1f3a5c;width:200px;height:150px'></div>"
        "<div style='background:linear-gradient(90deg,red,blue);height:100px'></div><b style='font-size:30px'>Text</b>"
    )
    shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    (tmp_path / "printed.pdf").write_bytes(page.pdf(prefer_css_page_size=True, print_background=True))
    context.close()
    image = made(new_kit(), "printed.pdf", width=400)
    assert image.size == (400, 300)
    mean = ImageStat.Stat(ImageChops.difference(image, shown)).mean
    assert max(mean) < 2
    assert min(image.crop((0, 250, 100, 300)).convert("L").getextrema()) < 30


def test_page_is_drawn_at_the_scale_that_is_needed(new_kit: NewKit, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thumbnail takes an eighth; a line is sharp at every size, since it is drawn and not enlarged."""
    from pypdfium2 import PdfBitmap

    drawn: list[tuple[int, int]] = []
    original = PdfBitmap.new_native
    monkeypatch.setattr(PdfBitmap, "new_native", lambda *a: drawn.append(a[:2]) or original(*a))
    made(new_kit(), "report.pdf", width=100)
    image = made(new_kit(), "report.pdf", width=2000)
    assert drawn == [(342, 512), (2731, 4096)]
    assert [image.getpixel((1000, row)) for row in (1498, 1502)] == [RED, WHITE]


def test_pages_have_names_of_their_own_and_are_remembered_apart(new_kit: NewKit) -> None:
    """A second process knows both without opening the document, and draws neither anew."""
    template = "{{ ('report.pdf#page=%d' | thumbnail('100x', format='WEBP')).url }}"
    pages = []
    for _ in range(2):
        with closing(new_kit()) as kit:
            env = kit.install(Environment(autoescape=True))
            pages.append([env.from_string(template % number).render() for number in (1, 2)])
            assert [kit.imageinfo(f"report.pdf#page={each}").width for each in (1, 2)] == [2731, 4096]
    assert pages[0] == pages[1]
    assert pages[0][0] != pages[0][1]
    with closing(new_kit()) as kit:
        assert kit.cachefile("imagekit:thumbnail", source="report.pdf", width=100, format="WEBP").url == pages[0][0]


def test_html_names_a_page_by_its_fragment(new_kit: NewKit) -> None:
    """Browsers understand the same URL in a link; the fragments of other images say nothing."""
    with closing(new_kit(picture_formats=("WEBP",))) as kit:
        first, second, other, *spelled = (
            kit.transform(f'<img src="report.pdf{each}" alt="" width="100">', page="a.html")
            for each in ("", "#page=2", "#x", "#page=02", "#page=2&amp;zoom=50", "#zoom=50&amp;page=2")
        )
    assert 'height="150"' in first
    assert 'height="33"' in second
    assert other.replace("report.pdf#x", "report.pdf") == first
    assert {re.findall(r"/CACHE[^ \"]+", each)[0] for each in spelled} == {re.findall(r"/CACHE[^ \"]+", second)[0]}


def test_sidecar_file_of_a_document_counts_for_its_pages(new_kit: NewKit, tmp_path: Path) -> None:
    """One of all images may name a page."""
    (tmp_path / "report.pdf.toml").write_text('credit = "Ada"')
    (tmp_path / "images.toml").write_text('["report.pdf#page=2"]\nalt = "Page two"')
    with closing(new_kit()) as kit:
        info = kit.imageinfo("report.pdf#page=2")
        assert (info.alt, info.credit) == ("Page two", "Ada")


class Small(ImageSpec):
    """A spec that another process can import."""

    processors = (ResizeToFit(50, 50),)


class AllPages:
    """A source group that lists pages."""

    def files(self) -> Iterator[str]:
        """Yield the document, which stands for its first page, and its second page."""
        yield from ("report.pdf", "report.pdf#page=2")


def test_generate_makes_images_of_pages_in_other_processes(new_kit: NewKit) -> None:
    """A source group lists them by their names."""
    with closing(new_kit()) as kit:
        kit.register.generator("small", Small)
        kit.register.source_group("small", AllPages())
        report = kit.generate(processes=True)
        assert (len(report.generated), report.failed) == (2, [])


def test_document_is_refused_with_one_clear_error(new_kit: NewKit, tmp_path: Path) -> None:
    """It is not named, asks for a password, lacks the page, is damaged, or is larger than a cap."""
    with pytest.raises(UnreadableImage, match=r"a PDF document; export .* or name PDF in the setting readable_formats"):
        made(new_kit(readable_formats=READABLE_FORMATS), "report.pdf")
    with pytest.raises(UnreadableImage, match="a PDF document of 2 pages, without a page 3"):
        made(new_kit(), "report.pdf#page=3")
    with pytest.raises(ImageTooLarge, match="max_source_pixels"):
        made(new_kit(max_source_pixels=1_000_000), "report.pdf")
    with pytest.raises(SourceNotAllowed, match="leads out"):
        made(new_kit(), "../report.pdf#page=2")
    data = (tmp_path / "report.pdf").read_bytes()
    (tmp_path / "cut.pdf").write_bytes(data[: len(data) // 3])
    with pytest.raises(UnreadableImage, match="the PDF document is damaged"):
        made(new_kit(), "cut.pdf")
    # Standard security handler, 40 bits; no password fits.
    lock = f"<</Filter/Standard/V 1/R 2/O<{'41' * 32}>/U<{'42' * 32}>/P -4>>"
    locked = documents.pdf(
        [documents.Page(100, 100, "")], trailer=f"/Encrypt 4 0 R/ID[<{'00' * 16}><{'00' * 16}>]", objects=[lock]
    )
    (tmp_path / "locked.pdf").write_bytes(locked)
    with pytest.raises(UnreadableImage, match="asks for a password; save it without one"):
        made(new_kit(), "locked.pdf")


def test_page_of_very_many_lines_is_left_when_its_time_is_over(new_kit: NewKit, tmp_path: Path) -> None:
    """Also without a process that could be killed, as PDFium asks now and then whether it should go on."""
    page = documents.Page(100, 100, "0 0 m 100 100 l 50 0 l h f " * 100_000)
    (tmp_path / "lines.pdf").write_bytes(documents.pdf([page]))
    begun = time.process_time()
    with pytest.raises(ImageTooSlow):
        made(new_kit(timeout=0.5), "lines.pdf")
    assert time.process_time() - begun < 5
    assert made(new_kit(), "report.pdf").size == (200, 300)


def test_threads_draw_one_after_another(new_kit: NewKit) -> None:
    """PDFium has no threads of its own, and fails where two use it at once."""
    with closing(new_kit()) as kit:
        files = [
            kit.cachefile("imagekit:thumbnail", source=f"report.pdf#page={1 + each % 2}", width=20 + each, format="PNG")
            for each in range(24)
        ]
        threads = [threading.Thread(target=file.generate) for file in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [file.width for file in files] == [20 + each for each in range(24)]
