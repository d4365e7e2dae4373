"""The Board's plain state: what is handed out, in which order, and what a lost worker gives back."""

import asyncio
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dge_ray.distributed.board import Board, Ledger
from dge_ray.errors import StudyError
from dge_ray.study.records.predictions import Job


def _ledger(members: int = 2, volumes: tuple[int, ...] = (10, 20, 40)) -> Ledger:
    ledger = Ledger()
    ledger.wanted = {Job("member", k, m) for k, m in product(range(members), volumes)}
    ledger.ready = set(range(members))
    return ledger


def test_a_worker_reads_a_member_upwards_and_stays_with_it() -> None:
    ledger = _ledger()
    first = ledger.claim(0, None)
    assert first == Job("member", 0, 10)
    assert ledger.claim(1, None) == Job("member", 1, 10)  # not the member that worker 0 is at
    ledger.finish(first)
    assert ledger.claim(0, 0) == Job("member", 0, 20)


def test_an_idle_worker_takes_the_largest_of_anothers_member() -> None:
    ledger = _ledger(members=1)
    ledger.claim(0, None)
    assert ledger.claim(1, None) == Job("member", 0, 40)


def test_members_that_are_not_fitted_wait() -> None:
    ledger = _ledger()
    ledger.ready = {1}
    assert ledger.claim(0, None) == Job("member", 1, 10)
    ledger.wanted = {Job("concatenated", 0, 10, 2)}
    assert ledger.claim(1, None) is None
    ledger.ready.add(0)
    assert ledger.claim(1, None) == Job("concatenated", 0, 10, 2)


def test_a_lost_worker_gives_back_its_claims() -> None:
    ledger = _ledger(members=1, volumes=(10,))
    job = ledger.claim(0, None)
    assert ledger.claim(1, None) is None
    ledger.release(0)
    assert ledger.claim(1, None) == job


def test_dropped_volumes_are_not_handed_out() -> None:
    ledger = _ledger(members=1, volumes=(10, 20))
    ledger.dropped.add(("", 10))
    assert ledger.claim(0, None) == Job("member", 0, 20)


def test_generator_fits_go_first() -> None:
    """On three cores two generator fits leave room for one downstream fit, three for none; a group needs it all."""
    ledger = _ledger()
    ledger.cores, ledger.fitting = 3, 3
    assert ledger.claim(0, None) is None
    ledger.fitting = 2
    assert ledger.nth(0, width=2) is None
    assert ledger.claim(0, None) == Job("member", 0, 10)
    assert ledger.claim(1, None) is None
    ledger.fitting = 0  # with no generator fit left, Train's own share of the cluster is the limit
    assert ledger.claim(1, None) is not None and ledger.claim(2, None) is not None and ledger.claim(3, None) is not None


def test_a_worker_hears_how_far_its_member_will_be_read() -> None:
    ledger = _ledger(volumes=(10, 20, 40))
    job = ledger.claim(0, None)
    assert job is not None and ledger.ahead(job) == 40
    ledger.dropped.add(("", 40))
    assert ledger.ahead(job) == 20
    assert ledger.ahead(Job("concatenated", 0, 10, 2)) == 10


def test_every_rank_gets_the_same_sequence() -> None:
    ledger = _ledger()
    first = [ledger.nth(i) for i in range(6)]
    assert sorted(j for j in first if j) == sorted(ledger.wanted)
    assert [ledger.nth(i) for i in range(6)] == first
    assert ledger.nth(6) is None


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60), st.integers(1, 4))
def test_whatever_the_order_of_work_each_fit_is_done_once(steps: list[tuple[int, bool]], members: int) -> None:
    """Workers claim, finish or die in any order; at the end everything was finished exactly once."""
    ledger, holding, finished = _ledger(members), {}, []
    for worker, dies in [*steps, *[(w, False) for w in (0, 1, 2)] * 40]:
        job = holding.pop(worker, None)
        if job is not None and dies:
            ledger.release(worker)
        elif job is not None:
            ledger.finish(job)
            finished.append(job)
        else:
            claimed = ledger.claim(worker, None)
            if claimed is not None:
                assert claimed not in holding.values()
                holding[worker] = claimed
    assert sorted(finished) == sorted(ledger.wanted)


