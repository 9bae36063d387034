"""The live client for programs without asyncio: its calls block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

from whisper_service.client.live import AsyncLiveClient, Message
from whisper_service.errors import StreamFailed

T = TypeVar("T")


class LiveClient:
    """A live stream to a server, over as many connections as it takes: ``AsyncLiveClient`` in a thread.

    ::

        with LiveClient("ws://127.0.0.1:5003/transcribe", rate=16_000) as client:
            threading.Thread(target=record_into, args=(client,)).start()  # client.send(pcm), client.stop()
            for message in client:
                if message["type"] == "final":
                    print(message["text"], end="")

    All methods may be called in any thread. Parameters and messages are those of ``AsyncLiveClient``.
    """

    def __init__(self, url: str | Sequence[str], **options: Any) -> None:
        self._url, self._options = url, options
        self._queue: SimpleQueue[Message | StreamFailed | None] = SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="live client")

    def __enter__(self) -> Self:
        self._thread.start()
        self._opened.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._pump.cancel)
        self._thread.join()

    def send(self, pcm: bytes) -> None:
        """Send audio; see ``AsyncLiveClient.send``."""
        self._call(self._client.send(pcm))

    def flush(self) -> None:
        """Make all speech so far final. The stream goes on."""
        self._call(self._client.flush())

    def mark(self, name: str | int) -> None:
        """Ask for a ``mark`` message with id ``name`` when everything so far is final."""
        self._call(self._client.mark(name))

    def stop(self) -> None:
        """End the stream: everything becomes final, ``done`` comes, and the iteration ends."""
        self._call(self._client.stop())

    def __iter__(self) -> Iterator[Message]:
        """Yield the messages until the stream is over. Blocks.

        :raises StreamFailed: if the server cannot be reached for ``give_up_s``, or refuses the stream.
        """
        while (item := self._queue.get()) is not None:
            if isinstance(item, StreamFailed):
                raise item
            yield item

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
        except (CancelledError, RuntimeError) as problem:
            coroutine.close()
            if isinstance(problem, RuntimeError) and not self._loop.is_closed():
                raise
            raise StreamFailed("The client was closed.") from None

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _main(self) -> None:
        self._client = AsyncLiveClient(self._url, **self._options)
        self._pump = asyncio.create_task(self._read())
        self._opened.set()
        await asyncio.gather(self._pump, return_exceptions=True)
        # Calls of other threads that still wait would wait for ever.
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _read(self) -> None:
        """Pass the messages on to the other threads, then wait until the client is closed."""
        async with self._client as client:
            try:
                async for message in client:
                    self._queue.put(message)
                self._queue.put(None)
            except StreamFailed as problem:
                self._queue.put(problem)
            await asyncio.Event().wait()
