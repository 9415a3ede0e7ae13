"""The way to Airbyte breaks: whatever request is cut, reset, torn, answered to nobody or swallowed, one job is started and found."""

from urllib.parse import urlsplit

import pytest

from pay_ready.db.tenancy import Database
from pay_ready.errors import TransientError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.airbyte.job import run_job
from pay_ready.sources.airbyte import AirbyteClient
from pay_ready.sources.airbyte_access import open_access
from tests.airbyte_simulator.server import AirbyteSimulator
from tests.airbyte_support import QUICK, QUICK_JOB, airbyte_source
from tests.faults.proxy import Fault, FaultProxy, Rule
from tests.faults.wire import HttpWire

FAULTS: tuple[Fault, ...] = ("cut", "reset", "torn", "swallow")


@pytest.mark.parametrize("text", ["POST .*token", r"POST \S+/jobs", r"GET \S+/jobs/\d+"])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_job_whatever_breaks(database: Database, tenant: TenantId, fault: Fault, text: str) -> None:
    """The job of a request whose answer nobody heard is adopted by this run or the next; a second one is never started."""
    source = airbyte_source(database, tenant)
    with AirbyteSimulator() as simulator:
        parts = urlsplit(simulator.url)
        connection = simulator.platform.add_connection().connection_id
        with FaultProxy((str(parts.hostname), int(parts.port or 0)), HttpWire) as proxy:
            proxy.fail(Rule(fault=fault, text=text))
            access = open_access(f"http://{proxy.host}:{proxy.port}", simulator.credentials)
            for _ in range(3):
                try:
                    job = run_job(
                        database, tenant, source, lambda: AirbyteClient(access, options=QUICK), connection, options=QUICK_JOB
                    )  # fmt: skip
                    break
                except TransientError:
                    continue
            proxy.wait_for_fault()
        assert (job.outcome, len(simulator.started)) == ("succeeded", 1)
