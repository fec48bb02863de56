from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from orchestrator.errors import NetworkFileSystem
from orchestrator.store import open_store
from orchestrator.store.filesystem import network_type, refuse_network

Part = namedtuple("Part", ["device", "mountpoint", "fstype", "opts"])


def part(mountpoint: str, fstype: str, opts: str = "rw") -> Part:
    return Part("x", mountpoint, fstype, opts)


ROOT = part("/", "ext4")


@pytest.mark.parametrize(
    "kind",
    [
        *("nfs", "nfs4", "NFS4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "sshfs", "fuse.glusterfs"),
        *("lustre", "ceph", "fuse.ceph-fuse", "beegfs", "davfs", "fuse.davfs2", "fuse.rclone", "webdav", "afpfs"),
    ],
)
def test_network_file_systems_are_found(kind):
    assert network_type(Path("/data/lab/store.db"), [ROOT, part("/data", kind)]) == kind


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "apfs", "ntfs", "fuseblk", "overlay", "virtiofs", "tmpfs", "fuse.mergerfs"]
)
def test_local_file_systems_are_left_alone(kind):
    assert network_type(Path("/data/lab/store.db"), [ROOT, part("/data", kind)]) is None


def test_the_longest_mount_point_counts():
    parts = [part("/data/nfs", "nfs"), ROOT, part("/data", "xfs"), part("/data/nfs/local", "ext4")]
    assert network_type(Path("/data/a.db"), parts) is None
    assert network_type(Path("/data/nfs/a.db"), parts) == "nfs"
    assert network_type(Path("/data/nfs/local/a.db"), parts) is None
    assert network_type(Path("/data/nfs-but-not/a.db"), parts) is None


def test_the_last_of_several_mounts_on_one_point_counts():
    assert network_type(Path("/home/a.db"), [ROOT, part("/home", "autofs"), part("/home", "nfs4")]) == "nfs4"
    assert network_type(Path("/home/a.db"), [ROOT, part("/home", "nfs4"), part("/home", "ext4")]) is None


def test_a_sandbox_root_on_9p_is_its_own_disk_but_a_shared_folder_is_not():
    assert network_type(Path("/work/a.db"), [part("/", "9p")]) is None
    assert network_type(Path("/mnt/c/a.db"), [ROOT, part("/mnt/c", "9p")]) == "9p"


def test_windows_marks_network_drives():
    assert network_type(Path("/z/a.db"), [part("/z", "NTFS", "rw,remote")]) == "NTFS"
    assert network_type(Path(r"\\server\share\a.db"), []) == "a network share"


def test_nothing_known_is_nothing_refused():
    assert network_type(Path("/a.db"), []) is None


def test_the_refusal_says_why_and_what_to_do(tmp_path):
    with pytest.raises(
        NetworkFileSystem, match=r"network file system \(nfs\).*memory.*disk of this computer"
    ) as caught:
        refuse_network(tmp_path / "new" / "store.db", [ROOT, part(str(tmp_path.resolve()), "nfs")])
    assert caught.value.field == "store"


def test_links_are_followed(tmp_path):
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share", target_is_directory=True)
    parts = [ROOT, part(str((tmp_path / "share").resolve()), "nfs4")]
    with pytest.raises(NetworkFileSystem):
        refuse_network(tmp_path / "link" / "store.db", parts)
    refuse_network(tmp_path / "store.db", parts)


def test_nothing_is_made_where_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.disk_partitions", lambda all: [ROOT, part(str(tmp_path.resolve()), "nfs")])
    with pytest.raises(NetworkFileSystem):
        open_store(tmp_path / "new" / "store.db")
    assert list(tmp_path.iterdir()) == []
