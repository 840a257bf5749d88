"""The command rewrites the pages of a folder that something else wrote, once, and says what is wrong with them."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from core_site import photo_bytes, settled
from PIL import Image

import drawing
from jinja_imagekit import ImageKit, ImageSpec
from jinja_imagekit.cli import command_line
from jinja_imagekit.markup.site import SiteFolder, SiteReport

RULES: dict[str, Any] = {"*": {"formats": ("WEBP",), "widths": (40, 80)}}


class TornPaper:
    """A processor that fails."""

    def process(self, image: Image.Image) -> Image.Image:
        """Fail."""
        raise ValueError("the paper is torn")


class Public:
    """A folder of pages with their images, and kits for it.

    Attributes:
        root: The folder above it.
        folder: The folder of pages.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "public"
        self.write("photos/canal.jpg", photo_bytes(120, 90))
        self.write("index.html", b'<img src="photos/canal.jpg" alt="">')

    def write(self, name: str, content: bytes) -> Path:
        """Write a file whose time stamp has settled."""
        return settled(self.folder / name, content)

    def kit(self, **settings: Any) -> ImageKit:
        """Return a kit as a new process would have it."""
        given = {
            "location": self.folder,
            "state_dir": self.root / "state",
            "source_dirs": [self.folder],
            "html_rules": RULES,
        }
        return ImageKit(**{**given, **settings})

    def rewrite(self, **settings: Any) -> SiteReport:
        """Rewrite the pages with a new kit."""
        kit = self.kit(**settings)
        report = SiteFolder(kit, self.folder).rewrite(workers=1)
        kit.close()
        return report

    def text(self, name: str = "index.html") -> str:
        """Return a page."""
        return (self.folder / name).read_bytes().decode()

    def made(self) -> set[str]:
        """Return the names of all cache files."""
        return {path.relative_to(self.folder).as_posix() for path in self.folder.glob("CACHE/**/*.*")}


@pytest.fixture
def public(tmp_path: Path) -> Public:
    return Public(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command_line(), arguments, catch_exceptions=False)


