"""Requests made from an OpenAPI document, by schemathesis: what fits its schemas and what does not."""

import os
import subprocess
import sys
from pathlib import Path

SEED = "20"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance"
)


def fuzz(document, url, folder, options=()):
    """Asks the server at the address what stands in the document, and gives the summary that the tool prints."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", str(document), f"--url={url}", "--checks", CHECKS),
        *("--seed", SEED, "--phases", "coverage,fuzzing", "--max-examples", "12"),
        *("--continue-on-failure", "--no-shrink", "--generation-database=none"),
        *("--request-timeout", "20", "--no-color", "--warnings=off", *options),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=400, cwd=folder, env=dict(os.environ)
    )
    failures = done.stdout[: done.stdout.find("= WARNINGS =")]
    assert done.returncode == 0, failures[-8000:] + done.stderr[-2000:]
    return done.stdout[done.stdout.index("API Operations:") :]
