"""The service as a standalone app, with the page: ``python app.py``, or ``app:app`` for gunicorn."""

from gevent import monkey

monkey.patch_all()

# These imports come after the patch, so that all other modules get the cooperative socket, lock and thread.
from flask import Flask  # noqa: E402

from whisper_service import logs  # noqa: E402
from whisper_service.extension import Transcriber  # noqa: E402
from whisper_service.server import serve  # noqa: E402


def create_app() -> Flask:
    """Return the Flask app."""
    app = Flask(__name__, static_folder=None)
    Transcriber(app, page=True)
    return app


app = create_app()

if __name__ == "__main__":
    logs.configure()
    serve(app)