def test_a_site_without_a_kit(public: Public, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is all that is needed: images are found in it, and URLs are relative."""
    monkeypatch.chdir(public.root)
    public.write("blog/deep/page.html", b"<p>\r\n<img src='../../photos/canal.jpg' alt=\"A\">\r\n")
    (public.root / "pyproject.toml").write_text(
        '[tool.jinja-imagekit.rules]\n"*" = {formats = ["WEBP"], widths = [40]}\nhead = false\n'
    )
    result = run("html", "public")
    assert result.exit_code == 0
    assert re.search(r"^2 pages, 2 changed, 1 image made, in ", result.stdout, re.MULTILINE)
    page = public.text("blog/deep/page.html")
    assert re.fullmatch(
        r'<p>\r\n<img src="\.\./\.\./CACHE/images/photos/canal/\w+\.webp" width="120".* data-imagekit-src="\S+".*>\r\n',
        page,
    )
    assert "0 changed, 0 images made" in run("html", "public").stdout
    assert public.text("blog/deep/page.html") == page


def test_a_second_run_changes_nothing_and_a_prune_keeps_what_pages_need(public: Public) -> None:
    """With or without the state, and whether pages are known to be right or looked at again."""
    public.write("other.html", b'<video poster="photos/canal.jpg"></video>')
    assert public.rewrite().changed == ["index.html", "other.html"]
    texts, made = [public.text(name) for name in ("index.html", "other.html")], public.made()
    assert len(made) == 3
    for _ in range(2):
        assert public.rewrite().changed == []
        assert public.kit().prune().removed == []
    os.utime(public.folder / "photos/canal.jpg")
    assert public.rewrite().changed == []
    for path in (public.root / "state").rglob("*"):
        path.is_file() and path.unlink()
    assert public.rewrite().changed == []
    assert public.kit().prune().removed == []
    assert [public.text(name) for name in ("index.html", "other.html")] == texts
    assert public.made() == made


def test_what_is_no_longer_needed_can_be_pruned(public: Public) -> None:
    """After a source has changed, or a page is gone."""
    public.rewrite()
    old = public.made()
    public.write("photos/canal.jpg", photo_bytes(100, 75, seed=4))
    assert public.rewrite().changed == ["index.html"]
    assert set(public.kit().prune().removed) == old
    assert set(re.findall(r"CACHE[^\s\"]+", public.text())) == public.made()
    (public.folder / "index.html").unlink()
    public.rewrite()
    public.kit().prune()
    assert public.made() == set()


@pytest.mark.parametrize("change", ["rules", "sidecar", "missing file", "nearer file", "new file"])
def test_a_page_that_was_right_is_looked_at_again(public: Public, change: str) -> None:
    """Whenever anything has changed that it depends on."""
    public.write("blog/index.html", b'<img src="photos/canal.jpg"><img src="later.jpg" alt="">')
    public.rewrite()
    assert public.rewrite().changed == []
    if change == "rules":
        assert public.rewrite(html_rules={"*": {"formats": ("WEBP",), "widths": (20,)}}).changed
    elif change == "sidecar":
        public.write("photos/canal.jpg.toml", b'alt = "A canal"')
        assert public.rewrite().changed == ["blog/index.html"]
        assert 'alt="A canal"' in public.text("blog/index.html")
    elif change == "missing file":
        for name in public.made():
            (public.folder / name).unlink()
        assert len(public.rewrite().images.generated) == 2
    elif change == "nearer file":
        public.write("blog/photos/canal.jpg", photo_bytes(100, 75, seed=6))
        assert public.rewrite().changed == ["blog/index.html"]
    else:
        public.write("blog/later.jpg", photo_bytes(100, 75, seed=6))
        assert public.rewrite().changed == ["blog/index.html"]


def test_notes_of_the_templates_that_wrote_the_pages_are_kept(public: Public) -> None:
    """What a build made with tags is needed as before, and what pages need besides does not pile up."""
    from jinja2 import Environment

    kit = public.kit()
    tag = "{% thumbnail '30x' 'photos/canal.jpg' -- alt='' %}"
    (public.folder / "tags.html").write_text(kit.install(Environment()).from_string(tag).render())
    kit.finish()
    kit.close()
    (of_tag,) = public.made()
    public.rewrite()
    public.write("photos/canal.jpg", photo_bytes(110, 75, seed=4))
    public.rewrite()
    removed = public.kit().prune().removed
    assert len(removed) == 2
    assert of_tag in public.made()


def test_dry_run_tells_and_does_nothing(public: Public, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lists the pages that would change, and counts the images."""
    monkeypatch.chdir(public.root)
    before = public.text()
    result = run("html", "public", "--dry-run")
    assert "would change index.html" in result.stdout
    assert re.search(r"1 page, 1 to change, \d+ images to make", result.stdout)
    assert public.text() == before
    assert public.made() == set()
    public.rewrite()
    public.write("photos/canal.jpg", photo_bytes(100, 75, seed=4))
    assert SiteFolder(public.kit(), public.folder).foresee().changed == ["index.html"]
    public.rewrite()
    assert SiteFolder(public.kit(), public.folder).foresee().changed == []
    assert run("html", "public", "--dry-run", "--check").exit_code == 2
    assert run("html", "public", "--strict").exit_code == 2


def test_an_image_that_cannot_be_made_stays_as_it_is(public: Public, monkeypatch: pytest.MonkeyPatch) -> None:
    """All others are rewritten, and the command fails; the next run tries again."""
    monkeypatch.chdir(public.root)
    public.write("bad.jpg", b"\xff\xd8 not a JPEG")
    public.write("half.jpg", photo_bytes(120, 90)[:1500])
    html = b'<img src="bad.jpg" alt="">\n<img src="half.jpg" alt=""><img src="photos/canal.jpg" alt="">'
    public.write("page.html", html)
    result = run("html", "public", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert not report["ok"]
    assert [(each["page"], each["line"], each["url"]) for each in report["failures"]] == [
        ("page.html", 1, "bad.jpg"),
        ("page.html", 2, "half.jpg"),
    ]
    text = public.text("page.html")
    assert text.startswith('<img src="bad.jpg" alt="">\n<img src="half.jpg" alt=""><picture><source')
    public.write("bad.jpg", photo_bytes(100, 75, seed=6))
    assert run("html", "public").exit_code == 1
    assert public.text("page.html").startswith("<picture>")
    deferred = public.kit(default_cachefile_strategy="Deferred")
    public.write("page.html", html)
    assert [each.url for each in SiteFolder(deferred, public.folder).rewrite().failures] == ["half.jpg"]
    assert '<img src="half.jpg" alt="">' in public.text("page.html")


def test_an_image_that_cannot_be_made_is_told_once_however_many_sizes_it_has(
    public: Public, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what failed, and one for each place in the pages what stays."""
    whole = drawing.jpeg(900, 600, 1)
    public.write("photos/torn.jpg", whole[: len(whole) // 2])
    public.write("index.html", b'<img src="photos/torn.jpg" alt="">\n<img src="photos/torn.jpg" alt="">')
    monkeypatch.chdir(public.root)
    result = run("html", "public", "--quiet")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [line.split()[0] for line in lines] == ["failed", "index.html:1:", "index.html:2:"]
    assert all("the JPEG file is truncated" in line for line in lines)


@pytest.mark.parametrize("strategy", ["JustInTime", "Deferred"])
def test_what_one_image_asks_for_in_vain_does_not_keep_others_of_its_source(public: Public, strategy: str) -> None:
    """Whether the keyword is unknown, or fails once the source is opened: that image alone stays as it is."""
    odd = ['<img src="photos/canal.jpg" alt="" data-imagekit-colour="red">']
    odd += ['<img src="photos/canal.jpg" alt="" class="torn">']
    public.write("odd.html", "\n".join(odd).encode())
    rules = {**RULES, "torn": "site:torn"}
    kit = public.kit(default_cachefile_strategy=strategy, html_rules=rules)

    class Torn(ImageSpec):
        processors = (TornPaper(),)

    kit.register.generator("site:torn", Torn)
    report = SiteFolder(kit, public.folder).rewrite(workers=1)
    assert [(each.page, each.line) for each in report.failures] == [("odd.html", 1), ("odd.html", 2)]
    assert "colour='red'" in report.failures[0].reason
    assert "the paper is torn" in report.failures[1].reason
    assert public.text("odd.html") == "\n".join(odd)
    assert "CACHE/images" in public.text()


@pytest.mark.parametrize(
    ("encoding", "head"),
    [
        ("iso-8859-1", '<meta charset="ISO-8859-1">'),
        ("cp1252", '<meta http-equiv="Content-Type" content="text/html; charset=windows-1252">'),
        ("shift_jis", "<meta charset=shift_jis>"),
        ("utf-8", "\ufeff"),
        ("utf-16-le", "\ufeff"),
        ("utf-8", '<meta charset="no-such">'),
    ],
)
def test_a_page_keeps_its_encoding(public: Public, encoding: str, head: str) -> None:
    """And every byte beside its images."""
    word = "日本" if encoding == "shift_jis" else "été"
    before, after = f"<!doctype html>\r\n{head}" if "meta" in head else head, f"\r\n{word}</p>"
    html = f'{before}<p>{word}<img src="photos/canal.jpg" alt="{word}">{after}'.encode(encoding)
    public.write("index.html", html)
    public.rewrite()
    data = (public.folder / "index.html").read_bytes()
    assert data.startswith(f"{before}<p>{word}<img ".encode(encoding))
    assert data.endswith(after.encode(encoding))
    assert f' alt="{word}" '.encode(encoding) in data


def test_bytes_of_no_encoding_stay(public: Public) -> None:
    """A page that is damaged, or lies about its encoding, is as damaged as before."""
    for head in (b"", b"<meta charset=utf-8>", b"<meta charset=shift_jis>", b"<meta charset=zip>"):
        public.write("index.html", head + b'\xff\xfe\x81<img src="photos/canal.jpg" alt="\xe9">\x00\x80')
        public.rewrite()
        data = (public.folder / "index.html").read_bytes()
        assert data.startswith(head + b"\xff\xfe\x81<img src=")
        assert data.endswith(b">\x00\x80")
        assert b'alt="\xe9"' in data


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege")
def test_links_are_not_followed_and_modes_stay(public: Public) -> None:
    """Neither folders nor files; a page is replaced by a whole new file."""
    elsewhere = settled(public.root / "elsewhere/page.html", public.text().encode())
    (public.folder / "linked").symlink_to(elsewhere.parent)
    (public.folder / "page.html").symlink_to(elsewhere)
    page = public.folder / "index.html"
    page.chmod(0o640)
    with page.open("rb") as before:
        assert public.rewrite().pages == 1
        assert b"CACHE" not in before.read()
    assert page.stat().st_mode & 0o777 == 0o640
    assert b"CACHE" not in elsewhere.read_bytes()
    assert sorted(each.name for each in public.folder.iterdir() if each.name.startswith(".")) == []


def test_cache_files_elsewhere_are_published_into_the_folder(public: Public) -> None:
    """So that the URLs that pages say lead somewhere."""
    public.rewrite(location=public.root / "cache")
    names = re.findall(r"/(CACHE[^\s\"]+)", public.text())
    assert names
    assert all((public.folder / name).is_file() for name in names)
    shutil.rmtree(public.folder / "CACHE")
    assert public.rewrite(location=public.root / "cache").images.generated == []
    assert all((public.folder / name).is_file() for name in names)
    public.rewrite(location=public.root / "cache", base_url="https://cdn.example/")
    assert "https://cdn.example/CACHE" in public.text()
    assert public.kit(location=public.root / "cache").prune().removed == []


def test_a_folder_that_is_no_source_folder_is_looked_up_last(public: Public) -> None:
    """The original of the site's source folder goes before its copy."""
    settled(public.root / "images/photos/canal.jpg", photo_bytes(60, 60, seed=8))
    public.write("own.jpg", photo_bytes(100, 75, seed=7))
    public.write("index.html", b'<img src="photos/canal.jpg" alt=""><img src="own.jpg" alt="">')
    public.rewrite(source_dirs=[public.root / "images"])
    assert re.findall(r'width="(\d+)"', public.text()) == ["60", "100"]


FEED = """<?xml version="1.0" encoding="utf-8"?>\r
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>A &amp; B</title>
<item><description>&lt;p title='x'&gt;&#233;&lt;img src="/photos/canal.jpg" alt="A &amp;amp; B" style="width:9px"&gt;\
</description>
<content:encoded><![CDATA[<p>&eacute;<picture><img src="photos/canal.jpg"></picture><img src="photos/canal.jpg">]]>
</content:encoded><enclosure url="https://example.org/photos/canal.jpg" length="0" type="image/png"/></item>
</channel></rss>
"""


def test_feeds_have_one_image_with_an_absolute_url(public: Public) -> None:
    """A JPEG without what readers ignore; an enclosure says its length, and the rest of the XML stays."""
    public.write("feed.xml", FEED.encode())
    public.write("sitemap.xml", b'<urlset><img src="photos/canal.jpg"/></urlset>')
    settings: dict[str, Any] = {"site_url": "https://example.org", "urls": "relative"}
    assert public.rewrite(**settings).changed == ["feed.xml", "index.html"]
    text = public.text("feed.xml")
    url = r"https://example\.org/CACHE/images/photos/canal/\w+\.jpg"
    image = rf'<img src="{url}" width="120" height="90" alt="A &amp; B" data-imagekit-src="/photos/canal\.jpg"'
    item = ElementTree.fromstring(text).find("channel/item")
    assert item is not None
    description = str(item.findtext("description"))
    assert re.fullmatch(rf"<p title='x'>é{image} data-imagekit-style=\"width:9px\">", description)
    enclosure = item.find("enclosure")
    assert enclosure is not None
    made = public.folder / str(enclosure.get("url")).removeprefix("https://example.org/")
    assert (enclosure.get("length"), enclosure.get("type")) == (str(made.stat().st_size), "image/jpeg")
    assert "<![CDATA[<p>&eacute;<picture>" in text
    assert text.startswith(FEED[: FEED.index("&lt;img")])
    assert text.endswith(FEED[FEED.index("</item>") :])
    assert public.rewrite(**settings).changed == []
    for path in (public.root / "state").rglob("*"):
        path.is_file() and path.unlink()
    assert public.rewrite(**settings).changed == []


def test_atom_feeds(public: Public) -> None:
    """Escaped HTML, XHTML and a link that encloses."""
    html = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><link rel="enclosure" href="/photos/canal.jpg"/>'
        '<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><img src="/photos/canal.jpg" alt=""/></div>'
        '</content><summary type="html">&#60;img src=photos/canal.jpg></summary></entry></feed>'
    )
    public.write("atom.xml", html.encode())
    public.rewrite(site_url="https://example.org")
    text = public.text("atom.xml")
    assert text.count("https://example.org/CACHE/images/photos/canal/") == 3
    entry = ElementTree.fromstring(text)[0]
    assert entry[0].get("length") is None
    assert entry[0].get("type") == "image/jpeg"
    assert public.rewrite(site_url="https://example.org").changed == []


def test_a_feed_of_a_site_without_a_url_stays(public: Public) -> None:
    """Nothing that could be written there would lead anywhere."""
    public.write("feed.xml", FEED.encode())
    public.rewrite()
    assert public.text("feed.xml") == FEED


def test_check_finds_what_is_wrong(public: Public, monkeypatch: pytest.MonkeyPatch) -> None:
    """As text, as JSON and in the report; nothing is changed."""
    monkeypatch.chdir(public.root)
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    image = Image.frombytes("RGB", (8, 8), bytes(192))
    image.save(public.folder / "gps.jpg", exif=exif)
    public.write("large.jpg", drawing.encoded(drawing.photo(800, 600), "JPEG"))
    lines = [
        '<img src="large.jpg" loading="lazy" width="800" height="600">',
        '<img src="photos/canal.jpg" alt="DSC_1234" width="30">',
        '<img src="gone.jpg?v=1" alt="canal walk.jpg">',
        '<img src="photos/canal.jpg" srcset="photos/canal.jpg 1x, other.jpg 1x" alt="">',
        '<a href="gps.jpg">x</a><a href="large.jpg">y</a><pre><img src="no.jpg"></pre>',
        '<img src="https://cdn.example/x.jpg" alt="A canal"><img src="data:," alt=""><source srcset="no.webp 2x">',
    ]
    html = "\n".join(lines)
    public.write("index.html", html.encode())
    report = json.loads(run("html", "public", "--check", "--json").stdout)
    assert [(each["line"], each["kind"]) for each in report["findings"]] == [
        (1, "no-alt"),
        (1, "lazy-first"),
        (2, "alt-is-file-name"),
        (2, "oversized"),
        (3, "missing"),
        (3, "alt-is-file-name"),
        (4, "missing"),
        (4, "duplicate-width"),
        (5, "original-linked"),
        (6, "missing"),
    ]
    result = run("html", "public", "--check", "--strict", "--report", "report.html")
    assert result.exit_code == 1
    assert "index.html:5: original-linked: 'gps.jpg': " in result.stdout
    page = (public.root / "report.html").read_text()
    assert "its metadata says where it was taken" in page
    assert public.text() == html
    assert public.made() == set()
    public.write("index.html", b"<p>")
    assert run("html", "public", "--check", "--strict").exit_code == 0
