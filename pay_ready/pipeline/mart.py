"""What leaves the mart: Parquet files with a manifest, and dbt's description of its views as sources.

An export is a folder that is whole or absent: it is written beside its place and moved there at the end. Every file shows the same
moment (one snapshot), and memory stays at one page of rows.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from pay_ready.db import mart
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConfigError, ConflictError, NotFoundError, PayReadyError
from pay_ready.model.ids import TenantId
from pay_ready.model.mart import MartColumn, MartVersion, MartView
from pay_ready.model.progress import Progress, ProgressEvent, no_progress

MaskPolicy = Literal["none", "contacts", "all"]
FORMAT_VERSION = 1
_PAGE = 5_000
_GROUP_ROWS = 50_000  # of a row group, in memory at once
_NAMES = ("name", "company_name", "title")  # personal, and no way to reach anybody
_TYPES = {
    "uuid": pa.string(), "text": pa.string(), "bigint": pa.int64(), "integer": pa.int32(), "double precision": pa.float64(),
    "real": pa.float32(), "boolean": pa.bool_(), "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One view in an export. `columns`: types by name, `left_out`: those that the mask policy keeps back."""

    view: str
    file: str
    rows: int
    size_bytes: int
    sha256: str
    columns: dict[str, str]
    left_out: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MartExport:
    """What an export holds: its manifest."""

    document: str
    format_version: int
    tenant: str
    tenant_id: TenantId
    version: MartVersion
    mask_policy: MaskPolicy
    files: Sequence[ExportedFile]

    @property
    def rows(self) -> int:
        """Of all files together."""
        return sum(each.rows for each in self.files)

    def content(self) -> bytes:
        """The manifest as it is written."""
        document = {
            "document": self.document, "format_version": self.format_version, "tenant": self.tenant, "tenant_id": str(self.tenant_id),
            "read_at": self.version.read_at.isoformat(), "run_no": self.version.run_no,
            "run_id": str(self.version.run_id) if self.version.run_id else None,
            "published_at": self.version.published_at.isoformat() if self.version.published_at else None,
            "mask_policy": self.mask_policy, "rows": self.rows,
            "files": [
                {
                    "view": each.view, "file": each.file, "rows": each.rows, "size_bytes": each.size_bytes, "sha256": each.sha256,
                    "columns": each.columns, "left_out": list(each.left_out),
                }
                for each in self.files
            ],
        }  # fmt: skip
        return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def export_mart(
    database: Database,
    tenant: TenantId,
    slug: str,
    folder: Path,
    *,
    only: Sequence[str] = (),
    mask_policy: MaskPolicy = "none",
    progress: Progress = no_progress,
) -> MartExport:
    """Write a tenant's views to a folder that is made by it.

    Args:
        database: The app's.
        tenant: Whose rows.
        slug: Its name, for the manifest.
        folder: Must be absent or empty.
        only: Views; all of them unless named.
        mask_policy: Of the columns of class personal, `contacts` keeps names and titles alone, `all` none.
        progress: Told of every page.

    Raises:
        NotFoundError: There is no such view; names those there are.
        ConflictError: The folder holds something.
        PayReadyError: A file cannot be written; nothing is left of the export.
    """
    if unknown := [each for each in only if each not in mart.VIEWS]:
        raise NotFoundError("no such view in the mart", f"choose of {', '.join(mart.VIEWS)}", view=unknown[0])
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    _refuse_occupied(folder)
    try:
        draft.mkdir(parents=True, mode=0o700)
        with database.tenant_transaction(tenant, work="batch", snapshot=True) as tx:
            version = mart.published(tx)
            wanted = [view for view in mart.views_in(tx) if not only or view.name in only]
            files = tuple(_export_view(tx, view, draft, mask_policy, progress) for view in wanted)
        report = MartExport(
            document="pay_ready_mart", format_version=FORMAT_VERSION, tenant=slug, tenant_id=tenant, version=version,
            mask_policy=mask_policy, files=files,
        )  # fmt: skip
        _write(draft / "manifest.json", report.content())
        _refuse_occupied(folder)
        draft.rename(folder)  # an empty folder gives way
    except OSError as error:
        hint = "free some space or name another folder; nothing is left of the export"
        raise PayReadyError(f"the export cannot be written: {error.strerror or type(error).__name__}", hint, folder=folder) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return report


