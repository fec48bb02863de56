"""Messages arrive by HTTP and by mail; what does not arrive is tried again, and holds nobody up."""

import logging
import socket
import time
from dataclasses import replace
from threading import Event

import pytest

from orchestrator.errors import NotDelivered
from orchestrator.notify import Address, Message
from orchestrator.notify.message import Happening, compose
from orchestrator.notify.notifier import notifier_of
from orchestrator.notify.outbox import MOST_WAITING, Outbox, Pace

MESSAGE = Message("c", ("halted",), "c: halted", "Why: the pump.\n≥ 5 mA cm-2")
QUICK = Pace(gather=0.05, best_every=60.0, first_retry=0.05, longest_retry=0.1, patience=10.0, last_retries=0.05)


def _to(url):
    return notifier_of(Address("oncall", url, "a test"))


def test_by_http(http):
    _to(http.url).send(MESSAGE)
    got = http.next()
    assert (got["title"], got["message"]) == (MESSAGE.title, MESSAGE.text)


def test_by_mail(smtp):
    _to(smtp.url).send(MESSAGE)
    mail = smtp.next()
    assert mail["Subject"] == MESSAGE.title
    assert MESSAGE.text in mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert "marie@lab.example" in smtp.recipients[0]


def test_why_nothing_arrived_is_told_without_the_address(http, caplog, capfd):
    caplog.set_level(logging.DEBUG, "orchestrator")
    for answer, said in ((403, "403 \\(Forbidden\\)"), ("hang", "could not be reached")):
        http.answer = answer
        with pytest.raises(NotDelivered, match=said) as refused:
            _to(http.url).send(MESSAGE)
        assert "S3CRET" not in str(refused.value)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NotDelivered, match="could not be reached"):
        _to(f"mailto://127.0.0.1:{port}?from=a@lab.example&to=S3CRET@lab.example&mode=insecure").send(MESSAGE)
    shown = capfd.readouterr()
    assert "S3CRET" not in caplog.text + shown.out + shown.err
    assert "127.0.0.1" not in caplog.text + shown.out + shown.err


class Scripted:
    """Delivers as it is told; the default is that all arrives."""

    def __init__(self, *answers):
        self.answers, self.sent, self.tried, self.arrived = list(answers), [], [], Event()

    def send(self, message):
        self.tried.append(message)
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer
        self.sent.append(message)
        self.arrived.set()


class Box:
    def __init__(self, notifier, pace=QUICK, told=frozenset()):
        self.reports = []
        self.box = Outbox("oncall", notifier, "c", "desk", pace, told, lambda *report: self.reports.append(report))

    def close(self, patience=10.0):
        self.box.begin_to_close()
        self.box.close(patience)


def _best(id):
    return Happening("best", f"experiment {id}", keys=frozenset({f"best {id}"}))


def test_what_happens_at_once_is_one_message_the_gravest_first():
    notifier = Scripted()
    box = Box(notifier, replace(QUICK, gather=30.0))
    box.box.put(Happening("approval", "one waits", "approve it"))
    box.box.put(Happening("halted", "the pump stands", "mend it"))
    box.close()
    (message,) = notifier.sent
    assert message.events == ("halted", "approval")
    assert message.title == "c: halted, waits for approval"
    assert message.text.index("approve it") > message.text.index("mend it") > message.text.index("To do:")


def test_what_fails_is_tried_again_with_what_came_meanwhile():
    late = Happening("halted", "the pump stands")
    notifier = Scripted(NotDelivered("no network."), ValueError("S3CRET"), None)
    box = Box(notifier)
    box.box.put(Happening("breaker", "cell-1 is out"))
    assert notifier.arrived.wait(10)
    box.box.put(late)
    box.close()
    first, last = box.reports[0], box.reports[-1]
    assert first[3] == "no network. It is tried again."
    assert last[2] == [late]
    assert [report[3] for report in box.reports[1:]] == [None, None]
    assert "S3CRET" not in str(box.reports)


def test_a_new_best_waits_for_its_time_and_only_the_last_is_told():
    notifier = Scripted()
    box = Box(notifier, replace(QUICK, gather=0.0))
    box.box.put(_best(1))
    assert notifier.arrived.wait(10)
    notifier.arrived.clear()
    box.box.put(_best(2))
    box.box.put(_best(3))
    assert not notifier.arrived.wait(0.2)  # the window of 60 s is open
    box.close()
    assert ["experiment 3" in message.text for message in notifier.sent] == [False, True]
    assert box.reports[-1][2][0].keys == {"best 2", "best 3"}


def test_what_was_told_is_not_told_again():
    notifier = Scripted()
    box = Box(notifier, told=frozenset({"best 1"}))
    box.box.put(_best(1))
    box.box.put(_best(2))
    box.close()
    box_again = [message.text for message in notifier.sent]
    assert len(box_again) == 1
    assert "experiment 2" in box_again[0]


def test_what_is_refused_is_not_tried_again():
    notifier = Scripted(NotDelivered("no such room.", final=True))
    box = Box(notifier)
    box.box.put(Happening("halted", "the pump stands"))
    box.close()
    assert len(notifier.tried) == 1
    assert [report[3] for report in box.reports] == ["no such room. It is given up."]


def test_a_message_is_given_up_in_the_end():
    notifier = Scripted(*[NotDelivered("no network.")] * 100)
    given_up = Event()
    box = Outbox(
        "oncall",
        notifier,
        "c",
        "desk",
        replace(QUICK, gives_up=0.3),
        frozenset(),
        lambda *report: given_up.set() if "given up" in str(report[3]) else None,
    )
    box.put(Happening("halted", "the pump stands"))
    assert given_up.wait(10)
    box.begin_to_close()
    box.close(5)


def test_the_end_waits_for_a_bounded_time():
    notifier = Scripted(*[NotDelivered("no network.")] * 10_000)
    box = Box(notifier)
    box.box.put(Happening("halted", "the pump stands"))
    began = time.monotonic()
    box.close(0.3)
    assert time.monotonic() - began < 5
    assert "the run has ended" in box.reports[-1][3]
    assert box.reports[-1][2][0].text == "the pump stands"


def test_a_flood_is_counted():
    stuck = Event()

    class Stuck(Scripted):
        def send(self, message):
            assert stuck.wait(20)
            super().send(message)

    notifier = Stuck()
    box = Box(notifier, replace(QUICK, gather=30.0))
    for number in range(MOST_WAITING + 50):
        box.box.put(Happening("breaker", f"thing {number}"))
    stuck.set()
    box.close()
    (message,) = notifier.sent
    assert f"... and {MOST_WAITING + 50 - 20} more" in message.text


def test_a_message_says_best_host_and_what_to_do():
    happening = Happening("halted", "c is halted: the pump", "mend the pump", ("Best so far: experiment 3",))
    message = compose("c", [happening], "desk")
    assert "c is halted: the pump" in message.text
    assert message.text.endswith("To do:\n  mend the pump\n\nBest so far: experiment 3\nHost: desk")
