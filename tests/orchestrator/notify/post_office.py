"""Servers on loopback that take messages, refuse them, or never answer."""

import json
import socketserver
from contextlib import suppress
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Event, Thread


class Server:
    """Serves in a thread; ``messages`` are what arrived, ``tries`` counts all that was asked."""

    def __init__(self, server):
        self.server = server
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.messages, self.tried, self.let_go = Queue(), Queue(), Event()
        self.port = server.server_address[1]

    def __enter__(self):
        self.thread = Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def next(self):
        return self.messages.get(timeout=20)


class HttpPost(Server):
    """Takes JSON by POST; ``answer`` is the status, or ``hang``."""

    def __init__(self):
        self.answer = 200
        post = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                post.tried.put(body)
                if post.answer == "hang":
                    post.let_go.wait(60)
                    return
                if post.answer == 200:
                    post.messages.put(body)
                with suppress(OSError):
                    self.send_response(post.answer)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Handler))

    @property
    def url(self):
        return f"json://127.0.0.1:{self.port}/S3CRETTOKEN?rto=1&cto=1"


class SmtpPost(Server):
    """As much of RFC 5321 as a client without encryption needs."""

    def __init__(self):
        self.recipients = []
        post = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                self.say("220 ready")
                for line in self.rfile:
                    word = line.strip().split(b" ")[0].split(b":")[0].upper()
                    if word == b"EHLO":
                        self.say("250-loopback", "250-SMTPUTF8", "250 8BITMIME")
                    elif word == b"RCPT":
                        post.recipients.append(line.decode().strip())
                        self.say("250 ok")
                    elif word == b"DATA":
                        self.say("354 go on")
                        lines = []
                        while (one := self.rfile.readline()) not in (b".\r\n", b""):
                            lines.append(one.removeprefix(b"."))
                        post.messages.put(message_from_bytes(b"".join(lines), policy=policy.default))
                        self.say("250 taken")
                    elif word == b"QUIT":
                        self.say("221 bye")
                        return
                    else:
                        self.say("250 ok")

            def say(self, *lines):
                self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

        super().__init__(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler))

    @property
    def url(self):
        return f"mailto://127.0.0.1:{self.port}?from=sabatier@lab.example&to=marie@lab.example&mode=insecure"
