"""Weaviate fails in every way it can: each call ends within its deadline, says what may succeed later, and the store recovers by itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from pay_ready.breaker import BreakerOpenError
from pay_ready.errors import IsolationError, TransientError
from pay_ready.memory.cold.weaviate import WeaviateStore
from pay_ready.model.memory import Filters, VectorQuery
from tests.fake_weaviate import FakeWeaviate
from tests.faults.proxy import FaultProxy, Rule
from tests.vectors_support import START, entity, new_tenant_id, passage, passages, similarities, unit
from tests.weaviate_support import LONGEST_S, until
from tests.weaviate_support import store_on as patient_store_on

TENANT = new_tenant_id()
OWN = passages(TENANT, 20, source_kind="slack")
QUERY = VectorQuery(vector=OWN[3].vector, most=5)

CALLS: dict[str, Callable[[WeaviateStore], Any]] = {
    "search": lambda store: store.search(TENANT, QUERY),
    "put": lambda store: store.put(TENANT, OWN[:2]),
    "delete": lambda store: store.delete(TENANT, [OWN[19].interaction_id]),
    "count": lambda store: store.count(TENANT),
    "scan": lambda store: list(store.scan(TENANT)),
    "rest": lambda store: store.rest(3600.0),
    "drop_tenant": lambda store: store.drop_tenant(new_tenant_id()),
}


@pytest.fixture
def fake() -> Iterator[FakeWeaviate]:
    """A server."""
    with FakeWeaviate() as started:
        yield started


class Line:
    """The two connections to a server, to be cut."""

    def __init__(self, rest: FaultProxy, grpc: FaultProxy) -> None:
        self.rest, self.grpc = rest, grpc

    def cut(self) -> None:
        """As if the server had ended: what is open is reset, nothing new is accepted."""
        for proxy in (self.rest, self.grpc):
            proxy.refuses = True
            proxy.drop(reset=True)

    def mend(self) -> None:
        """As before."""
        for proxy in (self.rest, self.grpc):
            proxy.refuses = False


@contextmanager
def lines_to(fake: FakeWeaviate) -> Iterator[Line]:
    """Both through proxies."""
    with FaultProxy(("127.0.0.1", fake.http_port)) as rest, FaultProxy(("127.0.0.1", fake.grpc_port)) as grpc:
        yield Line(rest, grpc)


def store_on(fake: FakeWeaviate, **values: Any) -> AbstractContextManager[WeaviateStore]:
    """A store that waits briefly."""
    return patient_store_on(fake, **({"query_s": 1.5, "write_s": 4.0} | values))


@contextmanager
def filled(fake: FakeWeaviate, **values: Any) -> Iterator[WeaviateStore]:
    """A store with passages."""
    with store_on(fake, **values) as store:
        assert store.put(TENANT, OWN).written == len(OWN)
        yield store


@contextmanager
def soon() -> Iterator[None]:
    """What is in it ends by itself, long before the client would give up."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < LONGEST_S


def fails(call: Callable[[WeaviateStore], Any], store: WeaviateStore) -> TransientError:
    """The call's error, which may not come again."""
    with soon(), pytest.raises(TransientError) as caught:
        call(store)
    return caught.value


def finds(store: WeaviateStore, wanted: object) -> bool:
    """Whether a search finds this; an answer that a busy machine brings too late is none."""
    try:
        return store.search(TENANT, QUERY) == wanted
    except TransientError:
        return False


@pytest.mark.parametrize("call", CALLS)
def test_the_server_is_gone(fake: FakeWeaviate, call: str) -> None:
    """One call finds it out; from then on no call goes out, until the server is back and asked again."""
    with lines_to(fake) as line, filled(fake, url=f"http://127.0.0.1:{line.rest.port}", grpc_port=line.grpc.port) as store:
        before = store.search(TENANT, QUERY)
        line.cut()
        assert not isinstance(fails(CALLS[call], store), BreakerOpenError)
        assert store.breaker.circuit == "open"
        asked = len(fake.seen)
        assert isinstance(fails(CALLS[call], store), BreakerOpenError)
        assert not store.is_live()
        assert len(fake.seen) == asked
        line.mend()
        until(lambda: store.is_live() and finds(store, before))


