"""Whether a path is on a file system that an SQLite store cannot live on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Final, Protocol

from orchestrator.errors import NetworkFileSystem

# Names as the kernel's mount table has them; FUSE file systems without their "fuse." in front. Overlay, virtiofs,
# fuseblk and their like are a computer's own disks seen through a layer: one page cache, nothing to refuse.
NETWORK: Final[frozenset[str]] = frozenset(
    {
        *("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "afpfs", "ncpfs", "coda", "9p"),
        *("ceph", "cephfs", "ceph-fuse", "glusterfs", "lustre", "beegfs", "fhgfs", "gpfs", "mmfs", "panfs", "pvfs2"),
        *("orangefs", "moosefs", "mfs", "ocfs2", "gfs2", "acfs", "juicefs", "seaweedfs"),
        *("sshfs", "davfs", "davfs2", "webdav", "curlftpfs", "rclone", "s3fs", "goofys", "gcsfuse", "blobfuse"),
        *("blobfuse2", "mount-s3", "vboxsf", "vmhgfs", "vmhgfs-fuse", "prl_fs"),
    }
)


class Partition(Protocol):
    """What is read of a mounted file system, as :func:`psutil.disk_partitions` gives it."""

    @property
    def mountpoint(self) -> str:
        """Where it is mounted."""

    @property
    def fstype(self) -> str:
        """Its type."""

    @property
    def opts(self) -> str:
        """Its options, separated by commas."""


def network_type(path: Path, partitions: Iterable[Partition]) -> str | None:
    """Type of the network file system that an absolute path is on; ``None`` if it is on none.

    The mount point with the longest match counts, the last one where several are mounted over each other.
    """
    if os.fspath(path).startswith("\\\\"):
        return "a network share"
    within = [part for part in partitions if part.mountpoint and _contains(part.mountpoint, path)]
    if not within:
        return None
    mounted = max(enumerate(within), key=lambda item: (len(PurePath(item[1].mountpoint).parts), item[0]))[1]
    kind = mounted.fstype.lower()
    if kind == "9p" and mounted.mountpoint == "/":
        return None  # a sandbox's own root; what a host shares with its guests is mounted below
    if kind.removeprefix("fuse.") in NETWORK or "remote" in mounted.opts.split(","):
        return mounted.fstype
    return None


def refuse_network(path: Path, partitions: Iterable[Partition] | None = None) -> None:
    """Refuse a path on a network file system, for its nearest folder that exists.

    Raises:
        NetworkFileSystem: it is on one.
    """
    if partitions is None:
        import psutil

        partitions = psutil.disk_partitions(all=True)
    kind = network_type(Path(os.path.realpath(path)), partitions)
    if kind is not None:
        raise NetworkFileSystem(
            f"the store {path} would be on a network file system ({kind}): its journal needs memory that all processes "
            "share, which there is none of between computers, and it would be destroyed.",
            field="store",
            mend="Give a path on a disk of this computer (--store, or SABATIER_STORE).",
        )


def _contains(mountpoint: str, path: Path) -> bool:
    parts = PurePath(os.path.normcase(mountpoint)).parts
    return PurePath(os.path.normcase(path)).parts[: len(parts)] == parts
