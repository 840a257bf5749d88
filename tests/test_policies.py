"""`on_error`: what pages show instead of an image that cannot be made, and where that is told."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from core_site import Broken, BrokenCard, Card, Site, photo_bytes, settled
from jinja2 import Environment, StrictUndefined, UndefinedError
from jinja2.sandbox import SandboxedEnvironment
from PIL import Image

import drawing
from jinja_imagekit import ImageKit
from jinja_imagekit.exceptions import (
    GenerationFailed,
    ImageKitError,
    InvalidOption,
    InvalidSetting,
    NotRegistered,
    SourceError,
    SourceNotFound,
    UnreadableImage,
)
from jinja_imagekit.images import Limits, read_header
from jinja_imagekit.processors import ResizeToFill, ResizeToFit
from jinja_imagekit.settings import Settings
from jinja_imagekit.stand_ins import placeholder_svg, placeholder_uri

DEFERRED = "jinja_imagekit.cachefiles.strategies.Deferred"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a site with a photo, a truncated one, a text file, and a spec that fails."""
    return furnished(Site(tmp_path))


def furnished(site: Site) -> Site:
    """Return the site with sources good and bad."""
    site.write("good.jpg")
    settled(site.images / "cut.jpg", photo_bytes()[:-200])
    settled(site.images / "text.jpg", b"no image at all")
    site.kit.register.generator("broken", BrokenCard)
    return site


def render(kit: ImageKit, template: str, environment: Environment | None = None, **context: Any) -> str:
    """Render a template with the tags of a kit."""
    environment = kit.install(environment or Environment(autoescape=True))
    return environment.from_string(template).render(**context)


def placeholder(html: str) -> tuple[str, int, int]:
    """Return the SVG, width and height of the one placeholder in a page; the SVG has the size that is written."""
    (found,) = re.findall(r'<img src="data:image/svg\+xml,([^"]*)" width="(\d+)" height="(\d+)"', html)
    svg, width, height = unquote(found[0]), int(found[1]), int(found[2])
    assert read_header(svg.encode(), name="placeholder", limits=Limits()).size() == (width, height)
    return svg, width, height


BAD = [
    "{% thumbnail '60x40' 'none.jpg' on_error=p %}",
    "{% thumbnail '60x40' '../good.jpg' on_error=p %}",
    "{% thumbnail '60x40' 'text.jpg' on_error=p %}",
    "{% thumbnail '60x40' 'cut.jpg' on_error=p %}",
    "{% thumbnail '60x40' none on_error=p %}",
    "{% thumbnail '60x40' missing on_error=p %}",
    "{% thumbnail '60x40' 'none.jpg' on_error=p srcset='1.5 2' %}",
    "{% thumbnail '60x40' 'none.jpg' on_error=p as x %}{{ x }}",
    "{{ 'none.jpg' | thumbnail('60x40', on_error=p) }}",
    "{% generateimage 'broken' source='good.jpg' on_error=p %}",
    "{{ 'good.jpg' | generateimage('broken', on_error=p) }}",
]


@pytest.mark.parametrize("template", BAD)
def test_by_default_a_bad_image_is_an_error(site: Site, template: str) -> None:
    """Without a policy, and with "raise", a page with a bad image is no page."""
    for policy in ("raise", None):
        with pytest.raises(ImageKitError) as caught:
            render(site.kit, template, p=policy)
        assert caught.value.lineno == 1


@pytest.mark.parametrize("template", BAD)
def test_a_bad_image_is_left_out(site: Site, template: str) -> None:
    """With "omit" nothing is written."""
    assert render(site.kit, f"<p>{template}</p>", p="omit") == "<p></p>"


@pytest.mark.parametrize("template", BAD)
def test_a_bad_image_has_a_placeholder(site: Site, template: str) -> None:
    """With "placeholder" a drawing of the asked size stands in the image's place, and says nothing of the reason."""
    svg, width, height = placeholder(render(site.kit, template, p="placeholder"))
    assert (width, height) == ((400, 300) if "broken" in template else (60, 40))
    assert "<text" not in svg


