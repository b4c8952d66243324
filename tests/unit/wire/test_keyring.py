"""Which keys a token is believed by: several secrets, public keys, and none of what attackers make of the two."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from gifting import config, errors
from gifting.config import SECRETS_MAX, read_secrets
from gifting.wire.jwks import JWKS_MAX, KEYS_MAX, read_jwks
from gifting.wire.keyring import Keyring, kid_of
from gifting.wire.tokens import ROLES, TOKEN_MAX, Rules, issue, verify
from gifting.wire.verifier import Verifier
from tests.support.jwks import Pair, document

NOW = 1_700_000_000.0
SECRETS = [f"secret number {number}, which has 32 bytes" for number in range(3)]
ALGORITHMS = ("ES256", "RS256", "EdDSA")
PAIRS = {algorithm: Pair.make(algorithm, algorithm.lower()) for algorithm in ALGORITHMS}
KEYRING = Keyring(SECRETS[:2], read_jwks(document(*PAIRS.values())))


def claims(**more: Any) -> dict[str, Any]:
    return {"sub": "ann", "role": "viewer", "jti": "x", "iat": int(NOW), "exp": int(NOW) + 60} | more


def refused(token: str, keyring: Keyring = KEYRING) -> str:
    with pytest.raises(errors.BadToken) as refusal:
        verify(keyring, token, now=NOW)
    return str(refusal.value)


# Secrets.


def test_the_first_signs_and_all_are_believed() -> None:
    token = issue(KEYRING.secret, "ann", "viewer", now=NOW, ttl=60)
    assert KEYRING.secret == SECRETS[0]
    assert jwt.get_unverified_header(token)["kid"] == kid_of(SECRETS[0])
    for secret in SECRETS[:2]:
        assert verify(KEYRING, issue(secret, "ann", "viewer", now=NOW, ttl=60), now=NOW).key == kid_of(secret)
    refused(issue(SECRETS[2], "ann", "viewer", now=NOW, ttl=60))


@pytest.mark.parametrize("head", [{}, {"kid": ""}, {"kid": "what a backend calls it"}, {"kid": "../../dev/null"}])
def test_a_backend_names_a_secret_as_it_likes(head: dict[str, str]) -> None:
    for secret in SECRETS[:2]:
        assert verify(KEYRING, jwt.encode(claims(), secret, "HS256", headers=head), now=NOW).user == "ann"
    refused(jwt.encode(claims(), SECRETS[2], "HS256", headers=head))


def test_the_name_of_a_secret_means_that_one_only() -> None:
    refused(jwt.encode(claims(), SECRETS[1], "HS256", headers={"kid": kid_of(SECRETS[0])}))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a" * 32, ["a" * 32]),
        ("a" * 32 + "\n", ["a" * 32]),
        (f"{'a' * 32}\n{'b' * 40}\n", ["a" * 32, "b" * 40]),
        (f"{'a' * 32}, {'b' * 40}", ["a" * 32, "b" * 40]),
        (f"\n{'a' * 32}\r\n\n{'b' * 32},{'c' * 32}", ["a" * 32, "b" * 32, "c" * 32]),
        (f"{'a' * 32},{'a' * 32}", ["a" * 32]),
        ("a secret with a comma, of 32 bytes or more", ["a secret with a comma, of 32 bytes or more"]),
        ("é" * 16, ["é" * 16]),
    ],
)
def test_secrets_are_read(text: str, found: list[str]) -> None:
    assert list(read_secrets(text)) == found
    assert config.load({}, {"GIFTING_SECRET": text}).secrets == tuple(found)


@pytest.mark.parametrize(
    "text", ["\n", "a" * 31, f"{'a' * 32}\nshort", "\n".join(str(n) * 32 for n in range(SECRETS_MAX + 1))]
)
def test_secrets_of_the_wrong_form(text: str) -> None:
    with pytest.raises(errors.BadSetting):
        read_secrets(text)


# Public keys.


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tokens_of_the_host_application(algorithm: str) -> None:
    pair = PAIRS[algorithm]
    found = verify(KEYRING, pair.sign(claims(name="Ann")), now=NOW)
    assert (found.user, found.name) == ("ann", "Ann")
    assert found.key in KEYRING.ids
    refused(Pair.make(algorithm, pair.kid).sign(claims()))
    refused(pair.sign(claims(), kid="another"))
    with pytest.raises(errors.TokenExpired):
        verify(KEYRING, pair.sign(claims()), now=NOW + 61)


def test_a_name_may_be_left_out_where_there_is_no_choice() -> None:
    pair, other = Pair.make("ES256", ""), Pair.make("ES256", "other")
    assert verify(Keyring(SECRETS, read_jwks(document(pair))), pair.sign(claims()), now=NOW).user == "ann"
    refused(pair.sign(claims()), Keyring(SECRETS, read_jwks(document(pair, other))))


def test_the_host_application_can_not_make_operators_unless_that_is_said() -> None:
    pair = PAIRS["EdDSA"]
    for role in ROLES:
        token = pair.sign(claims(role=role, room="r1"))
        if role in ("viewer", "creator"):
            assert verify(KEYRING, token, now=NOW).role == role
        else:
            assert "GIFTING_JWKS_ROLES" in refused(token)
        rules = Rules.of(config.load({"jwks_roles": "operator , overlay"}, {}))
        if role in ("operator", "overlay"):
            assert verify(KEYRING, token, now=NOW, rules=rules).role == role
    with pytest.raises(errors.BadSetting):
        Rules.of(config.load({"jwks_roles": "viewer,god"}, {}))


def ed448_jwk() -> dict[str, Any]:
    return OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True)


def p384_jwk() -> dict[str, Any]:
    return ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: PAIRS["ES256"].jwk(use="enc"),
        lambda: PAIRS["ES256"].jwk() | {"key_ops": ["encrypt"]},
        lambda: PAIRS["ES256"].jwk(alg="HS256"),
        lambda: PAIRS["RS256"].jwk(alg="RS512"),
        lambda: PAIRS["RS256"].jwk(kid=7),
        lambda: PAIRS["RS256"].jwk(kid="x" * 129),
        lambda: PAIRS["ES256"].jwk(x="AA"),
        lambda: PAIRS["RS256"].jwk(n=5),
        lambda: Pair.make("RS256", bits=1024).jwk(),
        lambda: {"kty": "RSA", "n": "AQAB" * 10_000, "e": "AQAB"},
        lambda: {"kty": "unheard of"},
        lambda: {"kty": ["EC"], "crv": {}},
        dict,
        ed448_jwk,
        p384_jwk,
    ],
)
def test_a_key_that_is_not_used_here_is_left_out(wrong: Any) -> None:
    good = PAIRS["EdDSA"]
    found = read_jwks(json.dumps({"keys": [wrong(), good.jwk(), good.jwk()]}).encode())
    assert [key.kid for key in found] == [good.kid]
    with pytest.raises(errors.BadSetting):
        read_jwks(json.dumps({"keys": [wrong()]}).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": []}',
        b'{"keys": {}}',
        b'{"keys": [1]}',
        b'{"keys": [{"kty": "oct", "k": "AAAA"}]}',
        b'{"keys": ' + b"[" * 5000,
        document(PAIRS["ES256"]) + b" " * JWKS_MAX,
        json.dumps({"keys": [PAIRS["EdDSA"].jwk(kid=str(n)) for n in range(KEYS_MAX + 1)]}).encode(),
        json.dumps({"keys": [PAIRS["ES256"].jwk(), PAIRS["EdDSA"].jwk(d="AAAA")]}).encode(),
        json.dumps({"keys": [PAIRS["ES256"].jwk(), {"kty": "oct", "k": "AAAA"}]}).encode(),
    ],
    ids=lambda data: data[:12],
)
def test_what_is_no_jwks(data: bytes) -> None:
    with pytest.raises(errors.BadSetting):
        read_jwks(data)


# Attacks.


def pem(pair: Pair) -> bytes:
    return pair.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def hmac_signed(key: bytes, head: dict[str, Any]) -> str:
    """PyJWT refuses to sign so."""
    import hashlib
    import hmac

    parts = [jwt.utils.base64url_encode(json.dumps(part).encode()) for part in (head, claims())]
    signed = b".".join(parts)
    return (signed + b"." + jwt.utils.base64url_encode(hmac.digest(key, signed, hashlib.sha256))).decode()


@pytest.mark.attack
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_public_key_is_no_secret(algorithm: str) -> None:
    """The attacker has the public key: as HMAC key it signs nothing, in whatever form and under whatever name."""
    pair = PAIRS[algorithm]
    keys = [pem(pair), pem(pair).strip(), json.dumps(pair.jwk()).encode(), b"", b"\x00" * 32]
    for key in keys:
        for said in ("HS256", algorithm, "HS384", "hs256"):
            for kid in (pair.kid, kid_of(SECRETS[0]), ""):
                refused(hmac_signed(key, {"alg": said, "kid": kid}))


@pytest.mark.attack
@pytest.mark.parametrize("said", ["none", "None", "NONE", "", "HS512", "ES384", "PS256", "RS512", None, ["HS256"], 1])
def test_no_other_algorithm(said: Any) -> None:
    head = {"alg": said}
    refused(hmac_signed(SECRETS[0].encode(), head))
    unsigned = hmac_signed(b"x", head).rpartition(".")[0] + "."
    refused(unsigned)


@pytest.mark.attack
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_public_key_signs_for_another_algorithm(algorithm: str) -> None:
    for other in ALGORITHMS:
        if other != algorithm:
            refused(PAIRS[algorithm].sign(claims(), kid=PAIRS[other].kid))
            _, body, mark = PAIRS[algorithm].sign(claims()).split(".")
            swapped = json.dumps({"alg": other, "kid": PAIRS[other].kid}).encode()
            refused(f"{jwt.utils.base64url_encode(swapped).decode()}.{body}.{mark}")


@pytest.mark.attack
@pytest.mark.parametrize(
    "head",
    [
        {"kid": "../../../../dev/null"},
        {"kid": "x' OR '1'='1"},
        {"kid": "http://127.0.0.1/"},
        {"kid": "a\x00b"},
        {"kid": "x" * 2000},
        {"kid": ["k"]},
        {"kid": None},
        {"jku": "http://127.0.0.1/jwks.json"},
        {"x5u": "http://127.0.0.1/"},
        {"jwk": PAIRS["ES256"].jwk()},
        {"crit": ["exp"], "exp": 1},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
    ],
    ids=",".join,
)
def test_a_head_brings_no_key_of_its_own(head: dict[str, Any]) -> None:
    for said in ("HS256", *ALGORITHMS):
        refused(hmac_signed(b"k" * 32, {"alg": said, **head}))


@pytest.mark.attack
def test_bombs() -> None:
    """Nested, huge and odd: every one is a refusal, and none is a traceback."""
    encode = jwt.utils.base64url_encode
    good_head = encode(b'{"alg":"HS256"}')
    parts = [b"[" * 3000, b'{"alg":' * 400, b'{"alg":"HS256","x":' + b"[" * 2900, b"9" * 3000, b"\xff" * 3000]
    for part in parts:
        refused((encode(part)[:TOKEN_MAX] + b".e30.AAAA").decode())
        signed = jwt.PyJWS().encode(part, SECRETS[0], "HS256")
        assert len(signed) > TOKEN_MAX or refused(signed)
        refused((good_head + b"." + encode(part)[:3000] + b".AAAA").decode())
    for token in ("." * TOKEN_MAX, "a" * TOKEN_MAX, "a.b." + "c" * 4000, "=" * 4000, "\x00.\x00.\x00", "\ud800.a.b"):
        refused(token)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
@pytest.mark.attack
def test_whatever_is_sent_as_a_token(text: str) -> None:
    for token in (text, f"{text}.{text}.{text}"):
        refused(token)


@given(st.dictionaries(st.sampled_from([*claims(), "aud", "nbf", "room", "level"]),
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.text(), max_size=2)))  # fmt: skip
@pytest.mark.attack
def test_whatever_is_signed_as_claims(more: dict[str, Any]) -> None:
    """The host application may sign what it was told to: names and levels of its users, unchecked."""
    token = jwt.PyJWS().encode(json.dumps(claims(**more)).encode(), SECRETS[0], "HS256")
    try:
        found = verify(KEYRING, token, now=NOW)
    except (errors.BadToken, errors.TokenExpired):
        return
    json.dumps(found.public(), ensure_ascii=False).encode()
    assert NOW < found.expires <= found.issued + Rules().ttl_max


# The memory of good tokens.


def test_a_known_token_is_refused_when_its_key_is_gone() -> None:
    verifier = Verifier(KEYRING, Rules())
    tokens = [issue(secret, "ann", "viewer", now=NOW, ttl=60) for secret in SECRETS[:2]]
    tokens += [pair.sign(claims()) for pair in PAIRS.values()]
    for token in tokens:
        verifier.verify(token, now=NOW)
    same = verifier.verify(tokens[1], now=NOW)
    verifier.rekey(Keyring([SECRETS[2], SECRETS[1]], read_jwks(document(PAIRS["ES256"]))))
    assert verifier.verify(tokens[1], now=NOW) is same, "it is known still"
    assert verifier.verify(tokens[2], now=NOW).user == "ann"
    for gone in (tokens[0], *tokens[3:]):
        with pytest.raises(errors.BadToken):
            verifier.verify(gone, now=NOW)
    renamed = Pair("ES256", Pair.make("ES256").private, "es256")  # another key under the old name
    verifier.rekey(Keyring(SECRETS, read_jwks(document(renamed))))
    with pytest.raises(errors.BadToken):
        verifier.verify(tokens[2], now=NOW)
