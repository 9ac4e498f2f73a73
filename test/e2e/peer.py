"""peer: a small HTTP server that answers what a test tells it to and keeps what it was asked."""
import http.server
import json
import socketserver
import ssl
import threading


class Asked:
    def __init__(self, handler, body):
        self.method, self.path, self.body = handler.command, handler.path, body
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        self.json = json.loads(body) if body[:1] in (b"{", b"[") else None

    def __repr__(self):
        return "<%s %s %r>" % (self.method, self.path, self.body)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        peer = self.server.peer
        asked = Asked(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))
        peer.asked.append(asked)
        status, body, headers = peer.answers.pop(0) if len(peer.answers) > 1 else peer.answers[0]
        made = body(asked) if callable(body) else body
        data = made if isinstance(made, bytes) else json.dumps(made).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

    def log_message(self, *args):
        pass


class TcpServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("unix", 0)


class Peer:
    """answers: (status, body, headers), one after the other; the last one for ever."""

    def __init__(self, *answers, tls=None, unix=None, host="127.0.0.1", port=0):
        self.answers, self.asked = [(a + ({},))[:3] for a in answers], []
        self.server = UnixServer(unix, Handler) if unix else TcpServer((host, port), Handler)
        self.server.peer = self
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.cert, tls.key)
            if tls.client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(tls.client_ca)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.addr = "unix://%s" % unix if unix else "http%s://127.0.0.1:%d" % ("s" if tls else "", self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()
