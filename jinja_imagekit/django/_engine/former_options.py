"""The current names of keywords and settings of django-imagekit 1 and 2."""

from __future__ import annotations

_NAMER = "the setting IMAGEKIT_SPEC_CACHEFILE_NAMER, or a spec class with a property cachefile_name, names cache files"

KEYWORDS = {
    "image_field": "it is called source",
    "storage": "it is called cachefile_storage",
    "image_cache_backend": "it is called cachefile_backend",
    "image_cache_strategy": "it is called cachefile_strategy",
    "cache_to": _NAMER,
    "pre_cache": "cachefile_strategy='jinja_imagekit.django.cachefiles.strategies.Optimistic' makes images on saving",
    "cache_state_backend": "the setting IMAGEKIT_CACHE_BACKEND says where the state is kept",
}
"""Former keywords of `ImageSpecField`, and what stands for them."""

CALLABLE_PROCESSORS = (
    "processors cannot be a callable any more: write a spec class with a property processors, which looks at "
    "self.source.instance, and pass it as spec=…"
)

SETTINGS = {
    "IMAGEKIT_CACHE_DIR": "IMAGEKIT_CACHEFILE_DIR",
    "IMAGEKIT_DEFAULT_IMAGE_CACHE_BACKEND": "IMAGEKIT_DEFAULT_CACHEFILE_BACKEND",
    "IMAGEKIT_DEFAULT_IMAGE_CACHE_STRATEGY": "IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY",
    "IMAGEKIT_DEFAULT_PERSISTENT_CACHE_STORAGE": "IMAGEKIT_DEFAULT_FILE_STORAGE",
    "IMAGEKIT_DEFAULT_SPEC_FIELD_STRATEGY": "IMAGEKIT_DEFAULT_CACHEFILE_STRATEGY",
}
"""Former settings, and what they are called."""
