"""The HTTP response to a request that is refused."""

from __future__ import annotations

from flask import Response, jsonify

from whisper_service.errors import TranscriptionError

#: The HTTP status for each close code. The last three digits of our own codes are those of HTTP.
_OTHER_STATUS = {1009: 413, 1011: 500, 1012: 503, 1013: 503}


def refusal(problem: TranscriptionError) -> Response:
    """Return the response that tells a client about ``problem``, in the shape of OpenAI's errors."""
    code = problem.close_code or 4400
    response = jsonify(error={"code": problem.code, "message": str(problem), "type": "invalid_request_error"})
    response.status_code = code - 4000 if code >= 4000 else _OTHER_STATUS.get(code, 500)
    retry_after_s = getattr(problem, "retry_after_s", None)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(retry_after_s)
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
