// Each rule: a trace that is fine and decides it, and one that breaks it and nothing else.
#include "oracle/oracle.h"

#include <cstring>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sockproof::oracle {
namespace {

// One call a line, "CALL -> RESULT". Calls that overlap: "a> CALL" and later "a< RESULT". Each record is a millisecond after the
// one before; "+N" lets N milliseconds pass.
std::vector<std::string> Trace(const std::string& text) {
  std::vector<std::string> lines;
  std::map<std::string, int> open;
  int number = 0;
  int64_t microseconds = 0;
  const auto record = [&](int operation, char mark, const std::string& what) {
    microseconds += 1000;
    lines.push_back(
        fmt::format("{:06} {}.{:06} p1 t0 {} {}", operation, microseconds / 1000000, microseconds % 1000000, mark, what));
  };
  std::istringstream in(text);
  std::string line;
  while (std::getline(in, line)) {
    if (line.empty()) continue;
    const std::size_t arrow = line.find(" -> ");
    if (line[0] == '+') {
      microseconds += std::stoll(line.substr(1)) * 1000;
    } else if (line.size() > 2 && line[1] == '>') {
      record(open[line.substr(0, 1)] = ++number, '>', line.substr(3));
    } else if (line.size() > 2 && line[1] == '<') {
      record(open[line.substr(0, 1)], '<', line.substr(3));
    } else {
      record(++number, '>', line.substr(0, arrow));
      record(number, '<', line.substr(arrow + 4));
    }
  }
  return lines;
}

Judgement JudgeText(const std::string& text, const char* profile = "linux") {
  return Judge(Trace(text), TheCatalogue().ProfileNumber(profile), true);
}

const std::string kListener =
    "socket family=inet -> ok value=3 handle=s3\n"
    "bind s3 address=inet:127.0.0.1:0 -> ok\n"
    "local_name s3 name=valid,valid,256 -> ok name=inet:127.0.0.1:1000,16\n"
    "listen s3 backlog=5 -> ok\n";
const std::string kClient =
    "socket family=inet -> ok value=4 handle=s4\n"
    "connect s4 address=inet:127.0.0.1:1000 -> ok\n";
const std::string kConnection =
    kListener + kClient + "accept s3 peer=valid,valid,256 -> ok value=5 handle=s5 peer=inet:127.0.0.1:2000,16\n";
const std::string kLocalListener =
    "socket family=unix -> ok value=3 handle=s3\n"
    "bind s3 address=unix:/x -> ok\n"
    "listen s3 backlog=5 -> ok\n";
const std::string kPoll = "watch_create mechanism=poll -> ok handle=w1\n";

std::string Asks(const std::string& socket, const std::string& events) {
  return kPoll + "watch_add " + socket + " watcher=w1 events=" + events + " -> ok\n";
}

struct Case {
  const char* rule;
  std::string before;
  std::string good;
  std::string bad;
  const char* profile = "linux";
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"listen.bound", "socket family=inet -> ok value=3 handle=s3\nbind s3 address=inet:127.0.0.1:0 -> ok\n",
       "listen s3 backlog=1 -> ok\n", "listen s3 backlog=1 -> EINVAL native=22\n"},
      {"listen.negative", "socket family=inet -> ok value=3 handle=s3\nbind s3 address=inet:127.0.0.1:0 -> ok\n",
       "listen s3 backlog=-1 -> ok\n", "listen s3 backlog=-1 -> EINVAL native=22\n"},
      {"listen.unbound", "socket family=inet -> ok value=3 handle=s3\n", "listen s3 backlog=1 -> ok\n",
       "listen s3 backlog=1 -> EINVAL native=22\n"},
      {"listen.unbound", "socket family=inet -> ok value=3 handle=s3\n", "listen s3 backlog=1 -> EINVAL\n",
       "listen s3 backlog=1 -> ok\n", "winsock"},
      {"listen.unbound_local", "socket family=unix -> ok value=3 handle=s3\n", "listen s3 backlog=1 -> EINVAL native=22\n",
       "listen s3 backlog=1 -> ok\n"},
      {"listen.again", kListener, "listen s3 backlog=7 -> ok\n", "listen s3 backlog=7 -> EINVAL native=22\n"},
      {"listen.connected", kConnection, "listen s4 backlog=7 -> EINVAL native=22\n", "listen s4 backlog=7 -> ok\n"},
      {"listen.datagram", "socket family=inet type=2 -> ok value=3 handle=s3\n", "listen s3 backlog=7 -> EOPNOTSUPP native=95\n",
       "listen s3 backlog=7 -> ok\n"},
      {"listen.pair", "socketpair family=unix -> ok handle=s3 second=s4\n", "listen s3 backlog=7 -> EINVAL native=22\n",
       "listen s3 backlog=7 -> ok\n"},
      {"bind.again", "socket family=inet -> ok value=3 handle=s3\nbind s3 address=inet:127.0.0.1:0 -> ok\n",
       "bind s3 address=inet:127.0.0.1:0 -> EINVAL native=22\n", "bind s3 address=inet:127.0.0.1:0 -> ok\n"},
      {"bind.on_listener", kListener, "bind s3 address=inet:127.0.0.1:0 -> EINVAL native=22\n",
       "bind s3 address=inet:127.0.0.1:0 -> ok\n"},
      {"bind.on_connected", kConnection, "bind s4 address=inet:127.0.0.1:0 -> EINVAL native=22\n",
       "bind s4 address=inet:127.0.0.1:0 -> ok\n"},
      {"bind.in_use", kListener + "socket family=inet -> ok value=4 handle=s4\n",
       "bind s4 address=inet:127.0.0.1:1000 -> EADDRINUSE native=98\n", "bind s4 address=inet:127.0.0.1:1000 -> ok\n"},
      {"bind.path_in_use", kLocalListener + "socket family=unix -> ok value=4 handle=s4\n",
       "bind s4 address=unix:/x -> EADDRINUSE native=98\n", "bind s4 address=unix:/x -> ok\n"},
      {"name.bound", "socket family=inet -> ok value=3 handle=s3\nbind s3 address=inet:127.0.0.1:77 -> ok\n",
       "local_name s3 name=valid,valid,256 -> ok name=inet:127.0.0.1:77,16\n",
       "local_name s3 name=valid,valid,256 -> ok name=inet:127.0.0.1:78,16\n"},
      {"name.port_chosen", "socket family=inet -> ok value=3 handle=s3\nbind s3 address=inet:127.0.0.1:0 -> ok\n",
       "local_name s3 name=valid,valid,256 -> ok name=inet:127.0.0.1:78,16\n",
       "local_name s3 name=valid,valid,256 -> ok name=inet:127.0.0.1:0,16\n"},
      {"name.of_listener", kListener, "local_name s3 name=valid,valid,256 -> ok name=inet:127.0.0.1:1000,16\n",
       "local_name s3 name=valid,valid,256 -> ok name=inet:127.0.0.1:1001,16\n"},
      {"name.peer", kConnection, "peer_name s4 name=valid,valid,256 -> ok name=inet:127.0.0.1:1000,16\n",
       "peer_name s4 name=valid,valid,256 -> ok name=inet:127.0.0.1:1001,16\n"},
      {"name.accepted_peer", kConnection, "peer_name s5 name=valid,valid,256 -> ok name=inet:127.0.0.1:2000,16\n",
       "peer_name s5 name=valid,valid,256 -> ok name=inet:127.0.0.1:2001,16\n"},
      {"name.accepted", kConnection, "local_name s5 name=valid,valid,256 -> ok name=inet:127.0.0.1:1000,16\n",
       "local_name s5 name=valid,valid,256 -> ok name=inet:127.0.0.1:1001,16\n"},
      {"name.no_peer", "socket family=inet -> ok value=3 handle=s3\n",
       "peer_name s3 name=valid,valid,256 -> ENOTCONN native=107\n",
       "peer_name s3 name=valid,valid,256 -> ok name=inet:127.0.0.1:1000,16\n"},
      {"name.listener_no_peer", kListener, "peer_name s3 name=valid,valid,256 -> ENOTCONN native=107\n",
       "peer_name s3 name=valid,valid,256 -> ok name=inet:127.0.0.1:1000,16\n"},
      {"connect.completes", kListener + "socket family=inet -> ok value=4 handle=s4\n",
       "connect s4 address=inet:127.0.0.1:1000 -> ok\n", "connect s4 address=inet:127.0.0.1:1000 -> ECONNREFUSED native=111\n"},
      {"connect.blocking_waits", kListener + "socket family=inet -> ok value=4 handle=s4\n",
       "connect s4 address=inet:127.0.0.1:1000 -> ok\n", "connect s4 address=inet:127.0.0.1:1000 -> EINPROGRESS native=115\n"},
      {"connect.in_progress", kListener + "socket family=inet modes=nonblocking -> ok value=4 handle=s4\n",
       "connect s4 address=inet:127.0.0.1:1000 -> EAGAIN\n",
       "connect s4 address=inet:127.0.0.1:1000 -> EAGAIN\nclose s4 -> EIO\n", "winsock"},
      {"connect.only_bound",
       "socket family=inet -> ok value=3 handle=s3\nbind s3 address=inet:127.0.0.1:1000 -> ok\nsocket family=inet -> ok value=4 "
       "handle=s4\n",
       "connect s4 address=inet:127.0.0.1:1000 -> ECONNREFUSED native=111\n", "connect s4 address=inet:127.0.0.1:1000 -> ok\n"},
      {"connect.connected", kConnection, "connect s4 address=inet:127.0.0.1:1000 -> EISCONN native=106\n",
       "connect s4 address=inet:127.0.0.1:1000 -> EINVAL native=22\n"},
      {"connect.listener_local", kLocalListener, "connect s3 address=unix:/x -> EINVAL native=22\n",
       "connect s3 address=unix:/x -> ok\n"},
      {"accept.made", kListener + kClient, "accept s3 -> ok value=5 handle=s5\n",
       "accept s3 -> ok value=5 handle=s5\naccept s3 -> ok value=6 handle=s6\n"},
      {"accept.once", kListener + kClient + "local_name s4 name=valid,valid,256 -> ok name=inet:127.0.0.1:2000,16\n",
       "accept s3 peer=valid,valid,256 -> ok value=5 handle=s5 peer=inet:127.0.0.1:2000,16\n",
       "accept s3 peer=valid,valid,256 -> ok value=5 handle=s5 peer=inet:127.0.0.1:2000,16\n"
       "accept s3 peer=valid,valid,256 -> ok value=6 handle=s6 peer=inet:127.0.0.1:2000,16\n"},
      {"accept.new_handle", kListener + kClient, "accept s3 -> ok value=5 handle=s5\n", "accept s3 -> ok value=4 handle=s4\n"},
      {"accept.peer", kListener + kClient + "local_name s4 name=valid,valid,256 -> ok name=inet:127.0.0.1:2000,16\n",
       "accept s3 peer=valid,valid,256 -> ok value=5 handle=s5 peer=inet:127.0.0.1:2000,16\n",
       "accept s3 peer=valid,valid,256 -> ok value=5 handle=s5 peer=inet:127.0.0.1:2001,16\n"},
      {"accept.order",
       kListener + kClient + "local_name s4 name=valid,valid,256 -> ok name=inet:127.0.0.1:2000,16\n" +
           "socket family=inet -> ok value=6 handle=s6\nconnect s6 address=inet:127.0.0.1:1000 -> ok\n" +
           "local_name s6 name=valid,valid,256 -> ok name=inet:127.0.0.1:2001,16\n",
       "accept s3 peer=valid,valid,256 -> ok value=5 handle=s5 peer=inet:127.0.0.1:2000,16\n",
       "accept s3 peer=valid,valid,256 -> ok value=5 handle=s5 peer=inet:127.0.0.1:2001,16\n"},
      {"accept.blocks", kListener + kClient, "accept s3 -> ok value=5 handle=s5\n", "accept s3 -> EAGAIN native=11\n"},
      {"accept.takes_waiting",
       kListener + "set_mode s3 set=nonblocking -> ok\n" + kClient + Asks("s3", "in") +
           "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n",
       "accept s3 -> ok value=5 handle=s5\n", "accept s3 -> EAGAIN native=11\n"},
      {"accept.time_out", kListener + "set_option s3 option=SO_RCVTIMEO duration_ns=100000000 -> ok\n",
       "a> accept s3\n+100\na< EAGAIN native=11\n", "a> accept s3\n+10\na< EAGAIN native=11\n"},
      {"accept.not_listening", "socket family=inet -> ok value=3 handle=s3\n", "accept s3 -> EINVAL native=22\n",
       "accept s3 -> EAGAIN native=11\n"},
      {"accept.client", kConnection, "accept s4 -> EINVAL native=22\n", "accept s4 -> EAGAIN native=11\n"},
      {"accept.child", kConnection, "accept s5 -> EINVAL native=22\n", "accept s5 -> EAGAIN native=11\n"},
      {"accept.datagram", "socket family=inet type=2 -> ok value=3 handle=s3\n", "accept s3 -> EOPNOTSUPP native=95\n",
       "accept s3 -> EINVAL native=22\n"},
      {"accept.shut", kListener + "shutdown s3 how=0 -> ok\n", "accept s3 -> EINVAL native=22\n",
       "accept s3 -> EAGAIN native=11\n"},
      {"accept.sound", kListener + kClient, "accept s3 -> ok value=5 handle=s5\n", "accept s3 -> ECONNABORTED native=103\n"},
      {"data.intact", kConnection + "send s4 data=3:616263 -> ok value=3\n", "recv s5 room=9 -> ok value=3 data=3:616263\n",
       "recv s5 room=9 -> ok value=3 data=3:616362\n"},
      {"data.count", kConnection + "send s4 data=3:616263 -> ok value=3\n", "recv s5 room=9 -> ok value=3 data=3:616263\n",
       "recv s5 room=9 -> ok value=4 data=4:61626364\n"},
      {"data.possible_count", kConnection, "send s4 data=3:616263 -> ok value=3\n", "send s4 data=3:616263 -> ok value=4\n"},
      {"data.no_early_end", kConnection, "shutdown s4 how=1 -> ok\nrecv s5 room=9 -> ok\n", "recv s5 room=9 -> ok\n"},
      {"data.before_end", kConnection + "send s4 data=3:616263 -> ok value=3\nshutdown s4 how=1 -> ok\n",
       "recv s5 room=9 -> ok value=3 data=3:616263\nrecv s5 room=9 -> ok\n", "recv s5 room=9 -> ok\n"},
      {"data.recv_waits", kConnection, "send s4 data=1:61 -> ok value=1\nrecv s5 room=9 -> ok value=1 data=1:61\n",
       "recv s5 room=9 -> EAGAIN native=11\n"},
      {"data.send_waits", kConnection, "send s4 data=1:61 -> ok value=1\n", "send s4 data=1:61 -> EAGAIN native=11\n"},
      {"data.recv_time_out", kConnection + "set_option s5 option=SO_RCVTIMEO duration_ns=100000000 -> ok\n",
       "a> recv s5 room=1\n+100\na< EAGAIN native=11\n", "a> recv s5 room=1\n+10\na< EAGAIN native=11\n"},
      {"data.send_time_out", kConnection + "set_option s5 option=SO_SNDTIMEO duration_ns=100000000 -> ok\n",
       "a> send s5 data=1:61\n+100\na< EAGAIN native=11\n", "a> send s5 data=1:61\n+10\na< EAGAIN native=11\n"},
      {"data.ready_is_true",
       kConnection + "send s4 data=1:61 -> ok value=1\n" + Asks("s5", "in") +
           "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n",
       "recv s5 flags=dontwait room=9 -> ok value=1 data=1:61\n", "recv s5 flags=dontwait room=9 -> EAGAIN native=11\n"},
      {"data.recv_sound", kConnection, "send s4 data=1:61 -> ok value=1\nrecv s5 room=9 -> ok value=1 data=1:61\n",
       "recv s5 room=9 -> ECONNRESET native=104\n"},
      {"data.send_sound", kConnection, "send s4 data=1:61 -> ok value=1\n", "send s4 data=1:61 -> EPIPE native=32\n"},
      {"data.send_shut", kConnection + "shutdown s4 how=1 -> ok\n", "send s4 data=1:61 -> EPIPE native=32\n",
       "send s4 data=1:61 -> ok value=1\n"},
      {"data.send_shut", kConnection + "shutdown s4 how=1 -> ok\n", "send s4 data=1:61 -> ESHUTDOWN\n",
       "send s4 data=1:61 -> EPIPE\n", "winsock"},
      {"data.send_unconnected", "socket family=inet -> ok value=3 handle=s3\n", "send s3 data=1:61 -> EPIPE native=32\n",
       "send s3 data=1:61 -> ok value=1\n"},
      {"data.recv_unconnected", "socket family=inet -> ok value=3 handle=s3\n", "recv s3 room=1 -> ENOTCONN native=107\n",
       "recv s3 room=1 -> ok\n"},
      {"data.send_listener", kListener, "send s3 data=1:61 -> EPIPE native=32\n", "send s3 data=1:61 -> EAGAIN native=11\n"},
      {"data.recv_listener", kListener, "recv s3 room=1 -> ENOTCONN native=107\n", "recv s3 room=1 -> EAGAIN native=11\n"},
      {"shutdown.how", kConnection, "shutdown s4 how=7 -> EINVAL native=22\n", "shutdown s4 how=7 -> ok\n"},
      {"shutdown.unconnected", "socket family=inet -> ok value=3 handle=s3\n", "shutdown s3 how=1 -> ENOTCONN native=107\n",
       "shutdown s3 how=1 -> ok\n"},
      {"shutdown.listener", kListener, "shutdown s3 how=0 -> ok\n", "shutdown s3 how=0 -> EINVAL native=22\n"},
      {"shutdown.connected", kConnection, "shutdown s4 how=1 -> ok\n", "shutdown s4 how=1 -> ENOTCONN native=107\n"},
      {"close.succeeds", kConnection, "close s4 -> ok\n", "close s4 -> EIO native=5\n"},
      {"close.listener", kListener, "close s3 -> ok\n", "close s3 -> EIO native=5\n"},
      {"handle.closed", kConnection + "close s4 -> ok\n", "shutdown s4 how=1 -> EBADF native=9\n", "shutdown s4 how=1 -> ok\n"},
      {"handle.close_closed", kConnection + "close s4 -> ok\n", "close s4 -> EBADF native=9\n", "close s4 -> ok\n"},
      {"handle.invalid.accept", "", "accept invalid -> EBADF native=9\n", "accept invalid -> EINVAL native=22\n"},
      {"handle.no_socket.listen", "", "listen not_socket backlog=1 -> ENOTSOCK native=88\n",
       "listen not_socket backlog=1 -> ok\n"},
      {"mode.sticks", "socket family=inet modes=nonblocking -> ok value=3 handle=s3\n", "get_mode s3 -> ok value=1\n",
       "get_mode s3 -> ok\n"},
      {"error.none", kConnection, "get_option s4 option=SO_ERROR -> ok error=ok reported=4\n",
       "get_option s4 option=SO_ERROR -> ok native=104 error=ECONNRESET reported=4\n"},
      {"option.type", "socket family=inet -> ok value=3 handle=s3\n", "get_option s3 option=SO_TYPE -> ok integer=1 reported=4\n",
       "get_option s3 option=SO_TYPE -> ok integer=2 reported=4\n"},
      {"option.accepting", kListener, "get_option s3 option=SO_ACCEPTCONN -> ok integer=1 reported=4\n",
       "get_option s3 option=SO_ACCEPTCONN -> ok integer=0 reported=4\n"},
      {"option.accepting_not", "socket family=inet -> ok value=3 handle=s3\n",
       "get_option s3 option=SO_ACCEPTCONN -> ok integer=0 reported=4\n",
       "get_option s3 option=SO_ACCEPTCONN -> ok integer=1 reported=4\n"},
      {"option.boolean", "socket family=inet -> ok value=3 handle=s3\nset_option s3 option=SO_KEEPALIVE integer=1 -> ok\n",
       "get_option s3 option=SO_KEEPALIVE -> ok integer=1 reported=4\n",
       "get_option s3 option=SO_KEEPALIVE -> ok integer=0 reported=4\n"},
      {"option.linger", "socket family=inet -> ok value=3 handle=s3\nset_option s3 option=SO_LINGER linger=1,7 -> ok\n",
       "get_option s3 option=SO_LINGER -> ok linger=1,7 reported=8\n",
       "get_option s3 option=SO_LINGER -> ok linger=1,8 reported=8\n"},
      {"count.unread", kConnection + "send s4 data=3:616263 -> ok value=3\n", "ioctl s5 request=0 -> ok value=3\n",
       "ioctl s5 request=0 -> ok value=4\n"},
      {"ready.only_asked", kConnection + "send s4 data=1:61 -> ok value=1\n" + Asks("s5", "in"),
       "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n",
       "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in|out,ok\n"},
      {"ready.listener_idle", kListener + Asks("s3", "in"),
       kClient + "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n",
       "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n"},
      {"ready.no_data", kConnection + Asks("s5", "in"),
       "send s4 data=1:61 -> ok value=1\nwatch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n",
       "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n"},
      {"ready.stays",
       kConnection + "send s4 data=1:61 -> ok value=1\n" + Asks("s5", "in") +
           "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n",
       "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n", "watch_wait w1 timeout_ns=0 room=16 -> ok\n"},
      {"ready.listener_stays",
       kListener + kClient + Asks("s3", "in") + "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n",
       "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n", "watch_wait w1 timeout_ns=0 room=16 -> ok\n"},
      {"ready.peer_open", kConnection + Asks("s5", "rdhup"),
       "shutdown s4 how=1 -> ok\nwatch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,rdhup,ok\n",
       "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,rdhup,ok\n"},
      {"ready.time_out", kConnection + Asks("s5", "in"), "a> watch_wait w1 timeout_ns=100000000 room=16\n+100\na< ok\n",
       "a> watch_wait w1 timeout_ns=100000000 room=16\n+10\na< ok\n"},
      {"ready.data_wakes", kConnection + Asks("s5", "in"),
       "send s4 data=1:61 -> ok value=1\na> watch_wait w1 timeout_ns=5000000000 room=16\na< ok value=1 event=0,in,ok\n",
       "send s4 data=1:61 -> ok value=1\na> watch_wait w1 timeout_ns=5000000000 room=16\n+5000\na< ok\n"},
      {"ready.end", kConnection + Asks("s5", "in"),
       "shutdown s4 how=1 -> ok\na> watch_wait w1 timeout_ns=5000000000 room=16\na< ok value=1 event=0,in,ok\n",
       "shutdown s4 how=1 -> ok\na> watch_wait w1 timeout_ns=5000000000 room=16\n+5000\na< ok\n"},
      {"argument.bind_family", "socket family=inet -> ok value=3 handle=s3\n",
       "bind s3 address=inet6:[0:0:0:0:0:0:0:1]:0 -> EAFNOSUPPORT native=97\n",
       "bind s3 address=inet6:[0:0:0:0:0:0:0:1]:0 -> ok\n"},
      {"argument.bind_length", "socket family=inet -> ok value=3 handle=s3\n",
       "bind s3 address=inet:127.0.0.1:0,length=-1 -> EINVAL native=22\n", "bind s3 address=inet:127.0.0.1:0,length=-1 -> ok\n"},
      {"argument.connect_short", "socket family=inet -> ok value=3 handle=s3\n",
       "connect s3 address=inet:127.0.0.1:9,length=2 -> EINVAL native=22\n",
       "connect s3 address=inet:127.0.0.1:9,length=2 -> ECONNREFUSED native=111\n"},
      {"argument.set_read_only", kListener, "set_option s3 option=SO_ACCEPTCONN integer=0 -> ENOPROTOOPT native=92\n",
       "set_option s3 option=SO_ACCEPTCONN integer=0 -> ok\n"},
      {"argument.get_unknown_option", kListener, "get_option s3 option=UNKNOWN_OPTION -> ENOPROTOOPT native=92\n",
       "get_option s3 option=UNKNOWN_OPTION -> EINVAL native=22\n"},
      {"accept.empty", kListener + "set_mode s3 set=nonblocking -> ok\n", "accept s3 -> EAGAIN native=11\n",
       "accept s3 -> EIO native=5\n"},
      {"accept.time_out_error", kListener + "set_option s3 option=SO_RCVTIMEO duration_ns=100000000 -> ok\n",
       "a> accept s3\n+100\na< EAGAIN native=11\n", "a> accept s3\n+100\na< ETIMEDOUT native=110\n"},
      {"data.recv_shut", kConnection + "shutdown s5 how=0 -> ok\n", "recv s5 flags=dontwait room=1 -> ok\n",
       "recv s5 flags=dontwait room=1 -> EAGAIN native=11\n"},
      {"data.reset_told", kConnection + "set_option s4 option=SO_LINGER linger=1,0 -> ok\nclose s4 -> ok\n",
       "recv s5 room=1 -> ECONNRESET native=104\n", "recv s5 room=1 -> ok\n"},
      {"option.accepting_shut", kListener + "shutdown s3 how=0 -> ok\n",
       "get_option s3 option=SO_ACCEPTCONN -> ok integer=0 reported=4\n",
       "get_option s3 option=SO_ACCEPTCONN -> ok integer=1 reported=4\n"},
      {"option.child_not_listening", kConnection, "get_option s5 option=SO_ACCEPTCONN -> ok integer=0 reported=4\n",
       "get_option s5 option=SO_ACCEPTCONN -> ok integer=1 reported=4\n"},
      {"ready.count", kConnection + "send s4 data=1:61 -> ok value=1\n" + Asks("s5", "in"),
       "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n",
       "watch_wait w1 timeout_ns=0 room=16 -> ok value=2 event=0,in,ok\n"},
      {"ready.time_out_result", kConnection + Asks("s5", "in"), "watch_wait w1 timeout_ns=0 room=16 -> ok\n",
       "watch_wait w1 timeout_ns=0 room=16 -> ok value=1\n"},
      {"ready.add_twice",
       kConnection + "watch_create mechanism=epoll -> ok value=9 handle=w9\nwatch_add s5 watcher=w9 events=in -> ok\n",
       "watch_add s5 watcher=w9 events=in -> EEXIST native=17\n", "watch_add s5 watcher=w9 events=in -> ok\n"},
      {"ready.listener_wakes", kListener + kClient + Asks("s3", "in"),
       "a> watch_wait w1 timeout_ns=5000000000 room=16\na< ok value=1 event=0,in,ok\n",
       "a> watch_wait w1 timeout_ns=5000000000 room=16\n+5000\na< ok\n"},
  };
  return cases;
}

