"""The route of cache files: `path("", include("jinja_imagekit.django.urls"))`, for `OnRequest` and for development."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import get_script_prefix, re_path
from django.utils.cache import get_conditional_response
from django.utils.http import http_date, quote_etag
from django.views.decorators.http import require_safe

from ..exceptions import StorageError
from ._engine.current import get_kit
from ._engine.kit import ROUTE


@require_safe
def cachefile(request: HttpRequest, filename: str) -> HttpResponseBase:
    """Respond with a cache file, which is made first if a page was promised it, or with 304 for a current copy.

    Raises:
        Http404: There is no such cache file.
    """
    kit = get_kit()
    name = f"{kit.settings.cachefile_dir}/{filename}".lstrip("/")
    if kit.serving.find(name) is None:
        made = kit.serving.make(name)
        if made is not None and made != name:
            # The source was replaced after the page was rendered.
            return HttpResponseRedirect(kit.storage.url(made), headers={"Cache-Control": "no-store"})
    stored = kit.storage.stat(name) if kit.serving.find(name) else None
    try:
        if stored is None:
            raise Http404(name)
        with kit.storage.open(name) as file:
            response = HttpResponse(file.read(), content_type=kit.serving.mimetype(name))
    except StorageError:
        raise Http404(name) from None
    tag, time = quote_etag(f"{stored.modified_ns:x}-{stored.size:x}"), stored.modified_ns // 1_000_000_000
    for header, value in {**kit.serving.headers(name), "ETag": tag, "Last-Modified": http_date(time)}.items():
        response[header] = value
    return get_conditional_response(request, tag, time, response) or response


def _pattern() -> str:
    """Return the pattern of the URLs of cache files, as far as they are this site's."""
    kit = get_kit()
    folder = f"{kit.settings.cachefile_dir}/".lstrip("/")
    path = unquote(urlsplit(kit.storage.url(f"{folder}any")).path)
    prefix = path.removesuffix("any").removeprefix(get_script_prefix()).lstrip("/")
    return f"^{re.escape(prefix)}(?P<filename>.+)$"


urlpatterns = [re_path(_pattern(), cachefile, name=ROUTE)]