def test_there_never_was_a_server(fake: FakeWeaviate) -> None:
    """A store that finds nobody says so, stays usable, and works once somebody is there."""
    with lines_to(fake) as line, store_on(fake, url=f"http://127.0.0.1:{line.rest.port}", grpc_port=line.grpc.port) as store:
        line.cut()
        assert not store.is_live()
        assert "left alone" in str(fails(CALLS["search"], store))
        line.mend()
        until(store.is_live)
        assert CALLS["put"](store).written == 2


@pytest.mark.parametrize("call", CALLS)
def test_nothing_passes_any_more(fake: FakeWeaviate, call: str) -> None:
    """A black hole, which no socket notices: the deadline ends the call; when it is over, a new connection is made."""
    with lines_to(fake) as line, filled(fake, url=f"http://127.0.0.1:{line.rest.port}", grpc_port=line.grpc.port) as store:
        before = store.search(TENANT, QUERY)
        line.rest.freeze()
        line.grpc.freeze()
        fails(CALLS[call], store)
        line.rest.thaw()
        line.grpc.thaw()
        until(lambda: store.is_live() and finds(store, before))


def test_rest_up_and_grpc_down(fake: FakeWeaviate) -> None:
    """Half a server is none: neither when it happens, nor when a store is opened on it."""
    with filled(fake) as store, store_on(fake) as late:
        fake.stop_grpc()
        fails(CALLS["search"], store)
        assert not store.is_live()
        assert not late.is_live()
        fake.start_grpc()
        until(store.is_live)
        until(late.is_live)
        assert late.search(TENANT, QUERY) == store.search(TENANT, QUERY)


@pytest.mark.parametrize("kind", ["unavailable", "hang", "exhausted"])
def test_searches_fail_and_the_server_lives(fake: FakeWeaviate, kind: Any) -> None:
    """A server that says it is alive and does not answer: each call has its deadline, and the breaker opens after so many in a row."""
    with filled(fake) as store:
        fake.fail(kind, call="Search")
        for _ in range(2):
            assert not isinstance(fails(CALLS["search"], store), BreakerOpenError)
        assert isinstance(fails(CALLS["search"], store), BreakerOpenError)
        fake.forget()
        until(store.is_live)
        assert len(store.search(TENANT, QUERY)) == 5


def test_an_answer_is_cut(fake: FakeWeaviate) -> None:
    """A connection reset in the middle of an answer: the client asks again by itself, or the deadline ends the call; nothing is lost.

    The client's gRPC now and then does not notice, and would wait for ever.
    """
    with lines_to(fake) as line, filled(fake, grpc_port=line.grpc.port, query_s=3.0, write_s=3.0) as store:
        before = store.search(TENANT, QUERY)
        for call in ("search", "put"):
            line.grpc.fail(Rule(fault="reset", after_bytes=20, direction="down"))
            with soon(), suppress(TransientError):
                CALLS[call](store)
            line.grpc.wait_for_fault()
            line.grpc.forget()
            until(store.is_live)
        until(lambda: _answer(store) == (before, len(OWN)))


def _answer(store: WeaviateStore) -> object:
    """What it finds and counts; None where it does not answer in time."""
    with suppress(TransientError):
        return store.search(TENANT, QUERY), store.count(TENANT)
    return None


def test_only_what_failed_is_written_again(fake: FakeWeaviate) -> None:
    """Two objects fail once: the second message holds these two alone, with their tenant."""
    bad = {str(OWN[4].memory_id), str(OWN[9].memory_id)}
    with store_on(fake) as store:
        fake.fail("object_errors", times=2, applies=lambda sent: sent.uuid in bad)
        report = store.put(TENANT, OWN)
    assert (report.written, dict(report.failed)) == (20, {})
    first, again = fake.calls("BatchObjects")
    assert (len(first.ids), set(again.ids)) == (20, bad)
    assert first.tenants == again.tenants == {str(TENANT)}


