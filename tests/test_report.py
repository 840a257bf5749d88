"""The HTML report: what it says, that it is safe and self-contained, and how large it gets."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from browser import check_access, started_browser
from PIL import Image

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.pregenerate import Outcome, Report
from jinja_imagekit.pregenerate.html_report import HEIGHT, SHOWN_FAILURES, WIDTH, html_report, write_html_report
from jinja_imagekit.pregenerate.json_report import write_json_report
from jinja_imagekit.processors import ResizeToFill
from jinja_imagekit.sourcegroups import GlobSourceGroup
from jinja_imagekit.wording import counted, seconds_in_words, size_in_words

VOID = {"meta", "img", "br", "input"}


class Page(HTMLParser):
    """A parsed page; each element must be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & {*self.open}:
            self.text = " ".join([*self.text.split(), *data.split(), ""])

    @property
    def images(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "img"]


@pytest.fixture
def kit(tmp_path: Path) -> ImageKit:
    """Return a kit with two generators over a photo, a cut-out and an animation."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "canal.jpg").write_bytes(drawing.jpeg(640, 480, 1))
    (folder / "cut.png").write_bytes(drawing.alpha_png(drawing.photo(120, 160, 2)))
    (folder / "waves.gif").write_bytes(drawing.animated("GIF", drawing.frames(90, 60, 3), (50, 50, 50)))
    kit = ImageKit(source_dirs=[folder], location=tmp_path / "output", state_dir=tmp_path / "state")
    kit.spec("blog:card", processors=[ResizeToFill(60, 40)], format="WEBP")
    kit.spec("blog:hero", processors=[ResizeToFill(400, 160)], format="JPEG")
    for id in ("blog:card", "blog:hero"):
        kit.register.source_group(id, GlobSourceGroup("*"))
    return kit


def test_results_stand_beside_their_sources(kit: ImageKit) -> None:
    """Each source is shown once with all its results, as small pictures with their sizes."""
    page = Page(html_report(kit, kit.generate()))
    assert len(page.images) == 3 + 6
    for attributes in page.images:
        kind, _, data = str(attributes["src"]).partition(",")
        assert kind == "data:image/webp;base64"
        with Image.open(BytesIO(b64decode(data))) as preview:
            assert preview.size == (int(str(attributes["width"])), int(str(attributes["height"])))
            assert preview.width <= WIDTH
            assert preview.height <= HEIGHT
    assert "6 images made" in page.text
    assert page.text.count("400 × 160") == 3 + 3  # on the sheet and in the table
    assert [page.text.count(f" {name} source, ") for name in ("canal.jpg", "cut.png", "waves.gif")] == [1, 1, 1]


def test_the_page_needs_nothing_else(kit: ImageKit) -> None:
    """No link, no address but data URIs, and a policy that forbids them and every script but the page's own."""
    html = html_report(kit, kit.generate())
    page = Page(html)
    assert not {"link", "a", "iframe"} & {tag for tag, _ in page.tags}
    assert all(str(attributes["src"]).startswith("data:") for attributes in page.images)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in html
    assert f"script-src 'sha256-{digest}'" in html
    assert not re.search(r"url\(|@import|https?:", html)
    assert "prefers-color-scheme: dark" in html


def test_what_may_be_had_better_is_named_with_what_it_spares(kit: ImageKit, tmp_path: Path) -> None:
    """A copy of another image, a result larger than its source, and an AVIF larger than its WebP."""
    (tmp_path / "images/again.jpg").write_bytes((tmp_path / "images/canal.jpg").read_bytes())
    made = kit.generate().generated
    outcomes = [
        *made,
        Outcome("generated", "a", "small.png", "a/small.png", source_size=1000, size=3000, width=8, height=8),
        Outcome("generated", "p", "small.png", "p/1.avif", size=2500, width=9, height=9),
        Outcome("skipped", "p", "small.png", "p/1.webp", size=2000, width=9, height=9),
    ]
    text = Page(html_report(kit, Report(outcomes, 1.0))).text
    assert "larger than its source (1 kB)" in text
    assert "larger than the same image as WebP (2 kB)" in text
    assert text.count("the same bytes as") == 2
    assert "the same bytes as blog:hero of" in text


def test_totals_stand_by_format(kit: ImageKit) -> None:
    """How many images, how many bytes, and what a pixel takes."""
    outcomes = [
        Outcome("generated", "p", "a.png", f"{name}", size=10_000, width=100, height=100)
        for name in ("1.avif", "2.jpg", "3.jpg")
    ]
    text = Page(html_report(kit, Report(outcomes, 1.0), most_pictures=0)).text
    assert "JPEG 2 20 kB 8.00 AVIF 1 10 kB 8.00" in text


