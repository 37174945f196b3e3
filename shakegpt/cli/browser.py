"""A run in a browser on this machine, by textual-serve: ``shakegpt watch RUN --web``."""

import os
import shlex
import sys

from shakegpt.errors import ShakegptError
from shakegpt.export.writers import require_package

HOST = "127.0.0.1"


def serve_run(run: str, port: int) -> None:
    """Show a run to the browsers of this machine until Ctrl-C; each page is a process that watches, and only that.

    Raises:
        ShakegptError: textual-serve is not installed, or the port is taken.
    """
    require_package("textual_serve", "Showing a run in a browser", "web")
    from aiohttp import web
    from textual_serve.server import Server

    origins = {f"http://{host}:{port}" for host in (HOST, "localhost")}

    class LocalServer(Server):  # type: ignore[misc]
        """A server that answers its own pages alone: any page that a browser shows may call an address like this."""

        async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
            """Open a run for a page."""
            if request.headers.get("Origin") not in origins:
                raise web.HTTPForbidden(text="Open the page itself.")
            return await super().handle_websocket(request)

    command = shlex.join([sys.executable, "-m", "shakegpt", "watch", run])
    try:
        LocalServer(command, host=HOST, port=port, title=f"shakegpt: {run}").serve()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ShakegptError(
            f"Port {port} of this machine cannot be used ({reason}); name another with --port."
        ) from error
