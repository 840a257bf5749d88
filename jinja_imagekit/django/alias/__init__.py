"""Lets projects and third-party apps that import `imagekit` get this package, without a change of their code.

Name the app first, and leave `"imagekit"` where it is:

    INSTALLED_APPS = ["jinja_imagekit.django.alias", …, "imagekit", …]

From then on `import imagekit` and imports of its submodules give the modules of `jinja_imagekit.django`, the very same
ones, whether django-imagekit is installed as well or not.
"""

from .._engine.former_name import install

install()
