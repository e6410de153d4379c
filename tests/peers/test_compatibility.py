"""The page that compares the served paths with Vault's API is current."""

import os
import subprocess
from pathlib import Path

from node import only_secretum, secretum_binary

REPOSITORY = Path(__file__).parents[2]


@only_secretum("the page is of our routes")
def test_the_compatibility_page_is_current():
    environment = {**os.environ, "SECRETUM_BIN": str(secretum_binary())}
    command = ["cargo", "xtask", "docs", "--check"]
    ran = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
