"""Wrong input in plain words: file, line, field, what is wrong, how to mend it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.config.document import Document, Path, dotted
from orchestrator.config.hints import listed, nearest
from orchestrator.config.model import CampaignFile, ParameterSpace, PoolSpace, fields_of
from orchestrator.config.plugins import lab_class
from orchestrator.errors import InputError

MOST = 5
"""So many problems are reported at once."""

_UNKNOWN_KEY = {"extra_forbidden", "unexpected_keyword_argument"}
_MISSING = {"missing", "missing_argument", "missing_keyword_only_argument"}
_KINDS = {
    "float": "a number",
    "decimal": "a number",
    "int": "a whole number",
    "finite": "a finite number",
    "string": "text",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "a block of keys",
    "model": "a block of keys",
    "dataclass": "a block of keys",
    "is": "a block of keys",
}
_Found: TypeAlias = tuple[tuple[int | str, ...], ErrorDetails]
"""Names of union members, and what pydantic says."""
_LIMITS = {
    "greater_than_equal": "must be at least {ge}, not {shown}.",
    "greater_than": "must be above {gt}, not {shown}.",
    "less_than_equal": "must be at most {le}, not {shown}.",
    "less_than": "must be below {lt}, not {shown}.",
    "too_short": "needs at least {min_length}.",
    "too_long": "has more than {max_length} entries.",
    "string_too_short": "is empty.",
}
_UNION_WORDS = {"float": "a number", "int": "a whole number", "str": "text", "bool": "true or false"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where in the file, what, and how to mend it."""

    path: Path
    text: str
    mend: str | None = None


def refuse(document: Document, problems: Sequence[Problem]) -> InputError:
    """The exception that reports some problems of a file, one a line."""
    lines = []
    for problem in problems[:MOST]:
        field = dotted(problem.path)
        place = f"{document.name}:{document.line(problem.path)}: " + (f"{field}: " if field else "")
        lines.append(f"{place}{problem.text}" + (f" {problem.mend}" if problem.mend else ""))
    if len(problems) > MOST:
        lines.append(f"... and {len(problems) - MOST} more.")
    first = problems[0]
    return InputError(
        "\n".join(lines), field=dotted(first.path) or None, file=document.name, line=document.line(first.path)
    )


def own_problem(error: Exception, document: Document, base: Path = ()) -> Problem:
    """What an exception of one of our packages says, placed by its ``field``."""
    field = getattr(error, "field", None)
    message = str(error.args[0]) if error.args else str(error)
    return Problem(locate(document.data, base, field), message, getattr(error, "mend", None))


def locate(data: Any, base: Path, field: str | None) -> Path:
    """Follow a dotted field from ``base`` as far as the data goes; a list is entered by position or by name."""
    path, here = base, _at(data, base)
    for part in re.split(r"[.\[\]]+", field.rstrip("]")) if field else ():
        step: str | int = part
        if isinstance(here, list):
            names = [item.get("name") if isinstance(item, dict) else None for item in here]
            if part.isdigit():
                step = int(part)
            elif part in names:
                step = names.index(part)
            else:
                break
        path, here = (*path, step), _at(here, (step,))
    return path


def _at(data: Any, path: Path) -> Any:
    for key in path:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def problems_of(error: ValidationError, document: Document) -> list[Problem]:
    """Translate what pydantic found, in the order of the file; what follows from another problem is left out."""
    grouped: dict[Path, list[_Found]] = {}
    for detail in error.errors(include_url=False):
        path, tags = _walk(document.data, detail)
        grouped.setdefault(path, []).append((tags, detail))
    deeper = {path[:end] for path in grouped for end in range(len(path))}
    meant = _meant(grouped, document)
    problems: list[Problem] = []
    for path, members in grouped.items():
        in_union = any(tags for tags, _ in members)
        if path in deeper and (in_union or members[0][1]["type"] == "too_short"):
            continue  # another alternative of the union came further; an entry that is wrong is not missing
        if path in meant and members[0][1]["type"] in _MISSING:
            continue  # it is there, misspelt
        if len(members) > 1 and in_union:
            problems.append(_alternatives(path, _at(document.data, path), members))
        else:
            problems += [_translate(path, detail, document) for _, detail in members]
    return sorted(problems, key=lambda problem: document.line(problem.path))


def _meant(grouped: Mapping[Path, Sequence[_Found]], document: Document) -> set[Path]:
    """The keys that unknown keys probably mean."""
    unknown = [path for path, members in grouped.items() if members[0][1]["type"] in _UNKNOWN_KEY]
    near = [(path[:-1], nearest(str(path[-1]), _keys(path[:-1], document.data))) for path in unknown]
    return {(*around, key) for around, key in near if key is not None}


