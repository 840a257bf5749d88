"""Two pages: all photos, and one of them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from .models import Photo


def index(request: HttpRequest) -> HttpResponse:
    """Show all photos."""
    photos = Photo.objects.select_related("photographer").order_by("pk")
    return render(request, "gallery/index.html", {"photos": photos})


def photo(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one photo."""
    return render(request, "gallery/photo.html", {"photo": get_object_or_404(Photo, pk=pk)})
