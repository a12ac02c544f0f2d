# node: timers, promises, files, children, workers, http.
# needs: node
d=$(mktemp -d /tmp/image.XXXXXX) && cd "$d" || exit 1
trap "cd /; rm -rf $d" EXIT
cat > a.js <<'J'
const fs = require('fs'), cp = require('child_process'), http = require('http'), { Worker } = require('worker_threads'), crypto = require('crypto'), zlib = require('zlib');
(async () => {
  await new Promise(r => setTimeout(r, 20)); console.log('timer');
  fs.writeFileSync('f', 'data'); console.log(await fs.promises.readFile('f', 'utf8'), fs.statSync('f').size, fs.readdirSync('.').sort().join());
  console.log(cp.execSync('echo child').toString().trim(), cp.spawnSync('sh', ['-c', 'exit 3']).status);
  console.log(await new Promise(r => cp.exec('kill -TERM $$', e => r(e.signal))));
  const s = http.createServer((q, r) => r.end('got ' + q.url)).listen(0, '127.0.0.1', () => {});
  await new Promise(r => s.on('listening', r));
  const get = u => new Promise(r => http.get({ port: s.address().port, host: '127.0.0.1', path: u }, x => { let b = ''; x.on('data', d => b += d).on('end', () => r(b)); }));
  console.log((await Promise.all([...Array(20).keys()].map(i => get('/' + i)))).length, await get('/x')); s.close();
  console.log(await new Promise(r => new Worker('require("worker_threads").parentPort.postMessage(6*7)', { eval: true }).on('message', r)));
  console.log(zlib.gunzipSync(zlib.gzipSync('z'.repeat(1000))).length, crypto.createHash('sha1').update('x').digest('hex'), crypto.randomBytes(8).length);
  process.on('SIGUSR2', () => console.log('signal')); process.kill(process.pid, 'SIGUSR2'); await new Promise(r => setTimeout(r, 50));
  const w = fs.watch('.', (e, n) => { console.log('watch', n); w.close(); process.exit(5); }); fs.writeFileSync('new', '1');
})();
J
node a.js
echo "status $?"
node -e 'setImmediate(()=>console.log("immediate"));process.nextTick(()=>console.log("tick"));Promise.resolve().then(()=>console.log("promise"))'
echo 'console.log("stdin")' | node -
node -e 'throw new Error("x")' 2>&1 | grep -c 'Error: x'
