"""Secrets: kept out of whatever is written or said, and refused in URIs.

What is known of a secret is the name of the environment variable that holds it, or the shape of a URI or a connection
string. Base64 and other codings of a secret are not looked for.
"""

import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from dge_ray.errors import InputError

MASK = "***"
LEAST_ANYWHERE = 5  # a shorter secret is masked only where it is a word, or it would blot out innocent text
LEAST = 3
LEAST_LINE = 8  # of a secret of several lines

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# At the end of a word, anywhere in a name: PGPASSWORD, NGROK_AUTHTOKEN_2.
_STRONG = re.compile(
    r".*(?:PASSWORDS?|PASSWD|PASSWORT|PSWD|PASSPHRASE|PASSCODE|SECRETS?|CREDENTIALS?|TOKENS?)|CREDS?|JWT|MNEMONIC|BEARER"
    r"|(?:API|ACCESS|SECRET|PRIVATE|AUTH|ACCOUNT|MASTER|SIGNING|ENCRYPTION|STORAGE|LICENSE)KEYS?"
)
_PAIR = re.compile(
    r"\b(?:(?:API|ACCESS|PRIVATE|AUTH|ACCOUNT|MASTER|SIGNING|ENCRYPTION|STORAGE|DEPLOY|LICENSE) KEYS?|AUTH CONFIG)\b"
)
# Whatever stands behind.
_ADDRESS = re.compile(r"\b(?:WEBHOOK|SAS|SERVICE ACCOUNT JSON|CONN(?:ECTION)? ?STR(?:ING)?S?|\w*CONNECTIONSTRING)\b")
_DATABASE = re.compile(
    r"\b(?:DATABASE|DB|POSTGRES(?:QL)?|PG|MYSQL|MARIADB|MONGO(?:DB)?|REDIS|RABBITMQ|(?:CLOUD)?AMQP|BROKER|SQLALCHEMY|JDBC)"
    r"\b.* UR[LI]$"
)
# The last word.
_WEAK = re.compile(
    r".*(?<!ASK)(?<!BY)(?<!COM)(?<!SUR)(?<!TRES)PASS|(?!OLDPWD).*PWD|.*PW|PAT|PIN|PSK|SALT|AUTH|AUTHORIZATION|COOKIE|DSN|KEYS?"
)
_OPEN_KEYS = re.compile(
    r"^KEYS?$|\b(?:PUBLIC|PUB|PUBLISHABLE|AUTHORIZED|PRIMARY|FOREIGN|SORT|PARTITION|GROUP|CACHE|SHARD|ROW|INDEX|HOT|ESCAPE"
    r"|LOOKUP|JOIN|ROUTING|MAX|MIN|NUM|N) KEYS?$|^PWD$"
)
_COUNT = re.compile(r"^TOKENS$|\b(?:MAX|MIN|NUM|N|NEW|TOTAL) (?:\w+ )?TOKENS$")
# A name that ends so tells of a secret and is none: where it lies, how long it holds.
_ABOUT = re.compile(
    "FILES?|PATH|DIR|DIRECTORY|FOLDER|SOCK|SOCKET|TTL|EXPIRY|EXPIRES|EXPIRATION|LIFETIME|LENGTH|LEN|SIZE|LIMIT|COUNT|TYPE"
    "|MODE|METHOD|FORMAT|ALGORITHM|ENABLED|DISABLED|REQUIRED|URL|URI|ENDPOINT|HOST|PORT|SERVER|NAME|USER|USERNAME|ARN"
    "|REGION|TIMEOUT|POLICY|PROVIDER|HEADER|PREFIX|SUFFIX|STORE|HELPER|COMMAND|ISSUER|AUDIENCE|SCOPES?|VERSION|BACKEND"
)
_STAGE = re.compile("PROD|PRODUCTION|DEV|STAGING|TEST|BASE|VALUE|OLD|NEW|PRIMARY|SECONDARY|MAIN")
_NO_SECRET = re.compile("true|false|yes|no|on|off|none|null|token|basic|bearer|auto|default|local", re.IGNORECASE)

# Of `Password=...;`: quoted, in braces (ODBC), or up to what ends it.
_BARE = r"""(?:[^;\s'",]|['",](?=\w))+"""
_VALUE = rf"""(?:\{{(?:[^}}]|\}}\}})*\}}|"(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*'|{_BARE})"""
_SETTING = re.compile(rf"(?<![\w.?&-])([\w.-]*[A-Za-z]\s?=\s?)({_VALUE})")
# Before a semicolon a value may hold whatever is no semicolon.
_BEFORE_SEMICOLON = re.compile(r"(?<![\w.?&-])([\w.-]*[A-Za-z]\s?=\s*)([^;\"'{\n][^;\"\n]*)(?=;)")
# Greedy, because a password may itself hold '@', '/', ':' and quotes; to mask too much does no harm.
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://|jdbc:oracle:\w+:)(?:[^\s\"]|\"(?=\w))*@")
_QUERY = re.compile(
    r"([?&](?:[\w.-]*(?:token|passw|secret|key|credential|signature)[\w.-]*|sig|pwd|pass)=)[^&\s'\"]+", re.IGNORECASE
)


def is_secret_name(name: str) -> bool:
    """Whether what an environment variable of this name holds is to be taken for a secret: SSH_PRIVATE_KEY, DB_PASS."""
    words = _words(name)
    text = " ".join(words)
    if _ADDRESS.search(text) or _DATABASE.search(text) or is_secret_setting(name):
        return True
    while len(words) > 1 and _STAGE.fullmatch(words[-1]):
        words.pop()
    return bool(words and _WEAK.fullmatch(words[-1])) and not _OPEN_KEYS.search(" ".join(words))


