"""An app that is not patched by gevent."""

from __future__ import annotations

import sys

from flask import Flask

from whisper_service import Transcriber

app = Flask(__name__)
Transcriber(app)

if __name__ == "__main__":
    app.run(port=int(sys.argv[1]))
