"""The fault proxy breaks what it is told to break, where it is told to, and passes everything else on unchanged."""

import http.client
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest

from tests.conftest import Scratch
from tests.faults.proxy import FaultProxy, PostgresProxy, Rule, postgres_proxy
from tests.faults.wire import HttpWire, PostgresWire


class Echo(socketserver.BaseRequestHandler):
    """Says everything again, in capitals."""

    def handle(self) -> None:
        """Until the client ends."""
        try:
            while data := self.request.recv(1 << 16):
                self.request.sendall(data.upper())
        except ConnectionError:
            pass


class Jobs(BaseHTTPRequestHandler):
    """Counts what it carries out."""

    protocol_version = "HTTP/1.1"
    done: list[str] = []  # noqa: RUF012 - of the test's own server

    def do_POST(self) -> None:
        """Carry out, and answer in chunks."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.done.append(body.decode())
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"4\r\ndone\r\n0\r\n\r\n")

    def do_GET(self) -> None:
        """A body with a length."""
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Nothing."""


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[tuple[str, int]]:
    """A server in a thread; its address."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield "127.0.0.1", server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def echo() -> Iterator[FaultProxy]:
    """A proxy in front of a server that echoes."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    with serving(server) as address, FaultProxy(address) as proxy:
        yield proxy


@pytest.fixture
def jobs() -> Iterator[FaultProxy]:
    """A proxy in front of an HTTP server."""
    Jobs.done = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Jobs)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # connections are broken on purpose
    with serving(server) as address, FaultProxy(address, HttpWire) as proxy:
        yield proxy


@pytest.fixture
def postgres(scratch: Scratch) -> Iterator[PostgresProxy]:
    """A proxy in front of the test's database, with a table to write to."""
    with psycopg.connect(scratch.admin_url) as connection:
        connection.execute("create table public.kept (a int)")
    with postgres_proxy(scratch.admin_url) as proxy:
        yield proxy


def called(proxy: FaultProxy) -> socket.socket:
    """A connection through the proxy."""
    return socket.create_connection((proxy.host, proxy.port), timeout=10)


