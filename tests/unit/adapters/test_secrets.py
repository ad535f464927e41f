"""Secrets show nothing, references resolve or say why not, and sealed secrets open in their own row only."""

import base64
import copy
import json
import logging
import pickle
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.secrets import SealingKey, Secret, SecretResolver, SecretUnavailable, key_vault
from shared.core.errors import ConfigurationError, Disposition, disposition

CANARY = "correct-horse-battery-staple"
KEY = SealingKey(key=bytes(range(32)))


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>20}".format, ascii, "%s".__mod__, "%r".__mod__])
def test_a_secret_prints_as_a_mask(show):
    assert CANARY not in show(Secret(CANARY))
    assert "***" in show(Secret(CANARY))


def test_a_secret_is_masked_inside_whatever_holds_it(caplog):
    holder = {"password": Secret(CANARY), "list": [Secret(CANARY)]}
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("holding %s and %r", holder, Secret(CANARY))
    assert CANARY not in repr(holder) + caplog.text
    with pytest.raises(TypeError) as raised:
        json.dumps(holder)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("write", [pickle.dumps, copy.copy, copy.deepcopy, vars])
def test_a_secret_is_not_written_down_or_copied(write):
    with pytest.raises(TypeError) as raised:
        write(Secret(CANARY))
    assert CANARY not in str(raised.value)


def test_secrets_compare_by_content_and_share_one_hash():
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("b"))


def test_a_sealing_key_does_not_print_itself():
    assert repr(bytes(range(32))) not in repr(KEY)
    assert "key=" not in repr(KEY)


@given(text=st.text(), table=st.text(max_size=20), row=st.text(max_size=40))
def test_what_was_sealed_opens_in_its_own_place(text, table, row):
    text = text.encode(errors="replace").decode()
    table, row = table.encode(errors="replace").decode(), row.encode(errors="replace").decode()
    sealed = KEY.seal(Secret(text), table=table, row_id=row)
    assert KEY.unseal(sealed, table=table, row_id=row).reveal() == text


def test_sealing_twice_gives_different_bytes_and_none_hold_the_text():
    first, second = (KEY.seal(Secret(CANARY), table="t", row_id="1") for _ in range(2))
    assert first != second
    assert CANARY.encode() not in first


@pytest.mark.parametrize(
    ("table", "row"), [("u", "1"), ("t", "2"), ("t1", ""), ("", "t1")], ids=["table", "row", "left", "right"]
)
def test_a_sealed_secret_does_not_open_in_another_place(table, row):
    sealed = KEY.seal(Secret(CANARY), table="t", row_id="1")
    with pytest.raises(ConfigurationError, match="does not open") as raised:
        KEY.unseal(sealed, table=table, row_id=row)
    assert raised.value.code == "secret_damaged"