std::string Describe(const Judgement& judgement) {
  std::string text;
  for (const Violation& violation : judgement.violations) {
    text += fmt::format("{} at line {}: {} ({})\n", violation.rule->name(), violation.line, violation.call, violation.detail);
  }
  return text;
}

uint32_t Fired(const Judgement& judgement, std::string_view name) {
  uint32_t fired = 0;
  for (const Rule* rule : Rule::All()) {
    if (rule->name() == name) fired += judgement.fired[rule->number()];
  }
  return fired;
}

TEST(Rules, SayWhereTheyStand) {
  std::set<std::string> names;
  for (const Rule* rule : Rule::All()) {
    EXPECT_TRUE(names.insert(rule->name()).second) << rule->name() << " is there twice";
    if (*rule->requirement_id() != '\0') {
      EXPECT_NE(rule->requirement(), nullptr) << rule->name() << ": no requirement " << rule->requirement_id();
    } else {
      EXPECT_NE(rule->Citation(0), "") << rule->name();
    }
  }
}

TEST(Rules, TakeWhatIsFine) {
  for (const Case& each : Cases()) {
    const Judgement judgement = JudgeText(each.before + each.good, each.profile);
    EXPECT_TRUE(judgement.violations.empty()) << each.rule << "\n" << Describe(judgement);
  }
}

