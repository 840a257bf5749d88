"""The route of cache files, and a page with a photo."""

from django.http import HttpRequest, HttpResponse
from django.template import Context, Template
from django.urls import include, path

from album.models import Photo


def page(request: HttpRequest) -> HttpResponse:
    """Show the last photo."""
    template = Template("{% load imagekit %}{% thumbnail '80x60' photo.image format='WEBP' -- alt='' %}")
    return HttpResponse(template.render(Context({"photo": Photo.objects.last()})))


urlpatterns = [path("page", page), path("", include("jinja_imagekit.django.urls"))]