def test_what_a_phone_loads_stands_by_page(kit: ImageKit, tmp_path: Path) -> None:
    """The heaviest page first, with the source of its heaviest image."""
    report = kit.generate()
    urls = [f"/{outcome.name}" for outcome in sorted(report.generated, key=lambda outcome: outcome.size)]
    (tmp_path / "output/light.html").write_text(f'<img src="{urls[0]}"><img src="{urls[1]}" loading="lazy">')
    (tmp_path / "output/heavy.html").write_text(f'<img src="{urls[-1]}">')
    text = Page(html_report(kit, report, most_pictures=0)).text
    sizes = [size_in_words(outcome.size) for outcome in sorted(report.generated, key=lambda outcome: outcome.size)]
    heaviest = max(report.generated, key=lambda outcome: outcome.size)
    assert f"heavy.html 1 {sizes[-1]} {sizes[-1]} {sizes[-1]} {heaviest.generator_id} of {heaviest.source}" in text
    assert f"light.html 2 {sizes[0]} " in text
    assert "What pages load" not in Page(html_report(kit, report, most_pictures=0, pages=tmp_path / "images")).text


def test_the_same_is_told_as_json(kit: ImageKit, tmp_path: Path) -> None:
    """What a phone loads for each page, totals by format and generator, and each file."""
    report = kit.generate()
    small, *_, large = sorted(report.generated, key=lambda outcome: outcome.size)
    (tmp_path / "output/light.html").write_text(f'<img src="/{small.name}"><img src="/{large.name}" loading="lazy">')
    write_json_report(kit, report, tmp_path / "new/report.json", findings=[{"page": "light.html", "line": 1}])
    told = json.loads((tmp_path / "new/report.json").read_text(encoding="utf-8"))
    assert told["pages"] == [
        {
            "page": "light.html",
            "images": 2,
            "at_once": small.size,
            "in_all": small.size + large.size,
            "offered": small.size + large.size,
            "heaviest": f"/{large.name}",
            "heaviest_size": large.size,
            "unknown": 0,
        }
    ]
    assert told["phone"] == {"width": 400, "height": 800, "density": 2}
    for totals in (told["formats"], told["generators"]):
        assert sum(row["bytes"] for row in totals) == sum(outcome.size for outcome in report.generated)
    assert told["findings"] == [{"page": "light.html", "line": 1}]
    assert {name: told[name] for name in report.as_dict()} == report.as_dict()
    write_json_report(kit, report, tmp_path / "report.json", pages=tmp_path / "images")
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["pages"] == []


def test_the_table_sorts_and_filters(kit: ImageKit, tmp_path: Path) -> None:
    """A click on a heading sorts by it, a second one the other way; a generator or a word leaves what fits."""
    write_html_report(kit, kit.generate(), tmp_path / "report.html")
    with started_browser() as browser:
        page = browser.new_page()
        page.goto((tmp_path / "report.html").as_uri())

        def column(number: int) -> list[str]:
            return page.locator(f"#results tbody tr:visible td:nth-child({number})").all_inner_texts()

        page.get_by_role("button", name="Pixels").click()
        assert column(4) == ["400 × 160"] * 3 + ["60 × 40"] * 3
        page.get_by_role("button", name="Pixels").click()
        assert column(4) == ["60 × 40"] * 3 + ["400 × 160"] * 3
        page.locator("#generator").select_option("blog:hero")
        page.get_by_label("Name has").fill("CANAL")
        assert column(2) == ["canal.jpg"]
        assert page.locator(".sheet:visible").count() == 1
        assert page.locator("#shown").inner_text() == "1 of 6"


def test_nothing_made_is_a_whole_page_too(kit: ImageKit) -> None:
    """An empty report says so; one in which all is fresh shows what there is."""
    assert "There was nothing to make" in Page(html_report(kit, Report([], 0.0))).text
    kit.generate()
    page = Page(html_report(kit, kit.generate()))
    assert "Everything is fresh" in page.text
    assert len(page.images) == 9


def test_names_and_reasons_are_escaped(kit: ImageKit) -> None:
    """What a file is called, or an error says, is text."""
    evil = "\"><script>alert(1)</script><img src='x' onerror=y>"
    outcomes = [
        Outcome("failed", evil, evil, None, evil),
        Outcome("generated", evil, evil, evil, seconds=1.0, size=1, width=1, height=1),
    ]
    page = Page(html_report(kit, Report(outcomes, 1.0)))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.images == []
    assert page.text.count("<script>") >= 4
    assert "no preview" in page.text