TEST(Rules, NoticeWhatBreaksThem) {
  for (const Case& each : Cases()) {
    if (std::strcmp(each.rule, "connect.in_progress") == 0) continue;  // what else a connect may answer is its own rule
    const Judgement judgement = JudgeText(each.before + each.bad, each.profile);
    ASSERT_EQ(judgement.violations.size(), 1u) << each.rule << "\n" << Describe(judgement);
    EXPECT_STREQ(judgement.violations.front().rule->name(), each.rule);
    EXPECT_FALSE(judgement.violations.front().citation.empty());
    EXPECT_FALSE(judgement.violations.front().allowed.empty());
  }
}

TEST(Overlap, AReceiveMayTakeWhatASendStillSends) {
  const Judgement judgement = JudgeText(kConnection +
                                        "a> send s4 payload=7,0,100 pieces=100\n"
                                        "recv s5 room=60 -> ok value=60 payload=7,0,60\n"
                                        "a< ok value=100\n"
                                        "recv s5 room=60 -> ok value=40 payload=7,60,40\n");
  EXPECT_TRUE(judgement.violations.empty()) << Describe(judgement);
  EXPECT_EQ(Fired(judgement, "data.intact"), 2u);
}

TEST(Overlap, AShutdownMayTakeEffectBeforeItReturns) {
  const Judgement judgement = JudgeText(kConnection + "a> shutdown s4 how=1\nrecv s5 room=60 -> ok\na< ok\n");
  EXPECT_TRUE(judgement.violations.empty()) << Describe(judgement);
}

