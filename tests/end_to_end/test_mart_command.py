"""`pay-ready mart` on what the demo left: lists, describes and exports what BI tools read, one tenant's rows alone."""

import hashlib
import json
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import yaml

from tests.demo_support import DemoRuns

VIEWS = ["people", "companies", "interactions", "account_health"]


def test_list_counts_what_is_published(demo: DemoRuns) -> None:
    """Rows are those of the tenant's published versions; every column has a class and a meaning."""
    found = json.loads(demo.command("mart", "list", "-t", "acme-robotics", "--json").stdout)["data"]
    rows = {each["view"]: each["row_count"] for each in found["standing"]}
    with psycopg.connect(demo.admin_url) as admin:
        tenant = admin.execute("select tenant_id from pay_ready.tenants where slug = 'acme-robotics'").fetchone()
        told = admin.execute(
            "select count(*) filter (where entity_type = 'person'), count(*) filter (where entity_type = 'company')"
            " from pay_ready.entity_versions where tenant_id = %s and closed_run_no is null",
            tenant,
        ).fetchone()
        interactions = admin.execute(
            "select count(*) from pay_ready.interaction_records where tenant_id = %s and is_primary", tenant
        ).fetchone()
    assert told is not None
    assert interactions is not None
    assert rows == {"people": told[0], "companies": told[1], "interactions": interactions[0], "account_health": told[1]}
    assert [view["name"] for view in found["views"]] == VIEWS
    columns = [column for view in found["views"] for column in view["columns"]]
    assert all(column["data_class"] in ("public", "internal", "personal") and column["meaning"] for column in columns)
    assert all({"tenant_id", "run_id", "loaded_at"} <= {column["name"] for column in view["columns"]} for view in found["views"])
    shown = demo.command("mart", "list", "-t", "acme-robotics", "--columns").stdout
    assert "silent (longer, or never)" in shown


def test_every_row_says_by_which_run_it_came(demo: DemoRuns, tmp_path: Path) -> None:
    """People and companies name a published run, interactions a sync of the tenant; the export holds no other tenant's row."""
    folder = tmp_path / "mart"
    demo.command("mart", "export", "-t", "northwind-health", "--to", str(folder))
    with psycopg.connect(demo.admin_url) as admin:
        tenant = admin.execute("select tenant_id::text from pay_ready.tenants where slug = 'northwind-health'").fetchone()
        published, syncs = (
            {str(row[0]) for row in admin.execute(f"select run_id from pay_ready.{table} where tenant_id = %s", tenant)}  # type: ignore[arg-type]
            for table in ("resolution_runs", "sync_runs")
        )
    assert tenant is not None
    for view in VIEWS:
        table = pq.read_table(folder / f"{view}.parquet")
        assert table.num_rows
        assert set(table.column("tenant_id").to_pylist()) == {tenant[0]}
        assert set(table.column("run_id").to_pylist()) <= (syncs if view == "interactions" else published)
        assert None not in table.column("loaded_at").to_pylist()
    people, companies = (pq.read_table(folder / f"{view}.parquet") for view in ("people", "companies"))
    assert set(people.column("company_id").to_pylist()) - {None} <= set(companies.column("company_id").to_pylist())
    assert sum(companies.column("interaction_count").to_pylist()) > 100


def test_the_manifest_says_what_is_in_the_files(demo: DemoRuns, tmp_path: Path) -> None:
    """Row counts, sha256 and columns are those of the files; a folder that holds something is left alone."""
    folder = tmp_path / "mart"
    told = json.loads(demo.command("mart", "export", "-t", "acme-robotics", "--to", str(folder), "--json").stdout)["data"]
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["rows"] == told["rows"] > 0
    assert manifest["run_id"]
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *(each["file"] for each in manifest["files"])}
    for each in manifest["files"]:
        path = folder / each["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == each["sha256"]
        found = pq.read_metadata(path)
        assert found.num_rows == each["rows"]
        assert found.schema.to_arrow_schema().names == list(each["columns"])
        assert each["left_out"] == []
    again = demo.command("mart", "export", "-t", "acme-robotics", "--to", str(folder), code=6)
    assert "absent or empty" in again.stderr
    assert json.loads((folder / "manifest.json").read_text("utf-8")) == manifest
    (tmp_path / "file").write_text("")
    failed = demo.command("mart", "export", "-t", "acme-robotics", "--to", str(tmp_path / "file" / "mart"), code=1)
    assert "cannot be written: Not a directory" in failed.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"mart", "file"}, "no draft is left"


def test_the_mask_policy_keeps_personal_columns_back(demo: DemoRuns, tmp_path: Path) -> None:
    """`contacts` leaves names, `all` leaves no personal column; the manifest says which are missing."""
    for policy, kept in (("contacts", {"name", "title", "company_name"}), ("all", set())):
        folder = tmp_path / policy
        demo.command("mart", "export", "-t", "acme-robotics", "--to", str(folder), "--mask", policy, "--only", "people")
        (entry,) = json.loads((folder / "manifest.json").read_text("utf-8"))["files"]
        names = set(pq.read_table(folder / "people.parquet").schema.names)
        assert names & {"name", "email", "phone", "title", "company_name"} == kept
        assert set(entry["left_out"]) == {"name", "email", "phone", "title", "company_name"} - kept
    wrong = demo.command("mart", "export", "-t", "acme-robotics", "--to", str(tmp_path / "x"), "--only", "persons", code=4)
    assert "people, companies" in wrong.stderr


def test_dbt_reads_of_every_column(demo: DemoRuns) -> None:
    """The YAML describes each view and column, and its freshness by `loaded_at`."""
    document = yaml.safe_load(demo.command("mart", "dbt", "--warn-hours", "6").stdout)
    (source,) = document["sources"]
    assert source["schema"] == "pay_ready_mart"
    assert source["config"]["loaded_at_field"] == "loaded_at"
    assert source["config"]["freshness"]["warn_after"] == {"count": 6, "period": "hour"}
    assert [table["name"] for table in source["tables"]] == VIEWS
    assert all(column["description"] for table in source["tables"] for column in table["columns"])
    assert all([each for each in table["columns"] if "unique" in each.get("data_tests", ())] for table in source["tables"])
    assert "--error-hours" in demo.command("mart", "dbt", "--warn-hours", "100", code=2).stderr
