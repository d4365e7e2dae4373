"""Kubernetes manifests: KubeRay's strict schemas where they are there, own strict fields for the rest, our rules."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from helpers.cluster_commands import command_faults, mlflow_faults, study_faults, unknown_options
from helpers.cluster_fields import CLUSTER, PINS, ROOT, field_faults, load

SCHEMAS = ROOT.parent / "shared" / "kuberay"
IMAGE = f"registry.example.com/dge-ray:{PINS['ray']}"
QUANTITY = r"\d+(m|Mi|Gi)?"
NAME = r"[a-z]([a-z0-9-]*[a-z0-9])?"
VARIABLES = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "PGDATA", "MLFLOW_BACKEND_STORE_URI"}
JOB_VARIABLES = {"MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"}
LABELS = {"app!": NAME}
RESOURCES = {"cpu": QUANTITY, "memory": QUANTITY, "nvidia.com/gpu": r"\d+"}
PROBE = {
    "exec": {"command!": [str]},
    "httpGet": {"path!": {"/health"}, "port!": NAME},
    "periodSeconds": int,
}
CONTAINER = {
    "name!": NAME,
    "image!": str,
    "command": [str],
    "securityContext!": {"allowPrivilegeEscalation!": {False}, "capabilities!": {"drop!": [{"ALL"}]}},
    "env!": [{"name!": VARIABLES, "value": str, "valueFrom": {"secretKeyRef!": {"name!": NAME, "key!": str}}}],
    "ports!": [{"name!": NAME, "containerPort!": int}],
    "readinessProbe!": PROBE,
    "resources!": {"requests!": RESOURCES, "limits!": RESOURCES},
    "volumeMounts!": [{"name!": NAME, "mountPath!": r"/\S+"}],
}
POD = {
    "enableServiceLinks": {False},
    "securityContext!": {"runAsNonRoot!": {True}, "runAsUser!": int, "fsGroup!": int},
    "containers!": [CONTAINER],
    "volumes!": [{"name!": NAME, "persistentVolumeClaim!": {"claimName!": NAME}}],
}
SELECTOR = {"matchLabels": LABELS}
PLAIN = {
    ("v1", "PersistentVolumeClaim"): {
        "accessModes!": [{"ReadWriteOnce", "ReadWriteMany"}],
        "resources!": {"requests!": {"storage!": QUANTITY}},
        "storageClassName": str,
    },
    ("apps/v1", "Deployment"): {
        "replicas!": {1},
        "strategy!": {"type!": {"Recreate"}},
        "selector!": {"matchLabels!": LABELS},
        "template!": {"metadata!": {"labels!": LABELS}, "spec!": POD},
    },
    ("v1", "Service"): {
        "type!": {"ClusterIP"},
        "selector!": LABELS,
        "ports!": [{"name!": NAME, "port!": int, "targetPort!": NAME}],
    },
    ("networking.k8s.io/v1", "NetworkPolicy"): {
        "podSelector!": {"matchLabels!": LABELS},
        "policyTypes!": [{"Ingress"}],
        "ingress!": [{"from!": [{"podSelector!": SELECTOR}]}],
    },
}


@cache
def validator(kind: str) -> Any:
    from jsonschema import Draft7Validator

    return Draft7Validator(json.loads((SCHEMAS / f"{kind.lower()}.v1.schema.json").read_text()))


def kubernetes_faults(text: str) -> list[str]:
    """What is wrong with a manifest."""
    documents = load(text)
    found = [fault for document in documents for fault in shape_faults(document)]
    if found:
        return found
    for document in documents:
        if document["kind"] == "RayJob":
            found += job_faults(document["spec"])
        elif document["kind"] == "RayCluster":
            found += cluster_faults(document["spec"])
    plain = [document for document in documents if document["apiVersion"] != "ray.io/v1"]
    return found + (wiring_faults(plain) if plain else []) + command_faults(text)


def shape_faults(document: Any) -> list[str]:
    """Fields that the object does not have, or that it lacks."""
    kind = document.get("kind")
    if document.get("apiVersion") == "ray.io/v1" and kind in ("RayJob", "RayCluster"):
        errors = validator(kind).iter_errors(document)
        named = field_faults(document.get("metadata"), {"name!": NAME}, "metadata")  # the schema leaves it open
        return named + [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in errors]
    spec = PLAIN.get((document.get("apiVersion"), kind))
    if spec is None:
        return [f"{document.get('apiVersion')} {kind}: unknown"]
    return field_faults(document, {"apiVersion!": str, "kind!": str, "metadata!": {"name!": NAME}, "spec!": spec}, kind)


def job_faults(spec: dict[str, Any]) -> list[str]:
    wanted = {"submissionMode": "K8sJobMode", "shutdownAfterJobFinishes": True}
    found = [f"{key}: not {value}" for key, value in wanted.items() if spec.get(key) != value]
    limits = ("ttlSecondsAfterFinished", "activeDeadlineSeconds", "backoffLimit")
    found += [f"{key}: not said" for key in limits if key not in spec]
    words = spec.get("entrypoint", "").split()
    found += study_faults(words[1:]) if words[:1] == ["dge-ray"] else [f"entrypoint: {words}"]
    if not any(word.startswith(("storage=/studies", "storage=s3://", "storage=gs://")) for word in words):
        found.append("entrypoint: results would stay in a pod")
    return found + runtime_faults(spec.get("runtimeEnvYAML", "")) + cluster_faults(spec["rayClusterSpec"])


def runtime_faults(text: str) -> list[str]:
    """A runtime environment: fields that Ray knows, variables that MLflow knows, the MLflow service's address."""
    from ray.runtime_env import RuntimeEnv

    env = load(text)[0] if text else {}
    found = [f"runtime_env.{key}: unknown" for key in env if key not in RuntimeEnv.known_fields]
    variables = env.get("env_vars", {})
    found += [f"env_vars.{key}: unknown" for key in variables if key not in JOB_VARIABLES]
    if variables.get("MLFLOW_TRACKING_URI") not in {f"http://{at}" for at in service_addresses()}:
        found.append("MLFLOW_TRACKING_URI: not the address of mlflow.yaml's service")
    if found:
        return found
    try:
        RuntimeEnv(**env)
    except (TypeError, ValueError) as error:
        found.append(f"runtime_env: {error}")
    return found


