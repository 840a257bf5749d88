"""The route of cache files: `path("", include("jinja_imagekit.django.urls"))`, for `OnRequest` and for development."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import get_script_prefix, re_path
from django.views.decorators.http import require_safe

from ._engine.current import get_kit
from ._engine.kit import ROUTE


@require_safe
def cachefile(request: HttpRequest, filename: str) -> HttpResponse:
    """Respond with a cache file, which is made first if a page was promised it, or with 304 for a current copy.

    Raises:
        Http404: There is no such cache file.
    """
    kit = get_kit()
    name = f"{kit.settings.cachefile_dir}/{filename}".lstrip("/")
    answer = kit.serving.respond(name, request.method or "", request.headers.get)
    if answer is None:
        raise Http404(name)
    response = HttpResponse(answer.content, status=answer.status, headers=answer.headers)
    if "Content-Type" not in answer.headers:
        del response["Content-Type"]
    return response


def _pattern() -> str:
    """Return the pattern of the URLs of cache files, as far as they are this site's."""
    kit = get_kit()
    folder = f"{kit.settings.cachefile_dir}/".lstrip("/")
    path = unquote(urlsplit(kit.storage.url(f"{folder}any")).path)
    prefix = path.removesuffix("any").removeprefix(get_script_prefix()).lstrip("/")
    return f"^{re.escape(prefix)}(?P<filename>.+)$"


urlpatterns = [re_path(_pattern(), cachefile, name=ROUTE)]
