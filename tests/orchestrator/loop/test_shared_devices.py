"""What attempts had of devices that cells share, as the loop keeps it."""

from dataclasses import replace
from threading import Event

from loop_bench import Bench, answer, campaign_of, loop_of

from instruments.lab import Use
from orchestrator.campaign.bottleneck import loads
from orchestrator.cli.looking import summary
from orchestrator.store.opening import open_store


def test_what_is_leased_or_reported_is_in_the_record_and_in_the_status(tmp_path):
    inside, waits = Event(), Event()

    def behaviour(job, context):
        if job.experiment == 1:
            with context.lease("robot"):
                inside.set()
                assert waits.wait(10.0)
        elif job.experiment == 2:
            assert inside.wait(10.0)
            waits.set()
            with context.lease("robot"):
                pass
        return replace(answer(job), used={"gc": Use(720.0, 60.0)}, duration=3600.0)

    store = open_store(tmp_path / "s.db", durable=False)
    try:
        campaign = campaign_of(store, strategy="random")
        lab = Bench(behaviour, cells=2)
        loop_of(campaign, lab, tmp_path, 4).run()
        ran = {attempt.experiment: attempt.used for attempt in store.attempts("c")}
        assert set(ran[1]) == set(ran[2]) == {"robot", "gc"}
        assert set(ran[3]) == set(ran[4]) == {"gc"}
        assert {used["gc"] for used in ran.values()} == {(720.0, 60.0)}
        assert ran[1]["robot"][0] > 0.0
        shown = summary(store, store.campaign("c"))["loads"]
        assert shown == [load.plain() for load in loads(store.attempts("c"))]
        assert [load["resource"] for load in shown] == ["cells", "gc", "robot"]
        assert shown[1]["most_per_hour"] == 5.0
    finally:
        store.close()
