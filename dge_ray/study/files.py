"""The names of a study's files, below its folder: they are spelled out here alone."""

IDENTITY = "identity.json"  # whose folder it is
CONFIG = "config.yaml"  # the configuration, nothing left open
SCHEMA = "schema.json"
STATUS = "status.json"  # where the driver is
REPORT = "report.json"


def member_file(member: int) -> str:
    """What was noted of a fitted member; written last."""
    return f"members/{member:03d}/member.json"


def generator_folder(member: int) -> str:
    """A member's saved generator."""
    return f"members/{member:03d}/generator"


def fit_state_file(member: int) -> str:
    """Where a fit stands that is under way."""
    return f"members/{member:03d}/fit.safetensors"


def sampling_file(member: int) -> str:
    """What drawing a member's shards cost, by shard."""
    return f"members/{member:03d}/sampling.json"


def shard_folder(member: int) -> str:
    return f"shards/member={member:03d}"


def shard_file(member: int, shard: int) -> str:
    return f"{shard_folder(member)}/part-{shard:05d}.parquet"
