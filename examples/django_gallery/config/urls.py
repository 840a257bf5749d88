"""All photos, each of them, the admin, and the media files, which a web server would serve in production."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import path
from django.views.generic import DetailView, ListView
from gallery.models import Photo

urlpatterns = [
    path("", ListView.as_view(queryset=Photo.objects.select_related("photographer").order_by("pk")), name="index"),
    path("photos/<int:pk>/", DetailView.as_view(model=Photo), name="photo"),
    path("admin/", admin.site.urls),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
