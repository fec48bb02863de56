"""Raw signals in files: complete or not there, checked when read, and sent to object storage when it answers."""

import json
import resource
import shutil
from contextlib import contextmanager
from threading import Event

import fsspec
import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from loop_bench import Bench, answer, campaign_of, loop_of

from instruments import Measurement
from orchestrator.campaign.places import MANIFEST
from orchestrator.errors import InputError, RawSignalsError
from orchestrator.loop import raw
from orchestrator.loop.keeping import Files, Storage
from orchestrator.store.records import AttemptRecord

MEASURED = Measurement(
    {"trace": pd.DataFrame({"time/s": [0.0, 1.0]}), "gas/fid": pd.DataFrame({"area": range(900)})}, {"area": "1 cm2"}
)


class Far(MemoryFileSystem):
    """Object storage that may be out of reach; a file is stored in parts of what was sent where it is cut."""

    protocol = "far"
    reached, cut = True, False

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("far://", "memory://"))

    def pipe_file(self, path, value, **options):
        self._reach()
        super().pipe_file(path, value[: len(value) // 2] if Far.cut else value, **options)

    def cat_file(self, path, *args, **options):
        self._reach()
        return super().cat_file(path, *args, **options)

    def _reach(self):
        if not Far.reached:
            raise RuntimeError("no route to host")  # of no known kind, as those of real storage


@pytest.fixture
def far():
    fsspec.register_implementation("far", Far, clobber=True)
    Far.reached, Far.cut = True, False
    Far.store.clear()
    yield Far
    Far.store.clear()


def measuring(job, context):
    return answer(job, measurement=MEASURED)


def files_in(folder, url=None):
    return Files(folder / "files", folder / "spool", url)


@contextmanager
def files_no_larger_than(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def attempt_at(location, digest=None):
    return AttemptRecord(experiment=1, number=1, files=location, digest=digest)


def test_what_was_written_is_read_and_its_hash_is_that_of_older_releases(tmp_path):
    files = files_in(tmp_path)
    location = files.location("c", 1, 1)
    manifest = files.keep(location, MEASURED, {"experiment": 1, "duration": 5.0})
    measured = files.read(attempt_at(location, manifest.digest))
    pd.testing.assert_frame_equal(measured.signals["gas/fid"], MEASURED.signals["gas/fid"])
    assert (measured.metadata, manifest.duration) == (MEASURED.metadata, 5.0)
    (files.local(location) / MANIFEST).unlink()  # as a release left it that wrote none
    assert set(files.read(attempt_at(location, manifest.digest)).signals) == {"trace", "gas/fid"}
    with pytest.raises(RawSignalsError, match="changed"):
        files.read(attempt_at(location, "0" * 64))


@pytest.mark.parametrize("size", [0, 60, 2000])
def test_a_disk_that_is_full_leaves_no_manifest_and_the_next_write_is_whole(tmp_path, size):
    files = files_in(tmp_path)
    location = files.location("c", 1, 1)
    with files_no_larger_than(size), pytest.raises(OSError, match="too large"):
        files.keep(location, MEASURED, {})
    assert files.manifest(location) is None
    with pytest.raises(RawSignalsError, match="no complete raw signals"):
        files.read(attempt_at(location))
    files.keep(location, MEASURED, {})
    assert set(files.read(attempt_at(location)).signals) == {"trace", "gas/fid"}


@pytest.mark.parametrize("size", [0, 60, 2000])
def test_signals_that_are_complete_stay_where_others_cannot_be_written_in_their_place(tmp_path, size):
    files = files_in(tmp_path)
    location = files.location("c", 1, 1)
    former = files.keep(location, Measurement({"trace": pd.DataFrame({"time/s": [5.0]})}), {})
    with files_no_larger_than(size), pytest.raises(OSError, match="too large"):
        files.keep(location, MEASURED, {})
    kept = files.read(attempt_at(location, former.digest))
    assert kept.signals["trace"]["time/s"].tolist() == [5.0]
    assert not list(files.local(location).glob(".*"))


def test_files_that_changed_or_are_missing_are_named(tmp_path):
    files = files_in(tmp_path)
    location = files.location("c", 1, 1)
    manifest = files.keep(location, MEASURED, {})
    path = files.local(location) / "trace.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    with pytest.raises(RawSignalsError, match=r"trace\.parquet has changed"):
        files.read(attempt_at(location, manifest.digest))
    path.unlink()
    with pytest.raises(RawSignalsError, match=r"trace\.parquet is missing\. Restore it"):
        files.read(attempt_at(location, manifest.digest))
    path.write_bytes(whole)
    with pytest.raises(RawSignalsError, match="not those that the store has the hash of"):
        files.read(attempt_at(location, "0" * 64))
    (files.local(location) / MANIFEST).write_text("{")
    with pytest.raises(RawSignalsError, match="is no manifest"):
        files.read(attempt_at(location, manifest.digest))
    shutil.rmtree(files.local(location))
    with pytest.raises(RawSignalsError, match="no complete raw signals"):
        files.read(attempt_at(location, manifest.digest))


def test_what_is_added_later_stands_beside_the_former_signals(tmp_path):
    files = files_in(tmp_path)
    first = files.location("c", 1, 1)
    files.keep(first, MEASURED, {"experiment": 1})
    second, _ = files.revise(first, Measurement({**MEASURED.signals, "liquid": MEASURED.signals["trace"]}))
    third, manifest = files.revise(second, MEASURED)
    assert [location.rpartition("/")[2] for location in (second, third)] == ["1.2", "1.3"]
    assert manifest.about["experiment"] == 1
    assert "liquid" in files.read(attempt_at(second)).signals
    assert "liquid" not in files.read(attempt_at(first)).signals


# Object storage


def test_raw_signals_are_sent_to_object_storage_and_read_from_there(tmp_path, far):
    files, campaign = files_in(tmp_path, "far://lab/raw"), campaign_of(strategy="random")
    lab = Bench(measuring)
    assert loop_of(campaign, lab, files, 2).run() == "completed"
    attempts = campaign.store.attempts("c")
    assert [a.files for a in attempts] == ["far://lab/raw/c/00001/1", "far://lab/raw/c/00002/1"]
    assert files.waiting("c") == 0
    assert not list(tmp_path.rglob("*.parquet"))
    for attempt in attempts:
        assert set(files.read(attempt).signals) == {"trace", "gas/fid"}
    Storage(str(attempts[0].files)).put({"trace.parquet": b"other"})
    with pytest.raises(RawSignalsError, match=r"far://lab/raw/c/00001/1/trace\.parquet has changed"):
        files.read(attempts[0])


@pytest.mark.parametrize("trouble", ["reached", "cut"])
def test_where_storage_does_not_take_them_they_wait_here_and_are_sent_by_the_next_sitting(tmp_path, far, trouble):
    files, campaign = files_in(tmp_path, "far://lab/raw"), campaign_of(strategy="random")
    setattr(far, trouble, trouble == "cut")
    assert loop_of(campaign, Bench(measuring), files, 2).run() == "completed"
    assert files.waiting("c") == 2
    first = campaign.store.attempts("c")[0]
    assert set(files.read(first).signals) == {"trace", "gas/fid"}  # from here
    setattr(far, trouble, trouble == "reached")
    assert loop_of(campaign, Bench(measuring), files, 3).run() == "completed"
    assert files.waiting("c") == 0
    assert len(far.store) == 3 * 4  # two signals, metadata and manifest of each
    far.reached = False
    with pytest.raises(RawSignalsError, match="out of reach: no route to host"):
        files.read(first)


def test_a_process_that_died_while_it_removed_what_was_sent_leaves_nothing_to_send_again(tmp_path, far):
    files = files_in(tmp_path, "far://lab/raw")
    location = files.location("c", 1, 1)
    files.keep(location, MEASURED, {})
    local = files.local(location)
    shutil.copytree(local, local.with_name("1.sent"))
    assert files.waiting("c") == 1
    assert files.send("c") == 0
    assert not list((tmp_path / "spool").rglob("*.*"))


def test_files_that_another_process_removes_at_the_same_time_are_no_trouble(tmp_path, far, monkeypatch):
    files = files_in(tmp_path, "far://lab/raw")
    files.keep(files.location("c", 1, 1), MEASURED, {})
    sent = files.local(files.location("c", 2, 1)).with_name("1.sent")
    sent.mkdir(parents=True)
    remove = shutil.rmtree

    def removed_before(path, **options):
        remove(path)
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", removed_before)
    assert files.send("c") == 0


@pytest.mark.parametrize("trouble", ["its manifest is none", "a file of it is missing"])
def test_one_attempt_whose_files_cannot_be_read_does_not_hold_up_the_others(tmp_path, far, trouble):
    files = files_in(tmp_path, "far://lab/raw")
    for id in (1, 2, 3):
        files.keep(files.location("c", id, 1), MEASURED, {})
    folder = files.local(files.location("c", 2, 1))
    if trouble == "its manifest is none":
        (folder / MANIFEST).write_text("{")
    else:
        (folder / "trace.parquet").unlink()
    assert files.send("c") == 1
    assert folder.is_dir()
    assert set(files.read(attempt_at("far://lab/raw/c/00003/1")).signals) == {"trace", "gas/fid"}


def test_what_still_runs_is_not_sent_and_its_folder_stays_in_place(tmp_path, far):
    """A cell that has measured goes on, to wash say, while the result of another one is recorded and sent."""
    measured, recorded = Event(), Event()

    class Told:
        def learned(self, record, attempt):
            if record.id == 2:
                recorded.set()

        def __getattr__(self, name):
            return lambda *_: None

    def behaviour(job, context):
        if job.experiment == 2:
            assert measured.wait(20)
            return answer(job, measurement=MEASURED)
        context.keep(MEASURED)
        measured.set()
        assert recorded.wait(20)
        for _ in range(200):  # what was woken by the first result has sent it by then
            if not files.local(files.location("c", 2, 1)).exists():
                break
            context.cancelled.wait(0.02)
        assert (files.local(context.location) / MANIFEST).exists()
        return answer(job, measurement=MEASURED)

    files, campaign = files_in(tmp_path, "far://lab/raw"), campaign_of(strategy="random")
    assert loop_of(campaign, Bench(behaviour, cells=2), files, 2, listeners=[Told()]).run() == "completed"
    assert files.waiting("c") == 0
    assert not list((tmp_path / "spool").rglob("*.*"))


def test_a_report_for_storage_out_of_reach_is_a_warning(tmp_path, far, caplog):
    files = files_in(tmp_path, "far://lab/raw")
    location = files.location("c", 1, 1)
    files.keep(location, MEASURED, {})
    files.send("c")
    far.reached = False
    files.report(location, {"figures": 3})
    assert "not kept beside the signals" in caplog.text


def test_late_results_are_added_to_what_was_sent(tmp_path, far):
    files = files_in(tmp_path, "far://lab/raw")
    location = files.location("c", 1, 1)
    files.keep(location, MEASURED, {"experiment": 1})
    files.send("c")
    files.report(location, {"figures": 3})
    assert json.loads(Storage(location).get(raw.REPORT)) == {"figures": 3}
    revised, _ = files.revise(location, MEASURED)
    assert revised == "far://lab/raw/c/00001/1.2"
    files.send("c")
    assert set(files.read(attempt_at(revised)).signals) == {"trace", "gas/fid"}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "is empty"),
        ("s3://ann:secret@bucket", "belong in the environment"),
        ("nowhere://x", "cannot be kept at nowhere://"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(tmp_path, address, said):
    with pytest.raises(InputError, match=said) as refused:
        Files.of(address, tmp_path)
    assert refused.value.field == "--files"
    assert "secret" not in str(refused.value)


def test_a_path_is_where_files_stay(tmp_path):
    files = Files.of(tmp_path / "raw", tmp_path / "spool")
    assert files.location("c", 12, 1) == str(tmp_path / "raw" / "c" / "00012" / "1")
    assert Files.of(f"file://{tmp_path}/share", tmp_path / "spool").url == f"file://{tmp_path}/share"