def test_the_setting_is_for_all(tmp_path: Path) -> None:
    """A kit's policy holds for every tag that has none of its own."""
    site = furnished(Site(tmp_path, on_error="omit"))
    assert render(site.kit, "[{% thumbnail '60x40' 'none.jpg' %}{{ 'none.jpg' | thumbnail('9x') }}]") == "[]"
    assert placeholder(render(site.kit, "{% thumbnail '60x40' 'none.jpg' on_error='placeholder' %}"))[1:] == (60, 40)
    with pytest.raises(SourceNotFound):
        render(site.kit, "{% thumbnail '60x40' 'none.jpg' on_error='raise' %}")


def test_good_images_are_the_same_under_every_policy(site: Site) -> None:
    """The policy is not part of the cache file's name, nor of what its generator is told."""
    template = (
        "{% thumbnail '60x40' 'good.jpg' on_error=p %}{% generateimage 'card' source='good.jpg' on_error=p as x %}"
    )
    pages = {render(site.kit, template + "{{ x }}", p=policy) for policy in ("raise", "placeholder", "original", None)}
    assert len(pages) == 1
    assert len(site.files()) == 2


@pytest.mark.parametrize("policy", ["placeholder", "original", "omit"])
@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("{% generateimage 'blog:hero' source='good.jpg' on_error=p %}", NotRegistered),
        ("{% thumbnail '0x40' 'good.jpg' on_error=p %}", InvalidOption),
        ("{% thumbnail '60x40' 'good.jpg' anchor='x' on_error=p %}", InvalidOption),
        ("{% thumbnail '60x40' 'good.jpg' quality=200 on_error=p %}", InvalidOption),
        ("{% thumbnail '60x40' 7 on_error=p %}", SourceError),
        ("{{ ('good.jpg' | generateimage('hero', on_error=p)).url }}", NotRegistered),
    ],
)
def test_mistakes_in_the_code_are_raised(site: Site, template: str, error: type[Exception], policy: str) -> None:
    """An unknown generator and bad arguments are the author's to mend, the first time and when they are remembered."""
    with pytest.raises(error):
        render(site.kit, template, p=policy)
    with pytest.raises((error, GenerationFailed)):
        render(site.kit, template, p=policy)


@pytest.mark.parametrize("policy", ["", "ignore", True, 7])
def test_an_unknown_policy_is_an_error(site: Site, policy: object) -> None:
    """A policy that does not exist is told at once, also where the image is good."""
    for template in ("{% thumbnail '9x' 'good.jpg' on_error=p %}", "{{ 'good.jpg' | thumbnail('9x', on_error=p) }}"):
        with pytest.raises(InvalidOption, match="write one of 'raise', 'placeholder', 'original', 'omit'"):
            render(site.kit, template, p=policy)
    with pytest.raises(InvalidSetting, match="on_error"):
        Settings(on_error=policy)  # type: ignore[arg-type]


def test_strictly_undefined_sources_are_raised(site: Site) -> None:
    """Where undefined values are errors, no policy hides one."""
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    with pytest.raises(UndefinedError):
        render(site.kit, "{% thumbnail '9x' missing on_error='omit' %}", environment)


def test_attributes_stay(site: Site) -> None:
    """A placeholder has the author's attributes, and theirs of width and height."""
    html = render(site.kit, "{% thumbnail '60x40' 'none.jpg' on_error='placeholder' -- alt='A canal' class='card' %}")
    assert html.endswith('width="60" height="40" alt="A canal" class="card">')
    html = render(site.kit, "{% thumbnail '60x40' 'none.jpg' on_error='placeholder' -- width='100%' %}")
    assert html.endswith('" width="100%">')


@pytest.mark.parametrize(
    ("processors", "size"),
    [
        ([ResizeToFill(120, 50)], (120, 50)),
        ([ResizeToFit(80)], (80, 60)),
        ([ResizeToFit(80, 80)], (80, 60)),
        ([], (400, 300)),
        ([Broken()], (400, 300)),
    ],
)
def test_size_of_a_placeholder_without_a_source(site: Site, processors: list[object], size: tuple[int, int]) -> None:
    """The processors say what a usual photo would become; where it would keep its size, a default is taken."""
    site.kit.spec("spec", processors=processors)
    html = render(site.kit, "{% generateimage 'spec' source='none.jpg' on_error='placeholder' %}")
    assert placeholder(html)[1:] == size


