"""The gallery, its admin, and the media files, which a web server would serve in production."""

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import path
from gallery import views

urlpatterns = [
    path("", views.index, name="index"),
    path("photos/<int:pk>/", views.photo, name="photo"),
    path("admin/", admin.site.urls),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
