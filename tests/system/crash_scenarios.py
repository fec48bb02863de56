"""What goes wrong, one function a fault: it happens to real processes, and then a person does what is asked and no more."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import psutil
from crash_bench import VIRTUAL, WIRED, Running, Site, WiredSite, stop, wait_until, wake
from crash_child import PHASES, Death
from crash_faults import WallClock, small_disk
from prefect_bench import kill_all, prefect_bench
from rig_bench import drawing

SOON: Final = 6.0
"""Real s within which a current must be off whose controller is gone: the guardian's 2 s of patience, and what it takes."""
DAY: Final = 86400
LEASE: Final = 1.5
"""s; by default 30 s."""


class Skipped(Exception):
    """This computer cannot show it."""


@dataclass(frozen=True)
class Found:
    """What came of a fault.

    Attributes:
        times: how often it happened.
        acts: what people had to do until the campaign was completed.
        off: real s until no current and no gas flowed any more, the longest; ``None`` where none had flowed.
        problems: what must not be.
    """

    times: int
    acts: frozenset[str] = frozenset()
    off: float | None = None
    problems: tuple[str, ...] = ()


def judged(times: int, *sites: Site, off: Sequence[float] = (), problems: Sequence[str] = ()) -> Found:
    """What came of it, with what must be true of every campaign that is over."""
    found = [*problems, *(problem for site in sites for problem in site.problems())]
    if off and max(off) > SOON:
        found.append(f"a current or a gas was off only {max(off):.1f} s after its controller was gone")
    acts = frozenset[str]().union(*(site.acts for site in sites))
    return Found(times, acts, max(off, default=None), tuple(found))


# In the virtual laboratory


def writes_of(site: Site, running: Running) -> int:
    """How many writes a process made that came to its end."""
    assert running.wait() == 0, running.said
    return int(running.output.with_suffix(".writes").read_text())


def killed_around_writes(folder: Path, rng: Random, times: int = 50) -> Found:
    """Two deaths a campaign, then it is as if nothing had been."""
    calm = Site(folder / "calm")
    most, expected = writes_of(calm, calm.go_on()), calm.results()
    sites, problems, died = [calm], list[str](), 0
    while died < times:
        site = Site(folder / f"{died}")
        points = [Death(rng.randint(1, most), rng.choice(PHASES)) for _ in range(2)]
        for death in points:
            died += site.go_on(death=death).wait() == -signal.SIGKILL
        site.finish()
        if site.results() != expected:
            problems.append(f"killed {' and '.join(map(str, points))}: other results than undisturbed")
        problems += [f"killed {' and '.join(map(str, points))}: {problem}" for problem in site.problems()]
        sites.append(site)
    return judged(died, calm, problems=[*problems, *_acted(sites)])


def _acted(sites: Sequence[Site]) -> Iterator[str]:
    """A laboratory in which repeating is safe asks nothing of people."""
    yield from (f"{site.folder.name}: a person had to {', '.join(site.acts)}" for site in sites if site.acts)


def asleep(folder: Path, rng: Random, times: int = 4) -> Found:
    """A process sleeps past its lease, another takes over, the first one wakes."""
    calm = Site(folder / "calm")
    most, expected = writes_of(calm, calm.go_on()), calm.results()
    sites, problems = [calm], list[str]()
    for number in range(times):
        site = Site(folder / f"{number}")
        death = Death(rng.randint(4, most - 8), rng.choice(("before", "after")), sleep=True)
        sleeper = site.go_on(death=death, lease=LEASE)
        problems += [f"asleep {death}: {problem}" for problem in _overtaken(site, sleeper)]
        if site.results() != expected:
            problems.append(f"asleep {death}: other results than undisturbed")
        sites.append(site)
    return judged(times, *sites, problems=problems)


def _overtaken(site: Site, sleeper: Running) -> Iterator[str]:
    """Somebody else completes the campaign of a sleeping process, which then wakes."""
    until_asleep(sleeper)
    wait_until(lambda: not _in_control(site), "the lease has run out")
    site.finish()
    before = _log(site)
    yield from _woken(sleeper)
    if _log(site) != before:
        yield "the process that woke has written something"


