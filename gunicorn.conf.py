"""gunicorn settings: ``gunicorn -c gunicorn.conf.py app:app``. Each value says why."""

import logging

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


def post_worker_init(worker):
    """Load the model in the worker, behind the fork; drain the streams when the worker is told to stop."""
    # Imported here, because the master process is not patched by gevent and must not load torch.
    import gevent

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    service = _service(worker)
    service.start()

    def drain_at_the_end():
        while worker.alive:
            gevent.sleep(0.1)
        service.drain()

    gevent.spawn(drain_at_the_end)


def worker_exit(server, worker):
    """End the model's threads before the interpreter ends."""
    _service(worker).stop()


def _service(worker):
    from whisper_service.extension import Transcriber

    return Transcriber.service(worker.app.callable)
