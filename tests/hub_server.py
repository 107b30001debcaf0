"""A Hugging Face hub on loopback: the part of its HTTP protocol that files and commits need."""

import base64
import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        self.server.requests.append(f"{self.command} {self.path}")

    def _answer(self, status, body=b"", **headers):
        body = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        if self.server.patience and self.command == "HEAD" and "safetensors" in self.path:
            self.server.patience.wait()
        owner, name, kind, *rest = (*unquote(self.path.split("?")[0]).strip("/").split("/"), "", "")
        if owner == "api":
            return self._answer(200, {"id": f"{kind}/{rest[0]}", "sha": COMMIT, "siblings": []})
        files = self.server.repos.get(f"{owner}/{name}")
        if files is None:
            return self._answer(401, X_Error_Code="RepoNotFound", X_Error_Message="no such repo")
        content = files.get("/".join(rest[1:]).strip("/"))
        if rest[0] not in ("main", COMMIT):
            return self._answer(404, X_Error_Code="RevisionNotFound", X_Error_Message="revision")
        if content is None:
            return self._answer(
                404, X_Error_Code="EntryNotFound", X_Error_Message="no file", X_Repo_Commit=COMMIT
            )
        etag = hashlib.sha256(content).hexdigest()
        self._answer(200, content, ETag=f'"{etag}"', X_Repo_Commit=COMMIT)

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.split("?")[0].strip("/").split("/")
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.server.repos.setdefault(repo, {})
            return self._answer(200, {"url": f"{self.server.url}/{repo}"})
        if self.path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        repo = "/".join(parts[2:4])
        if parts[4] == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in json.loads(body)["files"]
            ]
            return self._answer(200, {"files": files})
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                value = entry["value"]
                self.server.repos[repo][value["path"]] = base64.b64decode(value["content"])
        url = f"{self.server.url}/{repo}/commit/{COMMIT}"
        self._answer(200, {"success": True, "commitOid": COMMIT, "commitUrl": url})


@contextlib.contextmanager
def hub(repos):
    """Serves ``{repo_id: {file: bytes}}``; yields the server, whose ``url`` is the endpoint."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.repos, server.requests, server.patience = repos, [], None
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
