"""A mutating webhook that rebuilds init containers from the fields that it knows: it loses restartPolicy.

Usage: strip-restart-policy.py ADDRESS PORT CERTIFICATE KEY
"""
import base64, http.server, json, ssl, sys


class Webhook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        containers = request["object"]["spec"].get("initContainers", [])
        patch = [
            {"op": "remove", "path": f"/spec/initContainers/{place}/restartPolicy"}
            for place, container in enumerate(containers)
            if "restartPolicy" in container
        ]
        response = {
            "uid": request["uid"],
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
        }
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


address, port, certificate, key = sys.argv[1:]
server = http.server.ThreadingHTTPServer((address, int(port)), Webhook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
