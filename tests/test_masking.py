"""Secrets in whatever is said: by the names that real variables have, in the ways that texts write a value, and in the
connection strings of databases and clouds."""

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dge_ray.errors import InputError
from dge_ray.masking import MASK, is_secret_name, is_secret_setting, mask, mask_all, refuse_secrets
from dge_ray.publishing.disclosure import scrubbed

SECRETS = """
AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN AZURE_STORAGE_KEY AZURE_CLIENT_SECRET
AZURE_STORAGE_CONNECTION_STRING AZURE_STORAGE_SAS_TOKEN AZURE_DEVOPS_EXT_PAT GOOGLE_API_KEY GOOGLE_CREDENTIALS
SSH_PRIVATE_KEY DEPLOY_KEY MYSQL_PWD MYSQL_ROOT_PASSWORD DB_PASS DB_PASSWORD PGPASSWORD POSTGRES_PASSWORD REDISCLI_AUTH
REDIS_PASSWORD MONGO_URI DATABASE_URL SQLALCHEMY_DATABASE_URI RABBITMQ_DEFAULT_PASS CELERY_BROKER_URL GITHUB_TOKEN
GH_PAT GITLAB_TOKEN CI_JOB_TOKEN NPM_TOKEN NPM_CONFIG__AUTH npm_config_authToken TWINE_PASSWORD UV_PUBLISH_TOKEN
HF_TOKEN OPENAI_API_KEY ANTHROPIC_API_KEY WANDB_API_KEY MLFLOW_TRACKING_PASSWORD MLFLOW_TRACKING_TOKEN DATABRICKS_TOKEN
KAGGLE_KEY SNOWFLAKE_PASSWORD SNOWSQL_PWD SLACK_WEBHOOK_URL SLACK_BOT_TOKEN SENTRY_DSN STRIPE_SECRET_KEY
TWILIO_AUTH_TOKEN SENDGRID_API_KEY DJANGO_SECRET_KEY SECRET_KEY_BASE AIRFLOW__CORE__FERNET_KEY AUTH_SALT JWT_SECRET
VAULT_TOKEN VAULT_SECRET_ID DOCKER_AUTH_CONFIG SSHPASS LDAP_BINDPW ANSIBLE_VAULT_PASSWORD GPG_PASSPHRASE NGROK_AUTHTOKEN
TS_AUTHKEY ERLANG_COOKIE WIFI_PSK ENCRYPTION_KEY TLS_KEY STRIPE_KEY_PROD DATADOG_API_KEY_2 consumerKey
"""
INNOCENT = """
PATH HOME PWD OLDPWD USER SHELL LANG KEYBOARD_LAYOUT MONKEY TURKEY_REGION KEYMAP TOKENIZERS_PARALLELISM MAX_TOKENS
SSH_AUTH_SOCK SSH_ASKPASS SSH_AGENT_PID SSH_CONNECTION SSL_CERT_FILE REQUESTS_CA_BUNDLE XAUTHORITY GIT_AUTHOR_NAME
GIT_ASKPASS PASSENGER_APP_ENV COMPASS_HOME SSL_BYPASS RAY_AUTH_MODE RAY_AUTH_TOKEN_PATH AWS_SHARED_CREDENTIALS_FILE
AWS_WEB_IDENTITY_TOKEN_FILE POSTGRES_PASSWORD_FILE PASSWORD_STORE_DIR PGPASSFILE KUBECONFIG PRIMARY_KEY SSH_PUBLIC_KEY
SECRETARY SECRET_NAME TOKEN_URL TOKEN_TTL KEY_VAULT_NAME PYTHONHASHSEED PINNED_MEMORY XDG_SESSION_ID SSLKEYLOGFILE
MLFLOW_TRACKING_URI AWS_PROFILE CUDA_VISIBLE_DEVICES DBUS_SESSION_BUS_ADDRESS HISTSIZE PASSAGE SALTLAKE
"""


def test_the_names_of_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    names = SECRETS.split()
    assert len(names) >= 60
    for name in names:
        with monkeypatch.context() as patch:
            patch.setenv(name, "hunter-two-3")
            assert mask("it is hunter-two-3.") == f"it is {MASK}.", name


def test_innocent_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [name for name in INNOCENT.split() if is_secret_name(name)] == []
    monkeypatch.setenv("MONKEY", "banana")
    assert mask("a banana") == "a banana"


def test_innocent_settings_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("customer_key", "pin", "salt", "group_key", "max_tokens", "tokens", "bypass", "target"):
        assert not is_secret_setting(name), name
    assert is_secret_setting("api_key") and is_secret_setting("tracking.token")
    assert mask("columns.customer_key=identifier, PWD=/work and key=value") == (
        "columns.customer_key=identifier, PWD=/work and key=value"
    )
    monkeypatch.setenv("USE_AUTH", "false")
    monkeypatch.setenv("HTTP_AUTH", "x")
    assert mask("false, x and token=none") == "false, x and token=none"


HARD = ["pa'ss\"w", "line one\nline two", "grüße-☃", "a/b c&d=e%", "back\\slash\\n", "a\tb<c>", "it's", "  spaced out "]