@pytest.mark.parametrize("count", [1, 19, 20])
def test_what_fails_for_good_is_said(fake: FakeWeaviate, count: int) -> None:
    """Objects that fail every time are in the report with the server's reason; the others are written, once; all failing is no error."""
    bad = {str(each.memory_id) for each in OWN[:count]}
    with store_on(fake) as store, capture_logs() as logs:
        fake.fail("object_errors", applies=lambda sent: sent.uuid in bad)
        report = store.put(TENANT, OWN)
        assert {str(memory) for memory in report.failed} == bad
        assert set(report.failed.values()) == {report.failed[OWN[0].memory_id]}
        assert "a fault of this object alone" in report.failed[OWN[0].memory_id]
        assert report.written == store.count(TENANT) == 20 - count
    assert [each["failed"] for each in logs if each["event"] == "objects.refused"] == [count]
    sent = fake.calls("BatchObjects")
    assert [len(each.ids) for each in sent] == [20, count, count]
    assert {each.tenants for each in sent} == {frozenset({str(TENANT)})}


def test_a_message_is_too_large(fake: FakeWeaviate) -> None:
    """It is sent in halves, each with its tenant, until it fits; an object that never fits is somebody's problem later."""
    with store_on(fake) as store:
        fake.fail("exhausted", call="BatchObjects", applies=lambda request: len(request.objects) > 6)
        assert store.put(TENANT, OWN).written == 20
        assert store.count(TENANT) == 20
        assert {each.tenants for each in fake.calls("BatchObjects")} == {frozenset({str(TENANT)})}
        fake.forget()
        fake.fail("exhausted", call="BatchObjects")
        assert "no room" in str(fails(CALLS["put"], store))


def test_a_deadline_in_the_middle_of_a_write(fake: FakeWeaviate) -> None:
    """What was confirmed counts; what was not is said to be so, and may be written again."""
    with store_on(fake, most_objects=8) as store:
        late = str(OWN[10].memory_id)
        fake.fail("hang", call="BatchObjects", applies=lambda request: any(each.uuid == late for each in request.objects))
        with soon():
            report = store.put(TENANT, OWN)
        assert report.written == 8
        assert set(report.failed) == {each.memory_id for each in OWN[8:]}
        assert all(reason.startswith("not confirmed") for reason in report.failed.values())
        fake.forget()
        assert store.put(TENANT, [each for each in OWN if each.memory_id in report.failed]).written == 12
        assert store.count(TENANT) == 20


def test_waking_takes_a_while(fake: FakeWeaviate) -> None:
    """Tenants that are not active at once, when made or woken, are waited for; too long, and the deadline ends it."""
    with store_on(fake) as store:
        fake.faults.polls_until_active = 3
        assert store.put(TENANT, OWN).written == 20
        assert store.rest(0.0) == [TENANT]
        assert len(store.search(TENANT, QUERY)) == 5
        store.rest(0.0)
        fake.faults.polls_until_active = 1_000
        assert "in time" in str(fails(CALLS["search"], store))
        fake.faults.polls_until_active = 0


@pytest.mark.parametrize("call", ["search", "put", "delete", "count", "scan"])
def test_another_process_puts_a_tenant_to_rest(fake: FakeWeaviate, call: str) -> None:
    """What this process knows is out of date: the tenant is woken, the call done."""
    with filled(fake) as store, store_on(fake) as other:
        before = CALLS[call](store)
        if call == "delete":
            store.put(TENANT, OWN)
        other.rest(0.0)
        other.rest(0.0)
        assert CALLS[call](store) == before


