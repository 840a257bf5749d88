"""Drawings and placeholders in a real browser: they load in the ratio that is written, as large as was read of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import check, started_browser, visit
from core_site import BrokenCard, Site, photo_bytes, settled
from jinja2 import Environment

SIZES = {
    "plain": 'width="200" height="100" viewBox="0 0 20 10"',
    "centimetres": 'width="5cm" height="25.4mm" viewBox="0 0 20 10"',
    "points": 'width="72pt" height="6pc" viewBox="0 0 20 20"',
    "box": 'viewBox="0 0 64 48"',
    "percent": 'width="100%" height="100%" viewBox="0 0 64 48"',
    "wide": 'width="128" viewBox="0 0 64 48"',
    "tall": 'height="24" viewBox="0 0 64 48"',
    "nothing": "",
    "no-box": 'width="200" height="100"',
}

PAGE = """<!DOCTYPE html><html lang="en"><head><title>Drawings</title><link rel="icon" href="data:,"></head><body>
{% for name in names %}{% generateimage 'whole' source=name ~ '.svg' -- alt=name %}
{% thumbnail '90x90' name ~ '.svg' -- alt=name %}{% endfor %}
{% for name in ('none.jpg', 'text.jpg', 'cut.jpg') %}{% thumbnail '300x200' name -- alt=name %}{% endfor %}
{% thumbnail '30x20' 'none.jpg' -- alt='small' %}
{% generateimage 'broken' source='cut.jpg' on_error='original' -- alt='cut' %}
</body></html>"""


@pytest.mark.parametrize("debug", [False, True])
def test_drawings_and_placeholders_in_a_browser(tmp_path: Path, debug: bool) -> None:
    """Every image loads without a layout shift, and the browser finds the sizes that were read of the drawings."""
    site = Site(tmp_path, on_error="placeholder", debug=debug, base_url=(tmp_path / "output").as_uri())
    for name, attributes in SIZES.items():
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}><circle cx="5" cy="5" r="4"/></svg>'
        settled(site.images / f"{name}.svg", svg.encode())
    settled(site.images / "text.jpg", b"no image")
    settled(site.images / "cut.jpg", photo_bytes()[:-200])
    site.kit.spec("whole")
    site.kit.register.generator("broken", BrokenCard)
    environment = site.kit.install(Environment(autoescape=True))
    page = site.output / "index.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text(environment.from_string(PAGE).render(names=SIZES), encoding="utf-8")
    with started_browser() as browser:
        seen = visit(browser, page.as_uri())
    check(seen)
    # A drawing that has a ratio and no size is as large as its room.
    sized = [
        image for image in seen.images if image.alt in ("plain", "centimetres", "points", "wide", "tall", "no-box")
    ]
    assert [image.natural for image in sized[::2]] == [
        tuple(int(side or 0) for side in image.written) for image in sized[::2]
    ]
