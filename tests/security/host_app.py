"""A Flask product with users of its own: ``python -m tests.security.host_app``. It keeps what they say.

The database is a file named by DATABASE. A user may speak for QUOTA_S seconds in all.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402
import os
from typing import Any

from flask import Flask, Request, jsonify, session
from flask_login import LoginManager, UserMixin, current_user, login_user
from flask_sqlalchemy import SQLAlchemy

from whisper_service import Transcriber
from whisper_service.errors import Forbidden
from whisper_service.events import Final
from whisper_service.server import serve
from whisper_service.signals import final, stream_done
from whisper_service.web.admission import Identity

app = Flask(__name__)
app.config.update(SECRET_KEY="of this test", SQLALCHEMY_DATABASE_URI=f"sqlite:///{os.environ['DATABASE']}")
db: Any = SQLAlchemy(app)
logins = LoginManager(app)


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


class Said(db.Model):
    stream = db.Column(db.String, primary_key=True)
    number = db.Column(db.Integer, primary_key=True)
    user = db.Column(db.String)
    text = db.Column(db.String)


class Spoken(db.Model):
    stream = db.Column(db.String, primary_key=True)
    user = db.Column(db.String)
    seconds = db.Column(db.Float)


@logins.user_loader
def load(name: str) -> User:
    return User(name)


@app.post("/login/<name>")
def login(name: str) -> Any:
    login_user(User(name))
    return jsonify(session_of=session["_user_id"])


@app.get("/said")
def said() -> Any:
    rows = db.session.query(Said).order_by(Said.stream, Said.number)
    return jsonify([[row.user, row.number, row.text] for row in rows])


def authenticate(request: Request) -> str | None:
    if not current_user.is_authenticated:
        return None
    used = db.session.query(db.func.sum(Spoken.seconds)).filter_by(user=current_user.id).scalar() or 0.0
    if used >= float(os.environ["QUOTA_S"]):
        raise Forbidden("Your minutes are used up.")
    return str(current_user.id)


Transcriber(app, url_prefix="/speech", authenticate=authenticate)


@final.connect_via(app)
def store(sender: Flask, identity: Identity, stream: str, event: Final) -> None:
    db.session.merge(Said(stream=stream, number=event.number, user=identity.name, text=event.text))
    db.session.commit()


@final.connect_via(app)
def fail(sender: Flask, **values: object) -> None:
    raise ValueError("a receiver that fails")


@stream_done.connect_via(app)
def bill(sender: Flask, identity: Identity, stream: str, seconds: float, account: object) -> None:
    db.session.merge(Spoken(stream=stream, user=identity.name, seconds=seconds))
    db.session.commit()


if __name__ == "__main__":
    with app.app_context():
        db.create_all()
    serve(app)
