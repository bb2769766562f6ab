"""nginx on one core, answering 60 bytes of JSON: the target of the throughput benchmarks.

Takes a core; gives a context manager with the URL. It has one worker, keeps connections alive and logs nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

BODY = '{"id": 12345, "name": "a small thing", "tags": ["x", "yy"]}\n'
_CONF = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{body}'; }} }}
}}
"""


def missing(*programs: str) -> str:
    """Which of these programs are not installed, as a sentence; empty if all are there."""
    absent = [program for program in programs if shutil.which(program) is None]
    return f"{' and '.join(absent)} not installed (apt-get install {' '.join(absent)})" if absent else ""


class Nginx:
    """``url`` answers within the ``with`` block."""

    def __init__(self, core: int) -> None:
        self._core = core
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/"

    def __enter__(self) -> Nginx:
        self._folder = tempfile.TemporaryDirectory()
        conf = Path(self._folder.name) / "nginx.conf"
        conf.write_text(_CONF.format(folder=self._folder.name, port=self._port, body=BODY.replace("\n", "\\n")))
        core = self._core
        self._process = subprocess.Popen(
            ["nginx", "-c", str(conf), "-p", self._folder.name],
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        give_up_at = time.monotonic() + 5
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return self
            except OSError:
                if time.monotonic() > give_up_at or self._process.poll() is not None:
                    self.__exit__()
                    raise RuntimeError("nginx did not start") from None
                time.sleep(0.05)

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._folder.cleanup()
