"""Asks WSGI applications as a server does, for tests of what goes around them."""

import io
import wsgiref.util


def ask(app, path="/", method="GET", *, most=None, **environ):
    """Ask an application as a server does; return what it answered: status, headers, body, and what it raised.

    With `most`, the client goes away after so many parts of the body.
    """
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "REMOTE_ADDR": "192.0.2.7", "SCRIPT_NAME": "", **environ}
    wsgiref.util.setup_testing_defaults(environ)
    environ.setdefault("QUERY_STRING", "")
    environ.setdefault("wsgi.input", io.BytesIO())
    began, parts, raised, body = [], [], None, None

    def start_response(status, headers, exc_info=None):
        if exc_info and parts:
            raise exc_info[1]
        assert exc_info or not began
        began[:] = [status, headers]
        return parts.append

    try:
        body = app(environ, start_response)
        chunks = iter(body)
        while most is None or len(parts) < most:
            parts.append(next(chunks))
    except StopIteration:
        pass
    except Exception as error:
        raised = error
    finally:
        if hasattr(body, "close"):
            try:
                body.close()
            except Exception as error:
                raised = error
    return (began[0] if began else None), (began[1] if began else None), b"".join(parts), raised


def hello(environ, start_response):
    """Answer with one part."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
