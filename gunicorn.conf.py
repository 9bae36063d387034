"""gunicorn settings: ``gunicorn -c gunicorn.conf.py app:app``. Each value says why."""

import logging

# The hooks load the model in the worker, drain its streams when it ends, and stop its threads.
from whisper_service.gunicorn import post_worker_init, worker_exit  # noqa: F401

bind = "127.0.0.1:5003"  # behind a proxy that speaks TLS; --bind moves it
worker_class = "gevent"
# One worker for each device: it owns the model, and its streams share the device.
workers = 1
worker_connections = 1000  # open sockets of one worker
# Never preload_app: the model's threads and CUDA do not survive the fork.
preload_app = False
timeout = 120  # seconds without a sign of life of the hub, which no model ever blocks, until a restart
graceful_timeout = 30  # seconds for the last words of open streams; above WHISPER_DRAIN_TIMEOUT_S (20)
keepalive = 5  # seconds for a proxy to use a connection again
control_socket_disable = True  # gunicorn 27 would open one in the home directory

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
