"""Graph's error bodies, word for word where the words are known.

Sources: learn.microsoft.com/en-us/graph/errors and the issues named beside single messages.
"""

from typing import Any

from infra.simulator.wire import Headers


class GraphError(Exception):
    """An answer that is not a success: HTTP status, Graph code, message, optional inner code and headers."""

    def __init__(
        self, status: int, code: str, message: str, *, inner: str | None = None, headers: Headers = ()
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner
        self.headers = headers


class Unfit(ValueError):
    """A control request that does not fit; the message says what would."""


def content(error: GraphError, *, date: str, request_id: str, client_request_id: str) -> dict[str, Any]:
    """The JSON body of an error answer."""
    inner: dict[str, Any] = {"code": error.inner} if error.inner else {}
    inner |= {"date": date, "request-id": request_id, "client-request-id": client_request_id}
    return {"error": {"code": error.code, "message": error.message, "innerError": inner}}


def bad_argument(message: str = "One of the provided arguments is not acceptable.") -> GraphError:
    return GraphError(400, "invalidRequest", message, inner="badArgument")


def invalid(message: str = "Invalid request", inner: str | None = None) -> GraphError:
    return GraphError(400, "invalidRequest", message, inner=inner)


def bad_request(message: str) -> GraphError:
    return GraphError(400, "BadRequest", message)


def bad_json() -> GraphError:
    return bad_request(
        "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."
    )


def no_segment(segment: str) -> GraphError:
    return bad_request(f"Resource not found for the segment '{segment}'.")


def bad_method() -> GraphError:
    return GraphError(405, "BadRequest", "Specified HTTP method is not allowed for the request target.")


def not_found(message: str = "The resource could not be found.") -> GraphError:
    return GraphError(404, "itemNotFound", message)


def denied(message: str = "Access denied") -> GraphError:
    return GraphError(403, "accessDenied", message)


def general(message: str = "General exception while processing") -> GraphError:
    return GraphError(500, "generalException", message)


def name_taken(message: str) -> GraphError:
    return GraphError(409, "nameAlreadyExists", message)


def not_supported(message: str = "Operation not supported", status: int = 501) -> GraphError:
    return GraphError(status, "notSupported", message)


def unauthenticated(message: str) -> GraphError:
    return GraphError(401, "InvalidAuthenticationToken", message, headers=(("WWW-Authenticate", "Bearer"),))
