"""Launcher files (`ray up`): what Ray itself refuses, and what it leaves open: the clouds' fields and our rules."""

import ipaddress
import re
from typing import Any

from helpers.cluster_commands import command_faults, ray_faults
from helpers.cluster_fields import field_faults, load

INSTANCE = r"[a-z0-9-]+\.[a-z0-9]+"
AWS_NODE = {
    "InstanceType!": INSTANCE,
    "SecurityGroupIds!": [r"sg-(YOUR-GROUP|[0-9a-f]{8,17})"],
    "ImageId!": r"ami-(YOUR-IMAGE|[0-9a-f]{8,17})",
    "BlockDeviceMappings": [{"DeviceName!": r"/dev/\w+", "Ebs!": {"VolumeSize!": int, "VolumeType": {"gp3"}}}],
    "IamInstanceProfile!": {"Name!": str},
    "InstanceMarketOptions": {"MarketType!": {"spot"}},
}
GCP_NODE = {
    "machineType!": r"[a-z0-9]+-[a-z]+-\d+",
    "disks!": [
        {
            "boot!": bool,
            "autoDelete!": bool,
            "type!": {"PERSISTENT"},
            "initializeParams!": {"diskSizeGb!": int, "sourceImage!": r"projects/[\w-]+/global/images/family/[\w-]+"},
        }
    ],
    "scheduling": {
        "onHostMaintenance": {"TERMINATE"},
        "provisioningModel": {"SPOT"},
        "instanceTerminationAction": {"DELETE"},
    },
    "serviceAccounts": [{"email!": r"[\w-]+@[\w-]+\.iam\.gserviceaccount\.com", "scopes!": [r"https://www\.\S+"]}],
}
PROVIDERS = {
    "aws": {
        "type!": {"aws"},
        "region!": r"[a-z]{2}(-[a-z]+)+-\d",
        "availability_zone!": r"[a-z]{2}(-[a-z]+)+-\d[a-z](,[a-z]{2}(-[a-z]+)+-\d[a-z])*",
        "cache_stopped_nodes!": {False},
    },
    "gcp": {
        "type!": {"gcp"},
        "region!": r"[a-z]+-[a-z]+\d",
        "availability_zone!": r"[a-z]+-[a-z]+\d-[a-z]",
        "project_id!": r"YOUR-PROJECT|[a-z][a-z0-9-]{4,28}[a-z0-9]",
    },
    "local": {"type!": {"local"}, "head_ip!": str, "worker_ips!": [str]},
}
NODES = {"aws": AWS_NODE, "gcp": GCP_NODE}
SYNCED = {"~/dge_ray": ".", "~/.ray/auth_token": "~/.ray/auth_token"}


def launcher_faults(text: str) -> list[str]:
    """What is wrong with a launcher file."""
    (config,) = load(text)
    found = ray_says(config) or provider_faults(config)
    if not found and config["provider"]["type"] != "local":
        found = node_faults(config)
    return found or start_faults(config) + command_faults(text)


def ray_says(config: dict[str, Any]) -> list[str]:
    """What `ray up` itself would refuse before it asks the cloud. Its functions are private: see the version check."""
    from click import ClickException
    from jsonschema import ValidationError
    from ray.autoscaler._private.util import prepare_config, validate_config

    try:
        validate_config(prepare_config(config))
    except (ValidationError, ValueError, KeyError, TypeError, RuntimeError, ClickException) as error:
        return [f"Ray: {str(error).splitlines()[0] if str(error) else type(error).__name__}"]
    return []