TEST(Overlap, ASendMayOvertakeTheShutdownThatRuns) {
  const Judgement judgement = JudgeText(kConnection + "a> shutdown s4 how=1\nsend s4 data=1:61 -> ok value=1\na< ok\n");
  EXPECT_TRUE(judgement.violations.empty()) << Describe(judgement);
}

// The thread that listens is stopped between what its call did and the record of it; meanwhile clients come.
TEST(Overlap, AClientMayReachAListenerWhoseListenHasNotReturned) {
  const std::string bound =
      "socket family=inet -> ok value=3 handle=s3\n"
      "bind s3 address=inet:127.0.0.1:0 -> ok\n"
      "local_name s3 name=valid,valid,256 -> ok name=inet:127.0.0.1:1000,16\n"
      "socket family=inet -> ok value=4 handle=s4\n";
  const std::string blocking = "connect s4 address=inet:127.0.0.1:1000 -> ok\n";
  const std::string told_later =
      "set_mode s4 set=nonblocking -> ok\n"
      "connect s4 address=inet:127.0.0.1:1000 -> EINPROGRESS\n"
      "connect s4 address=inet:127.0.0.1:1000 -> ok\n";
  for (const std::string& connect : {blocking, told_later}) {
    const Judgement judgement = JudgeText(bound + "a> listen s3 backlog=5\n" + connect + "a< ok\n" +
                                          "watch_create mechanism=poll -> ok handle=w1\n"
                                          "watch_add s3 watcher=w1 events=in -> ok\n"
                                          "watch_wait w1 timeout_ns=0 room=16 -> ok value=1 event=0,in,ok\n");
    EXPECT_TRUE(judgement.violations.empty()) << Describe(judgement);
  }
}

TEST(Unknown, AHandleFromBeforeTheTraceIsNotJudged) {
  const Judgement judgement = Judge(Trace("recv s9 room=60 -> ok\nlisten s9 backlog=1 -> EIO\n"), 0, false);
  EXPECT_TRUE(judgement.violations.empty()) << Describe(judgement);
  EXPECT_EQ(judgement.unknown, 2u);
}

TEST(Unknown, BrokenLinesAreCountedAndPassedOver) {
  const Judgement judgement =
      Judge({"", "000001", "x y z", "000001 0.1 p1 t0 < ok handle=s3", "000002 0.2 p1 t0 > recv", "000002 0.2 p1 t0 < NONSENSE"},
            0, true);
  EXPECT_TRUE(judgement.violations.empty());
  EXPECT_GE(judgement.unreadable, 3u);
}

}  // namespace
}  // namespace sockproof::oracle
