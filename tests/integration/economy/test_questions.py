"""What a store asks before it refunds is answered once, from the books, and not when the store has decided."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("appstoreserverlibrary")
pytest.importorskip("google.auth")

from gifting.economy import questions
from gifting.economy.providers.base import RefundRequest
from gifting.economy.questions import Questions
from gifting.errors import OrderNotFound, ProviderFailed
from gifting.model.effects import Effect, Kind
from gifting.model.orders import Order
from tests.integration.economy.test_stores import begin, made, of_google
from tests.support.play import Play
from tests.support.world import World


async def asked(world: World, order: Order, name: str = "q1", within: int = 60_000) -> RefundRequest:
    now = world.ledger.now_ms()
    return RefundRequest("google", name, order.id, "google:GPA.1", now, now + within, "token")


async def bought(world: World) -> Order:
    """20 coins, all that ``ann`` has."""
    order = await begin(world, "google")
    at = world.ledger.now_ms()
    return (await world.ledger.orders.apply(Effect("google", "GPA.1", Kind.PAID, at, order.id, "google:GPA.1"))).order


async def test_a_question_is_answered_once_with_what_the_books_say(world: World, tmp_path: Path) -> None:
    async with Play() as play:
        google = made(world, "google", of_google(tmp_path, play))
        by = Questions(world.ledger, lambda _: google)
        order = await bought(world)
        await world.send("ann", "spark", 5)
        for _ in range(3):
            await by.answer(await asked(world, order))
        (review,) = play.reviews
        assert (review["order"], review["refundPreference"]) == ("GPA.1", "NEUTRAL")
        assert review["consumptionPercentageMilliunits"] == 25_000
        await by.answer(await asked(world, order, "q2"))
        assert len(play.reviews) == 2
        await google.close()


async def test_a_store_that_does_not_take_the_answer_is_asked_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gifting.economy.providers.remote.PAUSES", ())
    async with Play() as play:
        google = made(world, "google", of_google(tmp_path, play))
        by = Questions(world.ledger, lambda _: google)
        order = await bought(world)
        play.down[":reviewrefund"] = 1
        with pytest.raises(ProviderFailed):
            await by.answer(await asked(world, order))
        await by.answer(await asked(world, order))
        assert len(play.reviews) == 1
        await google.close()


async def test_a_question_whose_time_is_over_is_left(world: World, tmp_path: Path) -> None:
    async with Play() as play:
        google = made(world, "google", of_google(tmp_path, play))
        by = Questions(world.ledger, lambda _: google)
        await by.answer(await asked(world, await bought(world), within=0))
        assert play.reviews == []


async def test_a_question_about_nothing_is_said_and_asked_again(world: World, tmp_path: Path) -> None:
    async with Play() as play:
        google = made(world, "google", of_google(tmp_path, play))
        by = Questions(world.ledger, lambda _: google)
        nowhere = (await asked(world, await begin(world, "google")))._replace(order="nothing")
        for _ in range(2):
            with pytest.raises(OrderNotFound):
                await by.answer(nowhere)


async def test_what_is_remembered_is_bounded(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "REMEMBERED", 2)
    async with Play() as play:
        google = made(world, "google", of_google(tmp_path, play))
        by = Questions(world.ledger, lambda _: google)
        order = await bought(world)
        for name in ("q1", "q2", "q3", "q3", "q2", "q1"):
            await by.answer(await asked(world, order, name))
        assert len(play.reviews) == 4, "the first was forgotten"
        await google.close()
