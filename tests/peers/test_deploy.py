"""What stands in `deploy/` and in the guides of the KMS is what the programs and their peers accept."""

import functools
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import kms_toml
import kubernetes_validate
import pytest
import yaml
from kms_node import kms_service_binary
from node import IS_BAO, secretum_binary

pytestmark = pytest.mark.skipif(IS_BAO, reason="these files are of our own programs")

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
GUIDES = sorted((ROOT / "docs" / "kms").glob("*.md"))

# Exposure as systemd-analyze counts it, times ten: 100 is a service without any hardening.
EXPOSURE_MAX = 20
# The oldest and the newest version of Kubernetes that the manifests are for.
KUBERNETES = ["1.29", "1.37"]


# --- systemd -----------------------------------------------------------------------------------


def analyze(*arguments):
    tool = shutil.which("systemd-analyze")
    assert tool, "no `systemd-analyze` command: apt-get install systemd"
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture(params=["kms-service", "secretum"])
def unit(request, tmp_path):
    """A unit that starts the binaries under test, which the verification looks for."""
    text = (DEPLOY / "systemd" / f"{request.param}.service").read_text()
    for name, binary in [("kms-service", kms_service_binary()), ("secretum", secretum_binary())]:
        text = text.replace(f"/usr/bin/{name} ", f"{binary} ")
    file = tmp_path / f"{request.param}.service"
    file.write_text(text)
    return file


def test_systemd_knows_every_line_of_a_unit(unit):
    done = analyze("verify", "--man=no", str(unit))
    told = [line for line in done.stderr.splitlines() if unit.name in line]
    assert done.returncode == 0 and told == [], done.stderr


def test_units_are_hardened(unit):
    done = analyze(
        "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX}", str(unit)
    )
    assert done.returncode == 0, done.stdout + done.stderr


def settings_of(name):
    pairs = re.findall(r"^(\w+)=(.*)$", (DEPLOY / "systemd" / name).read_text(), re.M)
    return dict(pairs)


@pytest.mark.parametrize("name", ["kms-service", "secretum"])
def test_a_unit_is_started_until_what_it_waits_for_is_there(name):
    """Such as the daemon that takes its audit records, when a whole cluster starts at once."""
    settings = settings_of(f"{name}.service")
    assert settings["Restart"] == "on-failure" and int(settings["RestartSec"]) >= 5
    # Without a number of tries in a time.
    assert settings["StartLimitIntervalSec"] == "0" and "StartLimitBurst" not in settings


def test_users_and_folders_of_the_units_are_made():
    sysusers = (DEPLOY / "systemd" / "sysusers.conf").read_text()
    tmpfiles = (DEPLOY / "systemd" / "tmpfiles.conf").read_text()
    for name in ["kms-service.service", "secretum.service"]:
        unit = settings_of(name)
        assert re.search(rf"^u {unit['User']}\s", sysusers, re.M)
        folder = unit["LoadCredential"].split(":")[1]
        assert re.search(rf"^d {folder}\s+0700 root root", tmpfiles, re.M)


# --- containers --------------------------------------------------------------------------------


def test_the_image_is_built_by_the_toolchain_of_the_repository():
    text = (DEPLOY / "container" / "Containerfile").read_text()
    toolchain = tomllib.loads((ROOT / "rust-toolchain.toml").read_text())["toolchain"]
    assert f"ARG RUST_VERSION={toolchain['channel']}\n" in text
    manifests = [tomllib.loads(f.read_text()) for f in (ROOT / "crates").glob("*/Cargo.toml")]
    binaries = {m["package"]["name"]: [b["name"] for b in m.get("bin", [])] for m in manifests}
    for package in re.findall(r"--package (\S+)", text):
        (binary,) = binaries[package]
        assert f"target/release/{binary} /out/usr/bin/{binary}" in text
        assert f'ENTRYPOINT ["/usr/bin/{binary}"]' in text
    assert re.findall(r"^USER (.*)$", text, re.M) == ["65532:65532"] * 2


# --- Kubernetes --------------------------------------------------------------------------------


def kustomize():
    path = os.environ.get("SECRETUM_KUSTOMIZE")
    assert path and os.access(path, os.X_OK), "SECRETUM_KUSTOMIZE must name `kustomize`: see ./test"
    return Path(path).resolve()