def cluster_faults(spec: dict[str, Any]) -> list[str]:
    """Ray's pods: one version everywhere, a head without work, GPUs on workers, the token, storage that all see."""
    from ray.scripts.scripts import cli

    found = []
    head, groups = spec["headGroupSpec"], spec.get("workerGroupSpecs", [])
    if spec.get("rayVersion") != PINS["ray"]:
        found.append(f"rayVersion: not {PINS['ray']}")
    if spec.get("authOptions") != {"mode": "token"}:
        found.append("authOptions: no token")
    if spec.get("enableInTreeAutoscaling") is not True or "idleTimeoutSeconds" not in spec.get("autoscalerOptions", {}):
        found.append("the cluster does not scale")
    sidecar = {"requests!": RESOURCES, "limits!": RESOURCES}
    found += field_faults(spec.get("autoscalerOptions", {}).get("resources"), sidecar, "autoscalerOptions.resources")
    if head.get("serviceType") != "ClusterIP" or head.get("enableIngress"):
        found.append("headGroupSpec: the dashboard can be reached from outside")
    if head.get("rayStartParams") != {"num-cpus": "0"}:
        found.append("headGroupSpec: the head takes work")
    for group in (head, *groups):
        options = [f"--{key}" for key in group["rayStartParams"]]
        found += [f"rayStartParams {option}: unknown" for option in unknown_options(options, cli.commands["start"])]
        found += pod_faults(group["template"]["spec"])
    for group in groups:
        low, high = group["minReplicas"], group["maxReplicas"]
        if not low <= group.get("replicas", low) <= high:
            found.append(f"{group['groupName']}: replicas outside its own bounds")
        if "nodeSelector" in group["template"]["spec"] and low:
            found.append(f"{group['groupName']}: spot machines come by request only")
    if not any(group["minReplicas"] for group in groups):
        found.append("no worker is there when a study starts")
    gpus = [c["resources"]["limits"].get("nvidia.com/gpu") for g in groups for c in g["template"]["spec"]["containers"]]
    return found if any(gpus) else [*found, "no worker has a GPU limit"]


def pod_faults(pod: dict[str, Any]) -> list[str]:
    """One of Ray's pods; KubeRay's schema leaves its maps open, and values are ours."""
    secured = {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000}
    found = [] if pod.get("securityContext") == secured else ["securityContext: the pod may run as root"]
    if pod.get("restartPolicy") != "Never":
        found.append("restartPolicy: a pod that restarts would be another node under the same name")
    found += field_faults(pod.get("nodeSelector", {}), {"cloud.google.com/gke-spot": {"true"}}, "nodeSelector")
    fields = {key: CONTAINER[key] for key in ("name!", "securityContext!", "resources!", "volumeMounts!")}
    for container in pod["containers"]:
        found += field_faults(container, {**fields, "image!": {IMAGE}}, container["name"])
    return found + volume_faults(pod)


