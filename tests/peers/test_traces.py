"""Traces, as a receiver of OpenTelemetry gets them."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from node import Node, free_port, only_secretum, settings, until
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from test_listeners import ask

pytestmark = only_secretum("our key of the configuration")

CALLER = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.fixture
def receiver():
    """A receiver on a free port: its URL, and what it got."""
    got = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["Content-Type"], body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()


def spans(got, service="secretum"):
    """Every span that was sent."""
    found = []
    for path, kind, body in got:
        assert (path, kind) == ("/v1/traces", "application/x-protobuf")
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            assert names["service.name"] == service
            for scope in resource.scope_spans:
                found += scope.spans
    return found


def told(span):
    values = {a.key: a.value for a in span.attributes}
    return {
        key: value.int_value if value.HasField("int_value") else value.string_value
        for key, value in values.items()
    }


@pytest.fixture
def start(tmp_path):
    made = []

    def run(telemetry):
        document = settings(tmp_path, free_port(), None, "inmem")
        document["telemetry"] = telemetry
        file = tmp_path / "server.json"
        file.write_text(json.dumps(document))
        made.append(Node(tmp_path, [f"-config={file}"], document["api_addr"]))
        return made[-1].start().initialize(1, 1).unseal()

    yield run
    for node in made:
        node.stop()


def test_requests_are_traced_below_their_callers(start, receiver):
    url, got = receiver
    node = start({"otlp_endpoint": url})
    wire = node.wire()
    wire.put("sys/mounts/plain", {"type": "kv", "options": {"version": "1"}}).expect(204)
    wire.put("plain/planted-name", {"value": "planted-value-traces"}).expect(204)
    target = ("127.0.0.1", wire.url.port)
    headers = [f"traceparent: 00-{CALLER}-{SPAN}-01"]
    assert ask("plain/planted-name", target, node.root_token, headers=headers)[0] == 200
    unsampled = [f"traceparent: 00-{CALLER}-{SPAN}-00"]
    assert ask("plain/missing", target, node.root_token, headers=unsampled)[0] == 404
    node.stop()
    below = [span for span in spans(got) if span.trace_id.hex() == CALLER]
    assert len(below) == 1, "what the caller does not trace is not traced"
    (span,) = below
    assert span.parent_span_id.hex() == SPAN
    assert span.name == "read kv"
    assert span.end_time_unix_nano > span.start_time_unix_nano
    facts = told(span)
    assert len(facts.pop("secretum.request_id")) == 36
    assert facts == {
        "secretum.operation": "read",
        "secretum.mount": "plain/",
        "secretum.mount_type": "kv",
        "http.response.status_code": 200,
    }
    own = [span for span in spans(got) if span.trace_id.hex() != CALLER]
    assert {"update kv", "update system"} <= {span.name for span in own}
    assert all(not span.parent_span_id for span in own)
    sent = b"".join(body for _, _, body in got)
    for secret in (b"planted-", node.root_token.encode(), node.keys[0].encode()):
        assert secret not in sent


def test_the_sampling_ratio_decides_where_no_caller_does(start, receiver):
    url, got = receiver
    node = start({"otlp_endpoint": url, "otlp_sampling_ratio": 0})
    node.wire().get("sys/mounts").expect(200)
    target = ("127.0.0.1", node.wire().url.port)
    headers = [f"traceparent: 00-{CALLER}-{SPAN}-01"]
    assert ask("sys/mounts", target, node.root_token, headers=headers)[0] == 200
    node.stop()
    assert [span.trace_id.hex() for span in spans(got)] == [CALLER]


def test_a_receiver_that_is_gone_holds_up_nobody(start):
    node = start({"otlp_endpoint": f"http://127.0.0.1:{free_port()}"})
    for _ in range(20):
        node.wire().get("sys/mounts").expect(200)
    until(lambda: node.wire().get("sys/health").status == 200, "an answer")
