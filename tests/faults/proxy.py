"""A TCP proxy that delays and throttles what it passes on, and cuts connections when it is told to."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Most bytes that are passed on at once, and the longest delay before that, in seconds. Together they are
#: slower than some slices come.
_PIECE_BYTES = 16_384
_LONGEST_DELAY_S = 0.05


class Proxy:
    """Passes connections on to a port of this machine.

    :param seed: chooses the delays.
    """

    def __init__(self, port: int, seed: int) -> None:
        self._target = port
        self._dice = random.Random(seed)
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._open = threading.Event()
        self.port = 0

    def cut(self) -> None:
        """Cut all connections that are open now, without a goodbye in either direction."""
        self._loop.call_soon_threadsafe(self._cut)

    def run(self) -> None:
        """Serve until ``stop``. Blocks."""
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    def stop(self) -> None:
        """End ``run``."""
        self._loop.call_soon_threadsafe(self._ended.set)

    def wait(self) -> None:
        """Wait until connections are accepted."""
        self._open.wait()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._open.set()
        await self._ended.wait()
        server.close()
        self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there_writer}
        await asyncio.gather(self._pass_on(reader, there_writer), self._pass_on(there_reader, writer))
        self._writers -= {writer, there_writer}

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_PIECE_BYTES):
                await asyncio.sleep(self._dice.uniform(0, _LONGEST_DELAY_S))
                writer.write(data)
                await writer.drain()
        writer.close()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextmanager
def proxy(port: int, seed: int) -> Iterator[Proxy]:
    """Run a proxy to ``port`` in a thread while the body runs."""
    made = Proxy(port, seed)
    thread = threading.Thread(target=made.run)
    thread.start()
    made.wait()
    try:
        yield made
    finally:
        made.stop()
        thread.join()
