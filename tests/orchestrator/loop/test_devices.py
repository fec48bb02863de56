"""One process at a time commands a device, whichever campaign or command it belongs to."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
from loop_bench import Bench, answer, campaign_of, loop_of

from orchestrator.campaign.line import DEVICE
from orchestrator.errors import LeaseHeld
from orchestrator.loop.devices import DeviceLeases
from orchestrator.loop.holding import holding
from orchestrator.store.opening import open_store

KEEPER = """
import sys
from orchestrator.loop.devices import DeviceLeases
from orchestrator.store.opening import open_store

leases = DeviceLeases(open_store(sys.argv[1]), ["twin/pump"], "campaign other")
leases.take()
print("held", flush=True)
sys.stdin.read()
"""


class Equipped(Bench):
    equipment = ("twin/pump", "twin/valve")


def names(store):
    return [hold.name for hold in store.held(DEVICE)]


@pytest.fixture
def store(tmp_path):
    kept = open_store(tmp_path / "s.db", durable=False)
    yield kept
    kept.close()


def test_a_campaign_holds_its_devices_while_it_runs_and_gives_them_back(store, tmp_path):
    seen = []

    def behaviour(job, context):
        seen.append([(hold.name, hold.data["user"], hold.owner.pid) for hold in store.held(DEVICE)])
        return answer(job)

    loop_of(campaign_of(store, strategy="random"), Equipped(behaviour), tmp_path, 1).run()
    mine = ("campaign c", os.getpid())
    assert seen == [[("twin/pump", *mine), ("twin/valve", *mine)]]
    assert names(store) == []


def test_devices_are_given_back_however_a_campaign_ends(store, tmp_path):
    def broken(job, context):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop_of(campaign_of(store, strategy="random"), Equipped(broken), tmp_path, 1).run()
    assert names(store) == []


def test_a_dead_process_holds_nothing_and_a_living_one_does(store, tmp_path):
    command = [sys.executable, "-c", KEEPER, str(tmp_path / "s.db")]
    keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    assert keeper.stdout.readline() == "held\n"
    mine = DeviceLeases(store, ["twin/pump"], "campaign c")
    with pytest.raises(LeaseHeld, match=rf"pump of twin is in use by campaign other, .*\(process {keeper.pid}\)"):
        mine.take()
    keeper.send_signal(signal.SIGKILL)
    keeper.communicate()
    mine.take()
    assert names(store) == ["twin/pump"]
    mine.give_back()


def test_whoever_lost_a_device_is_cancelled_and_others_keep_it(store):
    campaign_of(store)
    cancelled = Event()
    mine = DeviceLeases(store, ["twin/pump"], "campaign c")
    mine.take()
    with holding(store, "c", cancelled, renew=mine.renew, ttl=30.0, every=0.05):
        (first,) = store.held(DEVICE)
        store.drop(first)
        other = store.hold(DEVICE, "twin/pump", first.owner, 30.0)
        assert cancelled.wait(10)
    mine.give_back()
    assert store.held(DEVICE) == [other]


def test_leases_of_devices_are_renewed(store):
    campaign_of(store)
    mine = DeviceLeases(store, ["twin/pump"], "campaign c")
    mine.take()
    with holding(store, "c", Event(), renew=mine.renew, ttl=30.0, every=0.02):
        (first,) = store.held(DEVICE)
        for _ in range(500):
            if store.held(DEVICE)[0].expires > first.expires:
                break
            Event().wait(0.02)
        assert store.held(DEVICE)[0].expires > first.expires
        assert store.held(DEVICE)[0].token == first.token
    mine.give_back()
