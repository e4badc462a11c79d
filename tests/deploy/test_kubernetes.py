"""The Kubernetes example: valid under the published schemas, several replicas, read-only, nothing secret.

There is no cluster here: it is not applied.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from admin_api.router import SECOND_PREFIX
from neuronode_router.settings import PREFIX, Settings, variable
from neuronode_router.version import VERSION

FILE = Path(__file__).parents[2] / "deploy/kubernetes/neuronode.yaml"
OBJECTS: dict[str, dict[str, Any]] = {one["kind"]: one for one in yaml.safe_load_all(FILE.read_text())}
DEPLOYMENT = OBJECTS["Deployment"]["spec"]
POD = DEPLOYMENT["template"]["spec"]
(CONTAINER,) = POD["containers"]
SCRAPES = yaml.safe_load((FILE.parents[1] / "prometheus/kubernetes.yml").read_text())["scrape_configs"]


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("version", ["1.30", "1.34"])
def test_objects_are_valid(kind: str, version: str) -> None:
    """Strictly: a misspelt key is an error, not ignored."""
    kubernetes_validate.validate(OBJECTS[kind], version, strict=True)


def test_a_misspelt_key_would_be_found() -> None:
    """The check above can fail."""
    broken = yaml.safe_load(yaml.safe_dump(OBJECTS["Deployment"]))
    broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.34", strict=True)


def test_the_objects_belong_together() -> None:
    """Service and budget choose the deployment's pods, and a node may be drained."""
    labels = DEPLOYMENT["template"]["metadata"]["labels"]
    budget = OBJECTS["PodDisruptionBudget"]["spec"]

    assert labels == DEPLOYMENT["selector"]["matchLabels"]
    assert labels == OBJECTS["Service"]["spec"]["selector"] == budget["selector"]["matchLabels"]
    assert 1 <= budget["minAvailable"] < DEPLOYMENT["replicas"]
    assert OBJECTS["Service"]["spec"]["ports"][0]["targetPort"] == CONTAINER["ports"][0]["name"]


def test_prometheus_finds_the_pods_and_no_annotation_promises_more() -> None:
    """By their labels and the port's name; a job that annotations lead here sends no key, and every scrape is a 401."""
    (job,) = SCRAPES
    (found,) = job["kubernetes_sd_configs"]
    (selector,) = found["selectors"]
    template = DEPLOYMENT["template"]["metadata"]
    kept = {rule["source_labels"][0]: rule["regex"] for rule in job["relabel_configs"] if "regex" in rule}

    assert selector["label"].split("=") == [*next(iter(template["labels"].items()))]
    assert f"--namespace {found['namespaces']['names'][0]} " in FILE.read_text()
    assert kept["__meta_kubernetes_pod_container_port_name"] == CONTAINER["ports"][0]["name"]
    assert not [name for name in template.get("annotations", {}) if name.startswith("prometheus.io/")]


def test_profiles_follow_their_config_map() -> None:
    """A whole directory, read-only: a file mounted by subPath never changes."""
    mounts = {mount["name"]: mount for mount in CONTAINER["volumeMounts"]}
    environ = {one["name"]: one["value"] for one in CONTAINER["env"]}

    assert mounts["profiles"] == {"name": "profiles", "mountPath": "/profiles", "readOnly": True}
    assert mounts["config"]["readOnly"] is True
    assert environ["NEURONODE_PROFILES"] == "/profiles"
    assert environ["NEURONODE_STATE_DIR"] == mounts["state"]["mountPath"]
    assert set(mounts) == {volume["name"] for volume in POD["volumes"]}


def test_state_and_policy_lie_in_a_writable_mount() -> None:
    """The root is read-only; profiles come from their ConfigMap, and are edited there."""
    environ = {one["name"]: one["value"] for one in CONTAINER["env"]}
    config = Path(CONTAINER["args"][0].removeprefix("--config="))
    writable = {Path(mount["mountPath"]) for mount in CONTAINER["volumeMounts"] if not mount.get("readOnly")}

    settings = Settings.load(environ, config=config)

    assert {settings.state_dir, settings.policy.parent} <= writable


def test_settings_are_real_and_secrets_come_from_a_secret() -> None:
    """A misspelt variable would be ignored silently; a key in the file would be public."""
    known = {variable(name) for name in Settings.model_fields}
    names = {one["name"] for one in CONTAINER["env"]}

    assert {name for name in names if name.startswith(PREFIX)} <= known
    assert not {name for name in names if "KEY" in name or "URL" in name}
    assert CONTAINER["envFrom"] == [{"secretRef": {"name": "neuronode"}}]


def test_probes_call_no_model_and_wait_for_a_slow_start_and_a_revision() -> None:
    """LiteLLM's /health would: it asks every deployment. Importing LiteLLM may take a minute.

    A pod in which nothing is in force takes no other's place.
    """
    paths = {
        probe: CONTAINER[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")
    }
    startup = CONTAINER["startupProbe"]

    assert paths == {
        "startup": f"{SECOND_PREFIX}/health/startup",
        "liveness": "/health/liveliness",
        "readiness": "/health/readiness",
    }
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 120


def test_a_short_outage_of_the_database_takes_no_pod_out() -> None:
    """LiteLLM's readiness goes by it, in all pods at once; keys of the last minute would be served meanwhile."""
    readiness = CONTAINER["readinessProbe"]

    assert 30 <= readiness["periodSeconds"] * readiness["failureThreshold"] <= 60
    assert "allow_requests_on_db_unavailable" in FILE.read_text()


def test_a_pod_can_change_nothing_but_its_own_state() -> None:
    """No root, no capabilities, no token of the cluster, a read-only root."""
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["automountServiceAccountToken"] is False
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_requests_have_time_to_end() -> None:
    """Kubernetes' default of 30 s includes the pause before the stop."""
    assert POD["terminationGracePeriodSeconds"] >= 35


def test_every_command_is_for_the_namespace_and_the_image_is_the_one_that_is_built() -> None:
    """A ConfigMap in another namespace changes nothing here; a tag that nobody built is not found."""
    head = FILE.read_text().partition("apiVersion")[0]
    commands = [line for line in re.findall(r"kubectl (.+)", head) if line != "create namespace neuronode"]
    built = re.findall(r"--tag (\S+)", (FILE.parents[1] / "Dockerfile").read_text())

    assert len(commands) > 4
    assert [line for line in commands if not line.startswith("--namespace neuronode ")] == []
    assert built == [CONTAINER["image"]] == [f"neuronode-router:{VERSION}"]
