"""croissant.json: a bundle described in Croissant 1.0, the JSON-LD that data sets are found and loaded by.

Every part is a FileObject with its sha256, every member a FileSet and a RecordSet of its own: members are K tables, not
one. All names are relative to the bundle's folder, wherever that is. Written by hand, so that publishing needs no
further package; `mlcroissant`, its own library, is asked when a bundle is verified and it is installed.
"""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import pyarrow as pa

from dge_ray.table.arrow.arrow_types import arrow_type, is_string, is_temporal, value_type
from dge_ray.table.schema.table_schema import Column, TableSchema

FILE = "croissant.json"
CONFORMS = "http://mlcommons.org/croissant/1.0"
PARQUET, JSON, MARKDOWN = "application/x-parquet", "application/json", "text/markdown"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
DESCRIBED = ("schema.json", "bundle.json", "DATA_CARD.md")  # beside the parts


def croissant(facts: Mapping[str, Any], schema: TableSchema, sums: Mapping[str, str], about: Mapping[str, str]) -> dict:
    """The document. `facts`: bundle.json. `sums`: sha256 by file name. `about`: name, description, citeAs, date."""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": about["name"],
        "description": about["description"],
        "license": facts["licence"],
        "citeAs": about["citeAs"],
        "datePublished": about["date"],
        "version": "1.0.0",
        **parts_of(facts["members"], schema, sums),
    }


def parts_of(members: int, schema: TableSchema, sums: Mapping[str, str]) -> dict[str, Any]:
    """`distribution` and `recordSet`: a function of the schema, the number of members and the files' sha256."""
    files = [_file(name, digest) for name, digest in sorted(sums.items()) if _encoding(name)]
    sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"member-{k:03d}-parts",
            "name": f"parts of member {k}",
            "encodingFormat": PARQUET,
            "includes": f"member={k:03d}/*.parquet",
        }
        for k in range(members)
    ]
    names = _ids(schema)
    records = [
        {
            "@type": "cr:RecordSet",
            "@id": f"member-{k:03d}",
            "name": f"member-{k:03d}",
            "description": f"The synthetic rows of member {k}: a table of its own, not to be pooled with the others.",
            "field": [_field(column, f"member-{k:03d}", names[column.name]) for column in schema.columns],
        }
        for k in range(members)
    ]
    return {"distribution": [*files, *sets], "recordSet": records}


def validate(document: dict[str, Any]) -> list[str] | None:
    """What mlcroissant finds wrong, a line a fault; None where it is not installed.

    A context that is not the one above is refused before: JSON-LD can name one on a server, which would be fetched.
    """
    if document.get("@context") != CONTEXT:
        return ["a @context that is not Croissant 1.0's own"]
    if find_spec("mlcroissant") is None:
        return None
    import logging

    import mlcroissant

    logging.getLogger("absl").setLevel(logging.ERROR)  # it tells of recommended properties that are missing
    try:
        issues = mlcroissant.Dataset(jsonld=document).metadata.ctx.issues.errors
    except Exception as error:  # its own kinds of errors, and whatever a strange document makes it stumble over
        lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
        return lines[1:] or lines or [type(error).__name__]
    return sorted(map(str, issues))


def _encoding(name: str) -> str | None:
    if name.startswith("member="):
        return PARQUET
    return (MARKDOWN if name.endswith(".md") else JSON) if name in DESCRIBED else None


def _file(name: str, digest: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": _encoding(name),
        "sha256": digest,
    }


def _field(column: Column, member: str, name: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{member}/{name}",
        "name": column.name,
        "description": f"{column.kind}, {column.type}" + (", may be missing" if column.missing else ""),
        "dataType": _data_type(column),
        "source": {"fileSet": {"@id": f"{member}-parts"}, "extract": {"column": column.name}},
    }


def _ids(schema: TableSchema) -> dict[str, str]:
    """Columns' names as identifiers, which may hold no space; with their places behind where two fall together."""
    plain = {name: re.sub(r"[^A-Za-z0-9_.-]", "_", name) for name in schema.names}
    if len(set(plain.values())) == len(plain):
        return plain
    return {name: f"{one}.{at}" for at, (name, one) in enumerate(plain.items())}


def _data_type(column: Column) -> str:
    dtype = value_type(arrow_type(column.type))
    if pa.types.is_boolean(dtype):
        return "sc:Boolean"
    if pa.types.is_integer(dtype):
        return "sc:Integer"
    if pa.types.is_duration(dtype):
        return "sc:Integer"  # as Parquet stores it: a count of its unit
    if is_temporal(dtype):
        return "sc:Date" if pa.types.is_date(dtype) else "sc:Time" if pa.types.is_time(dtype) else "sc:DateTime"
    return "sc:Text" if is_string(dtype) else "sc:Float"
