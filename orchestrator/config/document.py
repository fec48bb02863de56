"""A YAML 1.2 file as plain data, with the line of every entry.

Only plain data is built: no tag makes an object, a key may stand only once, and dates stay text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from orchestrator.errors import InputError

Key: TypeAlias = str | int | float
Path: TypeAlias = tuple[Key, ...]
"""Keys and list positions from the top of a file down to one entry."""

_TAG = "tag:yaml.org,2002:"
_PLAIN = {"str", "timestamp", "value"}
_MOST_ENTRIES = 200_000
"""References within a file may not blow it up to more entries than this."""


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a YAML file.

    Attributes:
        name: the file's name as the user gave it.
        data: mappings, lists, text, numbers, truth values and ``None``.
        lines: the line (from 1) of every entry.
    """

    name: str
    data: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of an entry, or of the nearest entry around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def dotted(path: Path) -> str:
    """A path in the words of a message: ``space.parameters[1].low``."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def parse(content: bytes, name: str) -> Document:
    """Read YAML text.

    Raises:
        InputError: the text is not UTF-8 or no YAML, says a key twice, or asks for an object by a tag.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise _wrong(name, line, "the file is not UTF-8 text.", "Save it with the encoding UTF-8.") from None
    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as problem:
        raise _syntax(problem, text, name) from None
    except RecursionError:
        raise _wrong(name, 1, "brackets are nested without end.") from None
    except YAMLError as problem:
        raise _wrong(name, 1, f"this is no YAML: {str(problem).splitlines()[0]}.") from None
    if node is None:
        raise _wrong(name, 1, "the file is empty.", "`sabatier init` writes one to start from.")
    reader = _Reader(name)
    data = reader.value(node, ())
    return Document(name, data, MappingProxyType(reader.lines))


def _wrong(name: str, line: int, text: str, mend: str | None = None) -> InputError:
    return InputError(f"{name}:{line}: {text}", mend=mend, file=name, line=line)


def _syntax(problem: MarkedYAMLError, text: str, name: str) -> InputError:
    mark = problem.problem_mark or problem.context_mark
    line = 1 if mark is None else mark.line + 1
    lines = text.splitlines()
    shown = lines[line - 1] if line <= len(lines) else ""
    if "\t" in shown[: len(shown) - len(shown.lstrip())]:
        return _wrong(name, line, "a tab at the start of the line.", "Indent with spaces.")
    what = str(problem.problem or problem.context).strip()
    if "mapping values are not allowed" in what:
        what = "a colon or an indentation where none can be"
    elif "another document" in what:
        what = "a second document begins, but a campaign file holds one"
    elif "<stream end>" in what or "end of stream" in what:
        line = problem.context_mark.line + 1 if problem.context_mark is not None else line
        what = "a bracket or quote that is opened here is never closed"
    return _wrong(name, line, f"this is no YAML: {what}.", "Text with special characters needs quotes.")


class _Reader:
    """Turns the nodes of one file into plain data and notes their lines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._scalars = SafeConstructor(loader=YAML(typ="safe", pure=True))
        self._open: set[int] = set()
        self.lines: dict[Path, int] = {}

    def value(self, node: Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if len(self.lines) > _MOST_ENTRIES or id(node) in self._open:
            raise _wrong(self._name, line, "references (`*name`) that repeat without end.", "Write the entry out.")
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
                return self._mapping(node, path)
        finally:
            self._open.discard(id(node))
        raise self._tagged(node)

    def _scalar(self, node: ScalarNode) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        if kind in _PLAIN:
            return str(node.value)
        if kind == "null":
            return None
        if kind == "bool":
            return self._scalars.construct_yaml_bool(node)
        try:
            if kind == "int":
                return int(self._scalars.construct_yaml_int(node))
            if kind == "float":
                return float(self._scalars.construct_yaml_float(node))
        except ValueError:
            raise _wrong(self._name, node.start_mark.line + 1, f"{node.value!r} is no number.") from None
        raise self._tagged(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[Key, Any]:
        result: dict[Key, Any] = {}
        merged: dict[Key, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == f"{_TAG}merge":
                merged |= self._merged(value_node, path)
                continue
            key = self._scalar(key_node) if isinstance(key_node, ScalarNode) else None
            if key is None or isinstance(key, bool):
                raise _wrong(self._name, line, "a key must be a name.", "Put it in quotes.")
            if key in result:
                first = self.lines[(*path, key)]
                raise _wrong(
                    self._name,
                    line,
                    f"{dotted((*path, key))}: key {key!r} stands here and in line {first}.",
                    "Keep one of them.",
                )
            self.lines[(*path, key)] = line
            result[key] = self.value(value_node, (*path, key))
        return merged | result

    def _merged(self, node: Node, path: Path) -> dict[Key, Any]:
        """What ``<<: *name`` brings in; of several, the first that has a key wins."""
        parts = node.value if isinstance(node, SequenceNode) else [node]
        result: dict[Key, Any] = {}
        for part in parts:
            if not isinstance(part, MappingNode):
                raise _wrong(self._name, node.start_mark.line + 1, "`<<` merges blocks of keys only.")
            result = self._mapping(part, (*path, "<<")) | result
        return result

    def _tagged(self, node: Node) -> InputError:
        tag = str(node.tag).replace(_TAG, "!!")
        return _wrong(self._name, node.start_mark.line + 1, f"the tag {tag} has no place here.", "Leave it out.")
