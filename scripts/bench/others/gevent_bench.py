# Copyright 2026 the baozi authors. MIT license.

"""The same work with gevent and greenlet, for `deno task bench`.

    gevent_bench.py work ROUNDS MS   a line of JSON per case: its ids, the package, and what each round
                                     took, ns per operation
    gevent_bench.py echo             an echo server: prints its port, then answers each line with what
                                     it has used
    gevent_bench.py versions         a line of JSON with the versions

Every batch checks its sum. The ids and the sizes are those of scripts/bench/cases.
"""

import gc
import json
import os
import resource
import sys
import time
from socket import IPPROTO_TCP, TCP_NODELAY

import gevent
import gevent.lock
import gevent.pool
import gevent.queue
import gevent.server
import greenlet

WIDTH = 16
STAGES = 4
STAGE_CAPACITY = 16
WORKERS = 100
PERMITS = 10
# A large batch that takes longer is measured once; a small one that does was only disturbed.
SLOW_SECONDS = 0.5
LARGE = 10_000


def main(args):
    if args == ["versions"]:
        python = ".".join(str(part) for part in sys.version_info[:3])
        show({"python": python, "gevent": gevent.__version__, "greenlet": greenlet.__version__})
    elif args == ["echo"]:
        echo()
    elif len(args) == 3 and args[0] == "work":
        work(int(args[1]), int(args[2]) / 1000)
    else:
        sys.exit("Cannot run the benchmark: the arguments must be work ROUNDS MS, echo or versions")


def work(rounds, seconds):
    took = [[] for _ in CASES]
    slow = set()
    # The first round warms up. Rounds go over all cases, so that a slow second hits one round alone.
    for turn in range(-1, rounds):
        for at, (_, _, size, batch) in enumerate(CASES):
            if at in slow:
                continue
            each = measure(batch, size, seconds)
            if size >= LARGE and each > SLOW_SECONDS:
                slow.add(at)
            if turn >= 0 or at in slow:
                took[at].append(each / size * 1e9)
    for (ids, package, _, _), ns in zip(CASES, took):
        show({"ids": ids, "package": package, "ns": ns})


def measure(batch, size, seconds):
    """Repeats the batch for at least `seconds` and gives what one took."""
    gc.collect()
    start = time.perf_counter()
    batches = 0
    while batches == 0 or time.perf_counter() - start < seconds:
        batch(size)
        batches += 1
    return (time.perf_counter() - start) / batches


def channel_of(capacity):
    """gevent has a class of its own for the channel without a buffer."""
    return gevent.queue.Channel() if capacity == 0 else gevent.queue.Queue(capacity)


def send_receive(capacity):
    def batch(size):
        channel = channel_of(capacity)
        sender = gevent.spawn(send_all, channel, size)
        total = 0
        for _ in range(size):
            total += channel.get()
        sender.join()
        check(total, sum_below(size))

    return batch


def for_loop(capacity):
    """Iterating ends with StopIteration, put into the queue."""

    def batch(size):
        channel = channel_of(capacity)

        def send():
            send_all(channel, size)
            channel.put(StopIteration)

        sender = gevent.spawn(send)
        total = 0
        for value in channel:
            total += value
        sender.join()
        check(total, sum_below(size))

    return batch


def send_all(channel, size):
    for i in range(size):
        channel.put(i)


def ping_pong(size):
    def play(inbox, outbox, first):
        total = 0
        for _ in range(first, size, 2):
            value = inbox.get()
            total += value
            outbox.put(value + 1)
        return total

    a, b = gevent.queue.Queue(1), gevent.queue.Queue(1)
    a.put(0)
    sides = [gevent.spawn(play, a, b, 0), gevent.spawn(play, b, a, 1)]
    gevent.joinall(sides, raise_error=True)
    check(sum(side.value for side in sides), sum_below(size))


