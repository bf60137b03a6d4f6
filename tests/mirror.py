"""A web server of a folder on this machine, which also answers as the Hugging Face hub does."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address at which `folder` is served within the block, and the paths that were asked for.

    `owner/name/resolve/<revision>/<file>` is the file `owner/name/<file>` below it, as the hub offers it.
    """
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

        def translate_path(self, path: str) -> str:
            asked.append(path)
            return super().translate_path(re.sub(r"/resolve/\w+/", "/", path))

        def end_headers(self) -> None:
            if "/resolve/" in self.path:
                path = Path(self.translate_path(self.path))
                if path.is_file():
                    self.send_header("ETag", f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"')
                    self.send_header("X-Repo-Commit", re.findall(r"/resolve/(\w+)/", self.path)[0])
            super().end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()
        thread.join()
