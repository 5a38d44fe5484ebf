//! Rust's std::net as a provider of sockproof: docs/shim-protocol.md over standard input and output.
//!
//! std has no socket that is neither a listener nor a stream, and chooses the backlog itself: one is made when it connects or
//! listens. Bind tries the address out with a listener, and keeps it for that. What std cannot say is not implemented.
use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

enum Kind {
    Nothing { v6: bool, bound: Option<SocketAddr> },
    Tcp(TcpStream),
    Listener(TcpListener),
    Closed,
}
struct Failure(String); // the answer in place of "ok"
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let code = error.raw_os_error().unwrap_or(0);
        let name = ERRORS.iter().find(|(number, _)| *number == code).map_or("UNKNOWN", |(_, name)| name);
        Failure(if code == 0 { format!("not_implemented {error}") } else { format!("{name} native={code}") })
    }
}
fn cannot(why: &str) -> Failure {
    Failure(format!("not_implemented {why}"))
}
type Outcome = Result<String, Failure>;
type Endpoint = Arc<RwLock<Arc<Kind>>>;

struct Call {
    op: String,
    on: String,
    words: HashMap<String, String>,
}
impl Call {
    fn get(&self, key: &str) -> &str {
        self.words.get(key).map_or("", |value| value.as_str())
    }
    fn number(&self, key: &str) -> i64 {
        self.get(key).parse().unwrap_or(0)
    }
}

static KEPT: Mutex<Vec<u16>> = Mutex::new(Vec::new()); // ports that were given out, and that nobody listens on yet
static NEXT: AtomicI64 = AtomicI64::new(3);
const ERRORS: &[(i32, &str)] = &[
    (1, "EPERM"), (2, "ENOENT"), (4, "EINTR"), (9, "EBADF"), (11, "EAGAIN"), (12, "ENOMEM"), (13, "EACCES"), (14, "EFAULT"), (20, "ENOTDIR"),
    (22, "EINVAL"), (23, "ENFILE"), (24, "EMFILE"), (32, "EPIPE"), (36, "ENAMETOOLONG"), (91, "EPROTOTYPE"), (95, "EOPNOTSUPP"),
    (97, "EAFNOSUPPORT"), (98, "EADDRINUSE"), (99, "EADDRNOTAVAIL"), (101, "ENETUNREACH"), (103, "ECONNABORTED"), (104, "ECONNRESET"),
    (105, "ENOBUFS"), (106, "EISCONN"), (107, "ENOTCONN"), (110, "ETIMEDOUT"), (111, "ECONNREFUSED"), (113, "EHOSTUNREACH"),
];
const KNOWN: &str = " family type address backlog peer room data how name flags form set clear option integer duration_ns ";

fn need(condition: bool, why: &str) -> Result<(), Failure> {
    if condition { Ok(()) } else { Err(cannot(why)) }
}
fn tcp_address(text: &str) -> Result<SocketAddr, Failure> {
    let plain = text.trim_start_matches("inet6:").trim_start_matches("inet:");
    plain.parse().map_err(|_| cannot("std has no address for that"))
}
fn named(key: &str, call: &Call, address: SocketAddr) -> Outcome {
    let asked: Vec<&str> = call.get(key).split(',').collect();
    if asked.len() != 3 {
        return Ok(String::new());
    }
    need(asked[0] == "valid" && asked[1] == "valid" && asked[2].parse().unwrap_or(0) >= 110, "std makes the room itself")?;
    let port = address.port();
    Ok(match address.ip() {
        IpAddr::V4(ip) => format!(" {key}=inet:{ip}:{port},16"),
        IpAddr::V6(ip) => {
            let groups: Vec<String> = ip.segments().iter().map(|group| format!("{group:x}")).collect();
            format!(" {key}=inet6:[{}]:{port},28", groups.join(":"))
        }
    })
}
fn new(all: &Mutex<HashMap<i64, Endpoint>>, kind: Kind) -> String {
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    all.lock().unwrap().insert(number, Arc::new(RwLock::new(Arc::new(kind))));
    format!("ok handle=s{number}")
}
fn stream(kind: &Kind) -> Result<&TcpStream, Failure> {
    if let Kind::Tcp(stream) = kind { Ok(stream) } else { Err(cannot("only a stream has that method")) }
}

