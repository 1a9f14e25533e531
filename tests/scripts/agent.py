"""A stand-in for a Consul agent (and for Envoy's admin): it answers by rules and records what it is asked.

Usage: agent.py FOLDER [CERT KEY]. In FOLDER:
  port      written: where it listens, on AGENT_ADDRESS or 127.0.0.1; AGENT_PORT chooses it. With CERT and KEY it speaks
            TLS, with AGENT_ASKS_FOR_CERTIFICATE only to clients that have a certificate, too
  rules     read at each request: TIMES|METHOD|PATH REGEX|STATUS|BODY, the first that matches counts; TIMES is how
            often it does, or * ; the BODY @hang means: no answer
  requests  written: METHOD PATH TOKEN, a line a request
  body.N    written: the body of request N, counted from 1
"""
import http.server, os, re, socket, ssl, sys, threading, time

folder = sys.argv[1]
lock = threading.Lock()
used = {}
count = 0


class Agent(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self):
        global count
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with lock:
            count += 1
            with open(f"{folder}/body.{count}", "wb") as f:
                f.write(body)
            with open(f"{folder}/requests", "a") as f:
                f.write(f"{self.command} {self.path} {self.headers.get('X-Consul-Token', '-')}\n")
            status, text = self.rule()
        if text == "@hang":
            time.sleep(30)
            return
        text = text.encode()
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def rule(self):
        if os.path.exists(f"{folder}/rules"):
            for line in open(f"{folder}/rules"):
                times, method, path, status, text = line.rstrip("\n").split("|", 4)
                if method not in ("*", self.command) or not re.search(path, self.path):
                    continue
                if times != "*":
                    if used.get(line, 0) >= int(times):
                        continue
                    used[line] = used.get(line, 0) + 1
                return status, text
        if self.path.startswith("/v1/status/leader"):
            return 200, '"127.0.0.1:8300"'
        if self.command == "GET" and self.path.startswith("/v1/agent/service/"):
            return 200, '{"Address": "%s"}' % os.environ.get("POD_IP")
        return 200, "true"

    do_GET = do_PUT = do_POST = answer


address = os.environ.get("AGENT_ADDRESS", "127.0.0.1")
if ":" in address:
    http.server.ThreadingHTTPServer.address_family = socket.AF_INET6
port = int(os.environ.get("AGENT_PORT", "0"))
server = http.server.ThreadingHTTPServer((address, port), Agent)
server.daemon_threads = True
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    if os.environ.get("AGENT_ASKS_FOR_CERTIFICATE"):
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(f"{folder}/port.new", "w") as f:
    f.write(str(server.server_port))
os.rename(f"{folder}/port.new", f"{folder}/port")
server.serve_forever()