def until_asleep(sleeper: Running) -> None:
    """Wait until a process is stopped."""
    wait_until(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_STOPPED, "it sleeps")


def _woken(sleeper: Running) -> Iterator[str]:
    """A process wakes after its lease; it must end, and say why."""
    wake(sleeper.pid)
    status = sleeper.wait()
    if status == 0 or ("this process lost control" not in sleeper.said and "ran out" not in sleeper.said):
        yield f"the process that woke ended with {status}: {sleeper.said[-400:]}"


def _in_control(site: Site) -> bool:
    """Whether somebody controls the campaign, or is about to."""
    if not site.exists():
        return True
    with site.store() as store:
        return store.holder(site.name) is not None


def _log(site: Site) -> list[Any]:
    with site.store() as store:
        return store.events(site.name)


def two_at_once(folder: Path, rng: Random, times: int = 4) -> Found:
    """Two processes begin the same campaign at the same moment."""
    sites, problems = list[Site](), list[str]()
    for number in range(times):
        site = Site(folder / f"{number}", VIRTUAL.replace("experiments: 8", f"experiments: {rng.randint(8, 16)}"))
        both = site.go_on(), site.go_on()
        statuses = [running.wait() for running in both]
        if 0 not in statuses or not set(statuses) <= {0, 2}:
            problems.append(f"they ended with {statuses}: {both[0].said[-300:]} {both[1].said[-300:]}")
        for running, other in zip(both, reversed(both), strict=True):
            if running.wait() == 2 and f"(process {other.pid})" not in running.said:
                problems.append(f"the refused one does not name the other: {running.said}")
        site.finish()
        sites.append(site)
    return judged(times, *sites, problems=[*problems, *_acted(sites)])


def full_disk(folder: Path, rng: Random) -> Found:
    """The disk is full at some moment, and has space again later."""
    with small_disk(folder / "disk") as disk:
        if disk is None:
            raise Skipped("no file system may be mounted here")
        site = Site(folder / "disk" / "site", VIRTUAL.replace("experiments: 8", "experiments: 40"))
        site.outputs = folder
        running = site.go_on()
        running.until(f"{rng.randint(3, 20):>4}  measured")
        disk.fill()
        problems = _refusal(running, "disk")
        disk.free()
        before = {id: result for id, result in site.results().items() if result[3]}
        site.finish()
        after = site.results()
        problems += [f"experiment {id} is no longer what it was" for id, was in before.items() if after[id] != was]
        return judged(1, site, problems=problems)


def _refusal(running: Running, word: str) -> list[str]:
    """A command must end with status 1 and one sentence that says why and how to go on."""
    status, said = running.wait(), running.said
    if status != 1 or word not in said or "sabatier resume" not in said or "Traceback" in said:
        return [f"status {status}, and it said {said[-600:]}"]
    return []


def prefect_killed(folder: Path, rng: Random) -> Found:
    """The workflow engine's own server dies under a running campaign."""
    site = Site(folder, VIRTUAL.replace("experiments: 8", "experiments: 30"))
    running = site.spawn("run", "campaign.yaml", PREFECT_API_URL="")
    running.until(f"{rng.randint(1, 6):>4}  measured")
    for child in psutil.Process(running.pid).children():
        if "orchestrator.flows.serve" in child.cmdline():
            child.kill()
    status = running.wait()
    problems = [] if status == 0 else [f"status {status}: {running.said[-600:]}"]
    if "the campaign is not affected" not in running.said:
        problems.append(f"it was not noticed: {running.said[-600:]}")
    return judged(1, site, problems=problems)


