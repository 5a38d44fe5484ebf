// Java's channels (java.nio) as a provider of sockproof: docs/shim-protocol.md over standard input and output.
//
// A socket of Java is a SocketChannel or a ServerSocketChannel from its beginning, so one is made when it connects or listens. Bind
// tries the address out with a server channel, and keeps it for what comes then. What a channel cannot say is not implemented.
import java.io.*;
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;

public final class Shim {
  @SuppressWarnings("serial") static final class CannotSay extends RuntimeException {
    CannotSay(String why) { super(why); }
  }
  static final class Endpoint {
    final StandardProtocolFamily family;
    volatile SocketAddress bound;
    volatile boolean blocking = true, closed = false;
    final AtomicInteger calls = new AtomicInteger();  // that may block, under way
    volatile SocketChannel stream;
    volatile ServerSocketChannel listener;
    Endpoint(StandardProtocolFamily family) { this.family = family; }
    NetworkChannel channel() {
      need(stream != null || listener != null, "a socket of Java is one when it connects or listens");
      return stream != null ? stream : listener;
    }
  }
  record Call(String op, String on, Map<String, String> words, String data) {
    int number(String key, int otherwise) { return words.containsKey(key) ? Integer.parseInt(words.get(key)) : otherwise; }
  }

  static final Map<Integer, Endpoint> sockets = new ConcurrentHashMap<>();
  static final Set<SocketAddress> kept = ConcurrentHashMap.newKeySet();
  static final AtomicInteger next = new AtomicInteger(3);
  static final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false);
  static final Set<String> KNOWN = Set.of("family", "type", "address", "backlog", "peer", "room", "data", "how", "name", "flags", "set",
                                          "clear", "option", "integer", "linger");
  static final Map<String, String> MESSAGES = Map.of(
      "Connection refused", "ECONNREFUSED", "Connection timed out", "ETIMEDOUT", "Connection reset", "ECONNRESET",
      "Connection reset by peer", "ECONNRESET", "Broken pipe", "EPIPE", "Network is unreachable", "ENETUNREACH", "No such file or directory",
      "ENOENT", "Cannot assign requested address", "EADDRNOTAVAIL", "Address already in use", "EADDRINUSE", "Permission denied", "EACCES");

  static void need(boolean condition, String why) { if (!condition) throw new CannotSay(why); }
  static String made(Endpoint endpoint) {
    int number = next.getAndIncrement();
    sockets.put(number, endpoint);
    return "ok handle=s" + number;
  }
  static SocketAddress address(String text) throws IOException {
    need(text != null && !text.contains(",length="), "Java knows no length of an address");
    int port = text.lastIndexOf(':');
    need(text.startsWith("inet:") || text.startsWith("inet6:["), "Java has no address for that");
    String host = text.substring(text.indexOf(':') + 1, port).replace("[", "").replace("]", "");
    return new InetSocketAddress(InetAddress.getByName(host), Integer.parseInt(text.substring(port + 1)));
  }
  static String named(String key, Call call, SocketAddress address, StandardProtocolFamily family) {
    if (!call.words.containsKey(key)) return "";
    String[] part = call.words.get(key).split(",");
    need(part[0].equals("valid") && part[1].equals("valid") && Integer.parseInt(part[2]) >= 110, "Java makes the room itself");
    need(address != null, "Java has no name for it");
    InetSocketAddress inet = (InetSocketAddress) address;
    byte[] bytes = inet.getAddress().getAddress();
    String host = inet.getAddress().getHostAddress(), port = ":" + inet.getPort();
    if (family == StandardProtocolFamily.INET) return " " + key + "=inet:" + host + port + ",16";
    need(inet.getAddress() instanceof Inet6Address, "Java shows a mapped address as one of IPv4");
    StringBuilder groups = new StringBuilder();
    for (int i = 0; i < 16; i += 2) groups.append(i > 0 ? ":" : "").append(Integer.toHexString((bytes[i] & 255) << 8 | bytes[i + 1] & 255));
    return " " + key + "=inet6:[" + groups + "]" + port + ",28";
  }

  static String perform(Call call) throws IOException {
    need(KNOWN.containsAll(call.words.keySet()), "Java has no way to say that");
    if (call.op.equals("socket")) {
      need(call.number("type", 1) == 1, "these channels are streams");
      Map<String, StandardProtocolFamily> families =
          Map.of("inet", StandardProtocolFamily.INET, "inet6", StandardProtocolFamily.INET6);
      need(families.containsKey(call.words.get("family")), "Java has no such family");
      return made(new Endpoint(families.get(call.words.get("family"))));
    }
    if (call.op.equals("open_handles")) return "ok value=" + sockets.values().stream().filter(each -> !each.closed).count();
    need(call.on.matches("s\\d+") && sockets.containsKey(Integer.parseInt(call.on.substring(1))), "no " + call.op + " of " + call.on);
    Endpoint it = sockets.get(Integer.parseInt(call.on.substring(1)));
    need(!it.closed || it.stream != null || it.listener != null, "what was never opened is not closed either");
    switch (call.op) {
      case "bind":
        need(it.bound == null && it.stream == null && it.listener == null, "a channel is bound once");
        boolean same = call.words.get("address").startsWith("inet6:") == (it.family == StandardProtocolFamily.INET6);
        need(same && call.words.get("address").endsWith(":0"), "Java maps addresses, and keeps no port without listening on it");
        do try (ServerSocketChannel trial = ServerSocketChannel.open(it.family)) {
          it.bound = trial.bind(address(call.words.get("address")), 1).getLocalAddress();
        } while (!kept.add(it.bound));  // no port that another socket was told it has
        return "ok";
      case "listen": {
        need(it.stream == null && it.listener == null && it.bound != null, "a server channel listens once");
        int backlog = call.number("backlog", 0);
        need(backlog > 0, "Java takes a backlog below 1 for none that is given");
        ServerSocketChannel listener = ServerSocketChannel.open(it.family);
        listener.configureBlocking(it.blocking);
        it.listener = listener.bind(it.bound, backlog);
        return "ok";
      }
      case "connect": {
        need(it.listener == null, "a server channel does not connect");
        SocketAddress to = address(call.words.get("address"));
        if (it.stream == null) {
          SocketChannel stream = SocketChannel.open(it.family);
          stream.configureBlocking(it.blocking);
          it.stream = it.bound == null ? stream : stream.bind(it.bound);
        }
        return it.stream.connect(to) ? "ok" : "EINPROGRESS";
      }
      case "accept": {
        need(it.listener != null, "only a server channel accepts");
        it.calls.incrementAndGet();
        SocketChannel made = it.listener.accept();
        it.calls.decrementAndGet();
        if (made == null) return "EAGAIN";
        Endpoint child = new Endpoint(it.family);
        child.stream = made;
        return made(child) + named("peer", call, made.getRemoteAddress(), it.family);
      }
      case "send": {
        need(it.stream != null && call.data != null && call.words.getOrDefault("flags", "nosignal").equals("nosignal"), "not so in Java");
        ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(call.data.substring(call.data.indexOf(':') + 1)));
        int sent = it.stream.write(bytes);
        return sent == 0 && bytes.hasRemaining() ? "EAGAIN" : "ok value=" + sent;
      }
      case "recv": {
        need(it.stream != null && !call.words.containsKey("flags"), "a channel of Java reads without flags");
        ByteBuffer room = ByteBuffer.allocate(call.number("room", 0));
        need(room.hasRemaining(), "Java reads nothing into nothing");
        it.calls.incrementAndGet();
        int got = it.stream.read(room);
        it.calls.decrementAndGet();
        if (got <= 0) return got < 0 ? "ok" : "EAGAIN";
        return "ok value=" + got + " data=" + got + ":" + HexFormat.of().formatHex(room.array(), 0, got);
      }
      case "shutdown":
        need(it.stream != null && Set.of("0", "1", "2").contains(call.words.get("how")), "a channel of Java is shut down in two ways");
        if (call.number("how", -1) != 1) it.stream.shutdownInput();
        if (call.number("how", -1) != 0) it.stream.shutdownOutput();
        return "ok";
      case "close":
        need(!it.closed, "to close a closed channel is no call");
        it.closed = true;
        if (it.stream != null || it.listener != null) it.channel().close();
        return "ok";
      case "local_name":
        SocketAddress name = it.stream != null || it.listener != null ? it.channel().getLocalAddress() : it.bound;
        return "ok" + named("name", call, name, it.family);
      case "peer_name":
        need(it.stream != null && it.stream.isConnected(), "a channel that is not connected says null");
        return "ok" + named("name", call, it.stream.getRemoteAddress(), it.family);
      case "set_mode": {
        String set = call.words.getOrDefault("set", "0"), clear = call.words.getOrDefault("clear", "0");
        need(Set.of("0", "nonblocking").contains(set) && Set.of("0", "nonblocking").contains(clear), "Java knows one mode");
        need(it.calls.get() == 0, "Java waits with this for the calls that are under way");
        it.blocking = clear.equals("nonblocking");
        if (it.stream != null || it.listener != null) ((SelectableChannel) it.channel()).configureBlocking(it.blocking);
        return "ok";
      }
      default: throw new CannotSay("no " + call.op + " in Java");
    }
  }
  static String answer(Call call) {
    try {
      return perform(call);
    } catch (ClosedChannelException closed) {  // by another thread, too
      return "EBADF";
    } catch (NotYetConnectedException | AlreadyConnectedException | ConnectionPendingException own) {  // in place of a call
      return own instanceof NotYetConnectedException ? "ENOTCONN" : own instanceof AlreadyConnectedException ? "EISCONN" : "EALREADY";
    } catch (IOException failed) {
      return MESSAGES.getOrDefault(String.valueOf(failed.getMessage()), "not_implemented " + String.valueOf(failed).replaceAll("\\s+", " "));
    } catch (RuntimeException cannot) {
      return "not_implemented " + String.valueOf(cannot.getMessage()).replaceAll("\\s+", " ");
    }
  }
  static synchronized void say(String line) { out.print(line + "\n"); out.flush(); }

  public static void main(String[] arguments) throws IOException {
    ExecutorService threads = Executors.newCachedThreadPool();
    say("sockproof-shim 1 java-" + Runtime.version().feature() + " inet inet6 threads handle_count");
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.ISO_8859_1), 1 << 16);
    for (String line; (line = in.readLine()) != null;) {
      String[] part = line.split(" ");
      Map<String, String> words = new HashMap<>();
      for (int i = 2; i < part.length; ++i) {
        if (part[i].contains("=") && words.put(part[i].substring(0, part[i].indexOf('=')), part[i].substring(part[i].indexOf('=') + 1)) != null)
          words.put("twice", "");
      }
      Call call = new Call(part[1], part.length > 2 && !part[2].contains("=") ? part[2] : "", words, words.get("data"));
      threads.execute(() -> say(part[0] + " " + answer(call)));
    }
    Runtime.getRuntime().halt(0);
  }
}
