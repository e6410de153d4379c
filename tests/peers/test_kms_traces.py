"""Traces of `kms-service`, as a receiver of OpenTelemetry gets them."""

import pytest
import requests
from kms_command import KmsCommand, text64
from kms_node import KmsService
from node import IS_BAO, free_port
from test_kms_planted import GRPC, KEPT, data_key
from test_traces import CALLER, SPAN, receiver, spans, told  # noqa: F401  (a fixture)

pytestmark = pytest.mark.skipif(IS_BAO, reason="kms-service is ours alone")

PLANTED = "planted-value-of-traces"
IDENTIFIER = "volume-of-traces"
LOCAL = 'dev_backend = "local"\n[kms.local]\nkeys_path = "keys.txt"\n'
TRACED = {"traceparent": f"00-{CALLER}-{SPAN}-01"}


@pytest.fixture
def serve(tmp_path):
    """Starts a service that sends traces; ends it."""
    started = []

    def make(endpoint, more=""):
        KmsCommand(tmp_path).configure().ok("create-key")
        traces = f'[service.traces]\nendpoint = "{endpoint}"\n{more}{GRPC}'
        kept = KEPT.replace("FOLDER", str(tmp_path))
        started.append(KmsService(tmp_path, LOCAL, traces + kept).start())
        return started[-1]

    yield make
    for service in started:
        assert service.stop() == 0, service.log.read_text()


def ask(service, headers=None, **body):
    url = f"{service.url}/api/v1/kms/encrypt"
    return service.session.post(url, json=body, headers=headers, timeout=30).status_code


def test_calls_stand_below_requests_and_those_below_their_callers(serve, receiver):  # noqa: F811
    url, got = receiver
    service = serve(url)
    context = f"env={PLANTED}"
    assert ask(service, TRACED, plaintext=text64(PLANTED), context=context) == 200
    assert ask(service, {"traceparent": f"00-{CALLER}-{SPAN}-00"}, plaintext="") == 200
    assert ask(service, plaintext=PLANTED) == 400
    assert len(data_key(service, IDENTIFIER)) == 32
    requests.get(f"{service.url}/{PLANTED}", timeout=30)
    service.stop()
    sent = spans(got, "kms-service")
    request, call = sorted(
        (span for span in sent if span.trace_id.hex() == CALLER), key=lambda span: span.name != "kms"
    )[::-1]
    assert (request.name, request.kind) == ("POST /api/v1/kms/encrypt", request.SPAN_KIND_SERVER)
    assert request.parent_span_id.hex() == SPAN
    facts = told(request)
    assert len(facts.pop("kms.request_id")) == 36
    assert facts == {"http.response.status_code": 200}
    assert call.parent_span_id == request.span_id
    facts = told(call)
    assert {facts[key] for key in ["operation", "provider", "key"]} == {"encrypt", "local", "default"}

    def traced(name):
        (span,) = [span for span in sent if span.name == name and span.trace_id.hex() != CALLER]
        below = [other for other in sent if other.parent_span_id == span.span_id]
        return told(span), [told(other)["operation"] for other in below]

    refused, asked = traced("POST /api/v1/kms/encrypt")
    assert (refused["http.response.status_code"], asked) == (400, [])
    made, asked = traced("kms.API/GetDataKey")
    assert (made["rpc.grpc.status_code"], asked) == (0, ["generate_data_key"])
    assert traced("GET other")[0]["http.response.status_code"] == 404
    everything = b"".join(body for _, _, body in got)
    for secret in (PLANTED, text64(PLANTED)[:-2], IDENTIFIER):
        assert secret.encode() not in everything


def test_the_sampling_ratio_decides_where_no_caller_does(serve, receiver):  # noqa: F811
    url, got = receiver
    service = serve(url, "sampling_ratio = 0.0\n")
    assert ask(service, plaintext="") == 200
    assert ask(service, TRACED, plaintext="") == 200
    service.stop()
    assert {span.trace_id.hex() for span in spans(got, "kms-service")} == {CALLER}


def test_a_receiver_that_is_gone_holds_up_nobody(serve):
    service = serve(f"http://127.0.0.1:{free_port()}")
    assert [ask(service, plaintext="") for _ in range(20)] == [200] * 20