def _walk(data: Any, detail: ErrorDetails) -> tuple[Path, tuple[int | str, ...]]:
    """Split a location into entries of the file and the trailing names of union members, which are no entries."""
    path: list[str | int] = []
    tags: list[int | str] = []
    here, told_apart = data, False
    ends_with_key = detail["type"] in _UNKNOWN_KEY | _MISSING
    for position, part in enumerate(detail["loc"]):
        last = position == len(detail["loc"]) - 1
        if isinstance(here, dict) and not told_apart and here.get("type") == part and not (last and ends_with_key):
            told_apart = True
        elif isinstance(here, dict) and part == "[key]":
            break
        elif (isinstance(here, dict) and part in here) or (isinstance(here, list) and isinstance(part, int)):
            path.append(part)
            here, told_apart, tags = _at(here, (part,)), False, []
        elif last and ends_with_key:
            path.append(part)
            tags = []
        else:
            tags.append(part)
    return tuple(path), tuple(tags)


def _alternatives(path: Path, value: Any, members: Sequence[_Found]) -> Problem:
    wanted: list[str] = []
    for tags, detail in members:
        if detail["type"] in {"literal_error", "enum"}:
            wanted.append(str(detail.get("ctx", {}).get("expected", "")))
        elif tags and str(tags[-1]).startswith("tuple["):
            wanted.append(f"a list of {str(tags[-1]).count(',') + 1}")
        else:
            wanted.append(_UNION_WORDS.get(str(tags[-1]) if tags else "", _kind(detail)))
    if set(wanted) >= {"a number", "a whole number"}:
        wanted.remove("a whole number")
    return Problem(path, f"must be {' or '.join(dict.fromkeys(wanted))}, not {_shown(value)}.")


def _translate(path: Path, detail: ErrorDetails, document: Document) -> Problem:
    kind, context, value = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "value_error" and isinstance(context.get("error"), Exception):
        return own_problem(context["error"], document, path)
    mend = None
    if kind in _UNKNOWN_KEY:
        text = _unknown_key(path, document)
    elif kind in _MISSING or kind == "union_tag_not_found":
        text = f"the key {'type' if kind == 'union_tag_not_found' else path[-1]!r} is missing."
    elif kind == "union_tag_invalid":
        path = (*path, "type")
        text = _choice(_at(document.data, path), str(context.get("expected_tags", "")))
    elif kind in {"literal_error", "enum"}:
        text = _choice(value, str(context.get("expected", "")))
    elif kind == "invalid_key" or detail["loc"][-1:] == ("[key]",):
        text, mend = f"the key {value!r} must be text.", "Put it in quotes."
    elif value is None:
        text, mend = "is empty.", "Fill it in, or leave the key out."
    elif kind in _LIMITS:
        text = _LIMITS[kind].format(shown=_shown(value), **context)
    else:
        text = f"must be {_kind(detail)}, not {_shown(value)}."
        mend = "Put it in quotes." if kind == "string_type" and not isinstance(value, dict | list) else None
    return Problem(path, text, mend)


def _unknown_key(path: Path, document: Document) -> str:
    known = _keys(path[:-1], document.data)
    near = nearest(str(path[-1]), known)
    hint = f"; did you mean {near!r}?" if near else f". Known here: {listed(known)}." if known else "."
    return f"unknown key {path[-1]!r}{hint}"


def _choice(value: Any, expected: str) -> str:
    known = [text or number for text, number in re.findall(r"'([^']*)'|(\d+)", expected)]
    near = nearest(value, known) if isinstance(value, str) else None
    hint = f" Did you mean {near!r}?" if near else ""
    return f"must be {' or '.join(known)}, not {_shown(value)}.{hint}"


def _kind(detail: ErrorDetails) -> str:
    name = detail["type"].split("_")[0]
    if name in _KINDS:
        return _KINDS[name]
    return re.sub(r"^(Value error, |Input should be )", "", detail["msg"])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a block of keys" if isinstance(value, dict) else f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys(path: Path, data: Any) -> tuple[str, ...]:
    """The keys that a block of the file may have."""
    here: list[Any] = [CampaignFile]
    for depth, part in enumerate(path):
        value = _at(data, path[: depth + 1])
        here = [member for around in here for member in _members(_entry(around, part, value))]
        kind = value.get("type") if isinstance(value, dict) else None
        here = [member for member in here if getattr(member, "type", kind) == kind] or here
    keys = [key for model in here if isinstance(model, type) for key in fields_of(model)]
    return tuple(dict.fromkeys(["type", *keys] if path == ("lab",) else keys))


def _entry(around: Any, part: object, value: Any) -> Any:
    """The annotation of one entry of a block, a list or a mapping."""
    if around is CampaignFile and part == "lab":
        return lab_class(value["type"])
    if around is CampaignFile and part == "space":
        return PoolSpace if "pool" in value else ParameterSpace
    if get_origin(around) in {list, tuple}:
        return get_args(around)[0]
    if get_origin(around) in {dict, Mapping}:
        return get_args(around)[1]
    fields = getattr(around, "model_fields", None) or getattr(around, "__pydantic_fields__", {})
    return fields[part].annotation if part in fields else None


def _members(annotation: Any) -> list[Any]:
    """The members of a union, without what annotates them; nothing is no member."""
    if annotation is NoneType:
        return []
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return [found for member in get_args(annotation) for found in _members(member)]
    return [annotation]
