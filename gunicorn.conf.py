"""gunicorn settings: ``gunicorn -c gunicorn.conf.py app:app``. The comments give the reasons."""

from whisper_service import logs

# The hooks load the model in the worker, drain the streams when the worker ends, stop the native threads, and
# keep the figures of several workers in order.
from whisper_service.gunicorn import child_exit, on_starting, post_worker_init, worker_exit  # noqa: F401

bind = "127.0.0.1:5003"  # local, behind a proxy that terminates TLS; --bind overrides it
worker_class = "gevent"
# One worker owns the model and its device, and its streams share them. A second GPU needs a second server.
workers = 1
worker_connections = 2000  # open sockets of one worker
# Never preload the app: the model's threads and CUDA do not survive the fork.
preload_app = False
timeout = 120  # seconds without a heartbeat until a restart; no model ever blocks the hub that sends it
graceful_timeout = 30  # seconds to end: WHISPER_DRAIN_TIMEOUT_S (20), closing (2) and the threads
keepalive = 5  # seconds that an idle connection stays open, for a proxy to reuse it
control_socket_disable = True  # gunicorn 27 would create its control socket in the home directory

logs.configure()
logconfig_dict = logs.configuration()  # LOG_FORMAT=json makes objects of gunicorn's own lines too
