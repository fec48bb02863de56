"""Who is told of what, and campaign files that say it wrongly."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from orchestrator.config.definition import Definition
from orchestrator.config.notify import EVENTS
from orchestrator.config.schema import json_schema
from orchestrator.errors import InputError

Load = Callable[..., Definition]


def test_without_more_everything_is_told(load_text: Load, campaign: str) -> None:
    block = load_text(campaign + "notify: {to: [oncall, lab-chat]}\n").file.notify
    assert block is not None
    assert (block.to, block.on, block.best_every) == (("oncall", "lab-chat"), EVENTS, 15.0)
    one = load_text(campaign + "notify: {to: oncall, on: halted, best_every: 0}\n").file.notify
    assert one is not None
    assert (one.to, one.on, one.best_every) == (("oncall",), ("halted",), 0.0)
    assert load_text(campaign).file.notify is None


def test_what_is_stored_is_read_again(load_text: Load, campaign: str) -> None:
    definition = load_text(campaign + "notify: {to: [oncall], on: [best, halted]}\n")
    blobs = definition.blobs()
    again = Definition.from_resolved(definition.resolved(), blobs.__getitem__)
    assert again.file.notify == definition.file.notify
    assert again.hash == definition.hash


@pytest.mark.parametrize(
    ("block", "field", "said"),
    [
        ("{to: []}", "notify.to", "list of names"),
        ("{}", "notify", "to"),
        ("{to: [oncall, oncall]}", "notify.to", "twice"),
        ("{to: [oncall], on: [halt]}", "notify.on", "'halted'"),
        ("{to: [oncall], on: []}", "notify.on", "list of events"),
        ("{to: [oncall], best_every: -1}", "notify.best_every", "0"),
        ("{to: [file]}", "notify.to", "cannot name"),
        ("{to: [oncall], too: 1}", "notify", "too"),
    ],
)
def test_what_cannot_be_meant_is_refused(load_text: Load, campaign: str, block: str, field: str, said: str) -> None:
    with pytest.raises(InputError, match=field) as refused:
        load_text(campaign + f"notify: {block}\n")
    assert said in str(refused.value)


@pytest.mark.parametrize("address", ["slack://S3CRET/A/B", "'mailtos://me:S3CRET@lab.example'", "[json://S3CRET]"])
def test_an_address_in_the_file_is_refused_and_not_repeated(load_text: Load, campaign: str, address: str) -> None:
    with pytest.raises(InputError, match="cannot name an address") as refused:
        load_text(campaign + f"notify: {{to: {address}}}\n")
    assert "S3CRET" not in str(refused.value)


def test_the_schema_knows_the_events() -> None:
    assert set(json_schema()["$defs"]["Notify"]["properties"]["on"]["items"]["enum"]) == set(EVENTS)
