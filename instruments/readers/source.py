"""A file as bytes and text, or one clear error."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from instruments.errors import ReaderError

LARGEST: Final = 512 * 1024 * 1024
"""Bytes that a file may have; an export of a day at ten points a second has a fifth of that."""

_MARKS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
"""Byte order marks and the encodings that they tell."""

_BINARY: Final = {
    b"BIO-LOGIC MODULAR FILE": ("a binary file of EC-Lab (.mpr)", "Export it as text (.mpt) from EC-Lab."),
    b"%PDF": ("a PDF document", "Give the file that the instrument wrote."),
    b"\x89HDF": ("an HDF5 file", "Export it as CSV."),
    b"\xd0\xcf\x11\xe0": ("a binary file of an office program", "Export it as CSV."),
    b"PAR1": ("a Parquet file", "Write it as CSV, or build the table with pandas.read_parquet."),
    b"\x1f\x8b": ("a gzip archive", "Unpack it first."),
}


@dataclass(frozen=True)
class Source:
    """The content of one file.

    Attributes:
        name: the file's name, without its folder.
        suffix: its ending in lower case, with the dot.
        data: its bytes.
    """

    name: str
    suffix: str
    data: bytes

    @property
    def _marked(self) -> str | None:
        """The encoding that a byte order mark tells."""
        return next((encoding for mark, encoding in _MARKS.items() if self.data.startswith(mark)), None)

    def begins_with(self, *words: str) -> bool:
        """Whether the text begins with one of some words, white space aside; for telling formats."""
        head = self.data[:4096].decode(self._marked or "cp1252", errors="ignore")
        return head.lstrip().startswith(words)

    @cached_property
    def sha256(self) -> str:
        """Identifies the content."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def text(self) -> str:
        """The content as text: by its byte order mark, else UTF-8, else Windows-1252, as European instruments write.

        Line breaks are all line feeds.

        Raises:
            ReaderError: the content is binary.
        """
        if (encoding := self._marked) is not None:
            try:
                return _plain(self.data.decode(encoding))
            except UnicodeDecodeError as error:
                raise self.error(f"it claims to be {encoding} text, but is not", mend="Export it again.") from error
        if b"\0" in self.data:
            raise self.error("it is a binary file", mend="Give the text file that the instrument's software exports.")
        try:
            return _plain(self.data.decode("utf-8"))
        except UnicodeDecodeError:
            # the five bytes that Windows-1252 leaves open are no reason to refuse a trace for a damaged comment
            return _plain(self.data.decode("cp1252", errors="replace"))

    @cached_property
    def lines(self) -> list[str]:
        """The text's lines; a last one without a line break counts too."""
        lines = self.text.split("\n")
        if lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def ends_with_a_break(self) -> bool:
        """Whether the last line is complete for sure."""
        return self.text.endswith("\n")

    def error(
        self, message: str, *, line: int | None = None, field: str | None = None, mend: str | None = None
    ) -> ReaderError:
        """An error about this file, to be raised by the caller."""
        return ReaderError(message, file=self.name, line=line, field=field, mend=mend)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def open_source(path: str | Path) -> Source:
    """Read a file whole.

    Raises:
        ReaderError: it is not there, is no file, may not be read, is empty, too large, or known to be of a kind that
            no reader reads.
    """
    place = Path(path)
    try:
        if not place.exists():
            raise ReaderError("there is no such file", file=str(path), field="path", mend="Check the path.")
        if not place.is_file():
            raise ReaderError("it is a folder or a device", file=str(path), field="path", mend="Give one file.")
        size = place.stat().st_size
        if size > LARGEST:
            mend = "Split it, or record fewer points."
            raise ReaderError(
                f"it has {size / 2**20:.0f} MB; at most {LARGEST // 2**20} are read", file=place.name, mend=mend
            )
        data = place.read_bytes()
    except (OSError, ValueError) as error:  # a path with a NUL character is a ValueError
        if isinstance(error, ReaderError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise ReaderError(f"it cannot be opened ({reason})", file=str(path), field="path") from error
    if not data.strip():
        raise ReaderError("it is empty", file=place.name, mend="The recording never began, or its copy failed.")
    for mark, (kind, mend) in _BINARY.items():
        if data.startswith(mark):
            raise ReaderError(f"it is {kind}", file=place.name, mend=mend)
    return Source(place.name, place.suffix.lower(), data)