def test_a_file_that_is_left_out_is_false(site: Site) -> None:
    """What `as` assigns is false where the image is left out, and has no URL and no size."""
    template = (
        "{% thumbnail '60x40' s on_error=p as x %}{{ x.width }}{{ 'yes' if x else 'no' }}{{ x.url }}{{ x.height }}"
    )
    assert render(site.kit, template, s="text.jpg", p="omit") == "0no0"
    assert render(site.kit, template, s="good.jpg", p="omit").startswith("60yes/CACHE")


def test_a_placeholder_is_true(site: Site) -> None:
    """What `as` assigns has the placeholder's data URI, size and media type."""
    template = "{% thumbnail '60x' 'text.jpg' on_error='placeholder' as x %}{{ 'yes' if x else 'no' }} {{ x.url }} "
    page = render(site.kit, template + "{{ x.width }} {{ x.height }} {{ x.mimetype }}").split(" ")
    assert page[0] == "yes"
    assert page[1] == placeholder_uri((60, 45))
    assert page[2:] == ["60", "45", "image/svg+xml"]
    without = "{% thumbnail '60x' none on_error='placeholder' as x %}{{ 'yes' if x else 'no' }}"
    assert render(site.kit, without) == "no"


def test_what_only_a_file_has_is_still_an_error(site: Site) -> None:
    """Bytes, size in bytes and path of an image that cannot be made are nobody's."""
    for attribute in ("size", "path", "format", "read()"):
        template = f"{{% thumbnail '9x' 'text.jpg' on_error='placeholder' as x %}}{{{{ x.url and x.{attribute} }}}}"
        with pytest.raises(UnreadableImage):
            render(site.kit, template)


def test_the_original_is_shown(site: Site) -> None:
    """With "original" the source's own bytes are a cache file, shown in their proportions."""
    site.kit.spec("card:broken", processors=[ResizeToFill(48, 48), Broken()])
    html = render(site.kit, "{% generateimage 'broken' source='good.jpg' on_error='original' -- alt='x' %}")
    assert re.fullmatch(r'<img src="/CACHE/images/good/\w+\.jpg" width="96" height="72" alt="x">', html)
    assert list(site.files().values()) == [(site.images / "good.jpg").read_bytes()]
    again = render(
        site.kit, "{% generateimage 'broken' source='good.jpg' on_error='original' as x %}{{ x }}{{ x.mimetype }}"
    )
    assert again == html.replace(' alt="x"', "") + "image/jpeg"


def test_an_upright_original(site: Site) -> None:
    """A phone's photo is shown upright by browsers, so that is the size that is written."""
    exif = Image.Exif()
    exif[0x0112] = 6
    drawing.photo(90, 60).save(site.images / "phone.jpg", exif=exif)
    html = render(site.kit, "{% generateimage 'broken' source='phone.jpg' on_error='original' %}")
    assert 'width="60" height="90"' in html


@pytest.mark.parametrize("source", ["text.jpg", "none.jpg", "scan.tif", None])
def test_an_original_that_browsers_do_not_show_has_a_placeholder(site: Site, source: str | None) -> None:
    """What is not an image, is not there, or is in a format that browsers do not read is not served."""
    drawing.photo(60, 40).save(site.images / "scan.tif")
    placeholder(render(site.kit, "{% generateimage 'broken' source=s on_error='original' %}", s=source))
    assert site.files() == {}


def test_the_reason_is_shown_in_development(tmp_path: Path) -> None:
    """With `debug` a placeholder says why, and what stands there is text whatever the reason holds."""
    site = Site(tmp_path, on_error="placeholder", debug=True)
    svg, _, _ = placeholder(render(site.kit, "{% thumbnail '600x400' '<b>&\x01\ud800.jpg' %}"))
    text = " ".join(re.findall("<tspan[^>]*>([^<]*)</tspan>", svg))
    assert "Source &#39;&lt;b&gt;&amp;" in text
    assert "no such file in the source folder" in text
    small = placeholder(render(site.kit, "{% thumbnail '40x30' 'none.jpg' %}"))[0]
    assert "<text" not in small