def test_another_process_takes_a_tenant_or_a_collection_out(fake: FakeWeaviate) -> None:
    """There is nothing then, and no error; a write makes it again. A collection that is gone is made again, too, by the next call."""
    with filled(fake) as store, store_on(fake) as other:
        other.drop_tenant(TENANT)
        assert (store.search(TENANT, QUERY), store.count(TENANT)) == ([], 0)
        assert store.put(TENANT, OWN).written == 20
        fake.state.collections.clear()
        assert "gone" in str(fails(CALLS["search"], store))
        until(lambda: store.put(TENANT, OWN).written == 20)


def test_a_backend_that_ignores_the_tenant(fake: FakeWeaviate) -> None:
    """Its hits are taken for nobody's word: an error and an alert, and no hit; a scan is no different."""
    theirs = new_tenant_id()
    with filled(fake) as store, capture_logs() as logs:
        store.put(theirs, passages(theirs, 5, source_kind="slack", vector=QUERY.vector))
        fake.fail("ignores_filters")
        fake.fail("ignores_tenant")
        for ask in (lambda: store.search(TENANT, QUERY), lambda: list(store.scan(TENANT))):
            with pytest.raises(IsolationError):
                ask()
        fake.forget()
        assert len(store.search(TENANT, QUERY)) == 5
    (alert, *_) = [each for each in logs if each["event"] == "isolation.violated"]
    assert (alert["log_level"], alert["field"], alert["tenant"]) == ("error", "tenant", str(TENANT))


@pytest.mark.parametrize(
    ("filters", "ignored"),
    [
        (Filters(entity_ids=(entity(1),)), "entity_ids"),
        (Filters(sources=("source-1",)), "sources"),
        (Filters(interaction_types=("call",)), "interaction_types"),
        (Filters(languages=("de",)), "languages"),
        (Filters(since=OWN[4].occurred_at), "since"),
        (Filters(until=START), "until"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_backend_that_ignores_filters(fake: FakeWeaviate, filters: Filters, ignored: str) -> None:
    """Each kind of filter is looked at again."""
    with filled(fake) as store:
        fake.fail("ignores_filters")
        with pytest.raises(IsolationError, match=f"ignored={ignored}"):
            store.search(TENANT, VectorQuery(vector=QUERY.vector, most=20, filters=filters))


def test_a_backend_that_ignores_the_threshold(fake: FakeWeaviate) -> None:
    """So is the similarity."""
    with filled(fake) as store:
        fake.fail("ignores_filters")
        with pytest.raises(IsolationError, match="ignored=least_similarity"):
            store.search(TENANT, VectorQuery(vector=QUERY.vector, most=20, least_similarity=0.9))


def test_a_server_that_lost_its_index(fake: FakeWeaviate) -> None:
    """Objects that are there are found, with the same similarities; the log says that the index is incomplete."""
    with filled(fake) as store:
        queries = [replace(QUERY, most=50), replace(QUERY, filters=Filters(sources=("source-1",)))]
        before = [store.search(TENANT, query) for query in queries]
        fake.fail("loses_index")
        with capture_logs() as logs:
            after = [store.search(TENANT, query) for query in queries]
        for was, now in zip(before, after, strict=True):
            assert [hit.memory_id for hit in now] == [hit.memory_id for hit in was]
            assert similarities(now) == pytest.approx(similarities(was), abs=1e-5)
        assert [each["event"] for each in logs] == ["index.incomplete"] * 2


def test_more_than_a_delete_takes(fake: FakeWeaviate) -> None:
    """One interaction of 10,050 passages is taken out whole, although the server stops after 10,000."""
    with store_on(fake, query_s=30.0, write_s=60.0) as store:
        interaction = OWN[0].interaction_id
        many = [passage(TENANT, 0, interaction_id=interaction, chunk_no=number, vector=unit(1.0)) for number in range(10_050)]
        assert store.put(TENANT, many).written == 10_050
        assert store.delete(TENANT, [interaction]) == 10_050
        assert store.count(TENANT) == 0
    assert len([each for each in fake.calls("BatchDelete") if "Slack" in each.collection]) == 2