@functools.cache
def rendered(folder):
    """Every document, as kustomize makes them."""
    command = [kustomize(), "build", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def manifests():
    return rendered(DEPLOY / "kubernetes")


def of_kind(kind):
    return the(kind, manifests())


def the(kind, documents):
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


@pytest.mark.parametrize("version", KUBERNETES)
def test_manifests_fit_the_schemas(version):
    files = {f.name for f in (DEPLOY / "kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    # And what is generated.
    assert len(manifests()) == len(files) + 1
    for document in manifests():
        kubernetes_validate.validate(document, version, strict=True)
        assert "namespace" not in document["metadata"], document["kind"]


def test_the_overlay_of_the_guide_is_what_it_says(tmp_path):
    guide = (ROOT / "docs" / "kms" / "service.md").read_text()
    (script,) = re.findall(r"^```sh\n(mkdir -p overlay .*?)^```", guide, re.M | re.S)
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    subprocess.run(["bash", "-eu", "-c", script], cwd=tmp_path, check=True, timeout=60)
    own = tmp_path / "overlay" / "kms.toml"
    own.write_text(own.read_text() + "# ours\n")
    documents = rendered(tmp_path / "overlay")
    assert {document["metadata"]["namespace"] for document in documents} == {"kms"}
    pod = the("Deployment", documents)["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "registry.example/kms-service:0.1.0"
    settings = the("ConfigMap", documents)
    assert settings["data"]["kms.toml"].endswith("# ours\n")
    names = [v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v]
    # Its name tells its content, so that pods start anew with another one.
    assert settings["metadata"]["name"] in names
    assert settings["metadata"]["name"] != of_kind("ConfigMap")["metadata"]["name"]


def test_selectors_mean_the_pods_of_the_deployment():
    template = of_kind("Deployment")["spec"]["template"]
    labels = template["metadata"]["labels"]
    service = of_kind("Service")["spec"]
    ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
    assert service["ports"][0]["targetPort"] in ports
    chosen = service["selector"]
    assert chosen and chosen.items() <= labels.items()
    assert of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == chosen
    for kind in ["Deployment", "PodDisruptionBudget"]:
        assert of_kind(kind)["spec"]["selector"]["matchLabels"] == chosen


def test_the_pod_passes_the_restricted_standard():
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    security = pod["securityContext"]
    assert security["runAsNonRoot"] and security["runAsUser"] > 0
    assert security["seccompProfile"]["type"] == "RuntimeDefault"
    (container,) = pod["containers"]
    own = container["securityContext"]
    assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"]
    assert own["capabilities"] == {"drop": ["ALL"]}
    kinds = {next(key for key in volume if key != "name") for volume in pod["volumes"]}
    assert kinds <= {"configMap", "secret", "projected", "emptyDir"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


def test_the_configuration_of_the_pod_is_right(tmp_path, certificates):
    """And each file that it names is mounted."""
    text = of_kind("ConfigMap")["data"]["kms.toml"]
    code, told = kms_toml.Sandbox(tmp_path, certificates).check(text)
    assert code == 0, told
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {Path(mount["mountPath"]): mount["name"] for mount in container["volumeMounts"]}
    assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
    for path in re.findall(r'^\w+_path = "(.*)"$', text, re.M):
        assert Path(path).parent in mounts, path
    port = tomllib.loads(text)["service"]["address"].rsplit(":", 1)[1]
    assert container["ports"][0]["containerPort"] == int(port)


# --- guides ------------------------------------------------------------------------------------


def configurations():
    """Every configuration of every guide, for each stage that it has a backend for."""
    for guide in GUIDES:
        for line, text in kms_toml.of_guide(guide.read_text()):
            for stage in kms_toml.stages(text):
                yield pytest.param(text, stage, id=f"{guide.name}:{line}-{stage}")


def lacks(told, provider):
    """Whether a provider was left out when the program was built, as those of clouds may be."""
    return provider in ("aws", "azure", "gcp") and "which this program was built without" in told


@pytest.mark.parametrize(("text", "stage"), list(configurations()))
def test_configurations_of_the_guides_are_right(text, stage, tmp_path, certificates):
    code, told = kms_toml.Sandbox(tmp_path, certificates).check(text, stage)
    if "build it with the feature" in told or lacks(told, kms_toml.backend(text, stage)):
        pytest.skip(told.strip().splitlines()[-1])
    assert code == 0 and "`kms.toml` is in order\n" in told, told


def test_a_configuration_that_is_wrong_is_noticed(tmp_path, certificates):
    sandbox = kms_toml.Sandbox(tmp_path, certificates)
    for wrong in [
        '[kms]\nenvironment = "dev"\ndev_backend = "agee"\n',
        '[kms.vault]\naddres = "https://vault.example:8200"\n',
        '[service]\naddress = "0.0.0.0:8082"\n',
        '[service.grpc]\naddress = "nowhere"\n',
    ]:
        code, told = sandbox.check(wrong)
        assert code == 1 and "error: kms.toml:" in told, told


def test_every_guide_is_in_the_index():
    index = (ROOT / "docs" / "kms" / "README.md").read_text()
    for guide in GUIDES:
        assert guide.name == "README.md" or f"({guide.name})" in index, guide.name
