"""Runs the command as `python -m jinja_imagekit`."""

from .cli import main

main()
