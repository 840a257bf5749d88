"""Django answers as all other hosts do to who asks for a cache file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from contracts.route import Hosted, RouteContract
from django.test import Client, override_settings


class TestDjango(RouteContract):
    """The route of `jinja_imagekit.django.urls`."""

    @pytest.fixture
    def hosted(self, make_photo: Callable[..., Any], media: Path) -> Iterator[Hosted]:
        """Return the site."""
        source = Path(make_photo().image.path)
        with override_settings(ROOT_URLCONF="album.routed_urls", IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY="OnRequest"):
            client = Client()

            def ask(method: str, url: str, headers: Mapping[str, str] | None = None) -> Any:
                answer = client.generic(method, url, headers=headers)
                return answer.status_code, {name.lower(): value for name, value in answer.items()}, answer.content

            [url] = re.findall(r'src="([^"]+)"', client.get("/page").content.decode())
            yield Hosted(ask, url, source, media)
