# SQLite: transactions, two processes, write-ahead log.
# needs: sqlite3 python3
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
sqlite3 t.db 'create table t(a integer primary key, b); insert into t(b) values(1),(2),(3); select sum(b), count(*) from t; pragma journal_mode=wal; begin; insert into t(b) values(10); rollback; select max(b) from t; pragma integrity_check;'
for i in 1 2 3; do
	sqlite3 -cmd '.timeout 10000' t.db "$(for j in $(seq 50); do echo "insert into t(b) values($i$j);"; done)" &
done
wait
sqlite3 t.db 'select count(*) from t; pragma integrity_check; pragma journal_mode=delete;'
ls
python3 - <<'P'
import sqlite3
c = sqlite3.connect("t.db"); print(c.execute("select count(*), sum(length(b)) from t").fetchall())
with c: c.executemany("insert into t(b) values(?)", [(str(i),) for i in range(1000)])
print(c.execute("select count(*) from t").fetchone())
d = sqlite3.connect("t.db", timeout=0.1); c.execute("begin exclusive")
try: d.execute("select 1 from t").fetchone()
except sqlite3.OperationalError as e: print(e)
P
