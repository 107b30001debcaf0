"""A Hugging Face hub on loopback: the part of its HTTP protocol that files and commits need.

It can fail as networks and servers do: see :class:`Fault`.
"""

import base64
import contextlib
import hashlib
import json
import re
import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote

import huggingface_hub
from huggingface_hub import constants, file_download, hf_api, repocard, utils

COMMIT = "0123456789abcdef0123456789abcdef01234567"
#: Whether this huggingface_hub has cards validated by the endpoint that it is told of.
VALIDATES = "ENDPOINT" in Path(repocard.__file__).read_text("utf-8")
#: Bytes from which on the hub keeps a file outside git.
LARGE = 10_000


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next request of its kind.

    ``status``: another status; 429 says when to come back. ``drop``: the connection ends within
    the body, or before a head. ``stall``: nothing comes after a part of the body. ``flip``: a bit
    of the body is another. ``short`` and ``long``: fewer bytes, and said to be more.
    """

    method: str
    where: str
    kind: str
    at: float = 0.5
    status: int = 500


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        self.server.requests.append(f"{self.command} {self.path}")

    def _fault(self):
        with self.server.lock:
            for fault in self.server.faults:
                if fault.method == self.command and fault.where in self.path:
                    self.server.faults.remove(fault)
                    return fault
        return Fault("", "", "")

    def _answer(self, status, body=b"", **headers):
        body = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        fault = self._fault()
        cut, more = int(fault.at * len(body)), 0
        if fault.kind == "status":
            status, body, headers = fault.status, b"", {}
            if status == 429:
                headers = {"Retry_After": "3"}
        elif fault.kind == "flip" and body:
            body = bytearray(body)
            body[min(cut, len(body) - 1)] ^= 1
        elif fault.kind == "short":
            body = body[:cut]
        elif fault.kind == "long":
            more = 100
        with contextlib.suppress(ConnectionError):
            if self.command != "HEAD" or fault.kind not in ("drop", "stall"):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body) + more), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[:cut] if fault.kind in ("drop", "stall") else body)
            if fault.kind == "stall":
                self.wfile.flush()
                self.server.over.wait(30)
            if fault.kind in ("drop", "stall", "long"):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, content):
        """Sends a file, or what is asked of it."""
        headers = {"ETag": f'"{_etag(content)}"', "X_Repo_Commit": self.server.commit}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if not asked or not self.server.has_ranges:
            return self._answer(200, content, **headers)
        start = int(asked[1])
        self.server.resumed.append(start)
        if start >= len(content):
            return self._answer(416, Content_Range=f"bytes */{len(content)}")
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(206, content[start:], Content_Range=span, **headers)

    def do_GET(self):
        if self.server.patience and self.command == "HEAD" and "safetensors" in self.path:
            self.server.patience.wait()
        owner, name, kind, *rest = (*unquote(self.path.split("?")[0]).strip("/").split("/"), "", "")
        if owner == "api":
            return self._answer(
                200, {"id": f"{kind}/{rest[0]}", "sha": self.server.commit, "siblings": []}
            )
        files = self.server.repos.get(f"{owner}/{name}")
        if files is None:
            return self._answer(401, X_Error_Code="RepoNotFound", X_Error_Message="no such repo")
        content = files.get("/".join(rest[1:]).strip("/"))
        if rest[0] not in ("main", self.server.commit):
            return self._answer(404, X_Error_Code="RevisionNotFound", X_Error_Message="revision")
        if content is None:
            said = {"X_Error_Code": "EntryNotFound", "X_Error_Message": "no file"}
            return self._answer(404, X_Repo_Commit=self.server.commit, **said)
        self._send(content)

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.split("?")[0].strip("/").split("/")
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if self.server.repos.setdefault(repo, {}) == {}:
                self.server.created[repo] = asked
            return self._answer(200, {"url": f"{self.server.url}/{repo}"})
        if self.path == "/api/validate-yaml":
            self.server.cards.append(json.loads(body)["content"])
            return self._answer(200, {"errors": [], "warnings": []})
        repo = "/".join(parts[2:4])
        if parts[4] == "paths-info":
            files = self.server.repos.get(repo)
            if files is None:
                return self._answer(404, X_Error_Code="RepoNotFound", X_Error_Message="no repo")
            asked = parse_qs(body.decode())["paths"]
            return self._answer(200, [_info(n, files[n]) for n in asked if n in files])
        if parts[4] == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]
            return self._answer(200, {"files": files})
        new = {}
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                value = entry["value"]
                new[value["path"]] = base64.b64decode(value["content"])
        if not any(f.method == "POST" and f.where in self.path for f in self.server.faults):
            self.server.repos[repo].update(new)
            self.server.commit = hashlib.sha1(self.server.commit.encode()).hexdigest()
        url = f"{self.server.url}/{repo}/commit/{self.server.commit}"
        self._answer(200, {"success": True, "commitOid": self.server.commit, "commitUrl": url})


def _etag(content):
    return hashlib.sha256(content).hexdigest() if len(content) >= LARGE else _git_sha1(content)


def _git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _info(name, content):
    info = {"type": "file", "path": name, "size": len(content), "oid": _git_sha1(content)}
    if len(content) >= LARGE:
        info["oid"] = "of the pointer"
        sha256 = hashlib.sha256(content).hexdigest()
        info["lfs"] = {"size": len(content), "oid": sha256, "pointerSize": 135}
    return info


@contextlib.contextmanager
def hub(repos):
    """Serves ``{repo_id: {file: bytes}}``; yields the server, whose ``url`` is the endpoint.

    Its ``requests``, ``resumed`` (starts of ranges), ``created`` and ``cards`` tell what was asked;
    ``faults`` are what will go wrong.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.repos, server.requests, server.patience, server.commit = repos, [], None, COMMIT
    server.faults, server.lock, server.over = [], threading.Lock(), threading.Event()
    server.resumed, server.created, server.cards, server.has_ranges = [], {}, [], True
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def connected(repos, monkeypatch, folder):
    """Has huggingface_hub in this process ask a hub on loopback; what it waits for takes no time.

    Yields the server; its ``waits`` are the seconds that would have been slept.
    """
    with hub(repos) as server:
        server.waits = []
        close = getattr(huggingface_hub, "close_session", lambda: None)
        close()
        template = "/{repo_id}/resolve/{revision}/{filename}"
        values = {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + template,
            "HF_HUB_CACHE": str(folder / "hub"),
            "HF_TOKEN_PATH": str(folder / "token"),
            "HF_HUB_DOWNLOAD_TIMEOUT": 0.5,
            "HF_HUB_ETAG_TIMEOUT": 0.5,
            "DOWNLOAD_CHUNK_SIZE": 4096,
            "_ETAG_RETRY_TIMEOUT": 0.5,
        }
        for module in (constants, file_download, hf_api, repocard, utils._http):
            for name in values.keys() & vars(module).keys():  # older versions have copies of them
                monkeypatch.setattr(module, name, values[name])
        monkeypatch.setattr(time, "sleep", server.waits.append)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        try:
            yield server
        finally:
            close()
