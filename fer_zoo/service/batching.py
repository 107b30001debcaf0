"""Dynamic batching: what many clients ask for at the same time is computed together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    answer: asyncio.Future[Result]
    since: float


class Batcher(Generic[Item, Result]):
    """Computes items of many callers in batches, in one thread.

    A batch starts when it is full, when its first item has waited for ``max_wait``, or when no
    other item is expected. Each caller gets the result of its own item. If a batch fails, each of
    its items is computed alone, so that only the callers whose items cannot be computed get the
    error.

    Args:
        compute: From several items to as many results, in their order.
        size: How much an item counts.
        batch_size: How much a batch holds before it is full; its last item may exceed this.
        max_wait: Seconds that the first item of a batch waits for others.
        expects_more: Whether further items are on their way.
        on_batch: Called with how much each batch holds.

    Example:
        >>> async def twice() -> list[int]:
        ...     batcher = Batcher(lambda items: [2 * item for item in items], size=lambda item: 1)
        ...     batcher.start()
        ...     answers = await asyncio.gather(batcher(3), batcher(4))
        ...     await batcher.stop()
        ...     return answers
        >>> asyncio.run(twice())
        [6, 8]
    """

    def __init__(
        self,
        compute: Callable[[list[Item]], Sequence[Result]],
        size: Callable[[Item], int],
        batch_size: int = 64,
        max_wait: float = 0.005,
        expects_more: Callable[[], bool] = lambda: True,
        on_batch: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._compute, self._size, self._on_batch = compute, size, on_batch
        self._batch_size, self._max_wait = batch_size, max_wait
        self._expects_more = expects_more
        self._open: set[asyncio.Future[Result]] = set()

    def start(self) -> None:
        """Starts to collect, in the running event loop."""
        self._queue: asyncio.Queue[_Waiting[Item, Result]] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fer_zoo-model")
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stops; callers that still wait get a CancelledError."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for answer in self._open:
            answer.cancel()
        self._thread.shutdown(cancel_futures=True)

    @property
    def running(self) -> bool:
        """Whether items are computed."""
        return hasattr(self, "_task") and not self._task.done()

    async def __call__(self, item: Item) -> Result:
        """Returns the result of an item, which is left out if the caller is cancelled before."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        self._open.add(answer)
        try:
            self._queue.put_nowait(_Waiting(item, answer, loop.time()))
            return await answer
        finally:
            self._open.discard(answer)

    async def _run(self) -> None:
        while True:
            await self._answer(await self._collect())

    async def _collect(self) -> list[_Waiting[Item, Result]]:
        batch = [await self._queue.get()]
        held = self._size(batch[0].item)
        until = batch[0].since + self._max_wait
        while held < self._batch_size and (not self._queue.empty() or self._expects_more()):
            try:
                async with asyncio.timeout_at(until):  # what is there already is taken in any case
                    batch.append(await self._queue.get())
            except TimeoutError:
                break
            held += self._size(batch[-1].item)
        return [waiting for waiting in batch if not waiting.answer.done()]  # some gave up

    async def _answer(self, batch: list[_Waiting[Item, Result]]) -> None:
        if not batch:
            return
        items = [waiting.item for waiting in batch]
        self._on_batch(sum(map(self._size, items)))
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._thread, self._compute, items)
        except Exception as error:
            if len(batch) > 1:
                for waiting in batch:
                    await self._answer([waiting])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(error)
            return
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(result)
