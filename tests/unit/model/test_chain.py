"""The chain of a ledger, by vectors: whoever verifies an archive by other means must come to the same."""

from __future__ import annotations

from hashlib import sha256

from gifting.model.chain import first_hash, next_hash

BOOKS = "018f4e9e-6c2a-7b1e-9d3c-2f5a6b7c8d9e"


def test_the_first_hash_is_of_the_books_and_the_partition() -> None:
    expected = sha256(bytes.fromhex("018f4e9e6c2a7b1e9d3c2f5a6b7c8d9e") + b"\x00\x03").hexdigest()
    assert expected == "5b69c5d51b7eb428886c8285015febfefca51db7e55981f42d6bfaaefbedd403"
    assert first_hash(BOOKS, 3).hex() == expected
    assert first_hash(BOOKS, 259) != first_hash(BOOKS, 3)


def test_a_hash_covers_all_of_an_item() -> None:
    before = first_hash(BOOKS, 3)
    expected = sha256(before + b"\x00\x03" + b"\x0f" + b"1764288000000-1" + b"\x96raw bytes").hexdigest()
    assert expected == "3f1fa6950f45bb1d6e230abf02ed2d2299f728e1d6a7862e354974d5fa707489"
    assert next_hash(before, 3, "1764288000000-1", b"\x96raw bytes").hex() == expected


def test_what_moves_from_the_id_to_the_data_is_another_item() -> None:
    before = first_hash(BOOKS, 0)
    hashes = {
        next_hash(before, 0, "1-1", b"1x"),
        next_hash(before, 0, "1-11", b"x"),
        next_hash(before, 1, "1-1", b"1x"),
        next_hash(first_hash(BOOKS, 1), 0, "1-1", b"1x"),
    }
    assert len(hashes) == 4