def everything(client: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def kept(scratch: Scratch) -> list[int]:
    """What is committed."""
    with psycopg.connect(scratch.admin_url) as connection:
        return [row[0] for row in connection.execute("select a from public.kept order by a").fetchall()]


def posted(client: http.client.HTTPConnection) -> bytes:
    """The answer to a POST."""
    client.request("POST", "/v1/jobs", "x")
    return client.getresponse().read()


def lost_insert(connection: psycopg.Connection) -> None:
    """An insert that ends with the connection."""
    with pytest.raises(psycopg.OperationalError):
        connection.execute("insert into public.kept values (1)")


class TestBytes:
    """Without knowing a protocol."""

    def test_everything_passes_without_a_rule(self, echo: FaultProxy) -> None:
        """A megabyte there and back, on two connections at once."""
        sent = b"abcdefgh" * (1 << 17)
        with called(echo) as one, called(echo) as two:
            two.sendall(b"x")
            threading.Thread(target=lambda: (one.sendall(sent), one.shutdown(socket.SHUT_WR)), daemon=True).start()
            assert two.recv(1) == b"X"
            received = bytearray()
            while len(received) < len(sent):
                received += one.recv(1 << 16)
            assert received == sent.upper()
        assert echo.connections == 2

    @pytest.mark.parametrize("direction", ["up", "down"])
    def test_it_cuts_after_so_many_bytes(self, echo: FaultProxy, direction: str) -> None:
        """Exactly these pass, over all connections; then both sides hear of the end. Once."""
        echo.fail(Rule(fault="cut", after_bytes=7, direction=direction))  # type: ignore[arg-type]
        with called(echo) as client:
            client.sendall(b"abc")
            assert client.recv(10) == b"ABC"
            client.sendall(b"defghij")
            assert everything(client) in ((b"DEFG",) if direction == "down" else (b"", b"DEFG"))
        with called(echo) as client:
            client.sendall(b"abcdefghij")
            assert client.recv(10) == b"ABCDEFGHIJ"
        assert [rule.after_bytes for rule in echo.happened] == [7]

    def test_a_reset_is_a_reset(self, echo: FaultProxy) -> None:
        """The client meets ECONNRESET, not an orderly end."""
        echo.fail(Rule(fault="reset", after_bytes=2, direction="down"))
        with called(echo) as client:
            client.sendall(b"abc")
            with pytest.raises(ConnectionResetError):
                everything(client)

    def test_a_byte_is_corrupted(self, echo: FaultProxy) -> None:
        """One byte differs, the next ones do not."""
        echo.fail(Rule(fault="corrupt", after_bytes=2, direction="down"))
        with called(echo) as client:
            client.sendall(b"abcd")
            client.shutdown(socket.SHUT_WR)
            assert everything(client) == b"AB" + bytes([ord("C") ^ 0xFF]) + b"D"

    def test_a_black_hole_keeps_both_sides_waiting(self, echo: FaultProxy) -> None:
        """Nothing passes and nobody is told; what was sent arrives when the network is back."""
        with called(echo) as client:
            client.sendall(b"a")
            assert client.recv(1) == b"A"
            echo.freeze()
            with called(echo) as late:
                for each in (client, late):
                    each.settimeout(0.2)
                    each.sendall(b"b")
                    with pytest.raises(TimeoutError):
                        each.recv(1)
                    each.settimeout(10)
                echo.thaw()
                assert (client.recv(1), late.recv(1)) == (b"B", b"B")

    def test_a_connection_in_a_black_hole_can_be_dropped(self, echo: FaultProxy) -> None:
        """Then both sides hear of it, after all."""
        with called(echo) as client:
            client.sendall(b"a")
            assert client.recv(1) == b"A"
            echo.freeze()
            client.sendall(b"b")
            echo.drop()
            assert everything(client) == b""

    def test_it_is_slow_where_told(self, echo: FaultProxy) -> None:
        """Latency both ways; and the end of one side comes late at the other."""
        echo.latency_s = 0.1
        with called(echo) as client:
            began = time.monotonic()
            client.sendall(b"a")
            assert client.recv(1) == b"A"
            assert time.monotonic() - began >= 0.2
            echo.latency_s, echo.close_delay_s = 0.0, 0.3
            began = time.monotonic()
            client.shutdown(socket.SHUT_WR)
            assert everything(client) == b""
            assert time.monotonic() - began >= 0.3

    def test_it_refuses(self, echo: FaultProxy) -> None:
        """New connections come to nothing, until told otherwise."""
        echo.refuses = True
        with pytest.raises(ConnectionError), called(echo) as client:  # on its way in, or at once afterwards
            everything(client)
        echo.refuses = False
        with called(echo) as client:
            client.sendall(b"a")
            assert client.recv(1) == b"A"


class TestPostgres:
    """Statements, counted and failed."""

    def test_statements_are_seen_with_their_text(self, postgres: PostgresProxy) -> None:
        """Simple, with parameters, prepared, and COPY: one unit each, and one for the end of a COPY."""
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("select 1")
            for number in range(3):
                connection.execute("insert into public.kept values (%s)", (number,), prepare=True)
            with connection.cursor() as cursor, cursor.copy("copy public.kept from stdin") as copy:
                copy.write(b"7\n" * 100_000)
        assert [unit.partition(" values")[0] for unit in postgres.units] == [
            "select 1",
            *["insert into public.kept"] * 4,  # prepared, then executed three times
            "copy public.kept from stdin",
            "copy done",
        ]

    @pytest.mark.parametrize("fault", ["cut", "reset", "torn"])
    def test_a_statement_fails_before_it_is_carried_out(self, postgres: PostgresProxy, scratch: Scratch, fault: str) -> None:
        """The second insert is lost and the client hears of it; what came before stays."""
        postgres.fail(Rule(fault=fault, text="^insert", unit=2))  # type: ignore[arg-type]
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("insert into public.kept values (1)")
            with pytest.raises(psycopg.OperationalError):
                connection.execute("insert into public.kept values (2)")
            assert connection.broken
        assert kept(scratch) == [1]

    def test_a_commit_is_carried_out_and_its_answer_lost(self, postgres: PostgresProxy, scratch: Scratch) -> None:
        """The client hears of a lost connection, and the rows are there."""
        postgres.fail(Rule(fault="swallow", text="^commit"))
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            with pytest.raises(psycopg.OperationalError), connection.transaction():
                connection.execute("insert into public.kept values (%s)", (1,))
            assert connection.broken
        assert kept(scratch) == [1]

    def test_the_end_of_a_copy_is_carried_out_and_its_answer_lost(self, postgres: PostgresProxy, scratch: Scratch) -> None:
        """As for a commit, in autocommit."""
        postgres.fail(Rule(fault="swallow", text="^copy done"))
        with (
            psycopg.connect(postgres.url, autocommit=True) as connection,
            pytest.raises(psycopg.OperationalError),
            connection.cursor().copy("copy public.kept from stdin") as copy,
        ):
            copy.write(b"1\n2\n")
        assert kept(scratch) == [1, 2]

    def test_an_answer_is_corrupted(self, postgres: PostgresProxy) -> None:
        """The driver notices, in words of its own: no SQLSTATE, and no class below DatabaseError."""
        postgres.fail(Rule(fault="corrupt", text="^select"))
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            with pytest.raises(psycopg.DatabaseError, match="unexpected response") as caught:
                connection.execute("select 1")
            assert (type(caught.value), caught.value.sqlstate) == (psycopg.DatabaseError, None)

    def test_a_black_hole_opens_at_a_statement(self, postgres: PostgresProxy, scratch: Scratch) -> None:
        """It is never carried out while the server thinks that the client still lives; once dropped, the server gives up."""
        others = "datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"  # no autovacuum
        count = f"select count(*) from pg_stat_activity where {others}"
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            postgres.fail(Rule(fault="black_hole", text="^insert"))
            waiting = threading.Thread(target=lost_insert, args=(connection,))
            waiting.start()
            postgres.wait_for_fault()
            with psycopg.connect(scratch.admin_url) as other:
                assert other.execute(count).fetchone() == (1,)
            postgres.drop()
            waiting.join(10)
            assert not waiting.is_alive()
        assert kept(scratch) == []

    def test_messages_cut_anywhere_are_put_together(self) -> None:
        """A network may deliver one byte at a time: the same units, and not a byte lost."""
        startup = (8 + 1).to_bytes(4) + (196_608).to_bytes(4) + b"\0"
        offer = (8).to_bytes(4) + (80_877_103).to_bytes(4)
        query = b"Q" + (4 + 9).to_bytes(4) + b"select 1\0"
        stream = offer + startup + query + query
        wire = PostgresWire()
        pieces = [piece for byte in stream for piece in wire.sent(bytes([byte]))]
        assert b"".join(piece.data for piece in pieces) == stream
        assert [piece.begins for piece in pieces] == [None, None, "select 1", "select 1"]
        ready = b"Z" + (5).to_bytes(4) + b"I"
        assert sum(wire.answered(bytes([byte])) for byte in b"N" + ready + ready) == 2


class TestHttp:
    """Requests, counted and failed."""

    def test_requests_are_seen_and_pass(self, jobs: FaultProxy) -> None:
        """Several on one connection, with and without a body, answered by length and in chunks."""
        with closing(http.client.HTTPConnection(jobs.host, jobs.port, timeout=10)) as client:
            for method, body, wanted in (("POST", "a" * 100_000, b"done"), ("GET", None, b"hello"), ("POST", "b", b"done")):
                client.request(method, "/v1/jobs", body)
                assert client.getresponse().read() == wanted
        assert jobs.units == ["POST /v1/jobs", "GET /v1/jobs", "POST /v1/jobs"]
        assert [len(body) for body in Jobs.done] == [100_000, 1]

    @pytest.mark.parametrize(("fault", "done"), [("cut", []), ("reset", []), ("torn", []), ("swallow", ["x"])])
    def test_a_request_fails_before_or_after_it_is_carried_out(self, jobs: FaultProxy, fault: str, done: list[str]) -> None:
        """The client hears of a lost connection either way; only the server knows."""
        jobs.fail(Rule(fault=fault, text="^POST /v1/jobs"))  # type: ignore[arg-type]
        with closing(http.client.HTTPConnection(jobs.host, jobs.port, timeout=10)) as client:
            client.request("GET", "/v1/jobs")
            assert client.getresponse().read() == b"hello"
            with pytest.raises(ConnectionError):
                posted(client)
        assert Jobs.done == done