def fan(senders, receivers):
    def batch(size):
        queue = gevent.queue.Queue(64)
        check(between(queue, size, senders, receivers), sum_below(size))

    return batch


def queue_of_16(size):
    check(between(gevent.queue.Queue(16), size, 10, 10), sum_below(size))


def between(queue, size, senders, receivers):
    each, share = size // senders, size // receivers

    def send(first):
        for i in range(first, first + each):
            queue.put(i)

    def add():
        total = 0
        for _ in range(share):
            total += queue.get()
        return total

    sending = [gevent.spawn(send, i * each) for i in range(senders)]
    adding = [gevent.spawn(add) for _ in range(receivers)]
    gevent.joinall(sending + adding, raise_error=True)
    return sum(greenlet.value for greenlet in adding)


def switch(size):
    """Two bare greenlets that count up in turns."""
    total = 0

    def other_body(value):
        nonlocal total
        while True:
            total += value
            value = first.switch(value + 1)

    def first_body():
        nonlocal total
        value = 0
        while value < size:
            total += value
            value = other.switch(value + 1)

    other = greenlet.greenlet(other_body)
    first = greenlet.greenlet(first_body)
    first.switch()
    check(total, sum_below(size))


def around_ring(count):
    """Each adds one and switches to the next, `size` times in all. The ring is there before and after."""
    total = 0
    size = 0
    main = greenlet.getcurrent()
    ring = []

    def body_of(at):
        def body():
            nonlocal total
            following = ring[(at + 1) % count]
            value = main.switch()
            while True:
                total += value
                value = (following if value < size else main).switch(value + 1)

        return body

    def batch(operations):
        nonlocal total, size
        total, size = 0, operations
        ring[0].switch(0)
        check(total, sum_below(operations + 1))

    ring.extend(greenlet.greenlet(body_of(at)) for at in range(count))
    # Started from here: each would count as a call of the one that starts it.
    for member in ring:
        member.switch()
    return batch


def generator_send(size):
    """A generator that adds up what is sent."""

    def adder():
        total = 0
        while True:
            total += yield total

    generator = adder()
    next(generator)
    total = 0
    for i in range(size):
        total = generator.send(i)
    generator.close()
    check(total, sum_below(size))


def same(i):
    return i


def spawn_join(size):
    greenlets = [gevent.spawn(same, i) for i in range(size)]
    total = 0
    for ended in gevent.joinall(greenlets):
        total += ended.value
    check(total, sum_below(size))


def spawn_join_one(size):
    total = 0
    for i in range(size):
        (ended,) = gevent.joinall([gevent.spawn(same, i)])
        total += ended.value
    check(total, sum_below(size))


def pool_work(item):
    """What is done with each item: others run once meanwhile."""
    gevent.sleep(0)
    return item


def pool_map(size):
    check(sum(gevent.pool.Pool(WIDTH).map(pool_work, range(size))), sum_below(size))


def pool_imap(size):
    total = sum(gevent.pool.Pool(WIDTH).imap(pool_work, range(size), maxsize=WIDTH))
    check(total, sum_below(size))


def pool_imap_unordered(size):
    total = sum(gevent.pool.Pool(WIDTH).imap_unordered(pool_work, range(size), maxsize=WIDTH))
    check(total, sum_below(size))


def pipeline(size):
    def stage(source, target):
        for value in source:
            target.put(value + 1)
        target.put(StopIteration)

    def feed(target):
        send_all(target, size)
        target.put(StopIteration)

    queues = [gevent.queue.Queue(STAGE_CAPACITY) for _ in range(STAGES + 1)]
    running = [gevent.spawn(feed, queues[0])]
    running += [gevent.spawn(stage, queues[i], queues[i + 1]) for i in range(STAGES)]
    total = sum(queues[STAGES])
    gevent.joinall(running, raise_error=True)
    check(total, sum_below(size) + size * STAGES)


