"""What a host app's own gunicorn settings need: the worker class and our hooks."""

from whisper_service.gunicorn import post_worker_init, worker_exit  # noqa: F401

worker_class = "gevent"