@pytest.mark.parametrize("secret", HARD)
def test_a_value_is_masked_as_texts_write_it(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASS", secret)
    plain = secret.strip()
    quotes = str.maketrans('"', "'")  # Python chooses its own by what is between them
    for write in (  # what stands around the value must stay
        lambda s: s,
        lambda s: json.dumps({"k": s}),
        lambda s: json.dumps({"k": s}, ensure_ascii=False),
        lambda s: json.dumps(json.dumps({"k": s})),
        lambda s: repr({"k": s}),
        lambda s: repr(f"both ' and \" {s}"),
        lambda s: ascii(s),
        lambda s: repr(s.encode()),
        lambda s: f"http://h/?q={quote(s)}",
        lambda s: f"http://h/?q={quote(s, safe='').lower()}",
        lambda s: f"http://h/?q={quote_plus(s)}",
        lambda s: html.escape(s),
    ):
        text = write(plain)
        innocent = write("")
        masked = mask(text)
        assert MASK in masked and masked.replace(MASK, "").translate(quotes) == innocent.translate(quotes), text


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=5, max_size=12).filter(str.strip))
def test_any_value_in_json(secret: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("API_KEY", f"x{secret}x")
        assert mask(json.dumps(f"x{secret}x")) == f'"{MASK}"'
        assert mask_all({"a": [f"-x{secret}x-", 5, None, True]}) == {"a": [f"-{MASK}-", 5, None, True]}


def test_short_ones_and_one_that_begins_with_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "abcde")
    monkeypatch.setenv("B_TOKEN", "abcde-fghij")
    monkeypatch.setenv("C_TOKEN", "hij-klm")
    monkeypatch.setenv("D_PASSWORD", "cat")
    assert mask("xabcdex abcde-fghij") == f"x{MASK}x {MASK}"
    assert mask("abcde-fghij-klm") == MASK  # they overlap: nothing of either is left
    assert mask("cat, catalogue, u:cat@h") == f"{MASK}, catalogue, u:{MASK}@h"


def test_secrets_of_several_lines_and_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["MIIEvQIBADANBgkqhkiG9w0BAQEF", "AASCBKcwggSjAgEAAoIBAQC7VJTU"]
    pem = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])
    monkeypatch.setenv("SSH_PRIVATE_KEY", pem)
    monkeypatch.setenv("GOOGLE_CREDENTIALS", json.dumps({"type": "service_account", "private_key": "its-own-key"}))
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {"registry": {"auth": "dXNlcjpwYXNz"}}}))
    text = f"{pem!r} {json.dumps(pem)} {' '.join(pem.split())} bad line 2: {lines[0]} its-own-key dXNlcjpwYXNz"
    assert not [s for s in [*lines, "its-own-key", "dXNlcjpwYXNz"] if s in mask(text)]
    assert mask("service_account") == "service_account"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgres://me:pa55@db/x", ["postgres://", "@db/x"]),
        ("postgres://me:it's\"pa55@db/x", ["@db/x"]),
        ("mongodb+srv://u:pa55@c.mongodb.net/?w=1", ["@c.mongodb.net"]),
        ("redis://:pa55@cache:6379/0", ["@cache:6379/0"]),
        (
            "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=pa55/+==;EndpointSuffix=core",
            ["AccountName=me", "core"],
        ),
        ("Endpoint=sb://x/;SharedAccessKeyName=root;SharedAccessKey=pa55=", ["SharedAccessKeyName=root"]),
        ("Server=db;Database=x;User Id=sa;Password=my pa55, word;Encrypt=true", ["Server=db", "Encrypt=true"]),
        ("Password=it's pa55;Server=db", ["Server=db"]),
        ("Driver={ODBC Driver 18};Server=db;UID=sa;PWD={a;pa55}}}", ["UID=sa"]),
        ("UID=sa;pwd=pa55", ["UID=sa"]),
        ('Password="a;pa55";Server=db', ["Server=db"]),
        ("host=db user=me password=pa55 dbname=x", ["host=db user=me", "dbname=x"]),
        ("host=db password='a pa55' dbname=x", ["dbname=x"]),
        ("jdbc:sqlserver://h:1433;user=sa;password=p@pa55;encrypt=true", ["h:1433;user=sa", "encrypt=true"]),
        ("jdbc:oracle:thin:scott/pa55@//h:1521/x", ["//h:1521/x"]),
        ("https://h/?sig=pa55&sv=1", ["&sv=1"]),
        ("got 'snowflake://h/?password=pa55'; takes another", ["; takes another"]),
    ],
)
def test_connection_strings(text: str, left: list[str]) -> None:
    for whole in (text, f"could not connect ({text})"):
        masked = mask(whole)
        assert "pa55" not in masked and MASK in masked, masked
        assert all(part in masked for part in left), masked
    if not text.startswith(("got", "host", "UID", "jdbc:oracle")):
        with pytest.raises(InputError) as told:
            refuse_secrets("source", text)
        assert "pa55" not in str(told.value)


def test_innocent_places_are_not_refused() -> None:
    for place in ("data/password=1/x.parquet", "s3://b/token=a/x.parquet", "a;b.csv", "abfs://container@account/x"):
        refuse_secrets("source", place)


def test_what_is_scrubbed_stays_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASS", "12345")
    monkeypatch.setenv("MYSQL_PWD", 'a"b\\c')
    value = {"count": 12345, "text": 'x 12345 a"b\\c', "uri": "/place/x"}
    assert scrubbed(value, ["/place"]) == {
        "count": 12345,
        "text": f"x {MASK} {MASK}",
        "uri": "(a place of the publisher)/x",
    }