@given(position=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_one_changed_bit_anywhere_keeps_a_secret_shut(position, bit):
    sealed = bytearray(KEY.seal(Secret(CANARY), table="t", row_id="1"))
    sealed[position % len(sealed)] ^= 1 << bit
    with pytest.raises(ConfigurationError) as raised:
        KEY.unseal(bytes(sealed), table="t", row_id="1")
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("length", range(30))
def test_cut_off_bytes_are_refused_with_words(length):
    sealed = KEY.seal(Secret("x"), table="t", row_id="1")
    with pytest.raises(ConfigurationError, match=r"enter it again|does not open"):
        KEY.unseal(sealed[:length], table="t", row_id="1")


def test_another_key_does_not_open_a_secret():
    sealed = KEY.seal(Secret(CANARY), table="t", row_id="1")
    with pytest.raises(ConfigurationError, match="the sealing key was changed"):
        SealingKey(key=bytes(32)).unseal(sealed, table="t", row_id="1")


def test_a_key_from_settings_is_base64_of_32_bytes():
    text = base64.b64encode(bytes(range(32))).decode()
    assert SealingKey.from_base64(Secret(text)) == KEY


@pytest.mark.parametrize("text", ["", "c2hvcnQ=", "not base64 at all!", CANARY, "é" * 44])
def test_a_wrong_key_is_refused_without_being_repeated(text):
    with pytest.raises(ConfigurationError, match="base64 of 32 random bytes") as raised:
        SealingKey.from_base64(Secret(text))
    assert not text or text not in str(raised.value)


def resolver(**environ: str) -> SecretResolver:
    return SecretResolver(environ=environ, vault={"db": CANARY, "empty": ""}.__getitem__)


def test_references_name_an_environment_variable_or_a_vault_secret():
    assert resolver(DB_PASSWORD=CANARY).resolve("env:DB_PASSWORD") == Secret(CANARY)
    assert resolver().resolve("keyvault:db") == Secret(CANARY)


@pytest.mark.parametrize(
    "reference", ["", CANARY, "env:", "env:A B", "env:A=B", "keyvault:", "keyvault:a/b", "ENV:A", "file:/x"]
)
def test_what_is_no_reference_is_refused_and_not_repeated(reference):
    with pytest.raises(ConfigurationError, match="env:NAME or keyvault:NAME") as raised:
        resolver(A="x").resolve(reference)
    assert not reference.partition(":")[2] or reference not in str(raised.value)


@pytest.mark.parametrize(("reference", "words"), [("env:GONE", "no variable GONE"), ("keyvault:empty", "is empty")])
def test_a_reference_to_nothing_names_what_is_missing(reference, words):
    with pytest.raises(ConfigurationError, match=words):
        resolver().resolve(reference)


def test_an_empty_variable_counts_as_missing():
    with pytest.raises(ConfigurationError, match="no variable EMPTY"):
        resolver(EMPTY="").resolve("env:EMPTY")


def test_without_a_vault_its_references_are_refused_with_words():
    with pytest.raises(ConfigurationError, match="no vault is configured"):
        SecretResolver(environ={}).resolve("keyvault:db")


def test_a_resolver_does_not_print_the_environment():
    assert CANARY not in repr(resolver(DB_PASSWORD=CANARY))


@pytest.mark.parametrize("url", ["", "http://v.vault.azure.net", "https://u:p@v.vault.azure.net", "https://v/x?y", "v"])
def test_a_vault_is_an_https_url_without_anything_else(url):
    with pytest.raises(ConfigurationError, match="https://<name>"):
        key_vault(url)


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Azure's SDK with its client replaced at the SDK's own boundary: what each secret's name answers or raises."""
    import azure.identity
    import azure.keyvault.secrets

    answers: dict[str, object] = {}

    class Credential:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    class Client(Credential):
        def __init__(self, url, credential):
            assert url == "https://v.vault.azure.net"
            assert isinstance(credential, Credential)

        def get_secret(self, name):
            answer = answers[name]
            if isinstance(answer, Exception):
                raise answer
            return types.SimpleNamespace(value=answer)

    monkeypatch.setattr(azure.identity, "DefaultAzureCredential", Credential)
    monkeypatch.setattr(azure.keyvault.secrets, "SecretClient", Client)
    return answers


def test_a_vault_answers_the_newest_version_of_a_secret(vault):
    vault["db"] = CANARY
    assert key_vault("https://v.vault.azure.net")("db") == CANARY


def test_the_vault_s_errors_say_whether_to_wait_or_to_act(vault):
    from azure.core.exceptions import (
        ClientAuthenticationError,
        HttpResponseError,
        ResourceNotFoundError,
        ServiceRequestError,
    )

    forbidden, broken = HttpResponseError(CANARY), HttpResponseError(CANARY)
    forbidden.status_code, broken.status_code = 403, 500
    vault.update(
        gone=ResourceNotFoundError(CANARY),
        nobody=ClientAuthenticationError(CANARY),
        forbidden=forbidden,
        broken=broken,
        offline=ServiceRequestError(CANARY),
    )
    outcomes = {}
    for name in vault:
        with pytest.raises((ConfigurationError, SecretUnavailable)) as raised:
            key_vault("https://v.vault.azure.net")(name)
        assert CANARY not in str(raised.value)
        assert raised.value.__cause__ is None
        assert name in str(raised.value)
        outcomes[name] = disposition(raised.value)
    assert outcomes == {
        "gone": Disposition.HOLD,
        "nobody": Disposition.HOLD,
        "forbidden": Disposition.HOLD,
        "broken": Disposition.RETRY,
        "offline": Disposition.RETRY,
    }


def test_the_vault_s_sdk_is_loaded_only_when_a_secret_is_read():
    import subprocess

    program = (
        "import sys; from shared.adapters.secrets import key_vault; key_vault('https://v.vault.azure.net');"
        "sys.exit(any(name.startswith('azure') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