def test_waiters_hear_of_done_dropped_and_failed() -> None:
    async def story() -> None:
        board, a, b = Board(), Job("member", 0, 10), Job("member", 0, 20)
        await board.want([a, b])
        waits = [asyncio.create_task(board.wait(job)) for job in (a, b)]
        await asyncio.sleep(0)
        await board.finish(a)
        await board.drop("", 20)
        assert await asyncio.gather(*waits) == [True, False]
        waiting = asyncio.create_task(board.wait(Job("member", 9, 10)))
        await asyncio.sleep(0)
        await board.fail("the disk is full")
        await board.fail("and so on")
        with pytest.raises(StudyError, match="disk is full"):
            await waiting

    asyncio.run(story())


def test_members_done_at_every_volume_are_counted_without_gaps() -> None:
    async def story() -> None:
        board = Board()
        for member, volume in [(0, 10), (0, 20), (1, 10), (2, 10), (2, 20)]:
            await board.finish(Job("member", member, volume))
        assert await board.leading("", [10]) == 3
        assert await board.leading("", [10, 20]) == 1
        assert await board.leading("", [10, 40]) == 0

    asyncio.run(story())


def test_workers_are_sent_home_when_it_closes() -> None:
    async def story() -> None:
        board = Board()
        waiting = asyncio.create_task(board.next(0, await board.register(0), None))
        await asyncio.sleep(0)
        await board.close()
        assert await waiting is None

    asyncio.run(story())


def test_a_dead_workers_waiting_call_gets_no_job() -> None:
    """Rank 0 waits while rank 1 works; both are restarted. What rank 1 gives back goes to a living worker."""

    async def story() -> None:
        board, job = Board(), Job("member", 0, 10)
        await board.want([job])
        await board.member_ready(0)
        turns = [await board.register(0), await board.register(1)]
        assert await board.next(1, turns[1], None) == (job, 10)
        dead = asyncio.create_task(board.next(0, turns[0], None))
        dead_together = asyncio.create_task(board.nth(0, 0, turns[0]))
        await asyncio.sleep(0)
        again = await board.register(0)
        await board.register(1)
        assert await dead is None and await dead_together is None
        assert await board.next(0, again, None) == (job, 10)

    asyncio.run(story())


def test_news_are_told_once_in_order_and_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dge_ray.distributed.board.NEWS_KEPT", 3)

    async def run() -> None:
        board = Board()
        assert await board.news(0) == (0, [])
        await board.member_ready(0)
        await board.drew(0, 5, 100, 0.5)
        told, news = await board.news(0)
        assert [event["event"] for event in news] == ["member ready", "shard drawn"]
        assert news[1] | {"at": 0} == {
            "event": "shard drawn",
            "at": 0,
            "member": 0,
            "shard": 5,
            "rows": 100,
            "seconds": 0.5,
        }
        assert await board.news(told) == (2, [])
        for volume in (10, 20, 40, 80):
            await board.finish(Job("member", 1, volume))
        told, news = await board.news(told)
        assert told == 6 and [event["volume"] for event in news] == [20, 40, 80]

    asyncio.run(run())


def test_rows_wait_until_a_worker_has_read_them_and_gauges_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, float] = {}

    class Recorder:
        def __init__(self, name: str, text: str, tag_keys: tuple[str, ...]) -> None:
            self.name = name

        def set(self, value: float, tags: dict[str, str]) -> None:
            assert tags == {"study": "adult"}
            shown[self.name] = value

    monkeypatch.setattr("dge_ray.distributed.gauges.Gauge", Recorder)

    async def run() -> None:
        board = Board(study="adult")
        await board.drew(0, 0, 100, 0.1)
        await board.drew(1, 0, 100, 0.1)  # of a member that nobody streams: drawn ahead, not waiting
        await board.took(0, 30)
        await board.status()
        assert shown["dge_ray_rows_drawn"] == 200 and shown["dge_ray_rows_waiting"] == 70
        assert shown["dge_ray_rows_per_second"] > 0
        await board.took(0, 100)
        await board.took(0, 60)  # a second reader, further back
        await board.status()
        assert shown["dge_ray_rows_waiting"] == 0 and shown["dge_ray_rows_per_second"] == 0

    asyncio.run(run())
