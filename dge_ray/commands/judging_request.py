"""What `evaluate` and `select` are to do: a bundle, its target, and who judges whom."""

from dataclasses import replace

from dge_ray.bundle.received import load_members
from dge_ray.commands.verbs import JudgingKeys
from dge_ray.errors import InputError, nearest_column
from dge_ray.evaluation.judging import LEAST_ROWS, JudgingRequest, encoded
from dge_ray.masking import refuse_secrets
from dge_ray.storage import Folder
from dge_ray.table import Columns, Kind, TableSchema, data_digest, load_table, target_vector, task_of
from dge_ray.table.reading.options import Reading


def read_request(bundle: str, keys: JudgingKeys) -> JudgingRequest:
    """The checked request.

    Raises:
        InputError: a bad value, or a bundle that is none.
    """
    place = keys.spelled("storage")
    out = Folder.open(keys.storage, place)
    out.check_readable(place)
    out.check_writable(place)
    members = load_members(bundle, keys.volume)
    if len(members) < 2:
        raise InputError("bundle", "1 member", "at least 2: one set says nothing of the next generator's")
    if members.volume < LEAST_ROWS:
        raise InputError("bundle", f"members of {members.volume} rows", f"at least {LEAST_ROWS} rows each")
    schema = _aimed(members.schema, keys.target)
    keys.check_range("members", 2, len(members))
    real, real_digest = _real(keys.test, keys.reading, schema)
    context = {"bundle": members.digest, "target": schema.target, "real": real_digest, "seed": keys.seed}
    folder = out / members.digest[:16]
    k = keys.members or len(members)
    return JudgingRequest(members, schema, k, keys.others, keys.seed, real, context, folder, str(bundle))


def _aimed(schema: TableSchema, target: str | None) -> TableSchema:
    """The schema with the target that was asked for, or its own."""
    known = [column.name for column in schema.varying if column.kind is not Kind.TEXT]
    name = schema.target if target is None else target
    if name is None:
        raise InputError("target", "nothing, and the bundle names none", nearest_column("", known))
    if name not in known:
        raise InputError("target", f"'{name}', which is no column that can be predicted", nearest_column(name, known))
    aimed = replace(schema, target=name, task=task_of(schema[name]))
    if not aimed.features:
        raise InputError("target", f"'{name}', beside which no column varies", "a bundle with at least one feature")
    return aimed


def _real(source: str | None, reading: Reading, schema: TableSchema) -> tuple[Columns | None, str | None]:
    """The real rows of `test=`, encoded, and their digest."""
    if source is None:
        return None, None
    refuse_secrets("test", source)
    try:
        table = load_table(source, reading, schema.dated)
        columns = encoded(table, schema)
    except InputError as error:
        raise InputError(
            "test" if error.field == "source" else f"test, {error.field}", error.got, error.takes
        ) from None
    if len(target_vector(columns, schema)) < LEAST_ROWS:
        got = f"{source!r}, {len(target_vector(columns, schema))} rows with a target that the schema knows"
        raise InputError("test", got, f"at least {LEAST_ROWS} real rows with the bundle's columns")
    return columns, data_digest(table)
