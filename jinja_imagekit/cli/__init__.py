"""The command `jinja-imagekit`, whose subcommands other hosts can mount as their own."""

from __future__ import annotations

import sys
from typing import Any

import click

from .clearing import clear_command
from .doctoring import doctor_command
from .finding import GetKit, find_kit
from .generating import generate_command
from .group import KitGroup
from .listing import list_command
from .pruning import prune_command

__all__ = ["commands"]

_KIT = "jinja_imagekit.kit"


def commands(get_kit: GetKit, name: str = "imagekit") -> click.Group:
    """Return a group of all subcommands, for a kit's own command line.

    Args:
        get_kit: Returns the kit. It is called when a subcommand runs, within click's context, and not for `--help`.
        name: The group's name.

    Example:
        >>> from jinja_imagekit import ImageKit
        >>> sorted(commands(ImageKit).commands)[:2]
        ['clear', 'doctor']
    """
    group = KitGroup(name, help="Make, list and look after a site's images.")
    _add_commands(group, get_kit)
    return group


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit status.

    Args:
        arguments: What the command line says after the command's name; by default the process's own arguments.
    """
    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold what the terminal's encoding has not.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    command_line().main(arguments, prog_name="jinja-imagekit")


def command_line() -> click.Group:
    """Return the whole command, with the options that say where the kit is."""
    group = KitGroup(
        "jinja-imagekit",
        help="Make, list and look after the images of a site.",
        callback=_keep_kit_option,
        params=[
            click.Option(
                ["--kit"],
                metavar="MODULE:ATTRIBUTE",
                envvar="JINJA_IMAGEKIT",
                show_envvar=True,
                help="The kit, or a function that returns it. By default, what pyproject.toml says as kit "
                "under [tool.jinja-imagekit].",
            )
        ],
    )
    _add_commands(group, lambda: find_kit(click.get_current_context().meta.get(_KIT)))
    return click.version_option(package_name="jinja-imagekit")(group)


def _keep_kit_option(**options: Any) -> None:
    click.get_current_context().meta[_KIT] = options["kit"]


def _add_commands(group: click.Group, get_kit: GetKit) -> None:
    for command in (generate_command, list_command, prune_command, clear_command, doctor_command):
        group.add_command(command(get_kit))
