"""The checkers of test_cluster_files.py refuse: every key of every YAML file misspelt in turn, and values too."""

import pytest
from helpers.cluster_fields import CLUSTER, dump, field_faults, load, misspelt
from test_cluster_files import CHECKERS, checker

# The only keys that are the user's own to choose: a worker type may have any name.
OWN_NAMES = {("available_node_types", "gpu"), ("available_node_types", "spot")}

VALUES = [
    ("aws.yaml", "InstanceType: g5.xlarge", "InstanceType: g5-xlarge"),
    ("aws.yaml", "region: us-west-2\n", "region: us-west2\n"),
    ("aws.yaml", "us-west-2a,us-west-2b", "us-west-1a,us-west-2b"),
    ("aws.yaml", "sg-YOUR-GROUP] #", "sg-YOUR-GRUOP] #"),
    ("aws.yaml", "resources: {CPU: 0}", "resources: {CPU: 4}"),
    ("aws.yaml", "MarketType: spot", "MarketType: sopt"),
    ("aws.yaml", "head_node_type: head", "head_node_type: haed"),
    ("aws.yaml", "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0"),
    ("aws.yaml", "start --address=", "start --adress="),
    ("aws.yaml", "-c cluster/constraints.txt -e '.[cluster]'\nhead", "-e '.[cluster]'\nhead"),
    ("aws.yaml", "# launch:  ray up", "# launch:  ray upp"),
    ("aws.yaml", "--no-wait", "--nowait"),
    ("aws.yaml", "dge-ray tune breast_cancer storage=", "dge-ray tune breast_cancer storge="),
    ("gcp.yaml", "onHostMaintenance: TERMINATE", "onHostMaintenance: TERMINAT"),
    ("gcp.yaml", "min_workers: 0", "min_workers: 1"),
    ("gcp.yaml", "us-central1-a", "us-central2-a"),
    ("onprem.yaml", "192.0.2.12", "192.0.2.512"),
    ("onprem.yaml", "max_workers: 2", "max_workers: two"),
    ("kuberay/rayjob.yaml", "rayVersion: 2.60.0", "rayVersion: 2.6.0"),
    ("kuberay/rayjob.yaml", "dge-ray:2.60.0", "dge-ray:latest"),
    ("kuberay/rayjob.yaml", "entrypoint: dge-ray tune", "entrypoint: dge-ray tuen"),
    ("kuberay/rayjob.yaml", "storage=/studies", "storage=/studie"),
    ("kuberay/rayjob.yaml", "    env_vars:", "    env_var:"),
    ("kuberay/rayjob.yaml", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENTNAME"),
    ("kuberay/rayjob.yaml", "http://mlflow:5000", "http://mlfow:5000"),
    ("kuberay/rayjob.yaml", "K8sJobMode", "K8SJobMode"),
    ("kuberay/rayjob.yaml", "replicas: 2", "replicas: 20"),
    ("kuberay/raycluster.yaml", 'num-cpus: "0"', 'num-cpus: "2"'),
    ("kuberay/raycluster.yaml", "serviceType: ClusterIP", "serviceType: LoadBalancer"),
    ("kuberay/raycluster.yaml", "mode: token", "mode: tokens"),
    ("kuberay/raycluster.yaml", "claimName: dge-ray-studies", "claimName: dge-ray-study"),
    ("kuberay/raycluster.yaml", "nvidia.com/gpu", "nvidia.com/gpus"),
    ("kuberay/raycluster.yaml", "minReplicas: 0", "minReplicas: 1"),
    ("kuberay/mlflow.yaml", "type: ClusterIP", "type: NodePort"),
    ("kuberay/mlflow.yaml", "--allowed-hosts=mlflow:5000", "--allowed-hosts=mlflow:500"),
    ("kuberay/mlflow.yaml", "--workers=2", "--worker=2"),
    ("kuberay/mlflow.yaml", "@mlflow-db:5432", "@mlflow-bd:5432"),
    ("kuberay/mlflow.yaml", "selector: {app: mlflow-db}", "selector: {app: mlflow-bd}"),
    ("kuberay/mlflow.yaml", "targetPort: http", "targetPort: htpp"),
    ("kuberay/mlflow.yaml", "- name: POSTGRES_PASSWORD", "- name: POSTGRES_PASWORD"),
    ("kuberay/mlflow.yaml", "mountPath: /artifacts", "mountPath: /artefacts"),
    ("kuberay/mlflow.yaml", "image: postgres:17.6", "image: postgres"),
    ("kuberay/studies.yaml", "ReadWriteMany", "ReadWriteMulti"),
    ("runtime_env.yaml", "working_dir: .", "working_dir: [.]"),
    ("runtime_env.yaml", "http://mlflow:5000", "http://mlflow:50000"),
    ("slurm/study.sbatch", "--ntasks-per-node=1\n#", "--ntask-per-node=1\n#"),
    ("slurm/study.sbatch", "#SBATCH --time=", "#SBATHC --time="),
    ("slurm/study.sbatch", "--time=04:00:00", "--time=4h"),
    ("slurm/study.sbatch", "symmetric-run --address", "symetric-run --address"),
    ("slurm/study.sbatch", "--min-nodes", "--min-node"),
    ("slurm/study.sbatch", "env RAY_ADDRESS=", "env RAY_ADRESS="),
    ("slurm/study.sbatch", '"$@"', "$@"),
    ("slurm/study.sbatch", "| sed -n 1p)", "| sed -n 1p"),
    ("slurm/study.sbatch", "SLURM_JOB_NODELIST", "SLURM_JOB_NODE_LIST"),
    ("Dockerfile", "python:3.11.14-slim-bookworm", "python:3.11-slim"),
    ("Dockerfile", "-c cluster/constraints.txt", "-c cluster/constraint.txt"),
    ("Dockerfile", "COPY dge_ray ", "COPY dgeray "),
    ("Dockerfile", "USER 1000", "USER root"),
    ("Dockerfile", "WORKDIR /opt", "WORKDRI /opt"),
    ("Dockerfile", "-bookworm", "-bookworm\nENV MLFLOW_TRACKING_TOKEN=x"),
    ("README.md", "cluster/aws.yaml\n", "cluster/aws.yml\n"),
    ("README.md", "(slurm/study.sbatch)", "(slurm/study.sh)"),
    ("README.md", "ray job submit --address", "ray job submit --adress"),
    ("README.md", "`dge-ray tune breast_cancer`", "`dge-ray tune breastcancer`"),
]


@pytest.mark.parametrize("name", sorted(name for name in CHECKERS if name.endswith(".yaml")))
def test_every_misspelt_key_is_caught(name: str) -> None:
    check = checker(name)
    documents = load((CLUSTER / name).read_text())
    missed, tried = [], 0
    for i, document in enumerate(documents):
        for path, changed in misspelt(document):
            if path in OWN_NAMES:
                continue
            tried += 1
            if not check(dump([*documents[:i], changed, *documents[i + 1 :]])):
                missed.append(path)
    assert missed == []
    assert tried >= 4


@pytest.mark.parametrize(("name", "right", "wrong"), VALUES)
def test_a_wrong_value_is_caught(name: str, right: str, wrong: str) -> None:
    text = (CLUSTER / name).read_text()
    assert right in text
    assert checker(name)(text.replace(right, wrong, 1))


def test_field_faults_say_where() -> None:
    spec = {"a!": [{"b": int}], "c": {"x", "y"}}
    assert field_faults({"a": [{"b": 1}], "c": "x"}, spec) == []
    assert field_faults({"a": [{"b": True, "d": 1}], "c": "z"}, spec) == [
        ".a[0].d: unknown",
        ".a[0].b: True",
        ".c: 'z'",
    ]
    assert field_faults({}, spec) == [".a: missing"]
