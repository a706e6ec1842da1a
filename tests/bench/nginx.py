"""The real nginx, as origin, proxy and file server: the baseline of the data plane. One process, so that its CPU time is all there.

What lives here: its configurations. Buffers are those that the figures name; nothing is written to the disk on the way.
"""

from __future__ import annotations

from pathlib import Path

from tests.bench.asked import Asked
from tests.bench.processes import Server, free_port
from tests.servers import tools

_WHOLE = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 4096;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    default_type application/octet-stream;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {outside}
    server {{
        listen 127.0.0.1:{port};
        location = /health {{ return 200 "up"; }}
        {inside}
    }}
}}
"""


class Nginx(Server):
    """nginx with a configuration of its own; `folder` holds the files that it serves."""

    def __init__(self, asked: Asked, name: str, *, inside: str, outside: str = "") -> None:
        folder = asked.folder / name
        folder.mkdir()
        port = free_port()
        config = folder / "nginx.conf"
        config.write_text(_WHOLE.format(folder=folder, port=port, inside=inside, outside=outside))
        super().__init__([tools.nginx(), "-p", str(folder), "-c", str(config)], port=port, folder=asked.folder, name=name)


def origin(asked: Asked, files: Path) -> Nginx:
    """A server of `files`, as cheap as it can be: what upstreams are played by."""
    return Nginx(asked, "origin", inside=f"location / {{ root {files}; sendfile on; tcp_nopush on; }}")


def proxy(asked: Asked, port: int) -> Nginx:
    """A proxy before the origin on `port`: `/plain/` with default buffers, `/64k/` with such of 64 KiB, `/kept/` keeps connections."""
    inside = f"""
        proxy_max_temp_file_size 0;
        location /plain/ {{ proxy_pass http://127.0.0.1:{port}/; }}
        location /64k/ {{
            proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;
            proxy_pass http://127.0.0.1:{port}/;
        }}
        location /kept/ {{
            proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_pass http://kept/;
        }}"""
    return Nginx(asked, "proxy", inside=inside, outside=f"upstream kept {{ server 127.0.0.1:{port}; keepalive 64; }}")


def files(asked: Asked, folder: Path) -> Nginx:
    """A server of the files in `folder`: `/off/` reads and writes them, `/on/` lets the kernel send them."""
    inside = f"""
        location /off/ {{ alias {folder}/; sendfile off; }}
        location /on/ {{ alias {folder}/; sendfile on; }}"""
    return Nginx(asked, "files", inside=inside)
