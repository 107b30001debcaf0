"""Load on a service of fer_zoo: requests/s and latency, and hostile clients beside good ones.

It starts `fer-zoo serve` on a free port of this machine, and stops it at the end. The number of
clients and requests is bounded, and so is the time. Each answer is compared with the answer that
the same face got alone.

    python examples/service/load_test.py --model vgg_small --clients 1 8 32 --requests 600
"""

import argparse
import asyncio
import io
import os
import re
import statistics
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from contextlib import contextmanager
from functools import partial

import httpx
import numpy as np
from PIL import Image

PREDICT = "/v1/predict"
FACES = 64
JSON = {"content-type": "application/json"}


@contextmanager
def service(model, options):
    """Starts `fer-zoo serve`, gives its address, and ends it."""
    command = [sys.executable, "-m", "fer_zoo", "serve", "--model", model, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r"http://\S+:\d+", process.stdout.readline())
            if found is None:
                raise SystemExit("the service did not start")
            wait_for(found[0])
            yield found[0]
            if process.poll() is not None:
                raise SystemExit(f"the service ended with {process.returncode}")
        finally:
            process.terminate()


def wait_for(url):
    """Waits until a service is ready."""
    for _ in range(600):
        try:
            httpx.get(f"{url}/health/ready", timeout=10).raise_for_status()
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"{url} was not ready in a minute")


def png(pixels):
    """Returns the bytes of a PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def make_faces(n):
    """Returns pictures of which no two are alike: bars and noise at random."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 100, (n, 48, 48), dtype=np.uint8)
    for face in pixels:
        top, left, shade = rng.integers(0, 36, 3)
        face[top : top + 12] += np.uint8(4 * shade)
        face[:, left : left + 12] += 50
    return [png(face) for face in pixels]


def probabilities(answer):
    """Returns the numbers of the only face of an answer."""
    return np.array(list(answer.json()["faces"][0]["probabilities"].values()))


class Load:
    """Good clients that compare every answer with the one that the face got alone.

    Args:
        connect: Makes a client with a connection of its own.
        faces: Pictures.
        alone: The answers that they got alone.
    """

    def __init__(self, connect, faces, alone):
        self.connect, self.faces, self.alone = connect, faces, np.stack(alone)
        self.milliseconds, self.statuses, self.wrong = [], Counter(), 0

    async def ask(self, client, i):
        """Posts a face and notes what came back."""
        begun = time.perf_counter()
        answer = await client.post(PREDICT, content=self.faces[i])
        self.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            self.milliseconds.append(1000 * (time.perf_counter() - begun))
            differences = np.abs(self.alone - probabilities(answer)).max(axis=1)
            self.wrong += differences[i] > 1e-5 or differences.argmin() != i
        else:
            await asyncio.sleep(float(answer.headers.get("retry-after", 0)))

    async def run(self, clients, requests, seconds):
        """Lets so many clients share so many requests, for so long at most."""
        left, until = iter(range(requests)), time.monotonic() + seconds

        async def one():
            async with self.connect() as client:
                for i in left:
                    if time.monotonic() > until:
                        return
                    await self.ask(client, i % len(self.faces))

        begun = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(clients)))
        return time.perf_counter() - begun


async def cpu_of(client):
    """Returns the seconds of the processor that the service has used."""
    return metric((await client.get("/metrics")).text, "process_cpu_seconds_total")


def metric(text, name):
    """Returns a number of the metrics."""
    return float(re.search(rf"^{name} (\S+)", text, re.MULTILINE)[1])


def report(clients, load, seconds, cpu):
    """Prints a row of the table."""
    times = sorted(load.milliseconds) * 2  # quantiles needs two values
    rate = len(load.milliseconds) / seconds
    p50, p99 = (statistics.quantiles(times, n=100)[p - 1] for p in (50, 99))
    others = sum(n for status, n in load.statuses.items() if status != 200)
    cpu *= 1000 / sum(load.statuses.values())
    print(
        f"| {clients} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {cpu:.1f} | {others} | {load.wrong} |"
    )


