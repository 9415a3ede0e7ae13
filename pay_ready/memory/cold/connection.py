"""One connection to Weaviate: opened when first needed, shared by every call, thrown away when the server turns out to be gone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pay_ready.errors import PayReadyError, TransientError
from pay_ready.memory.cold.embedded import EmbeddedServer
from pay_ready.memory.cold.faults import client_errors, translated
from pay_ready.memory.cold.options import EmbeddedOptions, WeaviateOptions

if TYPE_CHECKING:  # heavy
    from grpc.aio import Channel
    from weaviate import WeaviateAsyncClient

_GRPC_PORT = 50051
_SERVING = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse with status SERVING
_AGAIN_S = 0.2
# A channel that lost its server waits up to two minutes before it looks again, unless told otherwise.
_CHANNEL = (("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 1000), ("grpc.enable_http_proxy", 0))


@dataclass(frozen=True, slots=True)
class Address:
    """Where REST and gRPC are served."""

    http: tuple[str, int]
    grpc: tuple[str, int]
    secure: bool

    @classmethod
    def of(cls, options: WeaviateOptions) -> "Address":
        """The address that options name; Cloud serves gRPC on a host of its own."""
        parts = urlsplit(options.url)
        host, secure = parts.hostname or "", parts.scheme == "https" or options.mode == "cloud"
        is_cloud = options.mode == "cloud"
        grpc_host = options.grpc_host or (f"grpc-{host}" if is_cloud else host)
        grpc_port = options.grpc_port or (443 if is_cloud else _GRPC_PORT)
        return cls((host, parts.port or (443 if secure else 80)), (grpc_host, grpc_port), secure)


class Connection:
    """Everything of it happens on one event loop. `prepare` runs once on each new client, before anybody else uses it."""

    def __init__(self, options: WeaviateOptions, prepare: Callable[["WeaviateAsyncClient"], Awaitable[None]]) -> None:
        self._options, self._prepare = options, prepare
        self._client: WeaviateAsyncClient | None = None
        self._probe: Channel | None = None
        self._opening: asyncio.Task[WeaviateAsyncClient] | None = None
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._server: EmbeddedServer | None = None
        self.is_closed = False

    async def client(self) -> "WeaviateAsyncClient":
        """The open client. Who waits for it in vain does not keep it from opening for the next one.

        Raises:
            TransientError: Weaviate cannot be reached, by REST or by gRPC.
            ConfigError: Its version is too old, or its schema is not ours.
        """
        if self.is_closed:
            raise PayReadyError("the vector store is closed", "open a new one")
        if self._client is not None:
            return self._client
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    async def is_alive(self) -> bool:
        """Whether REST and gRPC both answer. (The client's own is_live() and is_ready() print what is wrong.)"""
        client, probe = self._client, self._probe
        if client is None or probe is None:
            return False
        try:
            await client.get_meta()
            await self._check_grpc(probe)
        except client_errors():
            return False
        except TransientError:
            return False
        return True

    async def discard(self) -> None:
        """Let go of the client, so that the next call opens another; calls that are on their way end."""
        client, self._client = self._client, None
        probe, self._probe = self._probe, None
        if client is not None:
            await client.close()
        if probe is not None:
            await probe.close()

    def discard_later(self) -> None:
        """The same, without waiting for its end."""
        task = asyncio.create_task(self.discard())
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    async def close(self) -> None:
        """Let go of everything, for good."""
        self.is_closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        await self.discard()
        await asyncio.gather(*self._goodbyes)
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)

    def _opened(self, task: "asyncio.Task[WeaviateAsyncClient]") -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # looked at, whether somebody still waits or not

    async def _open(self) -> "WeaviateAsyncClient":
        embedded = self._options.embedded if self._options.mode == "embedded" else None
        address = Address.of(self._options) if embedded is None else await self._embedded(embedded)
        client, probe = self._new_client(address), self._new_probe(address)
        try:
            async with asyncio.timeout(self._options.open_s):
                await client.connect()
                await self._check_grpc(probe)
                await self._prepare(client)
        except TimeoutError as error:
            await _let_go(client, probe)
            raise TransientError("Weaviate did not answer in time", doing="open", deadline_s=self._options.open_s) from error
        except client_errors() as error:
            await _let_go(client, probe)
            raise translated(error, "open") from error
        except BaseException:
            await _let_go(client, probe)
            raise
        self._client, self._probe = client, probe
        return client

    async def _embedded(self, options: EmbeddedOptions) -> Address:
        """The address of our own server, started when it does not run; waits until it answers."""
        if self._server is None or not self._server.is_running:
            self._server = EmbeddedServer.start(options)
        server = self._server
        async with asyncio.timeout(options.start_s):
            while not await asyncio.to_thread(server.answers):
                server.check()
                await asyncio.sleep(_AGAIN_S)
        return Address(("127.0.0.1", server.http_port), ("127.0.0.1", server.grpc_port), secure=False)

    def _new_client(self, address: Address) -> "WeaviateAsyncClient":
        import weaviate
        from weaviate.classes.init import AdditionalConfig, Auth, Timeout
        from weaviate.config import GrpcConfig

        # It logs whole objects when some of them fail; we say ourselves what failed.
        logging.getLogger("weaviate-client").setLevel(logging.CRITICAL)
        options = self._options
        return weaviate.use_async_with_custom(
            http_host=address.http[0], http_port=address.http[1], http_secure=address.secure,
            grpc_host=address.grpc[0], grpc_port=address.grpc[1], grpc_secure=address.secure,
            auth_credentials=None if options.api_key is None else Auth.api_key(options.api_key.get_secret_value()),
            additional_config=AdditionalConfig(
                timeout=Timeout(init=options.open_s, query=options.query_s, insert=options.write_s),
                grpc_config=GrpcConfig(channel_options=list(_CHANNEL)),
            ),
            skip_init_checks=True,  # they ask a public package index for news
        )  # fmt: skip

    def _new_probe(self, address: Address) -> "Channel":
        import grpc
        from grpc import aio

        target, options = f"{address.grpc[0]}:{address.grpc[1]}", list(_CHANNEL)
        if address.secure:
            return aio.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
        return aio.insecure_channel(target, options=options)

    async def _check_grpc(self, probe: "Channel") -> None:
        key = self._options.api_key
        metadata = () if key is None else (("authorization", f"Bearer {key.get_secret_value()}"),)
        answer = await probe.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=self._options.open_s, metadata=metadata)
        if answer != _SERVING:
            raise TransientError("Weaviate's gRPC side does not serve", "try again later")


async def _let_go(client: "WeaviateAsyncClient", probe: "Channel") -> None:
    await client.close()
    await probe.close()