def guarded(lock_of):
    def batch(size):
        lock = lock_of()
        entered = 0

        def worker():
            nonlocal entered
            for _ in range(size // WORKERS):
                with lock:
                    entered += 1
                    gevent.sleep(0)

        gevent.joinall([gevent.spawn(worker) for _ in range(WORKERS)], raise_error=True)
        check(entered, size)

    return batch


def kill(size):
    parked = cleaned = 0

    def body():
        nonlocal parked, cleaned
        parked += 1
        try:
            gevent.get_hub().switch()  # for ever, without a timer
        finally:
            cleaned += 1

    greenlets = [gevent.spawn(body) for _ in range(size)]
    gevent.sleep(0)  # their turn
    check(parked, size)
    gevent.killall(greenlets)
    check(cleaned, size)


def tasks(name):
    """In gevent everything runs in greenlets: the row between tasks is the same work."""
    return [name, name + "-tasks"]


# The ids, the package, the operations of a batch, and the batch.
CASES = [
    (["ping-pong"], "gevent", 5_000, ping_pong),
    *(
        (tasks(f"send-receive-{capacity}"), "gevent", 5_000, send_receive(capacity))
        for capacity in (0, 1, 64)
    ),
    *(
        (tasks(f"for-await-{capacity}"), "gevent", 5_000, for_loop(capacity))
        for capacity in (0, 1, 64)
    ),
    (["fan-100-1"], "gevent", 10_000, fan(100, 1)),
    (["fan-1-100"], "gevent", 10_000, fan(1, 100)),
    (["fan-100-100"], "gevent", 10_000, fan(100, 100)),
    (["greenlet-switch"], "greenlet", 5_000, switch),
    (["greenlet-ring"], "greenlet", 10_000, around_ring(1_000)),
    (["coroutine-send"], "generator", 5_000, generator_send),
    (["spawn-join-1"], "gevent", 1_000, spawn_join_one),
    (["spawn-join-1000", "spawn-join-sync-1000"], "gevent", 1_000, spawn_join),
    (["spawn-join-100000"], "gevent", 100_000, spawn_join),
    (["pool-map"], "gevent", 100_000, pool_map),
    (["pool-imap"], "gevent", 100_000, pool_imap),
    (["pool-imap-1000"], "gevent", 1_000, pool_imap),
    (["pool-imap-unordered"], "gevent", 100_000, pool_imap_unordered),
    (["pipeline", "pipeline-map"], "gevent", 2_000, pipeline),
    (
        ["semaphore", "semaphore-in-tasks"],
        "gevent",
        5_000,
        guarded(lambda: gevent.lock.BoundedSemaphore(PERMITS)),
    ),
    (["mutex"], "gevent", 5_000, guarded(lambda: gevent.lock.BoundedSemaphore(1))),
    (["queue", "queue-in-tasks"], "gevent", 5_000, queue_of_16),
    (["kill-1000"], "gevent", 1_000, kill),
    (["kill-100000"], "gevent", 100_000, kill),
]


def echo():
    """Speaks the protocol of scripts/load/server.ts."""

    def handle(socket, _):
        try:
            socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            while True:
                received = socket.recv(1024)
                if not received:
                    return
                socket.sendall(received)
        except OSError:
            pass  # a client that resets the connection ends only its own

    server = gevent.server.StreamServer(("127.0.0.1", 0), handle, backlog=4096)
    server.start()
    show({"port": server.server_port})
    # In a thread of the hub's pool: the server goes on meanwhile.
    read = gevent.get_hub().threadpool.apply
    while read(sys.stdin.readline):
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cpu = (usage.ru_utime + usage.ru_stime) * 1e6
        show({"rss": usage.ru_maxrss * 1024, "cpu": cpu, "connections": -1})
    os._exit(0)


def sum_below(count):
    return count * (count - 1) // 2


def check(got, expected):
    if got != expected:
        sys.exit(f"Cannot count batch: its sum must be {expected}, got {got}")


def show(line):
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
