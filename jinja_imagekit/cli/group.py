"""A click group that turns this library's errors into messages and exit statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..exceptions import NotRegistered

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the number of SIGINT, as shells count."""


class KitGroup(click.Group):
    """A group whose subcommands end with one clear message where something is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        # Imported late, as everything that `--help` does not need: the command is to start at once.
        from ..exceptions import ImageKitError

        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except ImageKitError as error:
            raise click.ClickException(printable(str(error))) from error


def unknown_pattern(error: NotRegistered, patterns: tuple[str, ...]) -> Exception:
    """Return an error of usage where a pattern of the command line matches nothing, else the error itself."""
    return click.UsageError(printable(str(error))) if error.id in patterns else error


def printable(text: str) -> str:
    """Return a text in one line and without control characters, which a file's name may hold for a terminal's harm.

    Example:
        >>> printable("a\\x1b[2J.jpg")
        'a\\\\x1b[2J.jpg'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
