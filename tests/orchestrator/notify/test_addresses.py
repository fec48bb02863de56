"""Addresses hold secrets: they come from the environment or a private file, and nothing ever shows them."""

import os

import pytest

from orchestrator.errors import InputError
from orchestrator.notify import Address, addresses_of, known_addresses
from orchestrator.notify.notifier import notifier_of

URL = "json://user:S3CRET@lab.example/S3CRET"


def _file(desk, text, mode=0o600):
    path = desk / "settings" / "sabatier" / "notify.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_variable_comes_before_the_file(desk, monkeypatch):
    path = _file(desk, f"lab-chat: {URL}\noncall: {URL}2\n")
    monkeypatch.setenv("SABATIER_NOTIFY_ONCALL", URL)
    oncall, chat = addresses_of(["oncall", "lab-chat"])
    assert (oncall.url, oncall.source) == (URL, "SABATIER_NOTIFY_ONCALL")
    assert (chat.url, chat.source, chat.name) == (URL, str(path), "lab-chat")
    assert sorted(known_addresses()) == ["LAB_CHAT", "ONCALL"]


def test_no_representation_shows_an_address():
    address = Address("oncall", URL, "a test")
    assert "S3CRET" not in f"{address!r} {address}"


def test_an_unknown_name_says_where_an_address_goes(desk, monkeypatch):
    monkeypatch.setenv("SABATIER_NOTIFY_ONCALL", URL)
    with pytest.raises(InputError, match="Did you mean 'oncall'") as refused:
        addresses_of(["oncal"])
    assert "SABATIER_NOTIFY_ONCAL" in str(refused.value)
    assert refused.value.field == "notify.to"
    assert "S3CRET" not in str(refused.value)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_reach_is_refused(desk, mode):
    _file(desk, f"oncall: {URL}\n", mode)
    with pytest.raises(InputError, match="chmod 600"):
        known_addresses()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("oncall: {S3CRET", "no YAML"),
        ("S3CRET", "no list of names"),
        ("a b: S3CRET", "cannot name"),
        ("oncall: [S3CRET]", "is no text"),
        ("oncall: 'json://S3CRET'\nOnCall: 'json://S3CRET'", "there twice"),
        ("file: json://S3CRET", "cannot name"),
        ("'S3CRET://x': json://x", "cannot name"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_without_its_content(desk, text, said):
    path = _file(desk, text)
    with pytest.raises(InputError, match=said) as refused:
        known_addresses()
    assert str(path) in str(refused.value)
    assert "S3CRET" not in str(refused.value)


def test_a_file_that_is_named_must_be_there(desk, monkeypatch):
    assert known_addresses() == {}
    monkeypatch.setenv("SABATIER_NOTIFY_FILE", str(desk / "elsewhere.yaml"))
    with pytest.raises(InputError, match="SABATIER_NOTIFY_FILE"):
        known_addresses()


@pytest.mark.parametrize("url", ["S3CRET", "nosuch://S3CRET", "slack://S3CRET", "json://", "tgram://S3CRET/"])
def test_an_address_that_nobody_can_use_is_not_shown(url, caplog, capfd):
    with pytest.raises(InputError, match="Correct it in a test") as refused:
        notifier_of(Address("oncall", url, "a test"))
    shown = capfd.readouterr()
    assert "S3CRET" not in str(refused.value) + caplog.text + shown.out + shown.err
