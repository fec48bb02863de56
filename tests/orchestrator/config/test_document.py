from __future__ import annotations

import pytest

from orchestrator.config.document import dotted, parse
from orchestrator.errors import InputError


def test_reads_plain_data_with_lines() -> None:
    document = parse(
        b"name: a\nspace:\n  parameters:\n    - {name: p,\n       low: -1e-3}\n    - name: q\n", "campaign.yaml"
    )
    assert document.data == {"name": "a", "space": {"parameters": [{"name": "p", "low": -0.001}, {"name": "q"}]}}
    assert document.line(("space", "parameters", 0, "low")) == 5
    assert document.line(("space", "parameters", 1)) == 6
    assert document.line(("space", "parameters", 1, "not", "there")) == 6
    assert document.line(("not there",)) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),  # YAML 1.2: the element of nobelium is no truth value
        ("Y", "Y"),
        ("true", True),
        ("010", 10),
        ("1e3", 1000.0),
        ("2024-05-01", "2024-05-01"),
        ("'5'", "5"),
        ("~", None),
        ("!!str 5", "5"),
    ],
)
def test_scalars_follow_yaml_1_2_and_dates_stay_text(text: str, value: object) -> None:
    assert parse(f"key: {text}".encode(), "c.yaml").data == {"key": value}


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert parse(b"\xef\xbb\xbfname: a", "c.yaml").data == {"name": "a"}


def test_references_and_merges() -> None:
    document = parse(b"base: &base {low: 0, high: 1}\nother: {<<: *base, high: 2}\nboth: [*base, *base]", "c.yaml")
    assert document.data["other"] == {"low": 0, "high": 2}
    assert document.data["both"] == [{"low": 0, "high": 1}] * 2


def test_dotted() -> None:
    assert dotted(("space", "parameters", 1, "low")) == "space.parameters[1].low"
    assert dotted(()) == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "c.yaml:1: the file is empty. `sabatier init` writes one to start from."),
        (b"# nothing\n", "c.yaml:1: the file is empty. `sabatier init` writes one to start from."),
        (b"a: 1\nb: 2\na: 3\n", "c.yaml:3: a: key 'a' stands here and in line 1. Keep one of them."),
        (b"a:\n  - {b: 1, b: 2}", "c.yaml:2: a[0].b: key 'b' stands here and in line 2. Keep one of them."),
        (b"a: 1\nb:\n\tc: 2\n", "c.yaml:3: a tab at the start of the line. Indent with spaces."),
        (
            b"a: [1,\nb: 2\n",
            "c.yaml:1: this is no YAML: a bracket or quote that is opened here is never closed. Text with special "
            "characters needs quotes.",
        ),
        (
            b"a: 1\n b: 2\n",
            "c.yaml:2: this is no YAML: a colon or an indentation where none can be. Text with special characters "
            "needs quotes.",
        ),
        (
            b"a: 1\nb: !!python/object:os.system x",
            "c.yaml:2: the tag !!python/object:os.system has no place here. Leave it out.",
        ),
        (b"a: !mine {b: 1}", "c.yaml:1: the tag !mine has no place here. Leave it out."),
        (b"a: !!int x", "c.yaml:1: 'x' is no number."),
        (b"a: 1\n? [1]\n: 2", "c.yaml:2: a key must be a name. Put it in quotes."),
        (b"a: &a [*a]", "c.yaml:1: references (`*name`) that repeat without end. Write the entry out."),
        (b"a: 1\nb: caf\xe9\n", "c.yaml:2: the file is not UTF-8 text. Save it with the encoding UTF-8."),
        (
            b"a: 1\n---\nb: 2\n",
            "c.yaml:2: this is no YAML: a second document begins, but a campaign file holds one. Text with special "
            "characters needs quotes.",
        ),
    ],
)  # fmt: skip
def test_one_clear_message(content: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(content, "c.yaml")
    assert str(caught.value) == message
    assert caught.value.file == "c.yaml"


def test_references_cannot_blow_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(InputError, match="repeat without end"):
        parse("\n".join(lines).encode(), "c.yaml")


def test_nesting_without_end() -> None:
    with pytest.raises(InputError, match="nested without end"):
        parse(b"[" * 20_000, "c.yaml")