def test_a_placeholder_fits_anywhere(tmp_path: Path) -> None:
    """The URI needs no escaping in an attribute, in srcset or in CSS; a long reason is cut."""
    for size in ((1, 1), (400, 300), (20000, 1)):
        for reason in ("", "<'\"()#%\u0000> " * 500):
            uri = placeholder_uri(size, reason)
            assert re.fullmatch(r"data:image/svg\+xml,[\w%/:=;,.~-]+", uri)
            assert read_header(unquote(uri).partition(",")[2].encode(), name="x", limits=Limits()).size() == size
    assert len(placeholder_svg((400, 300), "word " * 5000)) < 3000


def test_densities_of_bad_images(tmp_path: Path) -> None:
    """Densities end at what the settings allow; an image that cannot be made has none."""
    site = furnished(Site(tmp_path, max_result_pixels=3000, on_error="placeholder"))
    template = "{% thumbnail '60x' 'good.jpg' srcset='1.2 1.5' upscale=true %}"
    assert re.findall(r" (\S+)x[,\"]", render(site.kit, template)) == ["1", "1.05"]
    assert render(site.kit, template).count("data:") == 0
    assert "srcset" not in render(site.kit, "{% thumbnail '60x' 'none.jpg' srcset='1.2' %}")


def test_a_repaired_source_is_shown(site: Site) -> None:
    """Nothing of a placeholder is remembered: when the source is there, the page has its image."""
    template = (
        "{% thumbnail '60x40' 'late.jpg' on_error='placeholder' %}{{ 'late.jpg' | thumbnail('60x', on_error='omit') }}"
    )
    for _ in range(3):
        assert "/CACHE/" not in render(site.kit, template)
    site.write("late.jpg")
    assert render(site.kit, template).count("/CACHE/images/late/") == 2


def test_a_failure_is_logged_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the source, the generator, the template and its line, once for each cache file."""
    with caplog.at_level(logging.WARNING, "jinja_imagekit"):
        for _ in range(3):
            render(site.kit, "\n{% thumbnail '60x40' 'none.jpg' on_error='omit' %}")
        render(site.kit, "{% thumbnail '50x40' 'none.jpg' on_error='omit' %}")
    assert len(caplog.messages) == 2
    assert "'none.jpg'" in caplog.messages[0]
    assert "[generator 'imagekit:thumbnail'] [template '<template>', line 2]" in caplog.messages[0]


def test_an_upload_is_logged_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """An upload that is not an image is told once, though each request brings it as another object."""
    for _ in range(3):
        upload = io.BytesIO(b"no image")
        assert render(site.kit, "{% generateimage 'card' source=u on_error='omit' %}", u=upload) == ""
    assert len(caplog.messages) == 1


def test_noted_failures_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose visitors think up names keeps no more of them than it says."""
    monkeypatch.setattr("jinja_imagekit.builds.notes.MOST_FAILURES", 3)
    for number in range(8):
        render(site.kit, "{% generateimage 'card' source=s on_error='omit' %}", s=f"{number}.jpg")
    assert [failed.source for failed in site.kit.renders.failed] == ["6.jpg", "7.jpg"]


DOES_WITHOUT = """
{% thumbnail '60x40' 'late.jpg' on_error='placeholder' %}
{% generateimage 'broken' source='good.jpg' on_error='omit' %}
"""


def test_reports_list_what_pages_do_without(site: Site) -> None:
    """`finish()` and `generate()` report it as failed, this process's and another's, until it is made."""
    render(site.kit, DOES_WITHOUT)
    expected = [("broken", "good.jpg"), ("imagekit:thumbnail", "late.jpg")]
    assert failures(site.kit.finish()) == expected
    assert site.kit.finish().ok
    other = site.new_kit()
    other.register.generator("broken", BrokenCard)
    assert failures(other.generate()) == expected
    site.write("late.jpg")
    assert failures(other.generate()) == expected[:1]
    assert failures(other.generate("imagekit")) == []


def failures(report: Any) -> list[tuple[str, str]]:
    """Return generators and sources of what failed."""
    return sorted((outcome.generator_id, outcome.source) for outcome in report.failed)