fn perform(call: &Call, all: &Mutex<HashMap<i64, Endpoint>>) -> Outcome {
    need(call.words.keys().all(|key| KNOWN.contains(&format!(" {key} "))), "std has no way to say that")?;
    if call.op == "socket" {
        need(call.get("type").is_empty() && ["inet", "inet6"].contains(&call.get("family")), "these are streams")?;
        return Ok(new(all, Kind::Nothing { v6: call.get("family") == "inet6", bound: None }));
    }
    if call.op == "open_handles" {
        let open = all.lock().unwrap().values().filter(|it| !matches!(**it.read().unwrap(), Kind::Closed)).count();
        return Ok(format!("ok value={open}"));
    }
    let number = call.on.strip_prefix('s').and_then(|digits| digits.parse::<i64>().ok()).ok_or(cannot("no such object"))?;
    let endpoint = all.lock().unwrap().get(&number).cloned().ok_or(cannot("no such object"))?;
    let kind: Arc<Kind> = endpoint.read().unwrap().clone();
    let become_this = |made: Kind| *endpoint.write().unwrap() = Arc::new(made);
    need(!matches!(*kind, Kind::Closed), "what was dropped cannot be named any more")?;
    match (call.op.as_str(), &*kind) {
        ("bind", Kind::Nothing { v6, bound: None }) => {
            let address = tcp_address(call.get("address"))?;
            need(address.is_ipv6() == *v6, "std takes the family from the address")?;
            need(address.port() == 0, "no port can be kept without listening on it")?;
            let mut bound = TcpListener::bind(address)?.local_addr()?;
            while KEPT.lock().unwrap().contains(&bound.port()) {
                bound = TcpListener::bind(address)?.local_addr()?;
            }
            KEPT.lock().unwrap().push(bound.port());
            become_this(Kind::Nothing { v6: *v6, bound: Some(bound) });
        }
        ("listen", Kind::Nothing { bound: Some(address), .. }) => {
            need(call.number("backlog") > 0, "std chooses the backlog")?;
            become_this(Kind::Listener(TcpListener::bind(address)?));
        }
        ("connect", Kind::Nothing { bound: None, .. }) => become_this(Kind::Tcp(TcpStream::connect(tcp_address(call.get("address"))?)?)),
        ("accept", Kind::Listener(it)) => {
            let (stream, peer) = it.accept()?;
            return Ok(new(all, Kind::Tcp(stream)) + &named("peer", call, peer)?);
        }
        ("send", _) => {
            need(["", "nosignal"].contains(&call.get("flags")) && call.number("form") < 2, "std writes without flags")?;
            let hex = call.get("data").split_once(':').ok_or(cannot("std writes one buffer"))?.1.as_bytes();
            let digit = |c: u8| (c as char).to_digit(16).unwrap_or(0) as u8;
            let bytes: Vec<u8> = hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
            need(call.get("data") == format!("{}:{}", bytes.len(), std::str::from_utf8(hex).unwrap_or("")), "a slice is never null")?;
            return Ok(format!("ok value={}", stream(&kind)?.write(&bytes)?));
        }
        ("recv", _) => {
            let room = call.get("room").parse::<usize>().map_err(|_| cannot("std reads into one buffer"))?;
            let peek = call.get("flags") == "peek";
            need((call.get("flags").is_empty() || peek) && call.number("form") < 2, "std reads without flags")?;
            let mut buffer = vec![0u8; room];
            let got = if peek { stream(&kind)?.peek(&mut buffer)? } else { stream(&kind)?.read(&mut buffer)? };
            let hex: String = buffer[..got].iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok(format!("ok value={got}") + &(if got > 0 { format!(" data={got}:{hex}") } else { String::new() }));
        }
        ("shutdown", _) => {
            need(["0", "1", "2"].contains(&call.get("how")), "there are three ways")?;
            let how = [Shutdown::Read, Shutdown::Write, Shutdown::Both][call.number("how") as usize];
            stream(&kind)?.shutdown(how)?;
        }
        ("set_mode", _) => {
            let nonblocking = call.get("set") == "nonblocking";
            need(nonblocking || call.get("clear") == "nonblocking", "std knows one mode")?;
            match &*kind {
                Kind::Listener(it) => it.set_nonblocking(nonblocking)?,
                _ => stream(&kind)?.set_nonblocking(nonblocking)?,
            }
        }
        ("set_option", _) if ["SO_RCVTIMEO", "SO_SNDTIMEO"].contains(&call.get("option")) && call.number("duration_ns") >= 0 => {
            let span = Some(Duration::from_nanos(call.number("duration_ns") as u64)).filter(|span| !span.is_zero());
            match call.get("option") {
                "SO_RCVTIMEO" => stream(&kind)?.set_read_timeout(span)?,
                _ => stream(&kind)?.set_write_timeout(span)?,
            }
        }
        ("close", _) => {
            need(Arc::strong_count(&kind) == 2, "what a call still borrows cannot be dropped")?;
            become_this(Kind::Closed);
        }
        ("local_name", Kind::Nothing { bound: Some(bound), .. }) => return Ok("ok".to_string() + &named("name", call, *bound)?),
        ("local_name", Kind::Listener(it)) => return Ok("ok".to_string() + &named("name", call, it.local_addr()?)?),
        ("local_name", Kind::Tcp(it)) => return Ok("ok".to_string() + &named("name", call, it.local_addr()?)?),
        ("peer_name", Kind::Tcp(it)) => return Ok("ok".to_string() + &named("name", call, it.peer_addr()?)?),
        _ => return Err(cannot("std has no such method here")),
    }
    Ok("ok".to_string())
}

fn main() {
    let say = Arc::new(Mutex::new(io::stdout()));
    let all = Arc::new(Mutex::new(HashMap::new()));
    println!("sockproof-shim 1 rust-std inet inet6 threads handle_count");
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let (say, all) = (say.clone(), all.clone());
        std::thread::spawn(move || {
            let part: Vec<&str> = line.split(' ').collect();
            let words = part[2..].iter().filter_map(|word| word.split_once('=')).map(|(key, value)| (key.to_string(), value.to_string()));
            let on = part.get(2).filter(|word| !word.contains('=')).unwrap_or(&"").to_string();
            let call = Call { op: part[1].to_string(), on, words: words.collect() };
            let said = perform(&call, &all).unwrap_or_else(|failure| failure.0);
            let mut out = say.lock().unwrap();
            writeln!(out, "{} {said}", part[0]).and_then(|_| out.flush()).ok();
        });
    }
    std::process::exit(0);
}