def bomb():
    """Returns a small PNG that says that it has 900 million pixels."""
    parts = [b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)]
    parts += [b"IDAT" + zlib.compress(bytes(10**6)), b"IEND"]
    chunks = [struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


async def hostile(client, requests):
    """Sends what no service should choke on, one after the other, and counts the answers."""

    async def slowly():
        yield b"\x89PNG\r\n"
        await asyncio.sleep(3)  # longer than --body-seconds
        yield b"\x1a\n"

    scans = b"\xff\xd8\xff" + b"\xff\xda\x00\x00" * 5000
    bodies = {
        "bad body": lambda: {"content": b"no picture"},
        "damaged picture": lambda: {"content": make_faces(1)[0][:300]},
        "bad JSON": lambda: {"json": {"image": "?" * 1000}},
        "deep JSON": lambda: {"content": b"[" * 10**5, "headers": JSON},
        "oversize": lambda: {"content": bytes(11 * 2**20)},
        "bomb": lambda: {"content": bomb()},
        "50 million pixels": lambda: {"content": large},
        "5000 scans": lambda: {"content": scans},
        "slow body": lambda: {"content": slowly()},
    }  # fmt: skip
    large = png(np.zeros((7100, 7100), np.uint8))
    counts = Counter()
    for i in range(requests):
        name = list(bodies)[i % len(bodies)]
        try:
            answer = await client.post(PREDICT, **bodies[name]())
            counts[name, answer.status_code] += 1
        except httpx.TransportError as error:  # refused while the body was being sent
            counts[name, type(error).__name__] += 1
    return counts


async def measure(url, args):
    """Measures with each number of clients, and then beside hostile ones."""
    token = os.environ.get("FER_ZOO_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    settings = {"base_url": url, "timeout": 60, "verify": False, "headers": headers}
    connect = partial(httpx.AsyncClient, **settings)
    async with connect() as client:
        faces = make_faces(FACES)
        alone = [probabilities(await client.post(PREDICT, content=face)) for face in faces]
        print("| clients | requests/s | p50 ms | p99 ms | CPU ms | refused | wrong answers |")
        print("|--:|--:|--:|--:|--:|--:|--:|")
        for clients in args.clients:
            load = Load(connect, faces, alone)
            before = await cpu_of(client)
            seconds = await load.run(clients, args.requests, args.seconds)
            report(clients, load, seconds, await cpu_of(client) - before)
        load, before = Load(connect, faces, alone), await cpu_of(client)
        work = (hostile(client, args.hostile) for _ in range(4))
        seconds, *counts = await asyncio.gather(
            load.run(max(args.clients), args.requests, args.seconds), *work
        )
        cpu = await cpu_of(client) - before
        report(f"{max(args.clients)} beside 4 hostile", load, seconds, cpu)
        for (name, outcome), n in sorted(sum(counts, Counter()).items(), key=str):
            print(f"{name}: {outcome}, {n} times")
        text = (await client.get("/metrics")).text
        memory = metric(text, "process_resident_memory_bytes")
        print(f"the service lives and has {memory / 2**20:.0f} MiB")
        return load.wrong


def main(argv=None):
    """Runs the load and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="dacl")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--requests", type=int, default=600, help="of each number of clients")
    parser.add_argument("--seconds", type=float, default=60, help="for each number, at most")
    parser.add_argument("--hostile", type=int, default=18, help="requests of a hostile client")
    args = parser.parse_args(argv)
    if max(args.clients) > 100 or args.requests > 100_000:
        parser.error("at most 100 clients and 100,000 requests")
    with service(args.model, ["--body-seconds", "1", "--detector", "none"]) as url:
        wrong = asyncio.run(measure(url, args))
    if wrong:
        raise SystemExit(f"{wrong} wrong answers")


if __name__ == "__main__":
    main()