def database_killed(folder: Path, rng: Random, times: int = 4) -> Found:
    """PostgreSQL is killed in the middle of a transaction, and comes back."""
    sys.path.append(str(Path(__file__).parents[2]))
    from tests.postgres import PostgresServer, missing

    if (why := missing()) is not None:
        raise Skipped(why)
    place, sites, problems = Path(tempfile.mkdtemp(prefix="crash-postgres-")), list[Site](), list[str]()
    try:
        server = PostgresServer(place)
        calm = Site(folder / "calm")
        most, expected = writes_of(calm, calm.go_on()), calm.results()
        for number in range(times):
            site = Site(folder / f"{number}", store=server.database())
            death = Death(rng.randint(4, most - 4), "inside", sleep=True)
            running = site.go_on(death=death)
            until_asleep(running)
            server.kill()
            server.start()
            wake(running.pid)
            if (status := running.wait()) != 0:
                problems.append(f"{death}: status {status}: {running.said[-600:]}")
            site.finish()
            if site.results() != expected:
                problems.append(f"{death}: other results than undisturbed")
            sites.append(site)
        return judged(times, *sites, problems=[*problems, *_acted(sites)])
    finally:
        server.kill()
        shutil.rmtree(place)


def worker_killed(folder: Path, rng: Random) -> Found:
    """A worker is killed with all that it started, and another one is there."""
    site = Site(folder / "site", VIRTUAL.replace("experiments: 8", "experiments: 150"))
    with prefect_bench(folder / "laboratory", site.url) as laboratory:
        words = "deploy", "campaign.yaml", "--pool", "rig", "--every", 10
        registered = site.spawn(*words, PREFECT_API_URL=laboratory.url)
        assert registered.wait() == 0, registered.said
        first = laboratory.start_worker("rig")
        some = rng.randint(3, 30)
        wait_until(lambda: _measured(site) >= some, "some results")
        kill_all(first)
        problems = [] if _measured(site) < 150 else ["the worker was killed too late"]
        laboratory.start_worker("rig")
        wait_until(lambda: _measured(site) == 150 and not _in_control(site), "the other worker has done the rest")
    return judged(1, site, problems=problems)


def _measured(site: Site) -> int:
    """How many experiments have their result; that of some is that they failed."""
    with site.store() as store:
        counts = store.counts(site.name)
    return counts["completed"] + counts["failed"]


# On the rig


@contextmanager
def wired(folder: Path, **how: Any) -> Iterator[WiredSite]:
    """A site with its emulators."""
    site = WiredSite(folder, **how)
    with site.bench.emulated():
        yield site


def under_current(site: WiredSite, running: Running) -> None:
    """Wait until a current flows."""
    wait_until(lambda: running.over or bool(drawing(site.bench.cells())), "a current")
    assert not running.over, running.said


def until_off(site: WiredSite) -> float:
    """Wait until no current and no gas flows; real s."""
    return wait_until(site.is_off, "everything off", 4 * SOON)


def killed_on_the_rig(folder: Path, rng: Random, times: int = 12) -> Found:
    """One campaign, whose process dies again and again."""
    with wired(folder) as site:
        off, died, problems = list[float](), 0, list[str]()
        while died < times:
            death = Death(rng.randint(1, 75), rng.choice(PHASES))
            status = _with_people(site, death)
            if status == -signal.SIGKILL:
                died += 1
                off.append(until_off(site))
            elif status == 0:  # it was completed before that
                problems += site.renew()
        site.finish()
        return judged(died, site, off=off, problems=problems)


def _with_people(site: WiredSite, death: Death) -> int:
    """A process that dies at its write, once people have done what must be done first."""
    for _ in range(8):
        site.mend()
        running = site.go_on(death=death)
        status = running.wait()
        if status in (0, -signal.SIGKILL):
            return status
        site.answer(running.said)
    raise AssertionError(running.said)


