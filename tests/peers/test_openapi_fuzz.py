"""Every route of the generated OpenAPI document, asked with what fits its schema and with what does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from node import only_secretum

pytestmark = only_secretum("of our own document")

SEED = "20"
# What ends the node or the token that the others are asked with.
ENDS = ["/sys/seal", "/sys/step-down", "/auth/token/revoke-self"]
# What bounds or locks out who asks, if it is by chance that a quota is for everything: asked last.
BOUNDS = "^/sys/quotas/"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance"
)


def fuzz(own, document, filters, folder):
    """Asks what the filters choose, and gives the summary that the tool prints."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", str(document), f"--url={own.address}/v1", f"--tls-verify={own.cafile}"),
        *("--header", f"X-Vault-Token: {own.root_token}", "--checks", CHECKS),
        *("--seed", SEED, "--phases", "coverage,fuzzing", "--max-examples", "12"),
        *("--continue-on-failure", "--no-shrink", "--generation-database=none"),
        *("--request-timeout", "20", "--no-color", "--warnings=off", *filters),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=400, cwd=folder, env=dict(os.environ)
    )
    failures = done.stdout[: done.stdout.find("= WARNINGS =")]
    assert done.returncode == 0, failures[-8000:] + done.stderr[-2000:]
    return done.stdout


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
    told = fuzz(own, document, [*left_out, "--exclude-path-regex", BOUNDS], tmp_path)
    print(told[told.index("API Operations:") :])
    fuzz(own, document, ["--include-path-regex", BOUNDS], tmp_path)

    for path in ENDS:
        for body in ['{"x": ', "[]", '{"x": 1}', "null"]:
            answer = own.wire("hvs.nobody").call("PUT", path[1:], body)
            assert answer.status in (400, 403), (path, body, answer.status)
    assert "panicked" not in own.log.read_text()
    for line in filter(None, log.read_bytes().split(b"\n")):
        json.loads(line)
    assert wire.get("sys/seal-status").expect(200).json["sealed"] is False
