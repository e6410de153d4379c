"""Every route of the generated OpenAPI document, asked with what fits its schema and with what does not."""

import json

import pytest
from node import only_secretum
from openapi_fuzz import fuzz

pytestmark = only_secretum("of our own document")

# What ends the node or the token that the others are asked with.
ENDS = ["/sys/seal", "/sys/step-down", "/auth/token/revoke-self"]
# What bounds or locks out who asks, if it is by chance that a quota is for everything: asked last.
BOUNDS = "^/sys/quotas/"


@pytest.mark.timeout(600)
def test_every_route(fresh, tmp_path):
    own = fresh().start().initialize(1, 1).unseal()
    wire = own.wire()
    log = own.directory / "audit" / "audit.log"
    wire.put("sys/audit/file", {"type": "file", "options": {"file_path": str(log)}}).expect(204)
    wire.put("sys/mounts/kv1", {"type": "kv"}).expect(204)
    wire.put("sys/mounts/kv2", {"type": "kv", "options": {"version": "2"}}).expect(204)
    wire.put("kv2/data/here", {"data": {"x": "y"}}).expect(200)
    document = tmp_path / "openapi.json"
    answer = wire.get("sys/internal/specs/openapi").expect(200)
    document.write_bytes(answer.body)
    routes = sum(len(methods) for methods in answer.json["paths"].values())
    assert routes > 150

    left_out = [word for path in ENDS for word in ("--exclude-path", path)]
    url = f"{own.address}/v1"
    root = [f"--tls-verify={own.cafile}", "--header", f"X-Vault-Token: {own.root_token}"]
    print(fuzz(document, url, tmp_path, [*root, *left_out, "--exclude-path-regex", BOUNDS]))
    fuzz(document, url, tmp_path, [*root, "--include-path-regex", BOUNDS])

    for path in ENDS:
        for body in ['{"x": ', "[]", '{"x": 1}', "null"]:
            answer = own.wire("hvs.nobody").call("PUT", path[1:], body)
            assert answer.status in (400, 403), (path, body, answer.status)
    assert "panicked" not in own.log.read_text()
    for line in filter(None, log.read_bytes().split(b"\n")):
        json.loads(line)
    assert wire.get("sys/seal-status").expect(200).json["sealed"] is False
