"""Spark: two workers give the edges, clusters and ids of one process. Slow: `make test-spark`."""

from dataclasses import replace

import pytest

from pay_ready.db.tenancy import Database
from pay_ready.errors import ConfigError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.on_spark import spark_scorer
from pay_ready.pipeline.resolve import resolve_tenant
from pay_ready.resolve.engine import resolve as resolve_table
from pay_ready.resolve.staged import PERSON_COLUMNS
from tests.conftest import Scratch
from tests.publish_support import Staged, config, history, resolve, stage
from tests.resolution_support import PEOPLE, table
from tests.unit.test_resolution_keys import people_rows

pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore")]
TWO_WORKERS = "local-cluster[2,1,1024]"


def test_two_workers_give_the_edges_of_one_process() -> None:
    """The same pairs, levels and thousandths of bits, and the same clusters, whatever the number of parts."""
    rows = table([{**row, "title": f"no {number % 3}"} for number, row in enumerate([*PEOPLE] * 20)], PERSON_COLUMNS)
    model = resolve_table("person", rows, config()).model
    alone = resolve_table("person", rows, config(), model=model)
    for parts in (3, None):
        found = resolve_table("person", rows, config(), model=model, scorer=spark_scorer(TWO_WORKERS, config(), parts))
        assert found.edges.equals(alone.edges)
        assert found.clusters == alone.clusters
    assert alone.edges.num_rows > 100
    none = people_rows(0)
    assert resolve_table("person", none, config(), model=model, scorer=spark_scorer(TWO_WORKERS, config())).edges.num_rows == 0


def test_a_run_on_spark_changes_nothing_after_one_in_process(database: Database, scratch: Scratch, tenant: TenantId) -> None:
    """The published state of a run in this process stands after one on Spark: nothing is written."""
    from tests.integration.test_models import people_of

    people = people_of(120)
    stage(scratch.admin_url, tenant, Staged(people=people))
    resolve(database, tenant)
    before = history(scratch.admin_url, tenant)
    by_hand = replace(config(), refresh="by_hand")
    scorer = spark_scorer(TWO_WORKERS, config())
    report = resolve_tenant(database, tenant, by_hand, actor="tests", run_id=RunId(new_id()), scorer=scorer)
    assert report.run_no is None
    assert history(scratch.admin_url, tenant) == before


def test_a_master_that_is_none_is_named() -> None:
    """A wrong master is an error of one line."""
    rows = people_rows(3)
    model = resolve_table("person", rows, config()).model
    with pytest.raises(ConfigError, match="Spark"):
        resolve_table("person", rows, config(), model=model, scorer=spark_scorer("nowhere", config()))
