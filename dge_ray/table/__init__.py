"""Real tables: loading, schema, splitting, and the codec between Arrow tables and arrays."""

from dge_ray.table.arrow.frame import from_pandas, to_pandas
from dge_ray.table.codec import Columns, TableCodec
from dge_ray.table.digest import data_digest
from dge_ray.table.features import feature_matrix, target_vector
from dge_ray.table.infer import IdentifierWarning, infer_schema
from dge_ray.table.reading.builtin import builtin_names
from dge_ray.table.reading.load import default_target, load_table
from dge_ray.table.schema.check import check_schema, check_table
from dge_ray.table.schema.table_schema import CODED, MEASURED, Column, Kind, TableSchema, Task, arrow_schema, task_of
from dge_ray.table.source import check_source, drop_columns, drop_missing_target
from dge_ray.table.split import Split, split_table, take_split_column

__all__ = [
    "CODED",
    "MEASURED",
    "Column",
    "Columns",
    "IdentifierWarning",
    "Kind",
    "Split",
    "TableCodec",
    "TableSchema",
    "Task",
    "arrow_schema",
    "builtin_names",
    "check_schema",
    "check_source",
    "check_table",
    "data_digest",
    "default_target",
    "drop_columns",
    "drop_missing_target",
    "feature_matrix",
    "from_pandas",
    "infer_schema",
    "load_table",
    "split_table",
    "take_split_column",
    "target_vector",
    "task_of",
    "to_pandas",
]
