"""Gives this package to projects and third-party apps that import `imagekit`, without changes to their code.

Name the app first, and leave `"imagekit"` where it is:

    INSTALLED_APPS = ["jinja_imagekit.django.alias", …, "imagekit", …]

From then on `import imagekit` and imports of its submodules give the very modules of `jinja_imagekit.django`, whether
or not django-imagekit is installed too.
"""

from .._engine.former_name import install

install()
