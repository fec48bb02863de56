"""A terminal that may go away: a campaign does not end because nobody reads what it prints."""

from __future__ import annotations

import os
import sys
from typing import Any

from rich.console import Console


class Terminal(Console):
    """Falls silent when its output is closed or full."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, unless the output is gone."""
        try:
            super().print(*objects, **options)
        except OSError:
            self.fall_silent()

    def on_broken_pipe(self) -> None:
        """The reader has gone; rich would end the program."""
        self.fall_silent()

    def fall_silent(self) -> None:
        """Print nothing more, also not what still stands in buffers."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
