"""What is in an archive: written beside its files, hashed into the ledger, and checked before a single row is read from it."""

import hashlib
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pay_ready.errors import CheckFailedError
from pay_ready.model.archived import ArchiveKind

_FILE = r"^[a-z_]{1,60}-[0-9]{4}\.parquet$"  # a name, never a path


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Part):
    """One file with rows of one table."""

    name: str = Field(pattern=_FILE)
    rows: int = Field(gt=0)
    size_bytes: int = Field(gt=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class TableEntry(_Part):
    """The rows of one table: how many, and the earliest and the latest time from which their age was counted."""

    table: str
    columns: dict[str, str]  # types by name, in the order of the files
    rows: int = Field(ge=0)
    first_at: datetime | None
    last_at: datetime | None
    files: tuple[FileEntry, ...]


class Manifest(_Part):
    """The whole archive. `schema_version` is the number of the last migration that whoever made it knew."""

    document: Literal["pay_ready_archive"] = "pay_ready_archive"
    format_version: Literal[1] = 1
    schema_version: int
    archive_id: UUID
    revision: int
    tenant_id: UUID
    kind: ArchiveKind
    cutoff: datetime
    through_run_no: int
    made_at: datetime
    rows: int = Field(ge=0)
    erased_rows: int = Field(ge=0)  # taken out of earlier revisions by erasures
    tables: tuple[TableEntry, ...]  # parents first

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(each.size_bytes for table in self.tables for each in table.files)

    def content(self) -> bytes:
        """The document, as it is written."""
        return (self.model_dump_json(indent=2) + "\n").encode()


def read_manifest(content: bytes) -> Manifest:
    """A manifest from its document.

    Raises:
        CheckFailedError: It is none of this version; says nothing of what is in it.
    """
    try:
        return Manifest.model_validate_json(content)
    except ValidationError:
        raise CheckFailedError("this is no manifest of an archive", "name the manifest.json of an archive, or the archive's id") from None


def hash_of(content: bytes) -> bytes:
    """The sha256 by which the ledger knows a manifest."""
    return hashlib.sha256(content).digest()
