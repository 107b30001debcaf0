import asyncio
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_zoo.service.batching import Batcher


def run(batcher, talking):
    async def ran():
        batcher.start()
        try:
            return await talking()
        finally:
            await batcher.stop()

    return asyncio.run(ran())


def test_what_comes_together_is_computed_together():
    batches, sizes = [], []

    def compute(items):
        batches.append(items)
        return [-item for item in items]

    batcher = Batcher(compute, lambda item: item, 6, max_wait=0.2, on_batch=sizes.append)

    async def talking():
        return await asyncio.gather(*map(batcher, (1, 2, 3, 4, 5)))

    assert run(batcher, talking) == [-1, -2, -3, -4, -5]
    assert batches == [[1, 2, 3], [4, 5]] and sizes == [6, 9]


def test_nobody_is_waited_for_when_nobody_is_expected():
    batcher = Batcher(list, lambda item: 1, max_wait=30, expects_more=lambda: False)
    assert run(batcher, lambda: asyncio.wait_for(batcher(7), 5)) == 7


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-9, 9), st.booleans()), max_size=30),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.002]),
)
def test_everyone_gets_his_own(items, batch_size, max_wait):
    def compute(items):
        if any(item < 0 for _, item in items):
            raise ValueError(str(items))
        return items

    batcher = Batcher(compute, lambda item: abs(item[1]), batch_size, max_wait)

    async def one(i, item, patient):
        asked = asyncio.ensure_future(batcher((i, item)))
        if not patient:
            await asyncio.sleep(0)
            asked.cancel()
        try:
            return await asked
        except ValueError as error:
            return str(error)
        except asyncio.CancelledError:
            return None

    async def talking():
        asked = (one(i, item, patient) for i, (item, patient) in enumerate(items))
        return await asyncio.gather(*asked)

    for i, (found, (item, patient)) in enumerate(zip(run(batcher, talking), items, strict=True)):
        right = str([(i, item)]) if item < 0 else (i, item)
        assert found == right or (found is None and not patient)


def test_stopping_ends_the_waiting():
    opened = threading.Event()
    batcher = Batcher(lambda items: opened.wait(10) and items, lambda item: 1, 1)

    async def talking():
        batcher.start()
        asked = [asyncio.ensure_future(batcher(i)) for i in range(3)]
        await asyncio.sleep(0.02)
        assert batcher.running
        threading.Timer(0.05, opened.set).start()
        await batcher.stop()
        assert not batcher.running
        for one in asked:
            with pytest.raises(asyncio.CancelledError):
                await one

    asyncio.run(talking())
