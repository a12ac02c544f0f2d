# Python threads, multiprocessing, asyncio, concurrent futures.
# needs: python3
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
cat > m.py <<'P'
import threading, queue, multiprocessing as mp, asyncio, concurrent.futures as cf, os
def work(n): return n * n
def child(q, l, v):
    for i in range(100):
        with l: v.value += 1
    q.put(os.getpid() > 0)
if __name__ == "__main__":
    q = queue.Queue(); out = []
    def t():
        while (x := q.get()) is not None: out.append(x)
    ts = [threading.Thread(target=t) for _ in range(20)]
    [x.start() for x in ts]; [q.put(i) for i in range(1000)]; [q.put(None) for _ in ts]; [x.join() for x in ts]
    print(sum(out))
    with mp.Pool(4) as p: print(sum(p.map(work, range(200))))
    mq, l, v = mp.Queue(), mp.Lock(), mp.Value("i", 0)
    ps = [mp.Process(target=child, args=(mq, l, v)) for _ in range(4)]
    [p.start() for p in ps]; print([mq.get() for _ in ps]); [p.join() for p in ps]; print(v.value, [p.exitcode for p in ps])
    with cf.ThreadPoolExecutor(8) as e: print(sum(e.map(work, range(100))))
    with cf.ProcessPoolExecutor(2) as e: print(sum(e.map(work, range(50))))
    async def main():
        s = await asyncio.start_server(echo, "127.0.0.1", 0); port = s.sockets[0].getsockname()[1]
        print(await asyncio.gather(*[client(port, i) for i in range(50)]) == [f"hi {i}" for i in range(50)])
        p = await asyncio.create_subprocess_exec("sh", "-c", "echo sub; exit 2", stdout=asyncio.subprocess.PIPE)
        print((await p.communicate())[0], p.returncode)
        try: await asyncio.wait_for(asyncio.sleep(5), 0.1)
        except asyncio.TimeoutError: print("timeout")
    async def echo(r, w): w.write(await r.readline()); await w.drain(); w.close()
    async def client(port, i):
        r, w = await asyncio.open_connection("127.0.0.1", port); w.write(f"hi {i}\n".encode()); x = await r.readline(); w.close(); return x.decode().strip()
    asyncio.run(main())
    ctx = mp.get_context("spawn"); p = ctx.Process(target=print, args=("spawned",)); p.start(); p.join(); print(p.exitcode)
P
python3 m.py
