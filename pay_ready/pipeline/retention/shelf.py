"""Where a tenant's archives stand: a folder a revision, there whole or not at all."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from pay_ready.errors import PayReadyError
from pay_ready.model.ids import TenantId

MANIFEST = "manifest.json"
_NAME = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.r(\d{1,9})(\.partial)?")


class Shelf:
    """The archives of one tenant in a folder that only its owner reads (0700; files 0600).

    Args:
        folder: Of all archives.
        tenant: Whose shelf.
    """

    def __init__(self, folder: Path, tenant: TenantId) -> None:
        self._folder = folder / str(tenant)

    def place(self, archive_id: UUID, revision: int) -> Path:
        """The folder of a revision, there or not."""
        return self._folder / f"{archive_id}.r{revision}"

    def begin(self, archive_id: UUID, revision: int) -> Path:
        """A new folder to write a revision in; what an earlier attempt left of it goes."""
        draft = self._draft(archive_id, revision)
        with _told(draft):
            for folder in (self._folder.parent, self._folder):  # parents of these are not ours
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in (draft, self.place(archive_id, revision)):
                shutil.rmtree(left, ignore_errors=True)
            draft.mkdir(mode=0o700)
        return draft

    def put(self, archive_id: UUID, revision: int) -> Path:
        """Make what was written a revision: on the disk for good, under its name."""
        draft, place = self._draft(archive_id, revision), self.place(archive_id, revision)
        with _told(place):
            _sync(draft)
            draft.rename(place)
            _sync(self._folder)
        return place

    def remove(self, archive_id: UUID, revision: int) -> None:
        """Take a revision away, and what was begun of it."""
        for path in (self.place(archive_id, revision), self._draft(archive_id, revision)):
            shutil.rmtree(path, ignore_errors=True)

    def sweep(self, known: Mapping[UUID, int | None]) -> int:
        """Take away what is no revision of the archives that are known (None: has none any more); how many. Others' are left alone."""
        gone = 0
        for path, archive_id, revision, is_draft in self._found():
            if archive_id in known and (is_draft or revision != known[archive_id]):
                shutil.rmtree(path, ignore_errors=True)
                gone += 1
        return gone

    def _draft(self, archive_id: UUID, revision: int) -> Path:
        return self._folder / f"{archive_id}.r{revision}.partial"

    def _found(self) -> Iterator[tuple[Path, UUID, int, bool]]:
        for path in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            if (named := _NAME.fullmatch(path.name)) is not None:
                yield path, UUID(named[1]), int(named[2]), named[3] is not None


def write_file(path: Path, content: bytes) -> None:
    """A new file (0600), on the disk when this returns.

    Raises:
        PayReadyError: It cannot be written.
    """
    with _told(path), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of what the operating system refuses where that was."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> PayReadyError:
    """What to say when an archive cannot be written; nothing was deleted then."""
    hint = "make room, or name another folder with PAY_READY_ARCHIVES; nothing was deleted"
    return PayReadyError("the archive cannot be written", hint, reason=error.strerror or type(error).__name__, file=path.name)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