def volume_faults(pod: dict[str, Any]) -> list[str]:
    """Mounts without a volume, volumes without a claim, a claim that no manifest makes."""
    volumes = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod.get("volumes", [])}
    mounted = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", [])}
    claims = {document["metadata"]["name"] for document in committed("PersistentVolumeClaim")}
    found = [] if mounted == set(volumes) else [f"volumes {sorted(volumes)}, mounts {sorted(mounted)}"]
    return found + [f"claim {claim}: made nowhere" for claim in volumes.values() if claim not in claims]


def wiring_faults(documents: list[dict[str, Any]]) -> list[str]:
    """Plain objects that point at each other: labels, ports, claims, secrets, the database's address."""
    deployments = [d["spec"]["template"] for d in documents if d["kind"] == "Deployment"]
    labels = [d["metadata"]["labels"] for d in deployments]
    found = []
    for document in documents:
        name, spec = f"{document['kind']} {document['metadata']['name']}", document["spec"]
        if document["kind"] == "PersistentVolumeClaim":
            continue
        chosen = {"Service": spec.get("selector"), "Deployment": spec.get("selector", {}).get("matchLabels")}
        wanted = chosen.get(document["kind"]) or spec["podSelector"]["matchLabels"]
        targets = [d["spec"] for d in deployments if d["metadata"]["labels"] == wanted]
        if not targets:
            found.append(f"{name}: selects no pod")
        elif document["kind"] == "Service":
            ports = {(p["name"], p["containerPort"]) for c in targets[0]["containers"] for p in c["ports"]}
            found += [f"{name}: port {p}" for p in spec["ports"] if (p["targetPort"], p["port"]) not in ports]
        elif document["kind"] == "NetworkPolicy":
            peers = [peer["podSelector"].get("matchLabels") for rule in spec["ingress"] for peer in rule["from"]]
            found += [f"{name}: lets in nobody" for peer in peers if peer is not None and peer not in labels]
    for pod in (d["spec"] for d in deployments):
        found += volume_faults(pod)
        for container in pod["containers"]:
            found += container_faults(container, pod)
    return found


def container_faults(container: dict[str, Any], pod: dict[str, Any]) -> list[str]:
    """Images, variables and commands of the MLflow server and its database."""
    found = [f"{v['name']}: in the open" for v in container["env"] if "PASSWORD" in v["name"] and "valueFrom" not in v]
    ports = {port["name"] for port in container["ports"]}
    probe = container["readinessProbe"]
    if not {"exec", "httpGet"} & set(probe) or ("httpGet" in probe and probe["httpGet"]["port"] not in ports):
        found.append("readinessProbe: asks nothing")
    if "command" not in container:
        tagged = field_faults(container["image"], r"postgres:\d+\.\d+", "image")
        return found + tagged + ([] if probe.get("exec", {}).get("command", [""])[0] == "pg_isready" else ["probe"])
    uri = {v["name"]: v.get("value") for v in container["env"]}.get("MLFLOW_BACKEND_STORE_URI")
    database = next(at for at in service_addresses() if at.endswith(":5432"))
    if uri != f"postgresql://mlflow:$(POSTGRES_PASSWORD)@{database}/mlflow":
        found.append(f"MLFLOW_BACKEND_STORE_URI: {uri}")
    server = next(at for at in service_addresses() if at.endswith(":5000"))
    if f"--allowed-hosts={server},localhost:5000" not in container["command"] or pod.get("enableServiceLinks", True):
        found.append("the server would refuse its own name, or take Kubernetes' MLFLOW_PORT for its own")
    if not any(
        word == f"--artifacts-destination={m['mountPath']}"
        for word in container["command"]
        for m in container["volumeMounts"]
    ):
        found.append("artifacts would stay in the pod")
    return found + field_faults(container["image"], {IMAGE}, "image") + mlflow_faults(container["command"])


@cache
def committed(kind: str) -> list[dict[str, Any]]:
    """The objects of a kind in the manifests as they are committed."""
    return [d for path in manifests() for d in load(path.read_text()) if d["kind"] == kind]


def service_addresses() -> Iterator[str]:
    for service in committed("Service"):
        yield from (f"{service['metadata']['name']}:{port['port']}" for port in service["spec"]["ports"])


def manifests() -> list[Path]:
    return sorted((CLUSTER / "kuberay").glob("*.yaml"))
