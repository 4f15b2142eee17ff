"""Moto's S3 server in a process of its own: it says its port in a line, and ends when its input is closed."""

from __future__ import annotations

import os
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def _until_left() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    threading.Thread(target=_until_left, daemon=True).start()
    print(server.server_port, flush=True)
    server.serve_forever()
