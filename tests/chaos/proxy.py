"""TCP links between programs, which can be cut, frozen and slowed.

with Network() as network:
    link = network.link("database", 5432)     # connect to link.port instead
    link.cut()                                # resets all, and refuses whoever comes
    link.mend()
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Self

_CHUNK = 65536  # bytes
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class Link:
    """What listens on ``port`` and passes on to ``target``, both on the loopback."""

    def __init__(self, network: "Network", name: str, target: int) -> None:
        self.name, self.target, self.port = name, target, 0
        self._network = network
        self._transports: set[asyncio.Transport] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._is_cut, self._delay = False, 0.0

    async def listen(self) -> None:
        """Begin to accept."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._server = server

    def cut(self) -> None:
        """Reset every connection, and each that comes."""
        self._network.run(self._set(is_cut=True))

    def freeze(self) -> None:
        """Let nothing through, and nobody know: what is sent waits."""
        self._network.run(self._set(is_open=False))

    def slow(self, seconds: float) -> None:
        """Hold each chunk up for so long."""
        self._network.run(self._set(delay=seconds))

    def mend(self) -> None:
        """Pass all on again, also what waited."""
        self._network.run(self._set())

    @property
    def connections(self) -> int:
        """How many there are through it."""
        return len(self._transports) // 2

    async def _set(self, *, is_cut: bool = False, is_open: bool = True, delay: float = 0.0) -> None:
        self._is_cut, self._delay = is_cut, delay
        if is_open:
            self._open.set()
        else:
            self._open.clear()
        if is_cut:
            for transport in list(self._transports):
                self._reset(transport)

    @staticmethod
    def _reset(transport: asyncio.BaseTransport) -> None:
        connection = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()  # type: ignore[attr-defined]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            self._reset(writer.transport)
            return
        await self._open.wait()
        try:
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            self._reset(writer.transport)
            return
        transports = {writer.transport, their_writer.transport}
        self._transports |= transports
        try:
            pumps = {
                asyncio.ensure_future(self._pump(reader, their_writer)),
                asyncio.ensure_future(self._pump(their_reader, writer)),
            }
            _, left = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in left:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._transports -= transports
            for transport in transports:
                transport.close()  # what was written still goes out

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._open.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                writer.write(data)
                await writer.drain()


class Network:
    """The links, in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def link(self, name: str, target: int) -> Link:
        """Return a new link to a port."""
        link = Link(self, name, target)
        self.run(link.listen())
        return link

    def run(self, work: Coroutine[Any, Any, None]) -> None:  # Any: what is sent into it, of no interest
        """Run it in the network's thread, to its end."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