def asleep_on_the_rig(folder: Path, rng: Random) -> Found:
    """The controller sleeps under current, past its lease; another wants the rig; the first one wakes."""
    with wired(folder) as site:
        sleeper, problems = site.go_on(lease=LEASE), list[str]()
        under_current(site, sleeper)
        stop(site, sleeper.pid)
        off = until_off(site)
        wait_until(lambda: not _in_control(site), "the lease has run out")
        other = site.go_on()
        if other.wait() != 1 or "sabatier rig reset" not in other.said:
            problems.append(f"another does not hear of the halt: {other.said[-400:]}")
        if f"({sleeper.pid})" not in site.do("rig", "reset", site.bench.rig, status=1):
            problems.append("whoever resets the rig does not hear who has it")
        before = _log(site), site.electrolyses()
        problems += _woken(sleeper)
        if before != (_log(site), site.electrolyses()):
            problems.append("the process that woke has written or switched on something")
        site.finish()
        return judged(1, site, off=[off], problems=problems)


def ready(site: WiredSite) -> Running:
    """A process under whose control a current flows, once people have done what must be done first."""
    for _ in range(8):
        site.mend()
        running = site.go_on()
        wait_until(lambda over=running: over.over or bool(drawing(site.bench.cells())), "a current")
        if not running.over:
            return running
        site.answer(running.said)
    raise AssertionError(running.said)


def instruments_killed(folder: Path, rng: Random, times: int = 2) -> Found:
    """All instruments lose their power under current, and come back."""
    site, problems = WiredSite(folder), list[str]()
    with ExitStack() as stack:
        emulators = stack.enter_context(site.bench.emulated())
        for _ in range(times):
            running = ready(site)
            site.remember()
            emulators.kill()
            emulators.wait()
            status = running.wait()
            if status != 1:
                problems.append(f"status {status}: {running.said[-600:]}")
            if "not confirmed as safe: potentiostat" not in running.said:
                problems.append(f"nothing is told as unconfirmed: {running.said[-600:]}")
            emulators = stack.enter_context(site.bench.emulated(again=True))
        site.finish()
        return judged(times, site, problems=problems)


def lead_pulled(folder: Path, rng: Random) -> Found:
    """The serial lead of the potentiostat is pulled under current, and plugged in again."""
    with wired(folder) as site:
        lead = site.wire("potentiostat")
        running = site.go_on()
        under_current(site, running)
        lead.pull()
        off = wait_until(lambda: not drawing(site.bench.cells()), "no current", 4 * SOON)
        running.wait()
        lead.plug()
        site.finish()
        found = judged(1, site, off=[off])
        lead.pull()
        return found


def full_disk_on_the_rig(folder: Path, rng: Random) -> Found:
    """The disk is full under current."""
    with small_disk(folder / "disk") as disk:
        if disk is None:
            raise Skipped("no file system may be mounted here")
        with wired(folder / "disk" / "site") as site:
            site.outputs = folder
            running = site.go_on()
            under_current(site, running)
            disk.fill()
            problems = _refusal(running, "disk")
            off = until_off(site)
            disk.free()
            site.finish()
            return judged(1, site, off=[off], problems=problems)


def clock_jumps(folder: Path, rng: Random) -> Found:
    """The wall clock is set a day ahead under current, then two days back, while another process wants control."""
    clock = WallClock(folder / "clock")
    with wired(folder / "site", text=WIRED.replace("experiments: 2", "experiments: 5")) as site:
        running = site.spawn("run", "campaign.yaml", "--engine", "threads", **clock.environment)
        problems = list[str]()
        for jump in (DAY, -DAY):
            under_current(site, running)
            clock.set(jump + rng.randint(0, 3600))
            other = site.spawn("run", "campaign.yaml", "--engine", "threads", **clock.environment)
            if other.wait() != 2 or f"(process {running.pid})" not in other.said:
                problems.append(f"another was not refused: {other.said[-400:]}")
            wait_until(lambda: running.over or not drawing(site.bench.cells()), "the end of the electrolysis")
        if (status := running.wait()) != 0:
            problems.append(f"status {status}: {running.said[-600:]}")
        with site.store() as store:
            lasted = [attempt.duration for attempt in store.attempts(site.name)]
        problems += [f"an attempt lasted {each} s" for each in lasted if each is None or not 0.0 < each < 3600.0]
        return judged(2, site, problems=problems)
