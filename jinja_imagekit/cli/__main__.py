"""Runs the command as `python -m jinja_imagekit.cli`."""

from . import main

main()