def dbt_sources(views: Sequence[MartView], schema: str, *, warn_hours: int, error_hours: int) -> str:
    """The views as dbt's sources (YAML), with freshness by `loaded_at`.

    Raises:
        ConfigError: The error comes before the warning.
    """
    if error_hours < warn_hours:
        raise ConfigError("the error would come before the warning", "give --error-hours at least --warn-hours", warn_hours=warn_hours)
    import yaml

    tables = [
        {"name": view.name, "description": view.meaning, "columns": [_dbt_column(view, column) for column in view.columns]}
        for view in views
    ]
    source = {
        "name": schema, "schema": schema, "description": "Published people, companies and interactions; row security holds.",
        "config": {
            "loaded_at_field": "loaded_at",
            "freshness": {
                "warn_after": {"count": warn_hours, "period": "hour"}, "error_after": {"count": error_hours, "period": "hour"},
            },
        },
        "tables": tables,
    }  # fmt: skip
    return _DBT_HEAD + str(yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False, allow_unicode=True, width=140))


_DBT_HEAD = """\
# Made by: pay-ready mart dbt. The login that dbt uses needs the role readonly_bi of this domain, and the id of its tenant as its
# setting app.tenant_id (alter role acme_bi set ...): pay-ready tenants show NAME --json tells the id.
"""
_KEYS = {"people": "person_id", "companies": "company_id", "interactions": "interaction_id", "account_health": "company_id"}


def _dbt_column(view: MartView, column: MartColumn) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": column.name, "description": column.meaning, "data_type": column.type, "config": {"meta": {"data_class": column.data_class}},
    }  # fmt: skip
    if column.name == _KEYS[view.name]:
        described["data_tests"] = ["unique", "not_null"]
    return described


def _kept(view: MartView, mask_policy: MaskPolicy) -> list[MartColumn]:
    def is_kept(column: MartColumn) -> bool:
        if column.data_class != "personal" or mask_policy == "none":
            return column.data_class != "secret"
        return mask_policy == "contacts" and column.name in _NAMES

    return [column for column in view.columns if is_kept(column)]


def _export_view(tx: TenantTransaction, view: MartView, folder: Path, mask_policy: MaskPolicy, progress: Progress) -> ExportedFile:
    columns = _kept(view, mask_policy)
    fields = [
        pa.field(each.name, _TYPES[each.type], metadata={"description": each.meaning, "data_class": each.data_class}) for each in columns
    ]
    schema = pa.schema(fields, metadata={"view": view.name, "description": view.meaning})
    path, rows = folder / f"{view.name}.parquet", 0
    waiting: list[pa.RecordBatch] = []
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for page in mart.pages(tx, view.name, page=_PAGE):
            waiting.append(_batch(page, schema))
            rows += len(page)
            progress(ProgressEvent(step="export", subject=view.name, done=rows))
            if len(waiting) * _PAGE >= _GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(waiting, schema))
                waiting = []
        writer.write_table(pa.Table.from_batches(waiting, schema))
    _sync(path)
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    dropped = {each.name for each in view.columns} - {each.name for each in columns}
    return ExportedFile(
        view=view.name, file=path.name, rows=rows, size_bytes=path.stat().st_size, sha256=digest,
        columns={each.name: each.type for each in columns}, left_out=sorted(dropped),
    )  # fmt: skip


def _batch(page: Sequence[Any], schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        pa.array([_plain(getattr(row, field.name)) for row in page], type=field.type) for field in schema
    ]  # fmt: skip
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


def _refuse_occupied(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConflictError("the folder for the export holds something", "name one that is absent or empty", folder=folder)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as handle:
        handle.write(content)
    _sync(path)


def _sync(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())
