// Node.js's net module as a provider of sockproof: docs/shim-protocol.md over standard input and output.
//
// Node.js has no calls that block, and no socket before it connects or listens: a socket is made when that is asked for, accept waits
// for the 'connection' of its server, recv for data. Bind tries the address out with a server, and keeps it for what comes then.
'use strict';
const fs = require('fs');
const net = require('net');

const sockets = new Map();  // number -> Endpoint
const kept = new Set();  // ports that were given out, and that nobody listens on yet
let next = 3;

class CannotSay extends Error {}
function need(condition, why = 'Node.js has no way to say that') { if (!condition) throw new CannotSay(why); }
// Who is waiting for something that an event will bring.
class Queue {
  constructor() { this.items = []; this.waiting = []; }
  put(item) { (this.waiting.shift() || ((it) => this.items.push(it)))(item); }
  take() { return this.items.length > 0 ? Promise.resolve(this.items.shift()) : new Promise((done) => this.waiting.push(done)); }
  fail(error) { for (const done of this.waiting.splice(0)) done({ error }); }
}

function parseAddress(text) {
  const inet = /^inet:([\d.]+):(\d+)$/.exec(text);
  if (inet) return { host: inet[1], port: Number(inet[2]), family: 'inet' };
  const inet6 = /^inet6:\[([0-9a-f:]+)\]:(\d+)$/.exec(text);
  if (inet6) return { host: inet6[1], port: Number(inet6[2]), family: 'inet6' };
  throw new CannotSay('net has no address for that here');
}
function addressWord(key, asked, address, port, family) {
  if (asked === undefined) return '';
  const [kind, lengthKind, room] = asked.split(',');
  need(kind === 'valid' && lengthKind === 'valid' && Number(room) >= 110, 'Node.js makes the room itself');
  if (family === 'IPv4') return ` ${key}=inet:${address}:${port},16`;
  need(family === 'IPv6');
  let text = address.split('%')[0];
  const mapped = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (mapped) {
    const [a, b, c, d] = mapped.slice(2).map(Number);
    text = `${mapped[1]}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  }
  const [head, tail] = text.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const groups = tail === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail];
  return ` ${key}=inet6:[${groups.join(':')}]:${port},28`;
}
function outcome(error) {
  if (error instanceof CannotSay) return `not_implemented ${error.message}`;
  if (error.errno === undefined) return `not_implemented ${error.code || ''} ${error.message}`.replace(/\s+/g, ' ');
  return `${/^E[A-Z0-9]+$/.test(error.code) ? error.code : 'UNKNOWN'} native=${-error.errno}`;
}

const listening = (server, how) => new Promise((done, fail) => { server.once('error', fail); server.listen(how, done); });

class Endpoint {
  constructor(family) {
    this.family = family;
    this.accepted = new Queue();
    this.arrivals = new Queue();  // a mark for each change of what can be received
    this.chunks = [];
    this.server = this.socket = this.where = this.error = null;
    this.ended = this.closed = false;
  }
  adopt(socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => { this.chunks.push(chunk); this.arrivals.put({}); });
    socket.on('end', () => { this.ended = true; this.arrivals.put({}); });
    socket.on('error', (error) => { this.error = error; this.arrivals.put({}); });
    return this;
  }
  listen(backlog) {
    need(this.server === null && this.socket === null && this.where !== null, 'a server of Node.js is bound and listens in one');
    need(backlog > 0, 'Node.js takes a backlog of 0 for none that is given');
    // Sockets of a server that is closed live on, and half-open ones are what TCP has.
    this.server = net.createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) => this.accepted.put({ socket }));
    return listening(this.server, { ...this.where, backlog, ipv6Only: true }).then(() => 'ok');
  }
  async bind(where) {
    need(this.where === null && this.socket === null && this.server === null && where.family === this.family);
    need(where.port === 0, 'no port can be kept without listening on it');
    const trial = net.createServer();
    await listening(trial, { ...where, backlog: 1, ipv6Only: true });
    this.where = { ...where, port: trial.address().port };
    const taken = kept.has(this.where.port);
    kept.add(this.where.port);
    await new Promise((done) => trial.close(done));
    if (!taken) return 'ok';
    this.where = null;  // it is another one's already
    return this.bind(where);
  }
  connect(where) {
    need(this.socket === null && this.server === null, 'a connection of Node.js is made once');
    const local = this.where === null ? {} : { localAddress: this.where.host, localPort: this.where.port };
    return new Promise((done, fail) => {
      const socket = net.connect({ ...where, family: undefined, ...local, allowHalfOpen: true });
      socket.once('error', fail);
      socket.once('connect', () => { socket.off('error', fail); this.adopt(socket); done('ok'); });
    });
  }
  async accept(words) {
    need(this.server !== null, 'only a server of Node.js has connections to give');
    const { socket, error } = await this.accepted.take();
    if (error) throw error;
    const number = next++;
    sockets.set(number, new Endpoint(this.family).adopt(socket));
    return `ok handle=s${number}` + addressWord('peer', words.peer, socket.remoteAddress, socket.remotePort, socket.remoteFamily);
  }
  send(data) {
    need(this.socket !== null && !this.closed);
    return new Promise((done, fail) => this.socket.write(data, (error) => (error ? fail(error) : done(`ok value=${data.length}`))));
  }
  async recv(room) {
    need(this.socket !== null);
    while (this.chunks.length === 0 && !this.ended && this.error === null) await this.arrivals.take();
    if (this.chunks.length > 0) {
      const part = this.chunks[0].subarray(0, room);
      if (part.length === this.chunks[0].length) this.chunks.shift(); else this.chunks[0] = this.chunks[0].subarray(room);
      return `ok value=${part.length} data=${part.length}:${part.toString('hex')}`;
    }
    if (this.error === null) return 'ok';
    const error = this.error;
    this.error = null;
    this.ended = true;
    throw error;
  }
  shutdown(how) {
    need(this.socket !== null && how === 1, 'Node.js ends the writing side alone');
    return new Promise((done) => this.socket.end(() => done('ok')));
  }
  close() {
    need(!this.closed, 'closing twice is no call in Node.js');
    this.closed = true;
    need(this.accepted.waiting.length === 0 && this.arrivals.waiting.length === 0, 'there is no blocked call to be closed under');
    return new Promise((done) => {
      if (this.server) { this.server.close(); for (const { socket } of this.accepted.items) socket.destroy(); }
      if (this.socket) this.socket.destroy();
      setImmediate(() => done('ok'));
    });
  }
}

const KNOWN = new Set('family type address backlog peer room data how name flags'.split(' '));
async function perform(op, on, words, data) {
  need(Object.keys(words).every((key) => KNOWN.has(key)));
  if (op === 'socket') {
    need(words.type === undefined && ['inet', 'inet6'].includes(words.family), 'net has streams alone');
    sockets.set(next, new Endpoint(words.family));
    return `ok handle=s${next++}`;
  }
  if (op === 'open_handles') return `ok value=${[...sockets.values()].filter((each) => !each.closed).length}`;
  const it = /^s\d+$/.test(on) && sockets.get(Number(on.slice(1)));
  need(it && (!it.closed || op === 'close'), `no ${op} of ${on}`);
  switch (op) {
    case 'bind': return it.bind(parseAddress(words.address));
    case 'listen': return it.listen(Number(words.backlog || 0));
    case 'connect': return it.connect(parseAddress(words.address));
    case 'accept': return it.accept(words);
    case 'send':
      need(data.length === 1 && (words.flags || 'nosignal') === 'nosignal');
      return it.send(Buffer.from(data[0].split(':')[1], 'hex'));
    case 'recv':
      need(words.flags === undefined && Number(words.room) > 0);
      return it.recv(Number(words.room));
    case 'shutdown': return it.shutdown(Number(words.how));
    case 'close': return it.close();
    case 'local_name': {
      const tried = it.where && { address: it.where.host, port: it.where.port, family: it.family === 'inet' ? 'IPv4' : 'IPv6' };
      const name = it.server ? it.server.address() : it.socket ? it.socket.address() : tried;
      need(name !== null && name.address !== undefined, 'it is bound to nothing that Node.js knows');
      return 'ok' + addressWord('name', words.name, name.address, name.port, name.family);
    }
    case 'peer_name':
      need(it.socket !== null && it.socket.remoteFamily !== undefined);
      return 'ok' + addressWord('name', words.name, it.socket.remoteAddress, it.socket.remotePort, it.socket.remoteFamily);
    default: throw new CannotSay(`no ${op} in Node.js`);
  }
}

function say(line) {
  const bytes = Buffer.from(line);
  for (let at = 0; at < bytes.length;) {
    try { at += fs.writeSync(1, bytes, at); } catch (error) { if (error.code !== 'EAGAIN') process.exit(1); }
  }
}
let pending = '';
process.stdin.setEncoding('latin1');
process.stdin.on('end', () => process.exit(0));
process.stdin.on('data', (piece) => {
  const lines = (pending + piece).split('\n');
  pending = lines.pop();
  for (const line of lines) {
    const [number, op, ...rest] = line.split(' ');
    const pairs = rest.filter((word) => word.includes('=')).map((word) => word.split(/=(.*)/));
    const on = rest.length > 0 && !rest[0].includes('=') ? rest[0] : '';
    const data = pairs.filter(([key]) => key === 'data').map(([, value]) => value);
    perform(op, on, Object.fromEntries(pairs), data).catch(outcome).then((said) => say(`${number} ${said}\n`));
  }
});
say(`sockproof-shim 1 node-${process.versions.node} inet inet6 threads handle_count\n`);
