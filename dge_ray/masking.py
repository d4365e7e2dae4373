"""Secrets: kept out of whatever is written or said, and refused in URIs."""

import os
import re
from urllib.parse import urlsplit

from dge_ray.errors import InputError

MASK = "***"
SECRET_NAME = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|CREDENTIAL", re.IGNORECASE)
# Greedy, because a password may itself hold '@', '/' and ':'; to mask too much does no harm.
URI_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s'\"]*@")
URI_QUERY = re.compile(
    r"([?&](?:[\w.-]*(?:token|passw|secret|key|credential|signature)[\w.-]*|sig)=)[^&\s'\"]+", re.IGNORECASE
)


def mask(text: str) -> str:
    """`text` without user names and passwords in URIs, and without the values of secret environment variables."""
    text = URI_QUERY.sub(rf"\g<1>{MASK}", URI_USERINFO.sub(rf"\g<1>{MASK}@", text))
    for name, value in os.environ.items():
        if len(value) >= 6 and SECRET_NAME.search(name):  # shorter ones would blot out innocent text
            text = text.replace(value, MASK)
    return text


def refuse_secrets(field: str, uri: str) -> None:
    """Refuse a URI that carries a password or a key: it would end up in shell histories, process lists and logs.

    A user name alone is none: in `abfs://container@account/` it is the container.

    Raises:
        InputError: names the field; the text is masked.
    """
    if "://" not in uri:
        return
    parts = urlsplit(uri)
    # Buckets have no ports: what stands behind a ':' is then a password, cut off at its first '/'.
    cut_off = parts.scheme in ("s3", "gs", "gcs") and ":" in parts.netloc and "@" in parts.path
    if parts.password or cut_off or URI_QUERY.search(uri):
        raise InputError(
            field,
            f"{mask(uri)!r}, a URI with a password or key in it",
            "credentials from the environment alone, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
