"""The command as click has it, and the group of its subcommands that other programs can offer as their own."""

from __future__ import annotations

import signal
from typing import Any

import click

from ..wording import printable
from .finding import find_kit
from .sites import init, make_serve
from .subcommands import INTERRUPTED, TERMINATED, GetKit, Terminated, subcommands

_KIT = "jinja_imagekit.kit"


def commands(get_kit: GetKit, name: str = "imagekit") -> click.Group:
    """Return a group of all subcommands, for a kit's own command line.

    Args:
        get_kit: Returns the kit. It is called within click's context when a subcommand runs, but not for `--help`.
        name: The group's name.

    Example:
        >>> from jinja_imagekit import ImageKit
        >>> sorted(commands(ImageKit).commands)[:2]
        ['clear', 'doctor']
    """
    return _Group(name, subcommands(get_kit), help="Make, list and look after a site's images.")


def terminate(number: int, frame: object) -> None:
    """End the run on SIGTERM, once, since that takes time.

    Raises:
        Terminated: Always.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def command_line() -> click.Group:
    """Return the whole command, with the options that say where the kit is."""

    def reference() -> str | None:
        return click.get_current_context().meta.get(_KIT)

    found = [*subcommands(lambda: find_kit(reference())), make_serve(reference)]
    for command in found:
        # After the subcommand it is the same option.
        command.params.append(_kit_option(hidden=True))
    group = _Group(
        "jinja-imagekit",
        [*found, init],
        help="Make, list and look after the images of a site.",
        params=[_kit_option(envvar="JINJA_IMAGEKIT", show_envvar=True)],
    )
    return click.version_option(package_name="jinja-imagekit")(group)


def _kit_option(**options: Any) -> click.Option:
    return click.Option(
        ["--kit"],
        metavar="MODULE:ATTRIBUTE",
        expose_value=False,
        callback=_keep_kit_option,
        help="The kit, or a function that returns it. By default, the kit that pyproject.toml names "
        "under [tool.jinja-imagekit].",
        **options,
    )


def _keep_kit_option(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value:
        context.meta[_KIT] = value


class _Group(click.Group):
    """A group whose subcommands end with one clear message if something is wrong."""

    def __init__(self, name: str, commands: list[click.Command], **options: Any) -> None:
        for command in commands:
            # Click would cut the first sentence of a command where its line ends.
            command.short_help = (command.help or "").partition("\n\n")[0]
        super().__init__(name, commands, context_settings={"help_option_names": ["-h", "--help"]}, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        # Imported late, like everything that `--help` does not need, so that the command starts at once.
        from ..exceptions import ImageKitError

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interruption:
            click.echo("Interrupted.", err=True)
            ctx.exit(TERMINATED if isinstance(interruption, Terminated) else INTERRUPTED)
        except ImageKitError as error:
            raise click.ClickException(printable(str(error))) from error