def provider_faults(config: dict[str, Any]) -> list[str]:
    provider = config["provider"]
    kind = provider["type"]
    found = field_faults(provider, PROVIDERS[kind], "provider")
    if found:
        return found
    if kind == "local":
        for address in (provider["head_ip"], *provider["worker_ips"]):
            try:
                ipaddress.ip_address(address)
            except ValueError:
                found.append(f"provider: {address!r}, not an address")
        if config.get("min_workers") != len(provider["worker_ips"]):
            found.append("min_workers: not the number of worker_ips")
        return found
    zones = provider["availability_zone"].split(",")
    found += [
        f"provider: zone {zone} is not in the region" for zone in zones if not zone.startswith(provider["region"])
    ]
    return found


def node_faults(config: dict[str, Any]) -> list[str]:
    """Node types: the cloud's fields, a head without work, spot machines by request only, and a GPU somewhere."""
    found = []
    types, head = config["available_node_types"], config["head_node_type"]
    for name, node in types.items():
        fields = {"resources!": {"CPU!": int, "GPU": int}, "node_config!": NODES[config["provider"]["type"]]}
        found += field_faults(node, fields | {"min_workers": int, "max_workers": int}, name)
        machine = node["node_config"]
        spot = "InstanceMarketOptions" in machine or "provisioningModel" in machine.get("scheduling", {})
        if name == head:
            if node["resources"] != {"CPU": 0} or "max_workers" in node or spot:
                found.append(f"{name}: a head has no CPUs to work on, is one, and is not spot")
        elif not {"min_workers", "max_workers"} <= set(node) or (spot and node["min_workers"]):
            found.append(f"{name}: states min_workers (0 for spot) and max_workers")
        elif not {"IamInstanceProfile", "serviceAccounts"} & set(machine):
            found.append(f"{name}: may not write to the bucket")
    workers = [node for name, node in types.items() if name != head]
    if not any(node.get("min_workers") for node in workers):
        found.append("no worker is there when a study starts")
    if not any(node["resources"].get("GPU") for node in workers):
        found.append("no GPU")
    if config.get("max_workers", 0) < sum(node.get("max_workers", 0) for node in workers):
        found.append("max_workers: less than the types' own")
    return found


def start_faults(config: dict[str, Any]) -> list[str]:
    """Setup and start: the pinned set from the synced folder, a dashboard that only the machine sees, the token."""
    found = field_faults(config["auth"], {"ssh_user!": {"ubuntu"}, "ssh_private_key": r"~/\.ssh/\w+"}, "auth")
    if config["file_mounts"] != SYNCED:
        found.append("file_mounts: not the checkout and the token")
    setup = config["setup_commands"]
    if "cd ~/dge_ray && ~/env/bin/pip install -q -c cluster/constraints.txt -e '.[cluster]'" not in setup:
        found.append("setup_commands: the pinned set is not installed")
    if not any("export RAY_AUTH_MODE=token PATH=$HOME/env/bin:$PATH" in line for line in setup):
        found.append("setup_commands: no token authentication")
    for role, needs in (
        ("head", ["--head", "--num-cpus=0", "--dashboard-host=127.0.0.1", "--port=6379"]),
        ("worker", ["--address=$RAY_HEAD_IP:6379"]),
    ):
        started = [line.split("; ray ")[1].split() for line in config[f"{role}_start_ray_commands"] if "; ray " in line]
        if len(started) != 1 or not set(needs) <= set(started[0]):
            found.append(f"{role}_start_ray_commands: not one `ray start` with {needs}")
        found += [fault for words in started for fault in ray_faults(words)]
    return found


def header_faults(text: str) -> list[str]:
    """Placeholders in the body that the header's `# change:` lines do not name."""
    header, body = [], []
    for line in text.splitlines():
        (header if line.startswith("#") and not body else body).append(line)
    change = re.search(r"# change:(.*?)\n# \w+:", "\n".join(header), re.S)
    named = change[1] if change else ""
    values = re.sub(r"#.*", "", "\n".join(body))
    marked = {*re.findall(r"YOUR-[A-Z-]+|registry\.example\.com|192\.0\.2", values)}
    return [f"{mark}: a placeholder that the header does not name" for mark in sorted(marked) if mark not in named]
