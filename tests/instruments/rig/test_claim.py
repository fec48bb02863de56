import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from instruments.rig.claim import Claim, Process

HOLD = """
import sys
from pathlib import Path
from instruments.rig.claim import Claim
claim = Claim(Path(sys.argv[1]))
print(claim.take(), flush=True)
sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "True"
    return child


def test_one_at_a_time_and_no_longer_than_it_lives(tmp_path: Path) -> None:
    path, claim = tmp_path / "rig.lock", Claim(tmp_path / "rig.lock")
    with holder(path) as child:
        assert not claim.take(patience=0.1)
        found = claim.holder()
        assert found is not None
        assert found.pid == child.pid
        assert found.alive
        child.kill()
        child.wait()
        assert not found.alive
        assert claim.take(patience=2.0)
    assert claim.held
    assert claim.holder() == Process.this()
    claim.release()
    assert not claim.held
    other = Claim(path)
    assert other.take()
    other.release()


def test_a_process_is_not_taken_for_another_one() -> None:
    this = Process.this()
    assert this.alive
    assert Process.of(this.to_json()) == this
    assert not replace(this, started=this.started - 60.0).alive  # the number was another's before
    assert not replace(this, boot="an earlier one").alive
    assert not replace(this, pid=2**22 + 1).alive


def test_what_is_another_process_is_never_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = psutil.Process(child.pid).create_time() - psutil.boot_time()
        it = Process(child.pid, started, Process.this().boot)
        assert replace(it, started=started - 60.0).kill()  # gone, for all that is known
        assert child.poll() is None
        assert it.kill()
        child.wait(5.0)
        assert it.kill()


@pytest.mark.parametrize(
    "nonsense", [None, [], {}, {"pid": "x", "started": 1, "boot": ""}, {"pid": 1, "started": None, "boot": ""}]
)
def test_what_is_no_process(nonsense: object) -> None:
    assert Process.of(nonsense) is None


def test_a_lock_that_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rig.lock"
    path.write_text("{")
    assert Claim(path).holder() is None
    assert Claim(tmp_path / "none").holder() is None