def test_the_doctor_lists_what_was_not_generated(site: Site) -> None:
    """The doctor tells what the pages of the last render do without, and what failed a short while ago, each once."""
    render(site.kit, DOES_WITHOUT)
    site.kit.finish()
    with pytest.raises(UnreadableImage):
        site.kit.cachefile("card", source="cut.jpg").generate()
    kit = site.new_kit()
    kit.register.generator("broken", BrokenCard)
    found = kit.doctor(fix=True)
    assert {finding.kind for finding in found} == {"failed"}
    assert [finding.name.partition("/")[0] for finding in found] == ["CACHE", "good.jpg", "late.jpg"]
    # Of the first one only the name is known, and the fix forgets it.
    assert [finding.fixed for finding in found] == [True, False, False]
    assert "ink ran out" in found[1].detail
    site.write("late.jpg")
    kit.generate("imagekit")
    assert "late.jpg" not in [finding.name for finding in kit.doctor()]


def test_a_forged_record_leads_nowhere(site: Site) -> None:
    """A record of failures that was tampered with is damaged, and names no file outside the site."""
    render(site.kit, "{% thumbnail '60x40' 'none.jpg' on_error='omit' %}")
    site.kit.finish()
    path = site.state / "renders.json"
    path.write_text(path.read_text().replace('"source":"none.jpg","width"', '"source":{"path":"/x"},"width"'))
    kit = site.new_kit()
    assert kit.generate().total == 0
    assert [finding.kind for finding in kit.doctor()] == ["state"]


def test_deferred_images(tmp_path: Path) -> None:
    """What can be told from the source's header is replaced while pages render; what fails later is reported."""
    site = furnished(Site(tmp_path, default_cachefile_strategy=DEFERRED, on_error="placeholder"))
    placeholder(render(site.kit, "{% thumbnail '60x40' 'none.jpg' %}"))
    placeholder(render(site.kit, "{% thumbnail '60x40' 'text.jpg' %}"))
    assert render(site.kit, "{% thumbnail '60x40' 'good.jpg' %}").count("/CACHE/") == 1
    report = site.kit.finish()
    assert [outcome.source for outcome in report.failed] == ["none.jpg", "text.jpg"]
    assert len(report.generated) == 1


def test_an_original_in_a_deferred_render(tmp_path: Path) -> None:
    """An original is written at once, published with the rest, and neither pruned nor found at fault."""
    site = furnished(Site(tmp_path, on_error="original"))
    html = render(site.kit, "{% generateimage 'broken' source='cut.jpg' %}")
    (name,) = re.findall(r'src="/([^"]*)"', html)
    assert len(site.kit.finish().failed) == 1
    assert site.kit.prune().removed == []
    site.kit.publish(tmp_path / "public")
    assert (tmp_path / "public" / name).read_bytes() == (site.images / "cut.jpg").read_bytes()
    assert [finding.kind for finding in site.kit.doctor()] == ["failed"]


def test_in_a_sandbox(site: Site) -> None:
    """A sandboxed template gets the same."""
    environment = SandboxedEnvironment(autoescape=True)
    template = "{% thumbnail '60x40' 'none.jpg' on_error=p as x %}{{ x }}{{ 'yes' if x else 'no' }}"
    assert render(site.kit, template, environment, p="omit") == "no"
    placeholder(render(site.kit, template, environment, p="placeholder"))


def test_in_an_async_environment(site: Site) -> None:
    """An async template gets the same, from its worker thread."""
    environment = site.kit.install(Environment(autoescape=True, enable_async=True))
    template = environment.from_string(
        "{% thumbnail '60x40' 'none.jpg' on_error='placeholder' %}"
        "{% generateimage 'broken' source='good.jpg' on_error='omit' as x %}{{ 'yes' if x else 'no' }}{{ x }}"
        "{% thumbnail '60x40' 'good.jpg' on_error='omit' as y %}{{ y.width }}"
    )
    page = asyncio.run(template.render_async())
    placeholder(page)
    assert page.endswith("no60")


def test_a_full_disk_is_no_reason_to_fail(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a result cannot be stored, the page has its placeholder too."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    placeholder(render(site.kit, "{% thumbnail '60x40' 'good.jpg' on_error='original' %}"))


def test_python_code_gets_the_error(tmp_path: Path) -> None:
    """The policy is for templates: code that asks a kit for a file is told what is wrong with it."""
    site = furnished(Site(tmp_path, on_error="omit"))
    with pytest.raises(UnreadableImage):
        _ = site.kit.cachefile("card", source="text.jpg").url
    with pytest.raises(UnreadableImage):
        Card(source=b"text").generate()