def is_secret_setting(name: str) -> bool:
    """As `is_secret_name`, for settings and columns, where customer_key or pin is an innocent name."""
    words = _words(name)
    text = " ".join(words)
    if not words or _ABOUT.fullmatch(words[-1]) or _COUNT.search(text):
        return False
    return bool(_PAIR.search(text)) or any(_STRONG.fullmatch(word) for word in words)


def _words(name: str) -> list[str]:
    return [word.upper() for word in _WORD.findall(name)]


def mask(text: str) -> str:
    """`text` without user names and passwords in URIs, without secrets in connection strings, and without the values of
    secret environment variables, as they are or as JSON, Python, a URL or HTML write them."""
    return _masked(text, _known())


def mask_all(value: Any) -> Any:
    """A JSON value with each text in it masked, keys too; what JSON has no word for becomes a masked text."""
    return _walked(value, _known())


def _walked(value: Any, known: list[tuple[str, bool]]) -> Any:
    if isinstance(value, Mapping):
        return {_masked(str(key), known): _walked(one, known) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_walked(one, known) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else _masked(str(value), known)


def _masked(text: str, known: list[tuple[str, bool]]) -> str:
    text = _without(text, known)
    text = _SETTING.sub(_setting, _BEFORE_SEMICOLON.sub(_setting, text))
    return _QUERY.sub(rf"\g<1>{MASK}", _USERINFO.sub(rf"\g<1>{MASK}@", text))


def _setting(found: re.Match[str]) -> str:
    """`Password=...` masked; `pwd` only among others of a connection: alone it is the working directory."""
    key = found[1].rstrip("= ")
    short = key.lower() in ("pwd", "pass", "pw") and ";" in found.string
    return found[1] + MASK if (is_secret_setting(key) or short) and not _NO_SECRET.fullmatch(found[2]) else found[0]


def _without(text: str, known: list[tuple[str, bool]]) -> str:
    """Secrets overlap: one may begin with another, so all that they cover is found before any is taken out."""
    covered: list[tuple[int, int]] = []
    for form, anywhere in known:
        start = text.find(form)
        while start >= 0:
            end = start + len(form)
            if anywhere or not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
                covered.append((start, end))
            start = text.find(form, start + 1)
    parts, at = [], 0
    for start, end in sorted(covered):
        if start >= at:
            parts += [text[at:start], MASK]
        at = max(at, end)
    return "".join([*parts, text[at:]])


def _known() -> list[tuple[str, bool]]:
    """What secrets look like in a text, and whether they are masked inside of words too."""
    secrets = {part for name, value in os.environ.items() if is_secret_name(name) for part in _parts(value)}
    return [(form, len(secret) >= LEAST_ANYWHERE) for secret in secrets for form in _forms(secret)]


def _parts(value: str) -> Iterator[str]:
    """A secret, its lines, and what a JSON document names a secret: keys of service accounts, logins of registries."""
    value = value.strip()
    if len(value) < LEAST or _NO_SECRET.fullmatch(value):
        return
    yield value
    if len(lines := value.splitlines()) > 1:
        yield " ".join(value.split())
        yield from (s for line in lines if len(s := line.strip()) >= LEAST_LINE and not s.startswith("-----"))
    if value.startswith(("{", "[")):
        try:
            yield from _inside(json.loads(value))
        except (ValueError, RecursionError):
            return


def _inside(document: Any) -> Iterator[str]:
    for one in document if isinstance(document, list) else []:
        yield from _inside(one)
    for key, one in document.items() if isinstance(document, dict) else []:
        if isinstance(one, str) and is_secret_name(key):
            yield from _parts(one)
        else:
            yield from _inside(one)


def _forms(secret: str) -> set[str]:
    """As it is, and as it stands in JSON (also in JSON within JSON), Python's literals, URLs and HTML."""
    raw = secret.encode(errors="surrogateescape")
    urls = [quote(raw, safe=""), quote(raw), quote_plus(raw)]
    texts = [repr(secret)[1:-1], ascii(secret)[1:-1], repr(raw)[2:-1], html.escape(secret)]
    escaped = [text.replace("'", "\\'") for text in (secret, *_json(secret))]
    once = _json(secret)
    lower = [re.sub("%..", lambda found: found[0].lower(), url) for url in urls]
    return {secret, *once, *(again for text in once for again in _json(text)), *texts, *escaped, *urls, *lower}


def _json(text: str) -> Iterable[str]:
    return [json.dumps(text, ensure_ascii=plain)[1:-1] for plain in (True, False)]


def refuse_secrets(field: str, uri: str) -> None:
    """Refuse a URI that carries a password or a key: it would end up in shell histories, process lists and logs.

    A user name alone is none: in `abfs://container@account/` it is the container.

    Raises:
        InputError: names the field; the text is masked.
    """
    if not _carries_secret(uri):
        return
    raise InputError(
        field,
        f"{mask(uri)!r}, a URI with a password or key in it",
        "credentials from the environment alone, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )


def _carries_secret(uri: str) -> bool:
    if ";" in uri and any(_setting(found) != found[0] for found in _SETTING.finditer(uri)):
        return True
    if "://" not in uri:
        return False
    try:
        parts = urlsplit(uri)
    except ValueError:  # brackets of no IPv6 address: a password may hold some
        return bool(_USERINFO.search(uri) or _QUERY.search(uri))
    # Buckets have no ports: what stands behind a ':' is then a password, cut off at its first '/'.
    cut_off = parts.scheme in ("s3", "gs", "gcs") and ":" in parts.netloc and "@" in parts.path
    return bool(parts.password or cut_off or _QUERY.search(uri))
