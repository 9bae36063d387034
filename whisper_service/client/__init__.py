"""Clients of the service. ``LiveClient`` loses no word when a connection breaks; it needs only websockets."""

from whisper_service.client.live import AsyncLiveClient
from whisper_service.client.threaded import LiveClient
from whisper_service.errors import StreamFailed

__all__ = ["AsyncLiveClient", "LiveClient", "StreamFailed"]