def test_failures_of_one_source_stand_together_with_their_reason(kit: ImageKit, tmp_path: Path) -> None:
    """One bad source fails for each generator, and is told once."""
    (tmp_path / "images/broken.jpg").write_text("no image")
    page = Page(html_report(kit, kit.generate()))
    assert "2 images failed" in page.text
    assert page.text.count("not an image of a readable format") == 1
    assert "blog:card, blog:hero" in page.text


def test_the_slowest_and_the_heaviest_come_first(kit: ImageKit) -> None:
    """Ten of each, the greatest first."""
    outcomes = [
        Outcome("generated", f"id:{number}", None, f"{number}.jpg", seconds=number, size=1000 * (50 - number))
        for number in range(1, 31)
    ]
    html = html_report(kit, Report(outcomes, 9.0), most_pictures=0)
    slowest, heaviest = re.findall(r'<ol class="ranks">(.*?)</ol>', html, re.DOTALL)
    assert re.findall(r"id:(\d+)", slowest) == [str(number) for number in range(30, 20, -1)]
    assert re.findall(r"id:(\d+)", heaviest) == [str(number) for number in range(1, 11)]
    assert "30.0 s" in slowest
    assert "49 kB" in heaviest


def test_a_large_run_makes_no_large_page(kit: ImageKit) -> None:
    """Pictures and failures are capped, and the page says how many more there are."""
    made = kit.generate().generated
    failed = [
        Outcome("failed", "blog:card", f"{number}.jpg", None, "it is empty") for number in range(SHOWN_FAILURES + 7)
    ]
    page = Page(html_report(kit, Report([*made, *failed], 1.0), most_pictures=2))
    assert len(page.images) <= 2 * 2
    assert "the first 2 results, and 4 more" in page.text
    assert page.text.count("it is empty") == SHOWN_FAILURES
    assert "and 7 more" in page.text


def test_a_result_that_is_gone_or_damaged_has_no_picture(kit: ImageKit, tmp_path: Path) -> None:
    """The page is written nevertheless."""
    report = kit.generate()
    (tmp_path / "output" / str(report.generated[0].name)).unlink()
    (tmp_path / "output" / str(report.generated[1].name)).write_bytes(b"no image")
    (tmp_path / "images/cut.png").unlink()
    page = Page(html_report(kit, report))
    assert page.text.count("no preview") == 3


def test_the_report_is_accessible(kit: ImageKit, tmp_path: Path) -> None:
    """axe finds nothing, on screens of any width, in light and dark."""
    (tmp_path / "images/broken.jpg").write_text("no image")
    (tmp_path / "images/again.jpg").write_bytes((tmp_path / "images/canal.jpg").read_bytes())
    report = kit.generate()
    (tmp_path / "output/index.html").write_text(f'<img src="{report.generated[0].name}" alt="">')
    write_html_report(kit, report, tmp_path / "report.html")
    with started_browser() as browser:
        check_access(browser, (tmp_path / "report.html").as_uri())


def test_totals_count_each_source_once(kit: ImageKit, tmp_path: Path) -> None:
    """Two results of one source read it once."""
    target = tmp_path / "public/report.html"
    write_html_report(kit, kit.generate(), target)
    sources = sum(path.stat().st_size for path in (tmp_path / "images").iterdir())
    assert f"Sources read {size_in_words(sources)} " in Page(target.read_text(encoding="utf-8")).text


def test_numbers_are_told_as_people_read_them() -> None:
    """Units change where the next one is nearer; nothing reads 1000 kB or 60.0 s."""
    sizes = (0, 999, 1000, 999_499, 999_500, 9_949_999, 9_950_000, 999_499_999, 1_200_000_000)
    assert [size_in_words(size) for size in sizes] == [
        *("0 B", "999 B", "1 kB", "999 kB", "1.0 MB", "9.9 MB", "10 MB", "999 MB", "1.2 GB")
    ]
    durations = (0.0, 0.0413, 0.9996, 59.94, 59.96, 754.0, 3_600.0, 7_322.0)
    assert [seconds_in_words(seconds) for seconds in durations] == [
        *("0 ms", "41 ms", "1.0 s", "59.9 s", "1 min 0 s", "12 min 34 s", "1 h 0 min", "2 h 2 min")
    ]
    assert (counted(1, "image"), counted(1_234, "image")) == ("1 image", "1,234 images")
