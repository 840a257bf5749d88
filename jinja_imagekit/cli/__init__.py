"""The command `jinja-imagekit`, whose subcommands other programs can offer as their own."""

from __future__ import annotations

import gc
import signal
import sys
from typing import TYPE_CHECKING

from ..lazily import names_of

if TYPE_CHECKING:
    from .command import command_line as command_line
    from .command import commands

__all__ = ["commands"]

__getattr__ = names_of(__name__, {"command_line": "command", "commands": "command"})


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit status.

    Args:
        arguments: The command line after the command's name; by default the process's own arguments.
    """
    # Nearly all that imports and plans make stays until the end; looking through it took a twentieth of the time.
    gc.set_threshold(50_000)
    from .command import command_line, terminate

    for stream in (sys.stdout, sys.stderr):
        # A file's name may hold characters that the terminal's encoding lacks.
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
    signal.signal(signal.SIGTERM, terminate)
    try:
        command_line().main(arguments, prog_name="jinja-imagekit")
    finally:
        # Python would look through all that is left before it ends, for a tenth of the time.
        gc.freeze()
