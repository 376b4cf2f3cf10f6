// Name resolution in libuv's threads, changes of the environment in the main one.
const dns = require('dns');
const end = Date.now() + 5000;
let open = 0;
function resolve() {
  open++;
  dns.lookup('localhost', () => {
    open--;
    if (Date.now() < end) resolve();
  });
}
for (let at = 0; at < 4; at++) resolve();
function change() {
  for (let at = 0; at < 1000; at++) {
    process.env['GROW_' + at] = 'value';
    // Memory that was used and given back: the array of libc grows into it.
    if (at % 50 === 0) for (let block = 0; block < 4; block++) Buffer.allocUnsafeSlow(20000).fill(0xfb);
  }
  for (let at = 0; at < 1000; at++) delete process.env['GROW_' + at];
  if (Date.now() < end) setImmediate(change);
}
change();
