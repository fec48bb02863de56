"""Who controls a campaign. Runs over all of conftest.BACKENDS."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import timedelta

import pytest

from orchestrator.errors import LeaseHeld, LeaseLost, UnknownCampaign, UnstorableValue
from orchestrator.store import Note, Owner, Store

pytestmark = pytest.mark.usefixtures("campaign")


@pytest.fixture
def elsewhere(me: Owner) -> Owner:
    return Owner("another-host", 17, 3.5, "another boot", "grace")


def test_a_lease_is_taken_renewed_and_released(store: Store, me, clock):
    lease = store.acquire("alloys", me, ttl=30)
    assert (lease.campaign, lease.owner, lease.token) == ("alloys", me, 1)
    assert lease.expires == clock.now() + timedelta(seconds=30)
    clock.advance(20)
    renewed = store.renew(lease, ttl=40)
    assert renewed == dataclasses.replace(lease, expires=clock.now() + timedelta(seconds=40))
    store.release(renewed)
    assert store.acquire("alloys", me).token == 2


def test_who_holds_it(store: Store, me, elsewhere, clock):
    assert store.holder("alloys") is None
    lease = store.acquire("alloys", elsewhere, ttl=30)
    assert store.holder("alloys") == lease
    clock.advance(31)
    assert store.holder("alloys") is None
    dead = dataclasses.replace(me, process_started=me.process_started - 100)
    store.acquire("alloys", dead)
    assert store.holder("alloys") is None
    mine = store.acquire("alloys", me)
    assert store.holder("alloys") == mine
    store.release(mine)
    assert store.holder("alloys") is None


def test_a_second_controller_is_refused_with_the_name_of_the_first(store: Store, me, elsewhere):
    store.acquire("alloys", me)
    with pytest.raises(LeaseHeld, match=f"{me.user} on {me.host}.*process {me.pid}") as caught:
        store.acquire("alloys", elsewhere)
    assert caught.value.owner == me


def test_a_living_holder_on_this_host_keeps_its_lease(store: Store, me):
    store.acquire("alloys", me)
    with pytest.raises(LeaseHeld):
        store.acquire("alloys", dataclasses.replace(me, pid=me.pid + 1))
    with pytest.raises(LeaseHeld):
        store.acquire("alloys", me)


def test_an_expired_lease_is_free(store: Store, me, elsewhere, clock):
    first = store.acquire("alloys", elsewhere, ttl=30)
    clock.advance(29.9)
    with pytest.raises(LeaseHeld):
        store.acquire("alloys", me)
    clock.advance(0.2)
    assert store.acquire("alloys", me).token == first.token + 1


def test_a_stalled_holder_finds_itself_fenced_off(store: Store, me, elsewhere, clock, dump):
    stalled = store.acquire("alloys", elsewhere, ttl=30)
    store.apply("alloys", [Note("a", "in time")], who="stalled", token=stalled.token)
    clock.advance(31)
    present = store.acquire("alloys", me)
    before = dump(store)
    with pytest.raises(LeaseLost, match=f"{me.user} on {me.host}.*took over"):
        store.apply("alloys", [Note("a", "too late")], who="stalled", token=stalled.token)
    with pytest.raises(LeaseLost):
        store.apply("alloys", [], who="stalled", token=stalled.token)
    with pytest.raises(LeaseLost):
        store.renew(stalled)
    store.release(stalled)
    assert dump(store) == before
    store.apply("alloys", [Note("a", "fine")], who="present", token=present.token)


def test_an_expired_lease_that_nobody_took_is_renewed(store: Store, me, clock):
    lease = store.acquire("alloys", me, ttl=1)
    clock.advance(100)
    store.apply("alloys", [Note("a", "b")], who="me", token=lease.token)
    assert store.renew(lease).token == lease.token


def test_a_released_lease_is_worth_nothing(store: Store, me):
    lease = store.acquire("alloys", me)
    store.release(lease)
    store.release(lease)
    with pytest.raises(LeaseLost, match="released"):
        store.apply("alloys", [Note("a", "b")], who="me", token=lease.token)
    with pytest.raises(LeaseLost, match="released"):
        store.renew(lease)


def test_a_token_that_was_never_given(store: Store, me):
    with pytest.raises(LeaseLost, match="nobody was ever given"):
        store.apply("alloys", [Note("a", "b")], who="me", token=1)
    store.acquire("alloys", me)
    with pytest.raises(LeaseLost, match="nobody was ever given"):
        store.apply("alloys", [Note("a", "b")], who="me", token=2)


def test_people_write_without_a_lease(store: Store, me):
    store.acquire("alloys", me)
    store.apply("alloys", [Note("comment", "looks odd")], who="ada")
    assert store.events("alloys")[-1].who == "ada"


def test_a_dead_holder_on_this_host_is_superseded_at_once(store: Store, me):
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    pid = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    first = store.acquire("alloys", dataclasses.replace(me, pid=pid))
    assert store.acquire("alloys", me).token == first.token + 1


def test_a_pid_that_was_given_again_is_another_process(store: Store, me):
    store.acquire("alloys", dataclasses.replace(me, process_started=me.process_started - 100))
    assert store.acquire("alloys", me).token == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names its boots")
def test_a_holder_of_an_earlier_boot_is_superseded_at_once(store: Store, me, clock, shared):
    store.acquire("alloys", dataclasses.replace(me, boot="an earlier one"), ttl=30)
    if shared:  # another boot may be that of another computer with the same name
        with pytest.raises(LeaseHeld):
            store.acquire("alloys", me)
        clock.advance(31)
    assert store.acquire("alloys", me).token == 2


@pytest.mark.skipif(sys.platform != "linux", reason="containers")
def test_a_holder_in_a_container_of_this_host_is_only_superseded_by_expiry(store: Store, me, clock):
    kernel, _, _ = me.boot.partition("+")
    store.acquire("alloys", dataclasses.replace(me, boot=f"{kernel}+pid:[1]", pid=2**22), ttl=30)
    with pytest.raises(LeaseHeld):
        store.acquire("alloys", me)
    clock.advance(31)
    assert store.acquire("alloys", me).token == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names its boots")
def test_setting_the_clock_neither_ends_nor_prolongs_a_lease_of_this_boot(store: Store, me, clock):
    store.acquire("alloys", me, ttl=30)
    clock.jump(3600)
    with pytest.raises(LeaseHeld):
        store.acquire("alloys", me)
    clock.jump(-7200)
    clock.advance(31)
    assert store.acquire("alloys", me).token == 2


def test_leases_are_in_the_log(store: Store, me, elsewhere, clock):
    store.acquire("alloys", elsewhere, ttl=30)
    clock.advance(31)
    lease = store.acquire("alloys", me)
    store.renew(lease)
    store.release(lease)
    events = [event for event in store.events("alloys") if event.kind == "lease"]
    assert [(event.before, event.after, event.why) for event in events] == [
        (None, str(elsewhere), "acquired"),
        (str(elsewhere), str(me), "took over"),
        (str(me), None, "released"),
    ]
    assert [event.sequence for event in store.events("alloys")] == [1, 2, 3, 4]


def test_leases_of_campaigns_are_independent(store: Store, me, campaign):
    store.create(dataclasses.replace(campaign, name="other"))
    store.acquire("alloys", me)
    assert store.acquire("other", me).token == 1


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf")])
def test_a_lease_lasts_a_positive_time(store: Store, me, ttl):
    with pytest.raises(UnstorableValue, match="cannot last"):
        store.acquire("alloys", me, ttl=ttl)


def test_a_lease_needs_a_campaign(store: Store, me):
    with pytest.raises(UnknownCampaign):
        store.acquire("none", me)


def test_this_process_is_alive(me):
    assert me.alive() is True
    assert Owner.current() == me
    assert dataclasses.replace(me, host="another-host").alive() is None


def test_a_zombie_is_dead(me):
    child = subprocess.Popen([sys.executable, "-c", "print('x', flush=True); input()"], stdin=-1, stdout=-1, text=True)
    child.stdout.readline()
    started = subprocess_started(child.pid)
    living = dataclasses.replace(me, pid=child.pid, process_started=started)
    assert living.alive() is True
    child.communicate("\n")
    assert living.alive() is False


def subprocess_started(pid: int) -> float:
    from orchestrator.store.records import _process_started

    started = _process_started(pid)
    assert started is not None
    return started
